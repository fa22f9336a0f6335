// Catching up between whole nodes on the simulated runtime.
import { expect, setDefaultTimeout, test } from 'bun:test'
import { simRuntime } from '../../../sim/runtime.ts'
import { LineClient } from '../../../plugins/tcp/bench.ts'
import { simPort } from '../../../sim/simnode.ts'
import { makeTransaction } from '../../../support/blocks.ts'
import { genesis, history, ledgerOf, RigNode, rigNode } from './rig.ts'

// The world's time is what counts; on a busy machine it takes long to pass.
setDefaultTimeout(60_000)

test('a newcomer catches up 2,000 blocks from three peers, and tells how far it is', async () => {
  const world = simRuntime({ seed: 1 })
  const blocks = history(2_000)
  const [newcomer, ...others] = await Promise.all([1, 2, 3, 4].map((n) => rigNode(world, n, n === 1 ? [] : blocks)))
  for (const other of others) await newcomer!.dial(other)
  await world.runUntil(() => newcomer!.height === 2_000, 60_000)
  await world.runUntil(() => newcomer!.facts('sync:ended').length > 0)
  expect(newcomer!.head).toBe(blocks.at(-1)!.current_hash)
  expect(newcomer!.facts('sync:started')).toEqual([{ height: 0, target: 2_000 }])
  expect(newcomer!.facts('sync:ended')).toMatchObject([{ height: 2_000, blocks: 2_000 }])
  expect(newcomer!.peers).toBe(3)
})

test('a node that makes blocks makes none on a chain that is behind: it waits until it is there', async () => {
  const world = simRuntime({ seed: 3, latencyMilliseconds: [100, 150] })
  const newcomer = await new RigNode(world, '10.0.0.1', ledgerOf([])).start({}, true)
  await newcomer.dial(await rigNode(world, 2, history(1_000)))
  await world.runUntil(() => newcomer.height >= 100)
  const client = await world.settled(LineClient.connect(world.host('10.0.0.9'), '10.0.0.1', simPort))
  client.send({ type: 'NEW_TRANSACTION', ...makeTransaction(genesis, 5, { bought: 'late' }) })
  await world.runUntil(() => client.lines.length === 1)
  expect(newcomer.height).toBeLessThan(1_000)
  await world.runUntil(() => newcomer.height === 1_001)
  expect(newcomer.ledger.counts()).toMatchObject({ transactions: 1, sideBlocks: 0 })
})

test('over a slow line it tells at most once a second how far it is and how long it will take', async () => {
  const world = simRuntime({ seed: 2, latencyMilliseconds: [300, 400], bufferBytesMax: 2 ** 20 })
  const blocks = history(2_000)
  const newcomer = await rigNode(world, 1)
  await newcomer.dial(await rigNode(world, 2, blocks))
  await world.runUntil(() => newcomer.facts('sync:ended').length > 0, 120_000)
  const told = newcomer.heard.filter(({ event }) => event === 'sync:progressed')
  expect(told.length).toBeGreaterThan(3)
  for (const [i, { at }] of told.entries()) if (i > 0) expect(at - told[i - 1]!.at).toBeGreaterThanOrEqual(999)
  for (const { height, target, blocksPerSecond, secondsLeft } of newcomer.facts('sync:progressed')) {
    expect(target).toBe(2_000)
    expect(blocksPerSecond).toBeGreaterThan(0)
    expect(secondsLeft).toBe(Math.round((target - height) / blocksPerSecond))
  }
  expect(newcomer.logged.join('\n')).toMatch(/synchronising: block \d+ of 2000, \d+ blocks a second, \d+ s left/)
})

test('catching up that ends in a fault of this node is told as ended too: who waits for it goes on', async () => {
  const world = simRuntime({ seed: 4 })
  const newcomer = await rigNode(world, 1)
  const { ledger } = newcomer
  const commit = ledger.commit.bind(ledger)
  let faults = 1
  ledger.commit = (change) => {
    if (newcomer.height >= 500 && faults-- > 0) throw new TypeError('undefined is not an object')
    commit(change)
  }
  await newcomer.dial(await rigNode(world, 2, history(2_000)))
  await world.runUntil(() => newcomer.height === 2_000, 120_000)
  await world.advance(5_000)
  const told = newcomer.heard.map(({ event }) => event).filter((event) => event !== 'sync:progressed')
  expect(told).toEqual(['sync:started', 'sync:ended', 'sync:started', 'sync:ended'])
})
