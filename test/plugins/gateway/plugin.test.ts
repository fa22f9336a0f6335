// The plugin as a node sets it up: real sockets, a real ledger, the real desk.
import { afterEach, expect, test } from 'bun:test'
import * as v from 'valibot'
import { bunRuntime } from '../../../core/bun.ts'
import { signConfirmation } from '../../../core/chain/confirmation.ts'
import { found, sha256Hex, type Confirmation, type CoreEvents, type JsonObject } from '../../../core/index.ts'
import gateway from '../../../plugins/gateway/index.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import { makeGenesis, makeKey } from '../../support/blocks.ts'
import { makeContext } from '../../support/context.ts'
import { eventually } from '../../support/eventually.ts'
import { FrameTalker, silentLog } from './serverrig.ts'

const runtime = bunRuntime()
const releases: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const release of releases.splice(0)) await release()
})

const inbox = { connected: () => found({ message: () => {}, broken: () => {}, finished: () => {}, closed: () => {} }) }

/** A gateway without a chain of its own, on the chain of `genesis`. */
async function open(config: JsonObject = {}) {
  const storage = new MemoryLedger()
  const genesis = makeGenesis()
  const published: unknown[] = []
  const heard = new Map<string, ((fact: never) => unknown)[]>()
  const { context, contributed, release } = makeContext<never, 'storage' | 'chain'>({
    use: { storage },
    network: { genesis: () => genesis, peers: () => [] },
    publish: (event, fact) => void published.push([event, fact]),
    on: (event, hear) => void heard.set(event, [...(heard.get(event) ?? []), hear]),
  })
  const tell = <E extends keyof CoreEvents>(event: E, fact: CoreEvents[E]): void => {
    for (const hear of heard.get(event) ?? []) hear(fact as never)
  }
  const transport = await gateway.setup(context, v.parse(gateway.config, { port: 0, ...config }), {})
  await transport.open(inbox)
  releases.push(release)
  const connect = () => FrameTalker.connect(runtime, '127.0.0.1', transport.address()!.port)
  return { transport, storage, genesis, published, tell, contributed, release, connect }
}

const node = makeKey(7)
const confirmation = (index: number): JsonObject => {
  const unsigned: Confirmation = {
    type: 'block_confirmation',
    block_index: index,
    block_hash: sha256Hex(Buffer.from(`block ${index}`)),
    miner_id: node.nodeId,
    node_id: node.nodeId,
    timestamp: '2026-11-21T01:02:03.456Z',
    sequence: index,
  }
  return signConfirmation(node, unsigned) as unknown as JsonObject
}

test('it serves clients only, where it is told to, until it is released', async () => {
  const { transport, connect, genesis, release } = await open()
  expect('dial' in transport).toBe(false)
  const client = await connect()
  client.ask({ action: 'health' })
  await eventually(() => client.answers.length === 1, 'health is answered')
  expect(client.answers[0]).toMatchObject({
    status: 'ok',
    service: 'gateway_server',
    chain_id: genesis.rules.chainId,
    queued: 0,
    nodes: 0,
    connections: 1,
  })
  await release()
  await eventually(() => client.isClosed, 'the connection ends')
  expect(transport.address()).toBeUndefined()
})

test('threats row 26: a node counts from its handshake on; what is answered after a confirmation proves that it is kept', async () => {
  const { connect, tell, storage, published } = await open()
  const client = await connect()
  client.ask(confirmation(1))
  await eventually(() => client.answers.length === 1, 'a stranger is refused')
  expect(client.codes).toEqual(['unknown-signer'])
  expect(storage.outboxEnd()).toBe(0)

  tell('peer:joined', { nodeId: node.nodeId, host: '192.0.2.1', outbound: true, height: 1 })
  client.ask(confirmation(1), confirmation(2), { action: 'health' }, confirmation(1), { action: 'health' })
  await eventually(() => client.answers.length === 3, 'health is answered, and the confirmations are not')
  expect(client.codes).toEqual(['unknown-signer', 'ok', 'ok'])
  expect(storage.outbox(0, 10).map(({ kind, index }) => [kind, index])).toEqual([
    ['reported', 1],
    ['reported', 2],
  ])
  expect(published).toHaveLength(2)

  tell('peer:banned', { target: node.nodeId, reason: 'bad-hash', until: 1 })
  client.ask(confirmation(3))
  await eventually(() => client.answers.length === 4, 'who is banned is refused')
  expect(client.codes[3]).toBe('unknown-signer')
  client.socket.destroy()
})

test('the confirmers of the config, by id or address', async () => {
  for (const name of [node.nodeId, node.address]) {
    const { connect, storage } = await open({ confirmers: [name] })
    const client = await connect()
    client.ask(confirmation(1), { action: 'health' })
    await eventually(() => client.answers.length === 1, 'health is answered')
    expect([client.codes, storage.outboxEnd()]).toEqual([['ok'], 1])
    client.socket.destroy()
  }
  expect(v.safeParse(gateway.config, { confirmers: ['node-1'] }).success).toBe(false)
})

test('who shows figures finds connections, requests by outcome, and what was refused', async () => {
  const { connect, contributed } = await open()
  const client = await connect()
  client.ask({ action: 'health' }, { action: 'helth' }, confirmation(1))
  await eventually(() => client.answers.length === 3, 'all are answered')
  const figures = Object.fromEntries(contributed.all('metric').map((metric) => [metric.name, metric.read()]))
  expect(figures).toMatchObject({
    gateway_connections: 1,
    gateway_requests_in_flight: 0,
    gateway_requests_total: expect.arrayContaining([
      { labels: { action: 'health', outcome: 'ok' }, value: 1 },
      { labels: { action: 'unknown', outcome: 'unknown-action' }, value: 1 },
      { labels: { action: 'block_confirmation', outcome: 'unknown-signer' }, value: 1 },
    ]) as unknown,
    gateway_confirmations_refused_total: [{ labels: { code: 'unknown-signer' }, value: 1 }],
    gateway_connections_cut_total: [],
  })
  const clients = contributed.all('health').find(({ name }) => name === 'gateway:clients')
  expect(clients?.check()).toEqual({ status: 'pass' })
  client.socket.destroy()
})

test('no node to send to: a purchase is kept and queued, and asked for by its tx_id', async () => {
  const { connect } = await open()
  const client = await connect()
  const body = {
    tx_id: 'order-1',
    buyer: 'alice',
    seller: 'bob',
    asset_id: 'book-1',
    asset_name: 'A book',
    price: '5',
    timestamp: '2026-11-21T01:02:03.456Z',
  }
  client.ask({ action: 'submit_purchase', body }, { action: 'transaction_status', tx_id: 'order-1' })
  await eventually(() => client.answers.length === 2, 'both are answered')
  const [submitted, status] = client.answers
  expect(submitted).toMatchObject({ status: 'queued', nodes_reached: 0, transaction: { sender: 'alice' } })
  client.ask({ action: 'transaction_status', tx_id: 'order-1' })
  await eventually(() => client.answers.length === 3, 'the status is answered')
  expect([status!['block_index'], client.answers[2]]).toMatchObject([
    null,
    { tx_hash: submitted!['tx_hash'], tx_id: 'order-1', block_index: null, confirmations: 0 },
  ])
  client.socket.destroy()
})

test('without storage it says once what it cannot do, and a purchase that no node takes has failed', async () => {
  const said: string[] = []
  const genesis = makeGenesis()
  const { context, release } = makeContext<never, 'storage' | 'chain'>({
    use: {},
    network: { genesis: () => genesis, peers: () => [] },
    log: { ...silentLog, info: (message) => void said.push(message) },
  })
  const transport = await gateway.setup(context, v.parse(gateway.config, { port: 0 }), {})
  await transport.open(inbox)
  releases.push(release)
  expect(said).toEqual(['listening for clients', expect.stringContaining('there is no storage')])
  const client = await FrameTalker.connect(runtime, '127.0.0.1', transport.address()!.port)
  const texts = { buyer: 'alice', seller: 'bob', asset_id: 'book-1', asset_name: 'A book', price: '5' }
  const body = { tx_id: 'order-1', ...texts, timestamp: '2026-11-21T01:02:03.456Z' }
  client.ask({ action: 'submit_purchase', body })
  await eventually(() => client.answers.length === 1, 'it is answered')
  expect(client.answers[0]).toMatchObject({ status: 'failed', code: 'unreachable' })
  client.socket.destroy()
})
