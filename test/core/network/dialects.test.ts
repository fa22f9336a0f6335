// The older dialects of protocol section 5, spoken to a network on a real chain with a real ledger.
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { signedText, purposes } from '../../../core/chain/keys.ts'
import type { Block } from '../../../core/chain/block.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import { transactionHash, type Transaction } from '../../../core/chain/transaction.ts'
import { limitsSchema } from '../../../core/limits.ts'
import type { NetworkParts } from '../../../core/network/module.ts'
import { createNetwork } from '../../../core/network/network.ts'
import type { ConnectionHandlers } from '../../../core/plugin.ts'
import { simRuntime } from '../../sim/runtime.ts'
import { blockOn, branchOn, chainWorld, idOf, someTransaction, type ChainWorld } from '../../support/chainworld.ts'
import { eventually } from '../../support/eventually.ts'
import { testKey } from '../../support/headers.ts'
import { FakeChain } from './fakechain.ts'

const identity = testKey(30)
const now = Date.UTC(2026, 10, 21, 1, 2, 3, 456)

let world: ChainWorld
beforeEach(async () => {
  world = await chainWorld()
})
afterEach(() => world.dispose())

/** One connection to a node. */
function speak(parts: Partial<NetworkParts> = {}) {
  const say = () => undefined
  const { inbox } = createNetwork({
    chain: world.chain,
    storage: world.storage,
    genesis: world.genesis,
    identity,
    node: { name: 'test', dataDir: '/data', port: 0, version: '0' },
    runtime: simRuntime({ seed: 1, startsAt: now }).host('10.0.0.1'),
    limits: v.parse(limitsSchema, {}),
    log: { debug: say, info: say, warn: say, error: say },
    settings: { peers: [], allow: [], dialNetworks: [], advertise: undefined },
    transports: [],
    emit: () => undefined,
    publicAddress: () => ({ host: '10.0.0.1', port: 13_245 }),
    ...parts,
  })
  const sent: JsonObject[] = []
  const closed: string[] = []
  const result = inbox.connected({
    id: 'test',
    remoteHost: '10.0.0.2',
    remotePort: 1,
    outbound: false,
    promote: () => undefined,
    send: (message) => void sent.push(message),
    close: (reason) => void closed.push(reason),
    pause: () => undefined,
    resume: () => undefined,
  })
  if (!result.ok) throw new Error(result.detail)
  const handlers: ConnectionHandlers = result.value
  const tell = (message: JsonObject): void => handlers.message(Buffer.from(JSON.stringify(message)))
  return {
    sent,
    closed,
    tell,
    /** The answer to one message. */
    ask: async (message: JsonObject): Promise<JsonObject> => {
      const before = sent.length
      tell(message)
      await eventually(() => sent.length > before, `an answer to ${JSON.stringify(message).slice(0, 200)}`)
      return sent[before]!
    },
    /** What is said in silence is done when the ping behind it is answered. */
    silence: async (message: JsonObject): Promise<JsonObject> => {
      const before = sent.length
      tell(message)
      tell({ type: 'ping' })
      await eventually(() => sent.length > before, 'a pong')
      return sent[before]!
    },
  }
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const numbered = (type: number, payload?: unknown): JsonObject => ({
  type,
  payload: payload === undefined ? null : base64(typeof payload === 'string' ? payload : JSON.stringify(payload)),
  timestamp: 1_704_556_800,
  signature: '0x00',
})
const payloadOf = (answer: JsonObject): unknown =>
  JSON.parse(Buffer.from(answer['payload'] as string, 'base64').toString())

function underOldNames(block: Block): JsonObject {
  const { current_hash: hash, prev_hash: previous_hash, miner_id: miner, ...rest } = block
  return { ...rest, hash, previous_hash, miner } as unknown as JsonObject
}

/** A transaction whose data was a text, signed in the name of `alice`. */
function signedNote(text: string): { readonly spoken: JsonObject; readonly transaction: Transaction } {
  const { chainId } = world.genesis.rules
  const key = testKey(4)
  const unsigned = { sender: 'alice', data: { text }, public_key_pem: key.pem }
  const canonical = `{"chain_id":"${chainId}","data":{"text":${JSON.stringify(text)}},"sender":"alice"}`
  const signature = key.sign(purposes.transaction, canonical)
  expect(signedText(purposes.transaction, canonical)).toStartWith('aurex/tx/1\n{"chain_id"')
  const spoken = { type: 'NEW_TRANSACTION', sender: 'alice', data: text, signature, public_key_pem: key.pem }
  return { spoken, transaction: { ...unsigned, signature } }
}

const height = (): number => world.chain.head().header.index

describe('named: BLOCK_FOUND', () => {
  test('a block with all that a block needs, under its old names, is recorded as any other; silence', async () => {
    const { silence, sent, closed } = speak()
    const transaction = someTransaction()
    const block = blockOn(world.genesis.block, { transactions: [transaction] })
    const content = { ...underOldNames(block), data: 'Transfer 100 coins' }
    const found = { type: 'BLOCK_FOUND', sender: 'PoW_Node_1', content }
    expect(await silence(found)).toMatchObject({ type: 'pong', height: 1 })
    expect(world.chain.status(idOf(transaction))).toMatchObject({ status: 'included', blockIndex: 1 })
    // Again: it is what was wanted.
    expect(await silence(found)).toMatchObject({ type: 'pong', height: 1 })
    expect(sent).toHaveLength(2)
    expect(closed).toEqual([])
  })

  test("what a program of that time sends is refused with what to do, in this dialect's shape, and the connection goes on", async () => {
    const { ask, closed } = speak()
    const proofOfWork = {
      index: 5,
      hash: '00123abc',
      nonce: 247,
      data: 'text',
      timestamp: 1610547600.123,
      miner: 'PoW_1',
    }
    // Threats row 5: a make-believe signature.
    const authority = { index: 1, data: 'text', previous_hash: '0000', signer_id: 'PoA_1', signature: 'SIG_PoA_1_00' }
    for (const content of [proofOfWork, authority]) {
      const answer = await ask({ type: 'BLOCK_FOUND', sender: 'PoW_1', content })
      expect(answer).toMatchObject({ type: 'ERROR', sender: identity.nodeId, code: 'unsigned' })
      expect(answer['error'] as string).toContain('aurex/block/1')
      expect(answer['error'] as string).not.toEndWith('...')
    }
    expect(await ask({ type: 'BLOCK_FOUND', sender: 'PoW_1' })).toMatchObject({ code: 'bad-message' })
    expect(height()).toBe(0)
    expect(closed).toEqual([])
  })

  test('threats row 1: an invented hash is as provable as in new_block, and costs the connection', async () => {
    const { ask, closed } = speak()
    const content = { ...underOldNames(blockOn(world.genesis.block)), hash: '0'.repeat(64) }
    expect(await ask({ type: 'BLOCK_FOUND', sender: 'x', content })).toMatchObject({
      type: 'ERROR',
      sender: identity.nodeId,
      code: 'bad-hash',
    })
    expect(closed).toEqual(['bad-hash'])
    expect(height()).toBe(0)
  })

  test('both names for one thing: the same is fine, two are not', async () => {
    const { ask, silence } = speak()
    const block = blockOn(world.genesis.block)
    const both = { ...block, hash: block.current_hash } as unknown as JsonObject
    const differing = { ...both, miner: 'somebody' }
    expect(await ask({ type: 'BLOCK_FOUND', sender: 'x', content: differing })).toMatchObject({ code: 'bad-message' })
    expect(await silence({ type: 'BLOCK_FOUND', sender: 'x', content: both })).toMatchObject({ height: 1 })
  })
})

describe('named: NEW_TRANSACTION with a text', () => {
  test('signed, it is recorded as {"text": ...}', async () => {
    const { ask } = speak()
    const { spoken, transaction } = signedNote('Transfer 100 coins from Alice to Bob')
    const hash = transactionHash(transaction, world.genesis.rules.chainId)
    expect(await ask({ ...spoken, request_id: 3 })).toMatchObject({
      type: 'MINING_STARTED',
      sender: identity.nodeId,
      miner: identity.nodeId,
      tx_hash: hash,
      request_id: 3,
    })
    expect(world.chain.pending(hash)).toEqual(transaction)
  })

  test('threats row 5: unsigned or make-believe it is not, and the answer says how', async () => {
    const { ask, closed } = speak()
    const unsigned = { type: 'NEW_TRANSACTION', sender: 'PoW_Node_1', data: 'Transfer 100 coins' }
    for (const message of [unsigned, { ...unsigned, signature: 'SIG_PoW_Node_1_ab' }]) {
      const answer = await ask(message)
      expect(answer).toMatchObject({ type: 'ERROR', sender: identity.nodeId, code: 'unsigned' })
      expect(answer['error'] as string).toContain('aurex/tx/1')
      expect(answer['error'] as string).not.toEndWith('...')
    }
    expect(closed).toEqual([])
    const { spoken } = signedNote('mine')
    expect(await ask({ ...spoken, data: 'yours' })).toMatchObject({ type: 'ERROR', code: 'bad-signature' })
    // A signature that had to be checked costs the connection, as it does in today's words.
    expect(closed).toEqual(['bad-signature'])
    expect(world.chain.pendingCount()).toBe(0)
  })
})

describe('numbered', () => {
  test('6 handshake: answered in its own words, and nobody becomes a peer', async () => {
    const { ask } = speak()
    const ours = {
      Version: '1.0.0',
      ChainID: world.chain.genesis.rules.chainId,
      Height: 0,
      NodeType: 'full',
      ListenAddr: '',
    }
    const answer = await ask(numbered(6, ours))
    expect(answer).toMatchObject({ type: 6, timestamp: Math.floor(now / 1_000), signature: '' })
    expect(payloadOf(answer)).toEqual({
      Version: '1',
      ChainID: world.chain.genesis.rules.chainId,
      Height: 0,
      NodeType: 'full',
      ListenAddr: '10.0.0.1:13245',
    })
    // Who does not know the chain is told.
    expect(await ask(numbered(6, {}))).toEqual(answer)
    expect(payloadOf(await ask(numbered(5)))).toBeArray()
  })

  test('6 handshake of another chain: why, and the close', async () => {
    const { ask, closed } = speak()
    const answer = await ask(
      numbered(6, { Version: '1', ChainID: 'podoru', Height: 9, NodeType: 'full', ListenAddr: '' }),
    )
    expect(answer).toMatchObject({ type: 0, code: 'wrong-chain' })
    expect(payloadOf(answer)).toMatchObject({ type: 'ERROR', code: 'wrong-chain' })
    expect(closed).toEqual(['wrong-chain'])
  })

  test('3 block request: a height gives its block, a range a list; as many as in a block_response', async () => {
    const { ask, closed } = speak()
    const blocks = branchOn(world.genesis.block, 105)
    for (const block of blocks) await world.chain.submitBlock(block)
    const one = await ask(numbered(3, '7'))
    expect(one).toMatchObject({ type: 4 })
    expect(payloadOf(one)).toEqual(blocks[6])
    expect(payloadOf(await ask(numbered(3, '0')))).toMatchObject({ index: 0 })
    expect(payloadOf(await ask(numbered(3, '2-4')))).toEqual(blocks.slice(1, 4))
    // As JSON has it.
    expect(payloadOf(await ask(numbered(3, '"2-4"')))).toEqual(blocks.slice(1, 4))
    expect(payloadOf(await ask(numbered(3, '1-1000000')))).toEqual(blocks.slice(0, 100))
    expect(payloadOf(await ask(numbered(3, '104-200')))).toEqual(blocks.slice(103))
    expect(payloadOf(await ask(numbered(3, '200-300')))).toEqual([])
    expect(await ask(numbered(3, '106'))).toMatchObject({ type: 0, code: 'unknown-block' })
    for (const payload of ['', '-1', '1-', '1-2-3', '4-2', 'x', '"1', '99999999999999999', '9999999999999999']) {
      expect(await ask(numbered(3, payload))).toMatchObject({ type: 0, code: 'bad-message' })
    }
    expect(closed).toEqual([])
  }, 20_000)

  test('3 block request: a list fits into the 10 MB that programs of that time read', async () => {
    const chain = new FakeChain()
    // Two of them fit into a block_response, and in base64 no longer.
    for (let n = 0; n < 3; n++) chain.grow(3_900_000)
    const { ask } = speak({ chain })
    const answer = await ask(numbered(3, '1-3'))
    expect(payloadOf(answer)).toBeArrayOfSize(1)
    expect(JSON.stringify(answer).length).toBeLessThan(10_000_000)
  })

  test('1 block and 2 transaction: with all that is demanded inside the payload they are taken', async () => {
    const { ask, silence } = speak()
    const transaction = someTransaction()
    const answer = await ask(numbered(2, transaction))
    expect(answer).toMatchObject({ type: 0 })
    expect(payloadOf(answer)).toMatchObject({ type: 'MINING_STARTED', tx_hash: idOf(transaction) })
    expect(world.chain.status(idOf(transaction))).toMatchObject({ status: 'pending' })
    const block = blockOn(world.genesis.block, { transactions: [transaction] })
    expect(await silence(numbered(1, block))).toMatchObject({ type: 'pong', height: 1 })
    const next = blockOn(block)
    expect(await silence(numbered(1, underOldNames(next)))).toMatchObject({ type: 'pong', height: 2 })
    expect(world.chain.status(idOf(transaction))).toMatchObject({ status: 'included', confirmations: 2 })
  })

  test("threats row 5: 1 block and 2 transaction without: what to do, under 0; the envelope's signature counts for nothing", async () => {
    const { ask, closed } = speak()
    const { signature } = someTransaction()
    const cases = [
      numbered(1, { Height: 5, Hash: 'ab' }),
      { ...numbered(2, { sender: 'alice', data: 'text' }), signature },
    ]
    for (const message of cases) {
      const answer = await ask(message)
      expect(answer).toMatchObject({ type: 0, code: 'unsigned' })
      expect(payloadOf(answer)).toMatchObject({ type: 'ERROR', code: 'unsigned' })
    }
    expect(closed).toEqual([])
    // Provably wrong is as wrong as in today's words.
    const invented = { ...blockOn(world.genesis.block), current_hash: '0'.repeat(64) }
    const forged = { ...someTransaction(), data: { forged: true } }
    for (const [message, code] of [
      [numbered(1, invented), 'bad-hash'],
      [numbered(2, forged), 'bad-signature'],
    ] as const) {
      const speaker = speak()
      expect(await speaker.ask(message)).toMatchObject({ type: 0, code })
      expect(speaker.closed).toEqual([code])
    }
    expect(world.chain.pendingCount()).toBe(0)
    expect(height()).toBe(0)
  })

  test('5 peer list: addresses as texts', async () => {
    const { ask } = speak()
    const answer = await ask(numbered(5))
    expect(answer).toMatchObject({ type: 5 })
    expect(payloadOf(answer)).toBeArray()
    expect(await ask({ type: 5 })).toEqual(answer)
  })

  test('what cannot be read, what is not asked for, and what is no number of this dialect', async () => {
    const { ask, silence, closed } = speak()
    const cases: [JsonObject, string][] = [
      [{ type: 1, payload: '{"index":1}' }, 'bad-message'],
      [{ type: 1, payload: 'QR==' }, 'bad-message'],
      [{ type: 1, payload: { index: 1 } }, 'bad-message'],
      [numbered(1), 'bad-message'],
      [numbered(1, '[1'), 'bad-message'],
      [numbered(2, '17'), 'bad-message'],
      [numbered(2, '{"sender":"a","sender":"b"}'), 'bad-message'],
      [numbered(5, '{"a":1}'), 'bad-message'],
      [numbered(6, '[]'), 'bad-message'],
      [numbered(6), 'bad-message'],
      [numbered(4, [1]), 'not-asked'],
      [numbered(7), 'unknown-type'],
      [numbered(1.5), 'unknown-type'],
      [numbered(-1), 'unknown-type'],
    ]
    for (const [message, code] of cases) expect(await ask(message)).toMatchObject({ type: 0, code })
    // What this node answers is not answered: two would tell each other for ever.
    expect(await silence(numbered(0, { type: 'ERROR', code: 'x' }))).toMatchObject({ type: 'pong' })
    expect(closed).toEqual([])
  })

  test('a node without a chain', async () => {
    const { ask } = speak({ chain: undefined, genesis: undefined })
    for (const message of [numbered(6, {}), numbered(3, '1'), numbered(2, someTransaction())]) {
      expect(await ask(message)).toMatchObject({ type: 0, code: 'no-chain' })
    }
  })
})
