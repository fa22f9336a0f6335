// Branches: after a partition, deeper than the limit, cheaper than ours; ledgers that fail; nodes that come and go.
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { AurexError } from '../../../../core/errors.ts'
import { simRuntime } from '../../../sim/runtime.ts'
import { history, honestReply, ledgerOf, OddPeer, RigNode, rigNode } from './rig.ts'

// The world's time is what counts; on a busy machine it takes long to pass.
setDefaultTimeout(60_000)

const trunk = history(30)
const top = trunk.at(-1)!

describe('two branches', () => {
  test('of different weight: both nodes end on the heavier one, whoever dialled', async () => {
    for (const [ours, theirs] of [
      [40, 25],
      [25, 40],
      [3, 1],
    ] as const) {
      const world = simRuntime({ seed: ours })
      const [left, right] = [history(ours, 2, top), history(theirs, 3, top)]
      const one = await rigNode(world, 1, [...trunk, ...left])
      const two = await rigNode(world, 2, [...trunk, ...right])
      await one.dial(two)
      const best = (ours > theirs ? left : right).at(-1)!.current_hash
      await world.runUntil(() => one.head === best && two.head === best, 10_000)
      expect(one.peers).toBe(1)
    }
  })

  test('of the same height and weight: both nodes end on that of the lower hash', async () => {
    const world = simRuntime({ seed: 20 })
    const branches = [history(15, 2, top), history(15, 3, top)]
    const one = await rigNode(world, 1, [...trunk, ...branches[0]!])
    const two = await rigNode(world, 2, [...trunk, ...branches[1]!])
    await one.dial(two)
    const [left, right] = branches.map((branch) => branch.at(-1)!.current_hash)
    const lower = left! < right! ? left : right
    await world.runUntil(() => one.head === lower && two.head === lower, 10_000)
  })

  test('threats row 13: a branch beyond the limit is refused, an operator is told once, and its bodies are never fetched', async () => {
    const world = simRuntime({ seed: 21 })
    const node = await rigNode(world, 1, [...trunk, ...history(20, 2, top)], { reorganisation_blocks_max: 10 })
    const heavier = [...trunk, ...history(60, 3, top)]
    const odd = await new OddPeer(9, honestReply(heavier)).join(world, node, heavier.length)
    await world.advance(50_000)
    expect(node.height).toBe(50)
    expect(odd.asked('block_request')).toEqual([])
    expect(odd.closedAt).toBeUndefined()
    expect(odd.asked('header_request').length).toBeLessThanOrEqual(2)
    expect(node.facts('reorganisation:refused')).toHaveLength(1)
  })

  test('threats row 12: headers that weigh less than our chain cost no bodies and leave nothing behind', async () => {
    const world = simRuntime({ seed: 22 })
    const node = await rigNode(world, 1, [...trunk, ...history(40, 2, top)])
    const lighter = [...trunk, ...history(39, 3, top)]
    const odd = await new OddPeer(9, honestReply(lighter)).join(world, node, lighter.length)
    await world.advance(60_000)
    expect(odd.asked('header_request').length).toBeGreaterThan(0)
    expect(odd.asked('block_request')).toEqual([])
    expect(node.ledger.counts().sideBlocks).toBe(0)
    expect(odd.closedAt).toBeUndefined()
  })
})

test('a peer whose chain has other blocks at these heights is not blamed, and not asked for them all the time', async () => {
  const world = simRuntime({ seed: 23 })
  const heavier = [...trunk, ...history(400, 2, top)]
  const newcomer = await rigNode(world, 1)
  const source = await rigNode(world, 2, heavier)
  const other = new OddPeer(
    9,
    honestReply([...trunk, ...history(300, 3, top)], () => 500),
  )
  await newcomer.dial(source)
  await other.join(world, newcomer, 500)
  await world.runUntil(() => newcomer.head === heavier.at(-1)!.current_hash, 20_000)
  expect(newcomer.facts('peer:banned')).toEqual([])
  expect(other.asked('block_request').length).toBeLessThan(10)
})

test('the source has reorganised after it showed its headers: its blocks are asked for by hash', async () => {
  const world = simRuntime({ seed: 24 })
  const newcomer = await rigNode(world, 1)
  const before = honestReply(trunk)
  let ranges = 0
  const odd = new OddPeer(9, (question) => {
    if (question['type'] !== 'block_request' || 'hash' in question) return before(question)
    ranges++
    return { type: 'block_response', blocks: [] }
  })
  await odd.join(world, newcomer, trunk.length)
  await world.runUntil(() => newcomer.height === trunk.length, 20_000)
  expect(ranges).toBeGreaterThan(0)
  expect(odd.closedAt).toBeUndefined()
})

test('nobody has the blocks of the headers: given up, and what the others have is fetched', async () => {
  const world = simRuntime({ seed: 25 })
  const newcomer = await rigNode(world, 1)
  const promised = honestReply([...trunk, ...history(50, 2, top)])
  const odd = new OddPeer(9, (question) =>
    question['type'] === 'block_request' ? { type: 'block_response', blocks: [] } : promised(question),
  )
  await odd.join(world, newcomer, 80)
  await newcomer.dial(await rigNode(world, 2, trunk))
  await world.runUntil(() => newcomer.height === trunk.length, 30_000)
})

test('threats row 12: a long branch that does not show more work within the limit on headers is given up', async () => {
  const world = simRuntime({ seed: 33 })
  const node = await rigNode(world, 1, [...trunk, ...history(400, 2, top)], { sync_headers_max: 100 })
  const lighter = [...trunk, ...history(390, 3, top)]
  const odd = await new OddPeer(9, honestReply(lighter)).join(world, node, lighter.length)
  await world.advance(5_000)
  expect(odd.asked('header_request')).toHaveLength(1)
  expect(odd.asked('block_request')).toEqual([])
  expect(odd.closedAt).toBeUndefined()
})

test('a limit on headers below one answer: it takes more answers', async () => {
  const world = simRuntime({ seed: 34 })
  const blocks = history(1_200, 7)
  const node = await rigNode(world, 1, [], { sync_headers_max: 500 })
  await node.dial(await rigNode(world, 2, blocks))
  await world.runUntil(() => node.height === 1_200, 30_000)
})

describe('in the middle of it', () => {
  const blocks = history(1_500, 4)

  test('all peers leave and another comes; then the node itself is restarted', async () => {
    const world = simRuntime({ seed: 26, latencyMilliseconds: [20, 60] })
    const ledger = ledgerOf([])
    const first = await new RigNode(world, '10.0.0.1', ledger).start()
    const two = await rigNode(world, 2, blocks)
    await first.dial(two)
    await world.runUntil(() => first.height >= 200, 30_000)
    await two.stop()
    await world.advance(3_000)
    expect(first.height).toBeLessThan(1_500)
    const reached = first.height
    const three = await rigNode(world, 3, blocks)
    await first.dial(three)
    await world.runUntil(() => first.height >= reached + 200, 30_000)
    await first.stop()
    expect(ledger.head().header.index).toBeLessThan(1_500)
    const again = await new RigNode(world, '10.0.0.1', ledger).start()
    await again.dial(three)
    await world.runUntil(() => again.head === blocks.at(-1)!.current_hash, 30_000)
    expect(again.facts('peer:banned')).toEqual([])
  })

  test('the disk is full for a while: nobody is blamed, and it goes on by itself', async () => {
    const world = simRuntime({ seed: 27 })
    const ledger = ledgerOf([])
    const commit = ledger.commit.bind(ledger)
    let [full, wasFull] = [false, false]
    ledger.commit = (change) => {
      if (full) throw new AurexError('storage-full', 'no space left on device')
      commit(change)
      if (!wasFull && ledger.head().header.index >= 300) full = wasFull = true
    }
    const node = await new RigNode(world, '10.0.0.1', ledger).start()
    await node.dial(await rigNode(world, 2, blocks))
    await world.runUntil(() => full, 20_000)
    await world.advance(8_000)
    expect(node.height).toBeLessThan(1_500)
    full = false
    await world.runUntil(() => node.height === 1_500, 30_000)
    expect(node.peers).toBe(1)
    expect(node.facts('sync:started')).toHaveLength(1)
    expect(node.facts('peer:banned')).toEqual([])
  })

  test('the heavier chain of another peer is followed after the first', async () => {
    const world = simRuntime({ seed: 28 })
    const heavier = [...blocks.slice(0, 1_000), ...history(600, 5, blocks[999])]
    const node = await rigNode(world, 1)
    await node.dial(await rigNode(world, 2, blocks))
    await node.dial(await rigNode(world, 3, heavier))
    await world.runUntil(() => node.head === heavier.at(-1)!.current_hash, 60_000)
  })

  test('headers do not run ahead of their blocks by more than the limit', async () => {
    const world = simRuntime({ seed: 29 })
    const long = history(4_500, 6)
    const node = await rigNode(world, 1, [], { sync_headers_max: 2_500 })
    let ahead = 0
    const honest = honestReply(long)
    const odd = new OddPeer(9, (question) => {
      const answer = honest(question)
      const headers = answer?.['headers']
      if (Array.isArray(headers) && headers.length > 0)
        ahead = Math.max(ahead, (headers.at(-1) as { index: number }).index - node.height)
      return answer
    })
    await odd.join(world, node, long.length)
    await world.runUntil(() => node.height === 4_500, 60_000)
    expect(ahead).toBeLessThanOrEqual(2_500)
    expect(ahead).toBeGreaterThan(1_000)
  })
})
