// The application and the observer that plugins/README.md shows, and the commands of both manuals, as they stand there.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'bun:test'
import { parse as parseToml } from 'smol-toml'
import * as v from 'valibot'
import { provideToPlugins } from '../../../core/bun.ts'
import * as core from '../../../core/index.ts'
import { messageOf } from '../../../core/errors.ts'
import { parseJson, type JsonObject } from '../../../core/chain/json.ts'
import type { Application, OutboxEntry } from '../../../core/plugin.ts'
import { resolvePlugin } from '../../../core/resolve.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import { applicationContract, stated } from '../../contract/application.ts'
import { makeBlock, makeGenesis } from '../../support/blocks.ts'
import { makeContext } from '../../support/context.ts'
import { testKey } from '../../support/headers.ts'
import { useHome } from '../../support/home.ts'
import { aurex, removeFolder, temporaryFolder } from '../../support/process.ts'
import { anna, Market, named, own, type Parameters } from './people.ts'

const textOf = (path: string): string => readFileSync(join(import.meta.dir, '../../../plugins', path), 'utf8')
const blocksOf = (text: string, language: string): string[] =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\`$`, 'gm'))].map(([, block]) => block!)
const [manual, market] = [textOf('README.md'), textOf('market/README.md')]
const example = blocksOf(manual, 'ts').find((block) => block.includes("provides: 'application'"))!

// As a node does before it loads what is not its own.
provideToPlugins({ aurex: core, valibot: v })
const folder = temporaryFolder()
writeFileSync(join(folder, 'poll.ts'), example)
afterAll(() => removeFolder(folder))

interface Poll {
  readonly name: string
  readonly parameters: v.GenericSchema
  setup(context: unknown, config: unknown, parameters: unknown): Application
}
const poll = (await resolvePlugin('./poll.ts', folder)) as unknown as Poll

const vote = (key: number, choice: string) => stated({ signer: testKey(key).address, data: { vote: choice } })

applicationContract('the example of the manual', {
  id: 'poll',
  make: () => poll.setup(makeContext({ use: {} }).context, {}, v.parse(poll.parameters, {})),
  history: [
    vote(1, 'yes'),
    vote(2, 'no'),
    vote(2, 'no'),
    vote(1, 'no'),
    vote(3, 'maybe'),
    stated({ data: { a: [1] } }),
  ],
})

test('the example has less than 40 lines', () => expect(example.trimEnd().split('\n').length).toBeLessThan(40))

const home = useHome()

test('the example runs in a node, and its commands are those of the manual', async () => {
  expect(manual).toContain('bun run node --plugins instant,./poll.ts,tcp,sqlite')
  expect(manual).toContain(`bun run aurex tx --data '{"vote":"yes"}' --wait`)
  writeFileSync(join(home.path, 'poll.ts'), example)
  const node = await home.start('--plugins', 'instant,./poll.ts,tcp,sqlite', '--port', '0')
  const tx = (data: string) =>
    aurex(home.path, 'tx', '--node', `127.0.0.1:${node.ready.port}`, '--data', data, '--wait')
  expect(await tx('{"vote":"yes"}')).toMatchObject({ code: 0 })
  const refused = await tx('{"vote":"never"}')
  expect(refused.code).not.toBe(0)
  expect(refused.stdout + refused.stderr).toContain('bad-vote')
  expect(refused.stdout + refused.stderr).toContain('expected one of yes, no')
}, 30_000)

test('the observer of the manual hears of every block once, also after it was ended in the middle', async () => {
  const snippet = blocksOf(manual, 'ts').find((block) => block.includes('storage.outbox'))!
  const body = new Bun.Transpiler({ loader: 'ts' }).transformSync(
    `export async function observe(context, tell) {${snippet}}`,
  )
  const file = join(folder, 'observe.js')
  writeFileSync(file, body)
  const { observe } = (await import(file)) as {
    readonly observe: (
      context: object,
      tell: (kind: OutboxEntry['kind'], index: number) => Promise<void>,
    ) => Promise<void>
  }
  const storage = new MemoryLedger()
  const genesis = makeGenesis()
  storage.begin(genesis, genesis.block, 0)
  let parent = genesis.block
  for (let at = 1; at <= 3; at++) {
    const block = makeBlock(parent)
    storage.commit({
      undone: [],
      applied: [{ block, hashes: [], receivedAt: [], totalWork: BigInt(at) }],
      returned: [],
      writtenAt: at,
    })
    parent = block
  }
  const heard: string[] = []
  const context = { use: { storage } }
  const ended = observe(context, (kind, index) => {
    heard.push(`${kind} ${index}`)
    return index === 2 ? Promise.reject(new Error('ended')) : Promise.resolve()
  })
  expect(await ended.catch(messageOf)).toBe('ended')
  await observe(context, (kind, index) => Promise.resolve(void heard.push(`${kind} ${index}`)))
  await observe(context, () => Promise.reject(new Error('nothing is left')))
  expect(heard).toEqual(['applied 1', 'applied 2', 'applied 2', 'applied 3'])
})

test('every action that the market’s manual shows is taken as it stands there', () => {
  const lines = blocksOf(market, 'json').flatMap((block) => block.trim().split(/(?<=\})\n(?=\{)/))
  const outcomes = lines.map((line, at) => {
    const data = parseJson(Buffer.from(line))
    if (!data.ok) throw new Error(`${line}: ${data.detail}`)
    // Each on its own: two of them buy the same lamp.
    return new Market().take(at === 0 ? own(anna, data.value as JsonObject) : named('ben', data.value as JsonObject))
  })
  expect(outcomes).toEqual(Array.from({ length: 6 }, () => 'taken'))
})

test('the genesis that the market’s manual shows is one, and its name is bound from the start', () => {
  const [text] = blocksOf(market, 'toml')
  const { application, market: table } = parseToml(text!) as { application: string; market: Parameters }
  expect(application).toBe('market')
  const chain = new Market(table)
  expect(chain.account('anna')).toEqual({ balance: '100', public_key: anna })
  expect(chain.take(named('anna', { action: 'transfer', to: 'ben', amount: '7' }, 'none', anna))).toBe('taken')
  expect(chain.take(own(anna, { action: 'transfer', to: 'ben', amount: '7' }))).toBe('taken')
})

test('every code that the market’s manual lists is one of the rules, and the other way round', () => {
  const listed = [
    ...market
      .split('## Refusals')[1]!
      .split('## What')[0]!
      .matchAll(/`([a-z]+(?:-[a-z]+)+)`/g),
  ]
  const golden = JSON.parse(readFileSync(join(import.meta.dir, '../../golden/market.json'), 'utf8')) as {
    outputs: { outcomes: string[] }
  }[]
  const outcomes = new Set(golden.flatMap(({ outputs }) => outputs.outcomes))
  outcomes.delete('taken')
  expect(listed.map(([, code]) => code!).toSorted()).toEqual([...outcomes].toSorted())
})

test('every query that the market’s manual shows runs on a ledger', async () => {
  const node = await home.start('--plugins', 'instant,market,tcp,sqlite', '--port', '0')
  const queries = [...market.matchAll(/^sqlite3 node_13245\.sqlite3 (.+)$/gm)].map(([, query]) => query!)
  expect(queries).toHaveLength(4)
  for (const query of queries) {
    const { exitCode, stderr } = Bun.spawnSync(['bash', '-c', `sqlite3 -readonly '${node.ready.ledger}' ${query}`])
    expect({ query, exitCode, stderr: stderr.toString() }).toEqual({ query, exitCode: 0, stderr: '' })
  }
})
