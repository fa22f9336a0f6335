// What a stranger's program sees of a node, told by its answers alone.
import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { connect } from 'node:net'
import type { Block } from '../../core/chain/block.ts'
import { zeroHash } from '../../core/chain/canonical.ts'
import { blockOn, branchOn, idOf, someTransaction } from '../support/chainworld.ts'
import { testKey } from '../support/headers.ts'
import { useHome } from '../support/home.ts'
import { LineClient, type Answer } from '../support/lines.ts'
import { aurex, type NodeProcess } from '../support/process.ts'

const idle = ['--plugins', 'pow,tcp,sqlite', '--port', '0', '--difficulty', '1', '--pow.mine=false']
const home = useHome()
const start = (...args: string[]): Promise<NodeProcess> => home.start(...args)

/** Sends bytes on a connection of its own, ends the writing side, and reads until the node ends too. */
function tell({ ready }: NodeProcess, bytes: string | Uint8Array): Promise<Answer[]> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: ready.port, allowHalfOpen: true })
    let received = ''
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => void (received += text))
    socket.on('error', reject)
    socket.on('end', () => {
      socket.destroy()
      resolve(
        received
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line) as Answer),
      )
    })
    socket.end(bytes)
  })
}

const ask = (node: NodeProcess, ...messages: object[]): Promise<Answer[]> =>
  tell(node, messages.map((message) => `${JSON.stringify(message)}\n`).join(''))

const newBlock = (data: object) => ({ type: 'new_block', node_id: testKey(9).nodeId, data })
const newTransaction = (transaction: object) => ({ type: 'NEW_TRANSACTION', ...transaction })
const madeUp = Buffer.alloc(64, 3).toString('base64')

async function genesisOf(node: NodeProcess): Promise<Block> {
  const [answer] = await ask(node, { type: 'block_request', from: 0, to: 0 })
  return (answer!['blocks'] as Block[])[0]!
}

describe('blocks from a client', () => {
  test('in one go, each on the one before: silence for each, and a ping behind them knows them all', async () => {
    const node = await start(...idle)
    const transaction = someTransaction()
    const genesis = await genesisOf(node)
    const first = blockOn(genesis, { transactions: [transaction] })
    const blocks = [first, ...branchOn(first, 9)]
    const status = { type: 'transaction_status', tx_hash: idOf(transaction) }
    const expected = [
      { type: 'pong', height: 10 },
      { type: 'transaction_status', status: 'included', block_index: 1, confirmations: 10 },
    ]
    expect(await ask(node, ...blocks.map(newBlock), { type: 'ping' }, status)).toMatchObject(expected)
    // Sent again they are what they were, and nobody is blamed.
    expect(await ask(node, ...blocks.map(newBlock), { type: 'ping' }, status)).toMatchObject(expected)
    expect(await ask(node, { type: 'block_request', from: 1, to: 10 })).toMatchObject([{ blocks }])
    expect(await node.stop()).toBe(0)
    expect((await aurex(home.path, 'verify', node.ready.ledger)).code).toBe(0)
  }, 30_000)

  test('threats row 1: an invented hash ends the connection, and what was sent behind it is not looked at', async () => {
    const node = await start(...idle)
    const good = blockOn(await genesisOf(node))
    const answers = await ask(node, newBlock({ ...good, current_hash: zeroHash }), newBlock(good), { type: 'ping' })
    expect(answers).toMatchObject([{ type: 'ERROR', code: 'bad-hash' }])
    // Threats row 9: the good one is not remembered as bad.
    expect(await ask(node, { type: 'ping' })).toMatchObject([{ height: 0 }])
    expect(await ask(node, newBlock(good), { type: 'ping' })).toMatchObject([{ height: 1 }])
  }, 30_000)
})

describe('transactions', () => {
  test('the status asked right behind one is pending at least', async () => {
    const node = await start(...idle)
    const transaction = someTransaction()
    const status = { type: 'transaction_status', tx_hash: idOf(transaction) }
    expect(await ask(node, status, newTransaction(transaction), status)).toMatchObject([
      { status: 'unknown' },
      { type: 'MINING_STARTED', tx_hash: idOf(transaction) },
      { status: 'pending' },
    ])
  }, 30_000)

  test('threats row 5: a known one under a made-up signature is refused, pending and recorded', async () => {
    const node = await start(...idle)
    const transaction = someTransaction()
    const forged = { ...transaction, signature: madeUp }
    expect(await ask(node, newTransaction(transaction), newTransaction(forged))).toMatchObject([
      // This node mines nothing, and does not pretend to.
      { message: 'Kept until a block records it; this node waits for a block from others: mine is off' },
      { code: 'bad-signature' },
    ])
    // The forger's connection is closed, nobody else's.
    expect(await ask(node, newTransaction(transaction))).toMatchObject([{ message: 'already pending' }])
    await ask(node, newBlock(blockOn(await genesisOf(node), { transactions: [transaction] })))
    expect(await ask(node, newTransaction(forged))).toMatchObject([{ code: 'bad-signature' }])
    expect(await ask(node, newTransaction(transaction))).toMatchObject([{ message: 'already in block 1' }])
  }, 30_000)

  test('threats row 24: one connection with a thousand senders leaves room for the others', async () => {
    const node = await start(...idle, '--limits.mempool_transactions_max', '20')
    const greedy = await LineClient.open(node.ready.port)
    const codes: unknown[] = []
    for (let seed = 0; seed < 15; seed++) {
      const { code } = await greedy.ask(newTransaction(someTransaction(testKey(20 + seed))))
      codes.push(code)
    }
    expect(codes.filter((code) => code === undefined)).toHaveLength(10)
    expect(new Set(codes)).toEqual(new Set([undefined, 'mempool-full']))
    for (let seed = 0; seed < 3; seed++) {
      expect(await ask(node, newTransaction(someTransaction(testKey(50 + seed))))).toMatchObject([
        { type: 'MINING_STARTED' },
      ])
    }
    greedy.close()
  }, 30_000)
})

describe('threats row 19: who does not stop sending', () => {
  test('is told why, and cut off long before a gigabyte', async () => {
    const node = await start(...idle)
    const piece = Buffer.alloc(64 * 1024, 'x')
    const { sent, received } = await flood(node.ready.port, piece, 256 * 1024 * 1024)
    expect(sent).toBeLessThan(128 * 1024 * 1024)
    expect(received).toContain('"code":"too-large"')
    expect(await ask(node, { type: 'ping' })).toMatchObject([{ type: 'pong' }])
  }, 30_000)
})

/** Sends as fast as it is taken, whatever is answered, until the other side ends it or so much is sent. */
function flood(port: number, piece: Uint8Array, bytesMax: number): Promise<{ sent: number; received: string }> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    let received = ''
    const more = (): void => {
      while (socket.bytesWritten < bytesMax && socket.write(piece));
      if (socket.bytesWritten >= bytesMax) socket.destroy()
    }
    socket.on('connect', more)
    socket.on('drain', more)
    socket.on('data', (bytes) => void (received += bytes.toString()))
    socket.on('error', () => undefined) // Followed by `close`.
    socket.on('close', () => resolve({ sent: socket.bytesWritten, received }))
  })
}

describe('threats row 28: signatures, which no hash covers', () => {
  const changes = {
    'of a transaction': `UPDATE transaction_rows SET signature = '${madeUp}'`,
    'of a block': `UPDATE block_rows SET header = json_set(header, '$.signature', '${madeUp}') WHERE height = 1`,
    'and the key beside one': `UPDATE transaction_rows SET public_key_pem = '${testKey(3).pem}'`,
  }

  test.each(Object.entries(changes))(
    '%s: the node does not start',
    async (_name, change) => {
      const node = await start(...idle)
      await ask(node, newBlock(blockOn(await genesisOf(node), { transactions: [someTransaction()] })))
      expect(await node.stop()).toBe(0)
      const database = new Database(node.ready.ledger)
      expect(database.run(change).changes).toBe(1)
      database.close()
      const started = await start(...idle).then(
        () => 'it started',
        (error: Error) => error.message,
      )
      expect(started).toContain('ledger-damaged')
    },
    30_000,
  )
})
