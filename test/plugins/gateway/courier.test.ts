import { expect, test } from 'bun:test'
import { makeKey } from '../../support/blocks.ts'
import { eventually } from '../../support/eventually.ts'
import { FakeNode } from '../../core/commands/fakenode.ts'
import { DeskWorld, given, purchase, runtime, taken } from './deskworld.ts'

const order = (n: number) => purchase({ tx_id: `t${n}` })

test('a node that does not answer is waited for once, and not again until it answers', async () => {
  const world = await DeskWorld.start({ nodes: 2 })
  const [quick, stuck] = world.nodes as [FakeNode, FakeNode]
  const held: (() => void)[] = []
  stuck.before = (message, socket) => {
    if (message['type'] !== 'NEW_TRANSACTION') return true
    held.push(() => socket.write(Buffer.from('{"type":"MINING_STARTED","miner":"fake","message":"at last"}\n')))
    return false
  }
  const started = performance.now()
  expect(await taken(world.desk.submitPurchase(order(0)))).toMatchObject({ nodesReached: 1, nodesTotal: 2 })
  expect(performance.now() - started).toBeGreaterThan(250)
  const again = performance.now()
  for (let n = 1; n <= 20; n++)
    expect(await taken(world.desk.submitPurchase(order(n)))).toMatchObject({ nodesReached: 1 })
  // Had it been waited for, it would have been for six seconds.
  expect(performance.now() - again).toBeLessThan(3_000)
  // It is given everything all the same, once.
  await eventually(() => held.length === 21, 'all were sent to it')
  stuck.before = () => true
  for (const answer of held) answer()
  await eventually(
    async () => (await taken(world.desk.submitPurchase(order(100 + held.length++)))).nodesReached === 2,
    'it counts again',
  )
  expect(given(quick).filter(({ tx_id }) => tx_id === 't5')).toHaveLength(1)
  await world.dispose()
})

test('a lost connection is made again, and the next purchase reaches the node', async () => {
  const world = await DeskWorld.start({ nodes: 1 })
  const [node] = world.nodes as [FakeNode]
  const { port } = node
  node.stop()
  await world.reached(0)
  expect(await taken(world.desk.submitPurchase(order(0)))).toMatchObject({ nodesReached: 0, nodesTotal: 1 })
  await node.listen(port)
  await world.reached(1)
  expect(await taken(world.desk.submitPurchase(order(1)))).toMatchObject({ nodesReached: 1 })
  await eventually(() => node.known.size === 2, 'the one that was kept is given to it')
  await world.dispose()
})

test('one whose connection is lost before it answers may have it: it is asked before it is given again', async () => {
  const world = await DeskWorld.start({ nodes: 1 })
  const [node] = world.nodes as [FakeNode]
  node.loses = ({ type }) => type === 'NEW_TRANSACTION'
  expect(await taken(world.desk.submitPurchase(order(0)))).toMatchObject({ nodesReached: 0 })
  node.loses = () => false
  await eventually(() => node.received.some(({ type }) => type === 'transaction_status'), 'it is asked')
  expect(given(node)).toHaveLength(1)
  await world.dispose()
})

test('a node that speaks of another transaction has not taken this one', async () => {
  const world = await DeskWorld.start({ nodes: 1 })
  world.nodes[0]!.before = ({ type }, socket) => {
    if (type !== 'NEW_TRANSACTION') return true
    const receipt = { type: 'MINING_STARTED', miner: 'fake', message: 'yes', tx_hash: '0'.repeat(64) }
    socket.write(Buffer.from(`${JSON.stringify(receipt)}\n`))
    return false
  }
  expect(await taken(world.desk.submitPurchase(order(0)))).toMatchObject({ nodesReached: 0 })
  await world.dispose()
})

test('only full nodes that listen are given anything, and only on the right chain', async () => {
  const world = await DeskWorld.start({ nodes: 1 })
  const [node] = world.nodes as [FakeNode]
  const stranger = await FakeNode.start(runtime)
  stranger.before = ({ type }, socket) => {
    if (type === 'ping') socket.write(Buffer.from(`{"type":"pong","node_id":"x","chain_id":"${'0'.repeat(64)}"}\n`))
    return type !== 'ping'
  }
  world.nodes.push(stranger)
  world.tell('peer:joined')
  await eventually(() => stranger.received.length > 0, 'it was asked for its chain')
  expect(await taken(world.desk.submitPurchase(order(0)))).toMatchObject({ nodesReached: 1, nodesTotal: 2 })
  expect(given(stranger)).toEqual([])
  expect(given(node)).toHaveLength(1)
  await world.dispose()
})

test('a peer that is a gateway or does not listen is no node', async () => {
  const world = await DeskWorld.start({ nodes: 1 })
  const peers = [
    { nodeType: 'gateway', listens: { host: '127.0.0.1', port: world.nodes[0]!.port } },
    { nodeType: 'full', listens: undefined },
  ].map((peer, n) => ({ ...peer, nodeId: makeKey(200 + n).nodeId, address: makeKey(200 + n).address }))
  world.others.push(...peers)
  world.tell('peer:joined')
  expect(await taken(world.desk.submitPurchase(order(0)))).toMatchObject({ nodesReached: 1, nodesTotal: 1 })
  expect(world.nodes[0]!.connections).toBe(1)
  await world.dispose()
})

test('a node that is no peer any longer is kept while it is connected', async () => {
  const world = await DeskWorld.start({ nodes: 2 })
  world.away(1, true)
  expect(await taken(world.desk.submitPurchase(order(0)))).toMatchObject({ nodesReached: 2 })
  world.nodes[1]!.stop()
  await world.reached(1)
  expect(await taken(world.desk.submitPurchase(order(1)))).toMatchObject({ nodesReached: 1, nodesTotal: 1 })
  await world.dispose()
})

test('the figures tell what came of submissions', async () => {
  const world = await DeskWorld.start({ nodes: 1 })
  await taken(world.desk.submitPurchase(order(0)))
  await world.desk.submitPurchase(purchase({ price: -1 }))
  world.nodes[0]!.refuse = () => ({ code: 'busy', error: 'later' })
  await taken(world.desk.submitPurchase(order(1)))
  const { metrics, faults } = world.figures.figures()
  expect(faults).toEqual([])
  const value = (name: string, outcome?: string) =>
    metrics.find((metric) => metric.name === name && metric.labels['outcome'] === outcome)?.value
  expect(value('gateway_queued_transactions')).toBe(1)
  expect(value('gateway_unsettled_transactions')).toBe(1)
  expect(value('gateway_nodes_reachable')).toBe(1)
  expect(['taken', 'queued', 'declined'].map((outcome) => value('gateway_submissions_total', outcome))).toEqual([
    1, 1, 1,
  ])
  expect(world.figures.findings()).toContainEqual({ name: 'gateway:nodes', status: 'pass', output: '' })
  await world.dispose()
})
