// Targets that a plugin brings: the example of plugins/README.md, taken from there and run.
import { expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { signTransaction } from '../../../core/chain/transaction.ts'
import { makeKey } from '../../support/blocks.ts'
import { eventually } from '../../support/eventually.ts'
import { useHome } from '../../support/home.ts'
import { LineClient } from '../../support/lines.ts'
import type { NodeProcess } from '../../support/process.ts'
import { readTarget } from '../../../plugins/notifier/target.ts'

const home = useHome()
const manual = readFileSync(join(import.meta.dir, '../../../plugins/README.md'), 'utf8')

async function submit(node: NodeProcess, n: number): Promise<void> {
  const client = await LineClient.open(node.ready.port)
  const transaction = signTransaction(makeKey(5), node.ready.chain_id, { n }, n)
  expect(await client.ask({ type: 'NEW_TRANSACTION', ...transaction })).toMatchObject({ type: 'MINING_STARTED' })
  await eventually(async () => (await client.ask({ type: 'ping' }))['height'] === n, `block ${n} is recorded`)
  client.close()
}

test('a plugin brings a sink: every block is delivered to it in order, again where it failed, and after a restart', async () => {
  const examples = manual.split('```ts\n').map((text) => text.split('```')[0]!)
  const example = examples.find((text) => text.includes("contribute('sink'"))!
  const plugin = join(home.path, 'diary.ts')
  writeFileSync(plugin, example)
  const diary = join(home.path, 'diary.jsonl')
  const read = (): number[] => {
    const lines = readFileSync(diary, 'utf8').trim().split('\n')
    return lines.map((line) => (JSON.parse(line) as { block_index: number }).block_index)
  }
  const flags = ['--port', '0', '--plugins', `instant,notifier,tcp,sqlite,${plugin}`]
  const targets = ['--sqlite.path', join(home.path, 'ledger.sqlite3'), '--notifier.targets', `diary://here${diary}`]
  const node = await home.start(...flags, ...targets)
  await submit(node, 1)
  await submit(node, 2)
  await eventually(() => read().length === 2, 'both are told')
  await node.kill()
  const again = await home.start(...flags, ...targets)
  await submit(again, 3)
  await eventually(() => read().at(-1) === 3, 'the third is told')
  expect([...new Set(read())]).toEqual([1, 2, 3])
  expect(await again.stop()).toBe(0)
})

test('a scheme that no plugin brings is said so, and tried again', async () => {
  const node = await home.start(
    '--port',
    '0',
    '--plugins',
    'instant,notifier,tcp,sqlite',
    '--notifier.targets',
    'diary://here/x',
  )
  await submit(node, 1)
  await eventually(() => node.log().includes('no plugin delivers to diary://; add it to --plugins'), 'it is said')
  expect(await node.stop()).toBe(0)
})

test('what looks like a scheme that there is, misspelt, is a mistake', () => {
  for (const [text, meant] of [
    ['ndjosn://127.0.0.1:1', 'ndjson'],
    ['gatway://127.0.0.1:1', 'gateway'],
    ['htps://example.com', 'https'],
  ] as const) {
    const read = readTarget(text)
    expect(read.ok ? '' : read.detail).toContain(meant)
  }
  expect(readTarget('nats://me:hush@127.0.0.1:4222/blocks')).toMatchObject({
    ok: true,
    value: { name: expect.not.stringContaining('hush') as unknown, way: { sink: 'nats' } },
  })
})
