// Whole nodes that find each other, on virtual time.
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { simRuntime, type World } from '../../../sim/runtime.ts'
import { simPort, startSimNode, type SimNode, type SimNodeOptions } from '../../../sim/simnode.ts'

// Virtual time costs real time where the machine is busy.
setDefaultTimeout(60_000)

const address = (number: number): string => `10.0.${number >> 8}.${number & 255}`
const bootstrap = [{ host: address(1), port: simPort }]

async function start(world: World, count: number, options: SimNodeOptions = {}): Promise<SimNode[]> {
  const nodes: SimNode[] = []
  for (let i = 1; i <= count; i++) {
    nodes.push(await startSimNode(world, address(i), { peers: i === 1 ? [] : bootstrap, ...options }))
  }
  return nodes
}

const degrees = (nodes: readonly SimNode[]): number[] => nodes.map(({ node }) => node.network.peers.size)
const stop = (world: World, nodes: readonly SimNode[]) =>
  world.settled(Promise.all(nodes.map(({ node }) => node.stop('the test is over'))))

describe('nodes that know one bootstrap', () => {
  test.each([1, 2, 3])('five form a mesh within 5 s (seed %i)', async (seed) => {
    const world = simRuntime({ seed })
    const nodes = await start(world, 5)
    const before = world.elapsed
    await world.runUntil(() => degrees(nodes).every((degree) => degree === 4), 5_000)
    expect(world.elapsed - before).toBeLessThan(5_000)
    // And stay so.
    await world.advance(10 * 60_000)
    expect(degrees(nodes)).toEqual([4, 4, 4, 4, 4])
    await stop(world, nodes)
  })

  test('twenty: each finds its 8 peers within 30 s, and nobody is dialled without end', async () => {
    const world = simRuntime({ seed: 7 })
    const nodes = await start(world, 20)
    await world.runUntil(() => degrees(nodes).every((degree) => degree >= 8), 30_000)
    await world.advance(5 * 60_000)
    expect(Math.min(...degrees(nodes))).toBeGreaterThanOrEqual(8)
    await stop(world, nodes)
  })

  test('more than the bootstrap has places for: it still says whom it knows', async () => {
    const world = simRuntime({ seed: 5 })
    const nodes = await start(world, 30, { limits: { peers_max: 12, outbound_peers: 3 } })
    await world.runUntil(() => degrees(nodes).every((degree) => degree >= 3), 60_000)
    await world.advance(60_000)
    expect(Math.min(...degrees(nodes))).toBeGreaterThanOrEqual(3)
    // Those that it looks for, and one that it visits, may come beside the 12.
    expect(degrees(nodes)[0]).toBeLessThanOrEqual(12 + 4)
    await stop(world, nodes)
  })

  test('a swarm that dials a node does not get the places of those that the node looks for', async () => {
    const world = simRuntime({ seed: 6 })
    const limits = { peers_max: 12, outbound_peers: 5 }
    const victim = await startSimNode(world, address(1), { limits })
    const swarm: SimNode[] = []
    for (let i = 2; i <= 25; i++) {
      swarm.push(await startSimNode(world, `66.66.0.${i}`, { peers: bootstrap, network: { dialNetworks: [] } }))
    }
    await world.advance(30_000)
    const outbound = victim.node.network.peers.all().filter((peer) => peer.outbound).length
    // 2 of one network, and perhaps one that is visited.
    expect(outbound).toBeLessThanOrEqual(3)
    expect(victim.node.network.peers.size - outbound).toBeLessThanOrEqual(12)
    const honest = [await startSimNode(world, '70.1.1.1'), await startSimNode(world, '80.1.1.1')]
    const told = honest.map(({ address: host }) => victim.node.network.dial({ host, port: simPort }))
    for (const result of await world.settled(Promise.all(told))) expect(result.ok).toBe(true)
    await stop(world, honest)
    await stop(world, [victim, ...swarm])
  })

  test('in a private network that nobody allowed only the bootstrap is dialled, and the log says what to do', async () => {
    const world = simRuntime({ seed: 1 })
    const said: string[] = []
    const log = (_level: string, message: string): void => void said.push(message)
    // The bootstrap has tested the others; whether they dial each other is theirs to say.
    const first = await startSimNode(world, address(1), {})
    const others = await Promise.all(
      [2, 3].map((i) => startSimNode(world, address(i), { peers: bootstrap, network: { dialNetworks: [] }, log })),
    )
    await world.advance(60_000)
    expect(degrees([first, ...others])).toEqual([2, 1, 1])
    expect(said.some((line) => line.includes('--dial-networks'))).toBe(true)
    await stop(world, [first, ...others])
  })
})

test('a bootstrap that was restarted has its peers again within seconds', async () => {
  const world = simRuntime({ seed: 3 })
  const nodes = await start(world, 4)
  await world.runUntil(() => degrees(nodes).every((degree) => degree === 3), 10_000)
  await world.advance(30_000)
  await world.settled(nodes[0]!.node.stop('restart'))
  await world.advance(3_000)
  nodes[0] = await startSimNode(world, address(1))
  await world.runUntil(() => nodes[0]!.node.network.peers.size === 3, 8_000)
  await stop(world, nodes)
})

test('a torn network is whole again within 60 s, also when its bootstrap is gone and all places were taken again', async () => {
  const world = simRuntime({ seed: 8 })
  const [first, ...nodes] = await start(world, 25, { limits: { outbound_peers: 4 } })
  await world.runUntil(() => degrees(nodes).every((degree) => degree >= 4), 60_000)
  await world.settled(first!.node.stop('gone for ever'))
  await world.advance(60_000)
  const sides = [nodes.slice(0, 12), nodes.slice(12)] as const
  for (const one of sides[0]) for (const other of sides[1]) world.links.cutBoth(one.address, other.address)
  const far = new Set(sides[1].map(({ node }) => node.identity.nodeId))
  const bridges = () => sides[0].flatMap(({ node }) => node.network.peers.all().filter(({ nodeId }) => far.has(nodeId)))
  await world.advance(10 * 60_000)
  expect(bridges().length).toBe(0)
  for (const side of sides) expect(Math.min(...degrees(side))).toBeGreaterThanOrEqual(4)
  world.heal()
  await world.runUntil(() => bridges().length >= 3, 60_000)
  await stop(world, nodes)
})

test('a ban by the operator, in the file, ends the connection within about a second and survives a restart', async () => {
  const world = simRuntime({ seed: 4 })
  const nodes = await start(world, 2)
  await world.runUntil(() => degrees(nodes).every((degree) => degree === 1), 10_000)
  const target = nodes[1]!.node.identity.nodeId
  const line = { ban: target, reason: 'by the operator', at: '2026-11-21T00:00:00.000Z' }
  world.host(address(1)).files.appendText(`/data/node_${simPort}.bans`, `${JSON.stringify(line)}\n`, 0o600)
  await world.advance(1_100)
  expect(degrees(nodes)).toEqual([0, 0])
  await world.settled(nodes[0]!.node.stop('restart'))
  nodes[0] = await startSimNode(world, address(1))
  await world.advance(120_000)
  expect(degrees(nodes)).toEqual([0, 0])
  await stop(world, nodes)
})
