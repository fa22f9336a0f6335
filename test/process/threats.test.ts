// Threats that only a whole process can show.
import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { keyPairOfPem, privatePemOf } from '../../core/chain/keys.ts'
import { signTransaction, type Transaction } from '../../core/chain/transaction.ts'
import { eventually } from '../support/eventually.ts'
import { useHome } from '../support/home.ts'
import { LineClient } from '../support/lines.ts'
import { aurex, type NodeProcess } from '../support/process.ts'

const key = keyPairOfPem(privatePemOf(new Uint8Array(32).fill(5)), 'test key')
const instant = ['--plugins', 'instant,tcp,sqlite', '--port', '0']
const home = useHome()
const start = (...args: string[]): Promise<NodeProcess> => home.start(...args)

const make = (node: NodeProcess, n: number, text = 'x'): Transaction =>
  signTransaction(key, node.ready.chain_id, { text }, n)

const submit = (client: LineClient, transaction: Transaction) => client.ask({ type: 'NEW_TRANSACTION', ...transaction })

/** Asks until it is so. */
const until = (client: LineClient, question: object, so: (answer: Record<string, unknown>) => boolean): Promise<void> =>
  eventually(async () => so(await client.ask(question)), `what is asked with ${JSON.stringify(question)}`)

/** What a node says that does not start. */
async function refusedStart(...args: string[]): Promise<string> {
  try {
    await start(...args)
  } catch (error) {
    return (error as Error).message
  }
  throw new Error('it started')
}

/** A ledger of so many blocks with one transaction each, whose node has stopped. */
async function ledgerOf(blocks: number): Promise<string> {
  const node = await start(...instant)
  const client = await LineClient.open(node.ready.port)
  for (let n = 0; n < blocks; n++) {
    await submit(client, make(node, n))
    await until(client, { type: 'chain_info' }, ({ height }) => Number(height) > n)
  }
  client.close()
  expect(await node.stop()).toBe(0)
  return node.ready.ledger
}

describe('threats row 28: bytes changed in the ledger file', () => {
  test('verify names the row, and a node refuses to build on it', async () => {
    const ledger = await ledgerOf(5)
    expect((await aurex(home.path, 'verify', ledger)).code).toBe(0)
    const database = new Database(ledger)
    const { id, tx_hash } = database
      .query('SELECT id, tx_hash FROM transaction_rows ORDER BY id LIMIT 1 OFFSET 2')
      .get() as {
      id: number
      tx_hash: string
    }
    database.run(`UPDATE transaction_rows SET data = '{"text":"y"}' WHERE id = ?`, [id])
    database.close()
    const verified = await aurex(home.path, 'verify', ledger)
    expect(verified.code).toBe(1)
    expect(verified.stdout).toContain(tx_hash)
    expect(verified.stdout).toContain('block 3')
    expect(await refusedStart(...instant)).toMatch(/ledger-damaged.*block 3/s)
  }, 30_000)

  test('any byte of a header’s or a transaction’s text', async () => {
    const ledger = await ledgerOf(3)
    const sound = readFileSync(ledger)
    // The signed text of transaction 1, and the timestamp of block 2, wherever SQLite put them.
    for (const needle of ['"text":"x"', '"tx_root":"']) {
      const at = sound.indexOf(needle)
      expect(at).toBeGreaterThan(0)
      const spoilt = Buffer.from(sound)
      spoilt[at + needle.length - 2]! ^= 1
      writeFileSync(ledger, spoilt)
      const verified = await aurex(home.path, 'verify', '--json', ledger)
      expect(verified.code).toBe(1)
      expect(JSON.parse(verified.stdout)).toMatchObject({ ok: false, row: expect.any(String) as unknown })
      expect(await refusedStart(...instant)).toContain('ledger-damaged')
    }
  }, 30_000)

  test('a forged block that hashes right is still not signed right', async () => {
    const ledger = await ledgerOf(2)
    copyFileSync(ledger, join(home.path, 'copy.sqlite3'))
    const database = new Database(ledger)
    const signature = Buffer.alloc(64, 7).toString('base64')
    database.run(`UPDATE transaction_rows SET signature = ?`, [signature])
    database.close()
    const verified = await aurex(home.path, 'verify', ledger)
    expect(verified.code).toBe(1)
    expect(verified.stdout).toContain('signature')
    expect((await aurex(home.path, 'verify', join(home.path, 'copy.sqlite3'))).code).toBe(0)
  }, 30_000)
})

describe('threats row 29: a ledger file that may not grow', () => {
  test('writes are refused with a clear message, reads go on, work resumes when there is room', async () => {
    const node = await start(...instant, '--limits.mempool_sender_transactions_max', '100000')
    const client = await LineClient.open(node.ready.port)
    expect(await submit(client, make(node, 0))).toMatchObject({ type: 'MINING_STARTED' })
    await until(client, { type: 'chain_info' }, ({ pending }) => pending === 0)
    limitFileSize(node, 400 * 1024)
    const accepted: string[] = []
    let n = 1
    for (let answer: Record<string, unknown> = {}; answer['type'] !== 'ERROR'; n++) {
      const transaction = make(node, n, 'x'.repeat(4_000))
      answer = await submit(client, transaction)
      if (answer['type'] === 'MINING_STARTED') accepted.push(String(answer['tx_hash']))
      else expect(answer).toMatchObject({ type: 'ERROR', code: 'storage-unavailable' })
    }
    expect(accepted.length).toBeGreaterThan(0)
    expect(await client.ask({ type: 'ping' })).toMatchObject({ type: 'pong' })
    expect(await client.ask({ type: 'transaction_status', tx_hash: accepted[0]! })).not.toMatchObject({
      status: 'unknown',
    })
    expect(node.log()).toContain('the ledger cannot be written')
    limitFileSize(node, undefined)
    expect(await submit(client, make(node, n))).toMatchObject({ type: 'MINING_STARTED' })
    await until(client, { type: 'chain_info' }, ({ pending }) => pending === 0)
    for (const tx_hash of accepted) {
      expect(await client.ask({ type: 'transaction_status', tx_hash })).toMatchObject({ status: 'included' })
    }
    client.close()
    expect(await node.stop()).toBe(0)
    expect((await aurex(home.path, 'verify', node.ready.ledger)).code).toBe(0)
  }, 60_000)
})

/** As `ulimit -f` would have it, but while the process runs. undefined: no limit. */
function limitFileSize(node: NodeProcess, bytes: number | undefined): void {
  const limit = bytes === undefined ? 'unlimited' : String(bytes)
  const run = Bun.spawnSync(['prlimit', '--pid', String(node.process.pid), `--fsize=${limit}:unlimited`])
  expect(run.exitCode).toBe(0)
}

describe('threats row 32: secrets and control characters', () => {
  test('no key in the log; names stay on their line', async () => {
    const node = await start(...instant, '--log-level', 'debug', '--log-file', 'node.log', '--name', 'a\nb\u001b[31m')
    const client = await LineClient.open(node.ready.port)
    const name = 'eve\r\n2026 INFO forged \u001b[2J'
    const unsigned = { sender: name, data: { a: 1 }, signature: 'x', public_key_pem: key.pem }
    expect(await client.ask({ type: 'NEW_TRANSACTION', ...unsigned })).toMatchObject({ code: 'bad-signature' })
    await client.ask({ type: 'bad\u0007type\n' })
    await submit(client, make(node, 1))
    client.close()
    await node.stop()
    const file = readFileSync(join(home.path, 'node.log'), 'utf8')
    const secret = readFileSync(join(home.path, 'node_0.pem'), 'utf8').split('\n')[1]!
    for (const text of [node.log(), file]) {
      expect(text).not.toContain(secret)
      expect(text).not.toContain('PRIVATE KEY')
      // eslint-disable-next-line no-control-regex -- control characters are what it looks for
      expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/)
      for (const line of text.split('\n').filter(Boolean)) JSON.parse(line)
    }
  }, 30_000)
})

describe('threats row 33: plugins that misbehave', () => {
  const plugin = (setup: string, provides = 'none', needs = '[]') => `
    import { definePlugin } from 'aurex'
    import * as v from 'valibot'
    export default definePlugin({
      name: 'odd', summary: 'misbehaves', provides: '${provides}', needs: ${needs}, config: v.strictObject({}),
      async setup(context) { ${setup} },
    })`

  function write(source: string): string {
    writeFileSync(join(home.path, 'odd.ts'), source)
    return join(home.path, 'odd.ts')
  }

  test('one that throws in setup is named; the node lives', async () => {
    const file = write(plugin(`throw new Error('no luck')`))
    const node = await start('--plugins', `instant,tcp,sqlite,${file}`, '--port', '0')
    const client = await LineClient.open(node.ready.port)
    expect(await submit(client, make(node, 1))).toMatchObject({ type: 'MINING_STARTED' })
    client.close()
    expect(node.log()).toMatch(/odd.*no luck/)
  }, 30_000)

  test('one that hangs in setup is named; the node lives', async () => {
    const file = write(plugin('await new Promise(() => {})'))
    const node = await start(
      '--plugins',
      `instant,tcp,sqlite,${file}`,
      '--port',
      '0',
      '--limits.setup_milliseconds_max',
      '300',
    )
    expect(node.log()).toMatch(/setup-slow.*odd|odd.*setup-slow/)
  }, 30_000)

  test('one that fills a slot and throws keeps the node from starting', async () => {
    const file = write(plugin(`throw new Error('no engine')`, 'consensus'))
    expect(await refusedStart('--plugins', `${file},tcp,sqlite`, '--port', '0')).toMatch(/odd.*no engine/s)
  }, 30_000)

  test('a listener that throws at every fact is named, and the node goes on', async () => {
    const file = write(plugin(`context.on('head:moved', () => { throw new Error('ouch') })`))
    const node = await start('--plugins', `instant,tcp,sqlite,${file}`, '--port', '0')
    const client = await LineClient.open(node.ready.port)
    for (let n = 0; n < 3; n++) await submit(client, make(node, n))
    await until(client, { type: 'chain_info' }, ({ pending }) => pending === 0)
    client.close()
    await node.stop()
    expect(node.log()).toMatch(/odd failed to hear head:moved: ouch/)
  }, 30_000)

  test('a listener that never comes back is detached when its mailbox is full, and the node goes on', async () => {
    const file = write(plugin(`context.on('tx:admitted', () => new Promise(() => {}))`))
    const node = await start(
      '--plugins',
      `instant,tcp,sqlite,${file}`,
      '--port',
      '0',
      '--limits.mailbox_facts_max',
      '5',
    )
    const client = await LineClient.open(node.ready.port)
    for (let n = 0; n < 10; n++) await submit(client, make(node, n))
    await until(client, { type: 'chain_info' }, ({ pending }) => pending === 0)
    client.close()
    await node.stop()
    expect(node.log()).toMatch(/odd hears tx:admitted no more/)
  }, 30_000)

  test('an engine copied out of the tree runs unchanged', async () => {
    const file = join(home.path, 'mine.ts')
    copyFileSync(join(import.meta.dir, '../../plugins/instant/index.ts'), file)
    const node = await start('--plugins', './mine.ts,tcp,sqlite', '--port', '0')
    const client = await LineClient.open(node.ready.port)
    expect(await submit(client, make(node, 1))).toMatchObject({ type: 'MINING_STARTED' })
    await until(client, { type: 'chain_info' }, ({ height }) => height === 1)
    client.close()
  }, 30_000)
})
