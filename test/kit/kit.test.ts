// An engine of one's own from the first command to a network of it, outside this tree and with nothing installed.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { addressesOf, makeGenesis, makeKeys } from '../support/authorities.ts'
import { Cluster } from '../support/cluster.ts'
import { aurex, removeFolder, temporaryFolder } from '../support/process.ts'

const folder = temporaryFolder()
const engine = join(folder, 'ring.ts')

beforeAll(async () => {
  expect(await aurex(folder, 'new', 'consensus', 'ring')).toMatchObject({ code: 0, stderr: '' })
})
afterAll(() => removeFolder(folder))

test('it passes the suite of every engine', async () => {
  const { code, stderr } = await aurex(folder, 'test', './ring.test.ts')
  if (code !== 0) throw new Error(stderr)
  expect(stderr).toMatch(/\n *0 fail\n/)
  expect(Number(/\n *(\d+) pass\n/.exec(stderr)?.[1])).toBeGreaterThan(15)
})

test('an engine that breaks a rule does not, and the suite names the rule', async () => {
  const text = readFileSync(engine, 'utf8')
  const broken = text.replace('if (header.work !== 1)', 'if (header.work < 1)')
  expect(broken).not.toBe(text)
  writeFileSync(join(folder, 'broken.ts'), broken)
  const suite = readFileSync(join(folder, 'ring.test.ts'), 'utf8')
  writeFileSync(join(folder, 'broken.test.ts'), suite.replace('./ring.ts', './broken.ts'))
  const { code, stderr } = await aurex(folder, 'test', './broken.test.ts')
  expect(code).toBe(1)
  expect(stderr).toContain('(fail) ring keeps the contract of an engine > another work than the rules give is refused')
})

test('it has less than a hundred lines', () => {
  expect(readFileSync(engine, 'utf8').split('\n').length).toBeLessThan(100)
})

test('three nodes of it, in turns, agree on every transaction', async () => {
  const keys = await makeKeys(folder, 3)
  const genesis = await makeGenesis(folder, '--consensus', engine, '--authorities', addressesOf(keys))
  const cluster = await Cluster.start({
    count: 3,
    args: ['--plugins', `${engine},tcp,sqlite`, '--genesis', genesis],
    argsOf: (place) => ['--key', keys[place]!.path],
  })
  try {
    await cluster.connected(2)
    for (let round = 0; round < 6; round++) {
      await cluster.submit(3)
      await cluster.agreed()
    }
    const [first, ...others] = cluster.nodes
    expect(first!.rows()).toHaveLength(18)
    for (const node of others) expect(node.rows()).toEqual(first!.rows())
    expect(first!.miners().toSorted()).toEqual(keys.map(({ node_id }) => node_id).toSorted())
    for (const node of cluster.nodes) {
      expect(await aurex(folder, 'verify', node.ready.ledger, '--engine', engine)).toMatchObject({ code: 0 })
    }
  } finally {
    await cluster.dispose()
  }
}, 60_000)

test('a node starts by the config that comes with it, on a chain for development', async () => {
  const described = await aurex(folder, 'config', '--config', 'ring.toml', '--json')
  expect(described).toMatchObject({ code: 0, stderr: '' })
  const { values } = JSON.parse(described.stdout) as { values: { key: string; value: string }[] }
  const valueOf = (key: string) => values.find((one) => one.key === key)?.value
  expect(valueOf('plugins')).toBe('./ring.ts,tcp,sqlite')
  expect(valueOf('data_dir')).toBe(join(folder, 'ring-data'))
  expect(valueOf('ring.produce')).toBe('true')
})
