// A node without a chain among nodes that keep one.
import { describe, expect, test } from 'bun:test'
import { developmentGenesis } from '../../../core/chain/genesis.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import { zeroHash } from '../../../core/chain/canonical.ts'
import { startNode } from '../../../core/node.ts'
import memory from '../../../plugins/memory/index.ts'
import tcp from '../../../plugins/tcp/index.ts'
import { simRuntime, type World } from '../../sim/runtime.ts'
import {
  pluginEntry,
  simNodeOptions,
  simPort,
  startSimNode,
  type SimNode,
  type SimNodeOptions,
} from '../../sim/simnode.ts'
import { FakeChain } from './fakechain.ts'
import { blockOn, genesis as relayGenesis, newTransaction, RelayTown, relayTypes, some } from './relay/rig.ts'
import { join, Town, type TownNode } from './town.ts'

const genesis = developmentGenesis('pow', {})
const [full, light] = ['10.0.0.1', '10.0.0.2'] as const

const lightIn = (town: Town, host: string = light, more = {}): TownNode =>
  town.node(host, { chain: undefined, genesis, ...more })

describe('a light peer', () => {
  test('shakes hands as a gateway of height 0 that listens nowhere, dialling and dialled', async () => {
    for (const lightDials of [true, false]) {
      const town = new Town()
      const said: JsonObject[] = []
      town.post = (message, from) => {
        if (from === light && message['type'] === 'handshake') said.push(message)
        return [{ message, after: 5 }]
      }
      const keeper = town.node(full, { settings: { peers: [{ host: light, port: 13_245 }] } })
      const a = lightIn(town)
      expect(await (lightDials ? town.dial(a, keeper) : town.dial(keeper, a))).toMatchObject({ ok: true })
      await town.world.advance(1_000)
      const { chainId } = genesis.rules
      expect(said).toMatchObject([{ node_type: 'gateway', height: 0, listen_addr: '', chain_id: chainId }])
      const peer = keeper.network.peers.get(a.key.nodeId)!
      expect(peer.isLight).toBe(true)
      expect(a.network.peers.get(keeper.key.nodeId)!.isLight).toBe(false)
      const pong = await town.world.settled(peer.ask({ type: 'ping' }, 'pong', 1_000))
      expect(pong).toMatchObject({ ok: true, value: { chain_id: chainId } })
      expect(pong.ok && 'height' in pong.value).toBe(false)
    }
  })

  test('what a peer sends of itself by mistake is silently nothing; what asks for blocks is told that there are none', async () => {
    const town = new Town()
    const a = lightIn(town)
    const { stranger } = await join(town, a)
    const block = { ...new FakeChain().blocks[0]! } as unknown as JsonObject
    for (let i = 0; i < 20; i++) {
      stranger.say({ type: 'new_block', node_id: 'x', data: block })
      stranger.say({ type: 'tx_announce', hashes: [zeroHash] })
      stranger.say({ type: 'tx_request', hashes: [zeroHash] })
      stranger.say({ type: 'compact_block', node_id: 'x', data: block, short_ids: '' })
      stranger.say({ type: 'NEW_TRANSACTION', sender: 'alice', data: {}, signature: '' })
      stranger.say({ type: 'header_request', locator: [zeroHash], request_id: i })
    }
    stranger.say({ type: 'block_request', from: 1, to: 9, request_id: 'b' })
    await town.world.advance(1_000)
    expect(stranger.codes).toEqual([])
    expect(stranger.heard.filter(({ type }) => type === 'header_response').length).toBe(20)
    expect(stranger.last('header_response')).toMatchObject({ headers: [] })
    expect(stranger.last('block_response')).toMatchObject({ blocks: [], request_id: 'b' })
    for (const type of relayTypes) expect(stranger.last(type)).toBeUndefined()
    stranger.say({ type: 'chain_info' })
    stranger.say({ type: 'transaction_status', tx_hash: zeroHash })
    await town.world.advance(1_000)
    expect(stranger.codes).toEqual(['no-chain', 'no-chain'])
    expect([stranger.isClosed, a.network.peers.size]).toEqual([false, 1])
  })

  test('a client that asks it for the chain is told no-chain, and which chain it is', async () => {
    const town = new Town()
    const client = town.stranger(lightIn(town))
    const asked: JsonObject[] = [
      { type: 'chain_info' },
      { type: 'block_request', from: 1, to: 2 },
      { type: 'header_request', locator: [] },
      { type: 'transaction_status', tx_hash: zeroHash },
      { type: 'new_block', data: {} },
      { type: 'NEW_TRANSACTION', sender: 'alice', data: {} },
      { type: 'tx_announce', hashes: [] },
    ]
    for (const message of asked) client.say(message)
    client.say({ type: 'genesis_request' })
    await town.world.advance(1_000)
    expect(client.codes).toEqual(asked.map(() => 'no-chain'))
    expect(client.last('genesis_response')).toMatchObject({ genesis: genesis.text })
  })
})

describe('a node that keeps the chain', () => {
  test('sends a light peer nothing of transactions and blocks, and asks it for none: bytes', async () => {
    const town = new RelayTown()
    const [a, b] = await town.line(2)
    const gateway = town.node('10.0.0.9', { chain: undefined, genesis: relayGenesis })
    gateway.network.start()
    await town.join(gateway, a!)
    await town.world.advance(1_000)
    const client = town.stranger(a!, '10.7.7.7')
    for (let round = 0; round < 10; round++) {
      const transactions = some(20)
      for (const transaction of transactions) client.say(newTransaction(transaction))
      await town.world.advance(500)
      const head = a!.chain.block(a!.chain.head().header.current_hash)!
      client.say({ type: 'new_block', data: blockOn(head, transactions) as unknown as JsonObject })
      await town.world.advance(500)
    }
    await town.world.advance(60_000)
    const sentTo = (node: TownNode) => town.sent.filter(({ from, to }) => from === a!.host && to === node.host)
    const bytes = (node: TownNode) => sentTo(node).reduce((sum, { message }) => sum + JSON.stringify(message).length, 0)
    // The other one that keeps the chain has all of it.
    expect(b!.chain.head().header).toMatchObject({ index: 10 })
    expect(sentTo(b!).some(({ message }) => relayTypes.includes(message['type'] as string))).toBe(true)
    const types = new Set(sentTo(gateway).map(({ message }) => message['type']))
    for (const type of [...relayTypes, 'header_request', 'block_request', 'node_discovery']) {
      expect(types).not.toContain(type)
    }
    // A minute of pings, and what the gateway itself asked.
    expect(bytes(gateway)).toBeLessThan(4_000)
    expect(bytes(b!)).toBeGreaterThan(20_000)
  })

  test('does not take what a light peer claims for a height to fetch', async () => {
    const town = new RelayTown()
    const a = town.relayNode(1)
    const gateway = town.node('10.0.0.9', { chain: undefined, genesis: relayGenesis })
    town.watch((message) => [{ message: message['type'] === 'handshake' ? raised(message) : message, after: 5 }])
    await town.join(gateway, a)
    expect(a.network.peers.all()[0]).toMatchObject({ height: 1_000_000, isLight: true })
    await town.world.advance(60_000)
    expect(town.of('header_request').length).toBe(0)
    expect(a.network.peers.size).toBe(1)
  })

  const raised = (message: JsonObject): JsonObject =>
    message['node_type'] === 'gateway' ? { ...message, height: 1_000_000 } : message

  test('looks for nodes that keep the chain: a light one that it finds by itself is turned away', async () => {
    const town = new Town()
    const a = town.node(full)
    expect(await town.dial(a, lightIn(town))).toMatchObject({ ok: false, code: 'no-chain' })
    const two = lightIn(town, '10.0.0.3')
    expect(await town.dial(two, lightIn(town, '10.0.0.4'))).toMatchObject({ ok: false, code: 'no-chain' })
  })

  test('does not hand on one that the operator named, nor one that kept the chain before', async () => {
    const town = new Town()
    const a = town.node(full, { settings: { peers: [{ host: light, port: 13_245 }] } })
    // Under this key, it kept the chain.
    const before = town.node(light)
    a.network.start()
    await town.world.runUntil(() => a.network.peers.size === 1)
    const client = town.stranger(a)
    const listed = async () => {
      client.say({ type: 'peer_list' })
      await town.world.advance(1_000)
      return client.last('peer_list')!['peers']
    }
    expect(await listed()).toEqual([`${light}:13245`])
    await town.world.settled(before.network.stop())
    lightIn(town)
    await town.world.runUntil(() => a.network.peers.all().some((peer) => peer.isLight))
    expect(await listed()).toEqual([])
  })

  test('keeps half of its places for those that keep the chain', async () => {
    const town = new Town()
    const a = town.node(full, { limits: { peers_max: 4 } })
    const codes: string[] = []
    for (let i = 10; i < 16; i++) {
      const result = await town.dial(lightIn(town, `10.0.0.${i}`), a)
      codes.push(result.ok ? 'ok' : result.code)
    }
    expect(codes).toEqual(['ok', 'ok', 'too-many-peers', 'too-many-peers', 'too-many-peers', 'too-many-peers'])
    expect(await town.dial(town.node('10.0.0.20'), a)).toMatchObject({ ok: true })
    expect(await town.dial(town.node('10.0.0.21'), a)).toMatchObject({ ok: true })
  })
})

describe('whole nodes', () => {
  const address = (number: number): string => `10.0.0.${number}`
  const bootstrap = [{ host: address(1), port: simPort }]

  async function startLight(world: World, host: string, options: SimNodeOptions = {}): Promise<SimNode> {
    const plugins = [pluginEntry(memory), pluginEntry(tcp, { host })]
    const all = { ...simNodeOptions(world, host, { peers: bootstrap, ...options }), plugins, genesis: undefined }
    return { address: host, node: await world.settled(startNode(all)) }
  }

  const stop = (world: World, nodes: readonly SimNode[]) =>
    world.settled(Promise.all(nodes.map(({ node }) => node.stop('the test is over'))))

  test.each([1, 2])('with 8 light peers, a node still finds those that it looks for (seed %i)', async (seed) => {
    const world = simRuntime({ seed })
    const limits = { outbound_peers: 3, peers_max: 12 }
    const nodes: SimNode[] = []
    for (let i = 2; i <= 9; i++) {
      const peers = i === 2 ? [] : [{ host: address(2), port: simPort }]
      nodes.push(await startSimNode(world, address(i), { peers, limits }))
    }
    await world.advance(60_000)
    // Those know each other. This one is told of one of them alone, and light ones come to it first.
    const late = await startSimNode(world, address(1), { limits })
    const lights: SimNode[] = []
    for (let i = 0; i < 8; i++) lights.push(await startLight(world, address(100 + i), { limits }))
    const count = (one: SimNode, isLight: boolean) =>
      one.node.network.peers.all().filter((peer) => peer.isLight === isLight).length
    await world.runUntil(() => count(late, true) === 6)
    await world.settled(late.node.network.dial({ host: address(2), port: simPort }))
    nodes.push(late)
    const outbound = (one: SimNode) => one.node.network.peers.full().filter((peer) => peer.outbound).length
    await world.runUntil(() => outbound(late) >= 3)
    // Every light one found nodes that keep the chain, the two without a place at the first among them.
    await world.runUntil(() => lights.every((one) => count(one, false) >= 3))
    await world.advance(10 * 60_000)
    expect(outbound(late)).toBeGreaterThanOrEqual(3)
    // Nobody ever talked too much, and nobody is connected with a light one that it looked for.
    expect(lights.every((one) => count(one, true) === 0)).toBe(true)
    for (const one of nodes)
      expect(one.node.network.peers.all().some((peer) => peer.isLight && peer.outbound)).toBe(false)
    const isOfLight = (text: string): boolean => lights.some((one) => text.startsWith(`${one.address}:`))
    for (const one of [...nodes, ...lights]) {
      const [asked] = one.node.network.peers.full()
      const list = await world.settled(asked!.ask({ type: 'peer_list' }, 'peer_list', 5_000))
      const found = await world.settled(asked!.ask({ type: 'node_discovery' }, 'node_list', 5_000))
      const peers = list.ok ? (list.value['peers'] as string[]) : []
      const known = found.ok ? (found.value['nodes'] as { host: string }[]).map(({ host }) => `${host}:`) : []
      expect(peers.length).toBeGreaterThan(0)
      expect(known.length).toBeGreaterThan(0)
      expect([...peers, ...known].some(isOfLight)).toBe(false)
    }
    await stop(world, [...lights, ...nodes])
  })

  test("a light peer's ordinary talk is far below what a peer may send in a second", async () => {
    const world = simRuntime({ seed: 3 })
    const left: string[] = []
    const log = (_level: string, message: string, fields?: Record<string, unknown>) =>
      void (message === 'a peer left' && left.push(String(fields?.['reason'])))
    // Ten in all, in any second.
    const limits = { peer_messages_per_second_max: 2 }
    const nodes: SimNode[] = []
    for (let i = 1; i <= 5; i++)
      nodes.push(await startSimNode(world, address(i), { peers: i === 1 ? [] : bootstrap, log }))
    const strict = await startSimNode(world, address(6), { limits, log })
    const gateway = await startLight(world, address(100), { peers: [{ host: address(6), port: simPort }], log })
    await world.advance(20 * 60_000)
    expect(strict.node.network.peers.get(gateway.node.identity.nodeId)).toBeDefined()
    expect(left).not.toContain('too-many-messages')
    await stop(world, [gateway, strict, ...nodes])
  })
})
