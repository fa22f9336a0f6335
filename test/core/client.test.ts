import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { signTransaction, transactionHash } from '../../core/chain/transaction.ts'
import { keyPairOfPem, privatePemOf } from '../../core/chain/keys.ts'
import { sha256Hex } from '../../core/chain/canonical.ts'
import type { JsonObject } from '../../core/chain/json.ts'
import { connect } from '../../core/client.ts'
import type { Socket } from '../../core/runtime.ts'
import { FakeNode } from './commands/fakenode.ts'
import { failure, hastyRuntime } from './commands/testio.ts'

const runtime = hastyRuntime()
const key = keyPairOfPem(privatePemOf(new Uint8Array(32).fill(1)), 'test')
let node: FakeNode
beforeEach(async () => {
  node = await FakeNode.start(runtime)
})
afterEach(() => node.stop())

const say = (socket: Socket, text: string) => void socket.write(Buffer.from(text))

describe('the client', () => {
  test('asks and is answered', async () => {
    const client = await connect(runtime, '127.0.0.1', node.port)
    const { chainId } = node.genesis.rules
    expect(await client.ping()).toMatchObject({ node_id: 'fake', chain_id: chainId, height: 0 })
    expect(await client.chainInfo()).toMatchObject({ chain_id: chainId, genesis_name: 'fake', pending: 0 })
    const transaction = signTransaction(key, chainId, { a: 1 })
    const hash = transactionHash(transaction, chainId)
    expect(await client.status(hash)).toEqual({ status: 'unknown' })
    expect(await client.submit(transaction)).toMatchObject({ ok: true, value: { miner: 'fake', tx_hash: hash } })
    expect(await client.status(hash)).toEqual({ status: 'pending' })
    node.mine()
    expect(await client.status(hash)).toMatchObject({ status: 'included', blockIndex: 1, confirmations: 1 })
    expect(await client.submit({ ...transaction, data: { a: 2 } })).toMatchObject({ ok: false, code: 'bad-signature' })
    client.close()
  })

  test('reads every status that a node may tell, with its reason', async () => {
    const client = await connect(runtime, '127.0.0.1', node.port)
    const [hash, block] = ['a'.repeat(64), 'b'.repeat(64)]
    const where = { block_index: 7, block_hash: block, confirmations: 3 }
    const refusal = { ok: false, code: 'conflict', detail: 'why', provable: false }
    const told: [JsonObject, object][] = [
      [{ status: 'pending' }, { status: 'pending' }],
      [{ status: 'unknown' }, { status: 'unknown' }],
      [
        { status: 'unknown', code: 'conflict', error: 'why' },
        { status: 'unknown', refusal },
      ],
      [{ status: 'orphaned' }, { status: 'orphaned' }],
      [
        { status: 'orphaned', code: 'conflict', error: 'why' },
        { status: 'orphaned', refusal },
      ],
      ...(['included', 'final'] as const).map((status): [JsonObject, object] => [
        { status, ...where },
        { status, blockIndex: 7, blockHash: block, confirmations: 3 },
      ]),
    ]
    for (const [answer, expected] of told) {
      node.fates.set(hash, answer)
      expect(await client.status(hash)).toEqual(expected as never)
    }
    node.fates.set(hash, { status: 'included', block_index: 7 })
    expect(await failure(client.status(hash))).toMatchObject({ code: 'bad-answer' })
  })

  test('asks for the genesis, whose hash is the chain’s id, and how the node is', async () => {
    const client = await connect(runtime, '127.0.0.1', node.port)
    expect(sha256Hex(await client.genesis())).toBe(node.genesis.rules.chainId)
    node.said = { metrics: [{ name: 'a', value: 1 }], later: true }
    expect(await client.nodeStatus()).toMatchObject({ name: 'fake', metrics: [{ name: 'a', labels: {}, value: 1 }] })
    node.said = { metrics: [{ name: 'a', value: 'many' }] }
    expect(await failure(client.nodeStatus())).toMatchObject({ code: 'bad-answer' })
  })

  test('pairs a thousand questions with their answers, some at a time', async () => {
    const client = await connect(runtime, '127.0.0.1', node.port, { inFlightMax: 8 })
    const { chainId } = node.genesis.rules
    const transactions = Array.from({ length: 1_000 }, (_, n) => signTransaction(key, chainId, { n }))
    const receipts = await Promise.all(transactions.map((transaction) => client.submit(transaction)))
    expect(receipts.map((receipt) => receipt.ok && receipt.value.tx_hash)).toEqual(
      transactions.map((transaction) => transactionHash(transaction, chainId)),
    )
    client.close()
  })

  test('no more than so many questions wait for their answer', async () => {
    const client = await connect(runtime, '127.0.0.1', node.port, { inFlightMax: 3, answerMillisecondsMax: 50 })
    node.before = () => false
    const asked = Array.from({ length: 10 }, () => client.ping())
    const settled = await Promise.allSettled(asked) // each ends with the timeout of the first
    expect(node.received).toHaveLength(3)
    expect(settled.every(({ status }) => status === 'rejected')).toBe(true)
  })

  test('a node that does not answer is given up', async () => {
    const client = await connect(runtime, '127.0.0.1', node.port, { answerMillisecondsMax: 50 })
    node.before = () => false
    expect(await failure(client.ping())).toMatchObject({ code: 'no-answer', exit: 69 })
    expect(client.lost).toBe(true)
    expect(await failure(client.ping())).toMatchObject({ code: 'no-answer' })
  })

  test.each([
    ['a missing field', '{"type":"pong"}\n', 'bad-answer'],
    ['half an object', '{"type":"pong","node_id":\n', 'bad-answer'],
    ['a list', '[]\n', 'bad-answer'],
    ['an ERROR', '{"type":"ERROR","code":"busy","error":"later"}\n', 'node-refused'],
    ['a line without end', 'x'.repeat(1_100_000), 'bad-answer'],
  ])('%s is an error', async (_what, answer, code) => {
    node.before = (_message, socket) => {
      say(socket, answer)
      return false
    }
    const client = await connect(runtime, '127.0.0.1', node.port)
    expect(await failure(client.ping())).toMatchObject({ code, exit: 69 })
    client.close()
  })

  test('a connection that ends takes its questions with it', async () => {
    node.before = () => {
      node.drop()
      return false
    }
    const client = await connect(runtime, '127.0.0.1', node.port)
    const asked = await Promise.allSettled([client.ping(), client.chainInfo()])
    expect(asked.map((one) => one.status === 'rejected' && (one.reason as { code: string }).code)).toEqual([
      'connection-lost',
      'connection-lost',
    ])
  })

  test('where nobody listens, it says where and what to do', async () => {
    const { port } = node
    node.stop()
    const connecting = connect(runtime, '127.0.0.1', port)
    expect(await failure(connecting)).toMatchObject({ code: 'node-unreachable', exit: 69 })
    expect((await failure(connecting)).message).toContain(`127.0.0.1:${port}`)
    expect((await failure(connecting)).message).toContain('--node host:port')
  })
})
