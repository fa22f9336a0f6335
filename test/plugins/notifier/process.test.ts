// Real nodes, killed while they notify.
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { readConfirmation } from '../../../core/index.ts'
import { keyPairOfPem, privatePemOf } from '../../../core/chain/keys.ts'
import { signTransaction } from '../../../core/chain/transaction.ts'
import { eventually } from '../../support/eventually.ts'
import { useHome } from '../../support/home.ts'
import { LineClient } from '../../support/lines.ts'
import { aurex, cleanEnvironment, type NodeProcess } from '../../support/process.ts'
import { freePort, inShort, lineListener, shorts } from './world.ts'

const home = useHome()
const key = keyPairOfPem(privatePemOf(new Uint8Array(32).fill(5)), 'test key')

/** Each transaction alone in a block: the next is sent when the last is recorded. */
async function makeBlocks(node: NodeProcess, from: number, to: number): Promise<void> {
  const client = await LineClient.open(node.ready.port)
  for (let n = from; n <= to; n++) {
    const transaction = signTransaction(key, node.ready.chain_id, { text: `purchase ${n}` }, n)
    expect(await client.ask({ type: 'NEW_TRANSACTION', ...transaction })).toMatchObject({ type: 'MINING_STARTED' })
    await eventually(async () => (await client.ask({ type: 'ping' }))['height'] === n, `block ${n} is recorded`)
  }
  client.close()
}

const confirmed = (count: number): string[] => Array.from({ length: count }, (_, n) => `confirmed ${n + 1}`)

test('threats row 27: the server is down, the node is killed again and again meanwhile: every confirmation arrives, in order', async () => {
  const port = await freePort()
  // The same port each time: the ledger's and the key's names come from it.
  const own = String(await freePort())
  const start = () =>
    home.start(
      '--plugins',
      'instant,notifier,tcp,sqlite',
      '--port',
      own,
      '--notifier.port',
      String(port),
      '--notifier.retry-max',
      '0.2',
    )
  for (const round of [0, 1, 2]) {
    const node = await start()
    await makeBlocks(node, round * 4 + 1, round * 4 + 4)
    await node.kill()
  }
  let listener = await lineListener(port)
  const node = await start()
  await eventually(() => listener.heard.length >= 5, 'some are told')
  // Now the server is killed, and the node with it.
  listener.stop()
  const first = [...listener.heard]
  await node.kill()
  listener = await lineListener(port)
  const last = await start()
  await makeBlocks(last, 13, 14)
  await eventually(() => shorts(listener).at(-1) === 'confirmed 14', 'all are told')
  // What was under way when the node was killed may have been heard twice.
  const seen = new Set<unknown>()
  const all = [...first, ...listener.heard].filter(({ id }) => !seen.has(id) && seen.add(id))
  expect(all.map(inShort)).toEqual(confirmed(14))
  expect(listener.heard.length + first.length).toBeLessThanOrEqual(15 + 1)
  for (const message of all) {
    expect(readConfirmation(message)).toMatchObject({ ok: true })
    expect(message).toMatchObject({
      final: false,
      transactions: [{ data: { text: `purchase ${Number(message['block_index'])}` } }],
    })
  }
  expect(await last.stop()).toBe(0)
}, 30_000)

const plugins = ['--plugins', 'instant,notifier,tcp,sqlite']

test('SERVER_NOTIFY_HOST and SERVER_NOTIFY_PORT name the listener, and the secret is not shown', async () => {
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
  const main = join(import.meta.dir, '../../../core/main.ts')
  const child = Bun.spawn([process.execPath, main, 'config', ...plugins, '--notifier.webhook-secret', secret], {
    env: { ...cleanEnvironment(home.path), SERVER_NOTIFY_HOST: 'shop.example', SERVER_NOTIFY_PORT: '99' },
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const shown = await child.stdout.text()
  expect(shown).toMatch(/notifier\.host +shop\.example +environment SERVER_NOTIFY_HOST/)
  expect(shown).toMatch(/notifier\.port +99 +environment SERVER_NOTIFY_PORT/)
  expect(shown).not.toContain('MfKQ9')
})

test('what is wrong with a target is said before the node starts', async () => {
  const failure = (...args: string[]) => aurex(home.path, 'node', ...plugins, '--data-dir', home.path, ...args)
  const bad = await failure('--notifier.targets', '127.0.0.1:9')
  expect([bad.code, bad.stderr]).toEqual([64, containing('write it like ndjson://127.0.0.1:9')])
  const twice = await failure('--notifier.targets', 'ndjson://h:1,ndjson://h:1')
  expect([twice.code, twice.stderr]).toEqual([78, containing('ndjson://h:1 is named twice')])
  const secret = await failure('--notifier.webhook-secret', 'whsec_no secret!', '--notifier.targets', 'https://h/')
  expect(secret.code).toBe(64)
  expect(secret.stderr).not.toContain('no secret!')
})

const containing = (text: string) => expect.stringContaining(text) as unknown as string
