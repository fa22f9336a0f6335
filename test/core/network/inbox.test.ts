import { describe, expect, test } from 'bun:test'
import type { JsonObject } from '../../../core/chain/json.ts'
import { limitsSchema } from '../../../core/limits.ts'
import type { NetworkParts } from '../../../core/network/module.ts'
import { createNetwork } from '../../../core/network/network.ts'
import { simRuntime } from '../../sim/runtime.ts'
import type { ConnectionHandlers } from '../../../core/plugin.ts'
import { keyPairOfPem, privatePemOf } from '../../../core/chain/keys.ts'
import { sha256Hex, zeroHash } from '../../../core/chain/canonical.ts'
import * as v from 'valibot'
import { Contributed } from '../../../core/contributions.ts'
import { decline } from '../../../core/errors.ts'
import type { TransactionStatus } from '../../../core/plugin.ts'
import { FakeChain } from './fakechain.ts'

const identity = keyPairOfPem(privatePemOf(new Uint8Array(32).fill(1)), 'a test')
const now = Date.UTC(2026, 10, 21, 1, 2, 3, 456)

function make(parts: Partial<NetworkParts> = {}, limits: Record<string, number> = {}) {
  const logged: string[] = []
  const say = (message: string, fields?: Record<string, unknown>) =>
    void logged.push(`${message} ${JSON.stringify(fields ?? {})}`)
  const { inbox } = createNetwork({
    chain: undefined,
    storage: undefined,
    genesis: undefined,
    identity,
    node: { name: 'test', dataDir: '/data', port: 0, version: '0.0.0' },
    runtime: simRuntime({ seed: 1, startsAt: now }).host('10.0.0.1'),
    limits: v.parse(limitsSchema, limits),
    log: { debug: say, info: say, warn: say, error: say },
    settings: { peers: [], allow: [], dialNetworks: [], advertise: undefined },
    transports: [],
    emit: () => {},
    publicAddress: () => undefined,
    ...parts,
  })
  let count = 0
  const connect = () => {
    const told: string[] = []
    const sent: JsonObject[] = []
    const connection = {
      id: `test-${++count}`,
      remoteHost: '127.0.0.1',
      remotePort: 1,
      outbound: false,
      promote: () => {},
      send: (message: JsonObject) => void sent.push(message),
      close: (reason: string) => void told.push(`close ${reason}`),
      pause: () => void told.push('pause'),
      resume: () => void told.push('resume'),
    }
    const result = inbox.connected(connection)
    if (!result.ok) return { refused: result.code }
    const handlers: ConnectionHandlers = result.value
    const say = (message: unknown) =>
      handlers.message(Buffer.from(typeof message === 'string' ? message : JSON.stringify(message)))
    return { sent, told, handlers, say, refused: undefined }
  }
  return { connect, logged, inbox }
}

/** One connection to a node with a chain that can be told what to answer. */
function withChain(limits: Record<string, number> = {}) {
  const chain = new FakeChain()
  const { connect, logged } = make({ chain, genesis: chain.genesis }, limits)
  const { sent, told, handlers, say } = connect() as Exclude<ReturnType<typeof connect>, { refused: string }>
  return { chain, sent, told, handlers, say, connect, logged }
}

/** Without the pauses: how a connection's reading follows what is in work is told elsewhere. */
const unpaused = (told: readonly string[]) => told.filter((word) => word !== 'pause' && word !== 'resume')

/** Promises that are settled already have run their continuations when the next turn comes. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

const fail = (why: string): never => {
  throw new Error(why)
}

const transaction = (data: JsonObject, more: JsonObject = {}) => ({
  type: 'NEW_TRANSACTION',
  sender: 'alice',
  data,
  signature: 'x',
  ...more,
})

describe('answers', () => {
  test('header_request: what follows the newest known hash of a locator, without transactions', () => {
    const { chain, sent, say } = withChain()
    for (let n = 0; n < 2_100; n++) chain.grow(n === 3 ? 10 : 0)
    const hashAt = (index: number) => chain.headerAt(index)!.header.current_hash
    const ask = (...locator: string[]) => {
      say({ type: 'header_request', locator, request_id: 7 })
      const headers = sent.at(-1)!['headers'] as { index: number }[]
      return headers.map(({ index }) => index)
    }
    expect(ask(hashAt(2_090))).toEqual([2_091, 2_092, 2_093, 2_094, 2_095, 2_096, 2_097, 2_098, 2_099, 2_100])
    expect(sent.at(-1)).toMatchObject({ type: 'header_response', request_id: 7 })
    // Whatever their order, and whatever else is among them.
    expect(ask(hashAt(0), sha256Hex('another chain'), hashAt(2_098), hashAt(5))).toEqual([2_099, 2_100])
    expect(ask(hashAt(2_100))).toEqual([])
    const all = ask(sha256Hex('unknown'))
    expect([all.length, all[0], all.at(-1)]).toEqual([2_000, 1, 2_000])
    expect(ask()).toEqual(all)
    expect(JSON.stringify(sent.at(-1))).not.toContain('transactions')
    // Some name every block that they have: the newest of them are looked at.
    expect(ask(...Array.from({ length: 2_000 }, (_, i) => hashAt(2_050 - i)))[0]).toBe(2_051)
    expect(ask(...Array.from({ length: 10_000 }, (_, i) => sha256Hex(`rubbish ${i}`)), hashAt(2_000))).toEqual(all)
    say({ type: 'header_request', locator: ['x'] })
    say({ type: 'header_request' })
    expect(sent.slice(-2).map(({ code }) => code)).toEqual(['bad-message', 'bad-message'])
  })

  test('ping, with and without a chain', () => {
    const { chain, sent, say } = withChain()
    chain.grow()
    say({ type: 'ping', request_id: 'a' })
    expect(sent).toEqual([
      {
        type: 'pong',
        node_id: identity.nodeId,
        chain_id: chain.genesis.rules.chainId,
        height: 1,
        timestamp: '2026-11-21T01:02:03.456Z',
        request_id: 'a',
      },
    ])
    const gateway = make().connect()
    gateway.say?.({ type: 'ping' })
    gateway.say?.({ type: 'chain_info' })
    expect(gateway.sent?.[0]).toEqual({
      type: 'pong',
      node_id: identity.nodeId,
      timestamp: '2026-11-21T01:02:03.456Z',
    })
    expect(gateway.sent?.[1]).toMatchObject({ type: 'ERROR', code: 'no-chain' })
  })

  test('node_discovery: this node, and those that are known to be active', () => {
    const nodes = ['active', 'inactive', 'active'].map((status, i) => ({
      node_id: i === 2 ? identity.nodeId : `node-${i}`,
      host: '10.0.0.9',
      port: i,
      node_type: 'pow',
      status,
      last_seen: 0,
    }))
    const light = { ...nodes[0]!, node_id: 'light', node_type: 'gateway' }
    const address = { host: '10.0.0.1', port: 13245 }
    const ledger = { nodes: () => [...nodes, light], saveNode: () => {}, dropNode: () => {} }
    const discovered = (chain: FakeChain | undefined) => {
      const { say, sent } = make({ chain, storage: ledger, publicAddress: () => address }).connect()
      say?.({ type: 'node_discovery' })
      return sent
    }
    expect(discovered(new FakeChain())).toEqual([
      {
        type: 'node_list',
        nodes: [
          { node_id: identity.nodeId, ...address },
          { node_id: 'node-0', host: '10.0.0.9', port: 0 },
        ],
      },
    ])
    // Who asks looks for nodes that keep the chain.
    expect(discovered(undefined)).toEqual([
      { type: 'node_list', nodes: [{ node_id: 'node-0', host: '10.0.0.9', port: 0 }] },
    ])
  })

  test('NEW_TRANSACTION: what became of it', async () => {
    const { chain, sent, say } = withChain()
    const hashOf = (data: JsonObject) => sha256Hex(JSON.stringify(data))
    chain.statuses.set(hashOf({ n: 2 }), { status: 'pending' })
    chain.statuses.set(hashOf({ n: 3 }), {
      status: 'included',
      blockIndex: 7,
      blockHash: zeroHash,
      confirmations: 1,
    })
    say(transaction({ n: 1 }, { request_id: 5, nonce: 3 }))
    say(transaction({ n: 2 }))
    say(transaction({ n: 3 }))
    say(transaction({ decline: 'mempool-full' }, { request_id: 6 }))
    await turn()
    const started = { type: 'MINING_STARTED', miner: identity.nodeId }
    expect(sent).toEqual([
      { ...started, message: 'Mining started', tx_hash: hashOf({ n: 1 }), request_id: 5 },
      { ...started, message: 'already pending', tx_hash: hashOf({ n: 2 }) },
      { ...started, message: 'already in block 7', tx_hash: hashOf({ n: 3 }) },
      { type: 'ERROR', code: 'mempool-full', error: 'declined as asked', request_id: 6 },
    ])
    expect(chain.submitted[0]).toMatchObject({ sender: 'alice', signature: 'x', nonce: 3 })
  })

  test('NEW_TRANSACTION to a node that makes no block: it says what it waits for', async () => {
    const { chain, sent, say } = withChain()
    chain.waitsFor = 'a block from others'
    say(transaction({ n: 1 }))
    await turn()
    expect(sent).toMatchObject([
      { type: 'MINING_STARTED', message: 'Kept until a block records it; this node waits for a block from others' },
    ])
  })

  test('new_block: silence for a good one, a code for another, the close for a provably bad one', async () => {
    const { chain, sent, told, say } = withChain()
    say({ type: 'new_block', node_id: 'x', data: { good: true } })
    say({ type: 'new_block', data: { decline: 'orphan' } })
    say({ type: 'new_block', data: { decline: 'known' } })
    say({ type: 'new_block', data: 17 })
    say({ type: 'new_block' })
    await turn()
    expect(sent.map(({ code }) => code)).toEqual(['orphan', 'bad-message', 'bad-message'])
    expect(sent.slice(1).map(({ error }) => error)).toEqual([
      'data: expected a block, a JSON object',
      'data: is missing',
    ])
    expect(unpaused(told)).toEqual([])
    say({ type: 'new_block', data: { refuse: 'bad-hash' } })
    await turn()
    expect(sent.at(-1)).toMatchObject({ code: 'bad-hash', error: 'refused as asked' })
    expect(unpaused(told)).toEqual(['close bad-hash'])
    expect(chain.blocksFrom).toEqual(['test-1', 'test-1', 'test-1', 'test-1'])
    say({ type: 'ping' })
    expect(sent.length).toBe(4)
  })

  test('transaction_status of what is final, of what was undone, and of what was refused meanwhile', async () => {
    const { chain, sent, say } = withChain()
    const refusal = decline('no-stock', 'mug: nothing is\nleft')
    const block = { blockIndex: 7, blockHash: zeroHash, confirmations: 9 }
    const cases: readonly [TransactionStatus, JsonObject][] = [
      [{ status: 'pending' }, {}],
      [
        { status: 'final', ...block },
        { block_index: 7, block_hash: zeroHash, confirmations: 9 },
      ],
      [{ status: 'orphaned' }, {}],
      [
        { status: 'orphaned', refusal },
        { code: 'no-stock', error: 'mug: nothing is\\u000aleft' },
      ],
      [
        { status: 'unknown', refusal },
        { code: 'no-stock', error: 'mug: nothing is\\u000aleft' },
      ],
    ]
    for (const [status, fields] of cases) {
      chain.statuses.set(zeroHash, status)
      say({ type: 'transaction_status', tx_hash: zeroHash })
      const common = { type: 'transaction_status', tx_hash: zeroHash, status: status.status }
      expect(sent.at(-1)).toEqual({ ...common, ...fields })
    }
    // Sent again, a final one is recorded.
    chain.statuses.set(sha256Hex(JSON.stringify({ n: 4 })), { status: 'final', ...block })
    say(transaction({ n: 4 }))
    await turn()
    expect(sent.at(-1)).toMatchObject({ type: 'MINING_STARTED', message: 'already in block 7' })
  })

  test('genesis_request: the text whose hash is the id of the chain', () => {
    const { chain, sent, say } = withChain()
    say({ type: 'genesis_request', request_id: 1 })
    expect(sent).toEqual([{ type: 'genesis_response', genesis: chain.genesis.text, request_id: 1 }])
    expect(sha256Hex(sent[0]!['genesis'] as string)).toBe(chain.genesis.rules.chainId)
    const other = make().connect()
    other.say?.({ type: 'genesis_request' })
    expect(other.sent).toMatchObject([{ type: 'ERROR', code: 'no-chain' }])
  })

  test('node_status: how the node fares, with what plugins contribute, whatever they do', () => {
    const contributed = new Contributed()
    contributed.add('metric', { name: 'queue_transactions', help: 'x', kind: 'gauge', read: () => 7 })
    contributed.add('metric', { name: 'broken', help: 'x', kind: 'gauge', read: () => fail('no figure') })
    contributed.add('health', { name: 'shop:desk', check: () => ({ status: 'warn', output: 'slow' }) })
    contributed.add('health', { name: 'shop:till', check: () => fail('no till') })
    const chain = new FakeChain()
    chain.grow()
    const { say, sent } = make({ chain, genesis: chain.genesis, contributed }).connect()
    say?.({ type: 'node_status' })
    say?.({ type: 'ping' })
    expect(sent?.[0]).toEqual({
      type: 'node_status',
      node_id: identity.nodeId,
      node_type: 'full',
      version: '0.0.0',
      name: 'test',
      chain_id: chain.genesis.rules.chainId,
      height: 1,
      head: chain.blocks[1]!.current_hash,
      pending: 0,
      peers: 0,
      syncing: false,
      metrics: [{ name: 'queue_transactions', labels: {}, value: 7 }],
      health: [
        { name: 'shop:desk', status: 'warn', output: 'slow' },
        { name: 'shop:till', status: 'fail', output: 'no till' },
        { name: 'metric:broken', status: 'fail', output: 'no figure' },
      ],
    })
    expect(sent?.[1]).toMatchObject({ type: 'pong' })
    const light = make().connect()
    light.say?.({ type: 'node_status' })
    expect(light.sent?.[0]).toEqual({
      type: 'node_status',
      node_id: identity.nodeId,
      node_type: 'gateway',
      version: '0.0.0',
      name: 'test',
      peers: 0,
      syncing: false,
      metrics: [],
      health: [],
    })
  })

  test('transaction_status and chain_info', () => {
    const { chain, sent, say } = withChain()
    chain.grow()
    chain.statuses.set(zeroHash, { status: 'included', blockIndex: 1, blockHash: sha256Hex('b'), confirmations: 3 })
    say({ type: 'transaction_status', tx_hash: zeroHash })
    say({ type: 'transaction_status', tx_hash: sha256Hex('other') })
    say({ type: 'transaction_status', tx_hash: 'XYZ' })
    say({ type: 'chain_info' })
    expect(sent).toEqual([
      {
        type: 'transaction_status',
        tx_hash: zeroHash,
        status: 'included',
        block_index: 1,
        block_hash: sha256Hex('b'),
        confirmations: 3,
      },
      { type: 'transaction_status', tx_hash: sha256Hex('other'), status: 'unknown' },
      { type: 'ERROR', code: 'bad-message', error: 'tx_hash: expected 64 lowercase hex digits' },
      {
        type: 'chain_info',
        chain_id: chain.genesis.rules.chainId,
        genesis_name: 'development',
        consensus: 'pow',
        height: 1,
        head: chain.blocks[1]!.current_hash,
        pending: 0,
      },
    ])
  })

  test('block_request: by hash, by range, at most 100 blocks and about 8 MiB', () => {
    const { chain, sent, say } = withChain()
    for (let i = 0; i < 120; i++) chain.grow()
    const indexes = (i: number) => (sent[i]!['blocks'] as JsonObject[]).map(({ index }) => index)
    say({ type: 'block_request', hash: chain.blocks[3]!.current_hash, request_id: 1 })
    say({ type: 'block_request', hash: zeroHash })
    say({ type: 'block_request', from: 118, to: 500, request_id: 2 })
    say({ type: 'block_request', from: 0, to: 500 })
    say({ type: 'block_request', from: 5, to: 4 })
    say({ type: 'block_request', from: 1 })
    say({ type: 'block_request', from: -1, to: 2 ** 60 })
    expect([indexes(0), indexes(1), indexes(2)]).toEqual([[3], [], [118, 119, 120]])
    expect(sent[2]).toMatchObject({ type: 'block_response', request_id: 2 })
    expect(indexes(3).length).toBe(100)
    expect(sent.slice(4).map(({ code }) => code)).toEqual(['bad-message', 'bad-message', 'bad-message'])
    for (let i = 0; i < 3; i++) chain.grow(4_000_000)
    say({ type: 'block_request', from: 121, to: 123 })
    expect(indexes(7)).toEqual([121, 122])
    chain.grow(9_000_000)
    say({ type: 'block_request', from: 124, to: 124 })
    expect(indexes(8)).toEqual([124])
  })
})

describe('order', () => {
  test('requests run at the same time, and their answers leave in the order of the requests', async () => {
    const { chain, sent, say } = withChain()
    say(transaction({ hold: true }, { request_id: 1 }))
    say(transaction({ n: 2 }, { request_id: 2 }))
    say({ type: 'ping', request_id: 3 })
    say({ type: 'nonsense', request_id: 4 })
    await turn()
    expect(chain.submitted.length).toBe(2)
    expect(sent).toEqual([])
    chain.held[0]!()
    await turn()
    expect(sent.map(({ request_id }) => request_id)).toEqual([1, 2, 3, 4])
  })

  test('beyond so many in flight the connection pauses until they are answered', async () => {
    const { chain, told, sent, say } = withChain({ requests_in_flight_max: 3 })
    for (let i = 0; i < 3; i++) say(transaction({ hold: true, i }))
    expect(told).toEqual(['pause'])
    for (const release of chain.held) release()
    await turn()
    expect(told).toEqual(['pause', 'resume'])
    expect(sent.length).toBe(3)
  })

  test('the other side ends: what it asked is answered, then the connection closes', async () => {
    const { chain, told, sent, say, handlers } = withChain()
    say(transaction({ hold: true }))
    handlers.finished()
    await turn()
    expect(unpaused(told)).toEqual([])
    chain.held[0]!()
    await turn()
    expect([sent.length, unpaused(told)]).toEqual([1, ['close finished']])
  })

  test('an answer that comes after the connection is gone is dropped', async () => {
    const { chain, sent, say, handlers } = withChain()
    say(transaction({ hold: true }))
    handlers.closed()
    chain.held[0]!()
    await turn()
    expect(sent).toEqual([])
  })

  test('broken framing: what was asked before is answered, then the reason, then the close', async () => {
    const { chain, told, sent, say, handlers } = withChain()
    say(transaction({ hold: true }))
    handlers.broken('too-slow', 'a message must be complete 15 s after its first byte')
    say({ type: 'ping' })
    chain.held[0]!()
    await turn()
    expect(sent.map(({ type, code }) => code ?? type)).toEqual(['MINING_STARTED', 'too-slow'])
    expect(unpaused(told)).toEqual(['close too-slow'])
  })
})

describe('what is not understood', () => {
  test('an unknown type is told the nearest right one, and the connection stays open', () => {
    const { sent, told, say } = withChain()
    say({ type: 'new_transaction', request_id: 9 })
    say({ type: 'pign' })
    say({ type: 'handshakes' })
    expect(sent[0]).toEqual({
      type: 'ERROR',
      code: 'unknown-type',
      error: 'type: "new_transaction" is not known here; the nearest that is known is NEW_TRANSACTION',
      request_id: 9,
    })
    expect(sent[1]!['error']).toEndWith('is ping')
    expect(sent[2]!['error']).toEndWith('is handshake')
    expect(told).toEqual([])
  })

  test('names that every object has are types as unknown as any', () => {
    const { sent, say } = withChain()
    for (const type of ['constructor', 'toString', 'hasOwnProperty', '']) say({ type })
    expect(sent.map(({ code }) => code)).toEqual(Array.from({ length: 4 }, () => 'unknown-type'))
  })

  test('no object, or no type', () => {
    const { sent, told, say } = withChain()
    for (const message of [[], 17, null, 'ping', {}, { type: true }]) say(JSON.stringify(message))
    expect(sent.map(({ code }) => code)).toEqual(Array.from({ length: 6 }, () => 'bad-message'))
    expect(told).toEqual([])
  })

  test('threats row 22: bad JSON, bad UTF-8, too deep: a code, then the close', () => {
    const cases: [string | Buffer, string][] = [
      ['{"type":"ping"', 'bad-json'],
      ['{"type":"ping","type":"ping"}', 'bad-json'],
      ['{"__proto__":1}', 'bad-json'],
      ['{"n":1e400}', 'bad-json'],
      ['{"s":"\\ud800"}', 'bad-json'],
      [Buffer.from([0x22, 0xff, 0x22]), 'bad-utf8'],
      ['['.repeat(100_000), 'too-deep'],
    ]
    for (const [bytes, code] of cases) {
      const { sent, told, handlers } = withChain()
      handlers.message(Buffer.from(bytes))
      expect(sent.map((line) => line['code'])).toEqual([code])
      expect(told).toEqual([`close ${code}`])
    }
  })

  test('threats row 32: errors repeat little of the input, and no control characters', () => {
    const { sent, say } = withChain()
    say({ type: `\u001b[31m\u0000\n\u202e${'x'.repeat(100_000)}` })
    say('\u001b[31mred')
    for (const { error } of sent) {
      expect((error as string).length).toBeLessThan(500)
      expect(error).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u)
    }
    expect(sent[0]!['error']).toContain('\\u001b[31m')
  })

  test('request_id comes back when it is a safe integer or a short string', () => {
    const { sent, say } = withChain()
    for (const request_id of [1.5, 2 ** 60, 'x'.repeat(65), null, {}, -3, '']) say({ type: 'ping', request_id })
    expect(sent.map(({ request_id }) => request_id)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
      -3,
      '',
    ])
  })

  test('an ERROR of the other side is heard and never answered', () => {
    const { sent, logged, say } = withChain()
    say({ type: 'ERROR', code: 'bad\nthing', error: 'why' })
    say({ type: 'ERROR' })
    expect(sent).toEqual([])
    expect(logged[0]).toContain('reports an error')
    expect(logged[0]).toContain('"code":"unknown"')
  })
})

describe('whose fault', () => {
  test('threats row 23: ten provable refusals close a client, what has no blame does not', async () => {
    const { sent, told, say } = withChain()
    for (let i = 0; i < 20; i++) say(transaction({ decline: 'mempool-full', i }))
    for (let i = 0; i < 9; i++) say(transaction({ refuse: 'bad-signature', i }))
    await turn()
    expect(unpaused(told)).toEqual([])
    say(transaction({ refuse: 'bad-signature' }))
    say(transaction({ n: 1 }))
    await turn()
    expect(unpaused(told)).toEqual(['close bad-signature'])
    expect(sent.length).toBe(30)
  })

  test('a fault of this node is logged with its stack, answered as internal, and costs nobody the connection', async () => {
    const { sent, told, logged, say } = withChain()
    say(transaction({ throw: true }, { request_id: 1 }))
    await turn()
    expect(sent).toMatchObject([{ type: 'ERROR', code: 'internal', request_id: 1 }])
    expect(logged[0]).toContain('thrown as asked')
    expect(unpaused(told)).toEqual([])
  })

  test('all transports together take only so many connections', () => {
    const { connect } = make({}, { connections_max: 2 })
    const first = connect()
    connect()
    expect(connect().refused).toBe('too-many-connections')
    first.handlers?.closed()
    expect(connect().refused).toBeUndefined()
  })
})
