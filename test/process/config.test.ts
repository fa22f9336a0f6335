// Every file of config/ is what it says: a node starts from it, or on it.
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'smol-toml'
import { removeFolder, startNode, temporaryFolder } from '../support/process.ts'

const folder = join(import.meta.dir, '../../config')
const files = readdirSync(folder).filter((name) => name.endsWith('.toml'))
const isGenesis = (name: string) => name.startsWith('genesis-')
const tableOf = (name: string) => parse(readFileSync(join(folder, name), 'utf8'))
let home: string
beforeEach(() => {
  home = temporaryFolder()
})
afterEach(() => removeFolder(home))

/** Ports that are taken elsewhere on this machine are no matter here. */
const anyPort = (plugins: readonly string[]): string[] => [
  '--port',
  '0',
  ...(plugins.includes('gateway') ? ['--gateway.port', '0'] : []),
]

describe('a node starts', () => {
  test.each(files.filter((name) => !isGenesis(name)))('from %s, and every key in it counts', async (name) => {
    const { plugins } = tableOf(name) as { plugins: string[] }
    const node = await startNode(home, '--config', join(folder, name), ...anyPort(plugins))
    expect(node.ready).toMatchObject({ event: 'ready', name: name.replace('.toml', ''), plugins })
    expect(await node.stop()).toBe(0)
    expect(node.log()).not.toMatch(/"level":"(WARN|ERROR|FATAL)/)
  })

  test.each([
    ['genesis-pow.toml', 'pow.toml'],
    ['genesis-pow.toml', 'verifier.toml'],
    ['genesis-market.toml', 'market-node.toml'],
    ['genesis-market.toml', 'notifier.toml'],
    ['genesis-poa.toml', 'poa.toml'],
  ])('on %s from %s', async (genesis, name) => {
    const given = ['--config', join(folder, name), '--genesis', join(folder, genesis)]
    const node = await startNode(home, ...given, '--port', '0')
    expect(node.ready).toMatchObject({ chain: tableOf(genesis)['name'] })
    expect(await node.stop()).toBe(0)
  })
})

test.each(files)('every key of %s has a comment above it', (name) => {
  const lines = readFileSync(join(folder, name), 'utf8').trimEnd().split('\n')
  for (const [at, line] of lines.entries()) {
    if (/^[a-z_]+ = /.test(line)) expect(`${lines[at - 1]}\n${line}`).toStartWith('# ')
  }
})

test('the README beside them names every one', () => {
  const named = [...readFileSync(join(folder, 'README.md'), 'utf8').matchAll(/^\| `([^`]+)`/gm)].map(
    ([, name]) => name!,
  )
  expect(named.toSorted()).toEqual(files.toSorted())
})
