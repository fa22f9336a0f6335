// Branches that are lighter than ours and must be fetched all the same, and heavier ones that never may be taken.
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { Block } from '../../../../core/chain/block.ts'
import type { JsonObject } from '../../../../core/chain/json.ts'
import { sha256Hex } from '../../../../core/chain/canonical.ts'
import type { Limits } from '../../../../core/limits.ts'
import { blockOn, blocksOn, checkpointOf, genesis, RelayTown, SaidFinal, type RelayNode } from '../relay/rig.ts'

// The world's time is what counts; on a busy machine it takes long to pass.
setDefaultTimeout(60_000)

const trunk = blocksOn(genesis.block, 20)
const top = trunk.at(-1)!

/** A node on the trunk and these blocks, to which finality says what the test wants. */
async function nodeOn(
  town: RelayTown,
  n: number,
  blocks: readonly Block[],
  justified?: Block,
  limits: Partial<Limits> = {},
) {
  const finality = new SaidFinal()
  if (justified !== undefined) finality.justifiedPoint = checkpointOf(justified)
  const node = town.relayNode(n, limits, { finality })
  for (const part of [trunk, blocks]) {
    const { verdict } = await town.world.settled(node.chain.submitBranch(part))
    if (!verdict.ok) throw new Error(verdict.detail)
  }
  return Object.assign(node, { finality })
}

const headOf = ({ chain }: RelayNode): string => chain.head().header.current_hash
const isBeside = ({ chain }: RelayNode, { current_hash: hash }: Block): boolean =>
  chain.header(hash)?.recorded === false
const asked = (town: RelayTown, by: RelayNode, type: string): JsonObject[] =>
  town.of(type).flatMap(({ from, message }) => (from === by.host ? [message] : []))

describe('a checkpoint that is not here', () => {
  test('is fetched from who has it on its chain, with all below it and nothing above; then fork choice decides', async () => {
    const town = new RelayTown()
    const [ours, theirs] = [blocksOn(top, 330, 'ours'), blocksOn(top, 320, 'theirs')]
    const point = theirs[249]!
    const a = await nodeOn(town, 1, ours)
    const b = await nodeOn(town, 2, theirs, point)
    await town.join(a, b)
    await town.world.advance(30_000)
    // The lighter branch is of no interest by itself; and what is justified there is not left for ours.
    expect([a, b].map(headOf)).toEqual([ours.at(-1)!.current_hash, theirs.at(-1)!.current_hash])
    a.chain.fetch(checkpointOf(point), b.key.nodeId)
    await town.world.runUntil(() => a.chain.header(point.current_hash) !== undefined, 10_000)
    await town.world.advance(1_000)
    expect([theirs[0]!, point].map((block) => isBeside(a, block))).toEqual([true, true])
    expect(a.chain.header(theirs[250]!.current_hash)).toBeUndefined()
    expect(headOf(a)).toBe(ours.at(-1)!.current_hash)
    // Now it is justified here, too: it is the best, and what stands above it is fetched although it weighs less.
    a.finality.justifiedPoint = checkpointOf(point)
    a.chain.reconsider()
    expect(headOf(a)).toBe(point.current_hash)
    await town.world.runUntil(() => headOf(a) === theirs.at(-1)!.current_hash, 60_000)
    expect([a.left(), b.left()]).toEqual([[], []])
  })

  test('is fetched from who has it beside its chain', async () => {
    const town = new RelayTown()
    const [ours, theirs] = [blocksOn(top, 30, 'ours'), blocksOn(top, 25, 'theirs')]
    const a = await nodeOn(town, 1, ours)
    const b = await nodeOn(town, 2, theirs)
    await town.join(a, b)
    await town.world.runUntil(() => headOf(b) === headOf(a), 30_000)
    const point = theirs[19]!
    a.chain.fetch(checkpointOf(point), b.key.nodeId)
    await town.world.runUntil(() => isBeside(a, point), 10_000)
    expect([isBeside(a, theirs[0]!), a.chain.header(theirs[20]!.current_hash)]).toEqual([true, undefined])
  })

  test('is told of, once, where this node would have to undo too much for it', async () => {
    const town = new RelayTown()
    const theirs = blocksOn(top, 25, 'theirs')
    const a = await nodeOn(town, 1, blocksOn(top, 30, 'ours'), undefined, { reorganisation_blocks_max: 29 })
    const b = await nodeOn(town, 2, theirs, theirs[20])
    await town.join(a, b)
    for (let i = 0; i < 3; i++) {
      a.chain.fetch(checkpointOf(theirs[20]!), b.key.nodeId)
      await town.world.advance(30_000)
    }
    const told = a.logged.filter(({ level }) => level === 'error')
    expect(told.map(({ message }) => message)).toEqual([expect.stringContaining('it does not follow them any more')])
    expect(told[0]!.fields).toMatchObject({ ...checkpointOf(theirs[20]!), why: expect.stringContaining('30 blocks') })
    expect([a.left(), b.left()]).toEqual([[], []])
  })

  test('is asked of others where the one that spoke of it is gone, has it not, or does not answer', async () => {
    for (const first of ['gone', 'without', 'silent'] as const) {
      const town = new RelayTown()
      const [ours, theirs] = [blocksOn(top, 30, 'ours'), blocksOn(top, 25, 'theirs')]
      const a = await nodeOn(town, 1, ours)
      const b = await nodeOn(town, 2, theirs, theirs[9])
      await town.join(a, b)
      const stranger = await town.peer(a)
      const { nodeId } = a.network.peers.all().find((peer) => peer.nodeId !== b.key.nodeId)!
      if (first === 'gone') stranger.connection!.cut()
      if (first === 'without') {
        stranger.answer('block_request', ({ request_id: id }) =>
          stranger.say({ type: 'block_response', blocks: [], request_id: id! }),
        )
      }
      a.chain.fetch(checkpointOf(theirs[9]!), nodeId)
      await town.world.runUntil(() => isBeside(a, theirs[9]!), 15_000)
      expect([first, a.left()]).toEqual([first, first === 'gone' ? ['disconnected'] : []])
    }
  })

  test('that nobody has is asked for a bounded number of times, and few wait at once', async () => {
    const town = new RelayTown()
    const a = await nodeOn(town, 1, [])
    const b = await nodeOn(town, 2, [])
    await town.join(a, b)
    for (let n = 0; n < 100; n++) {
      a.chain.fetch({ index: 1_000 + n, hash: sha256Hex(`checkpoint ${n}`) }, b.key.nodeId)
    }
    await town.world.advance(10 * 60_000)
    const wanted = asked(town, a, 'block_request').flatMap(({ hash }) => (typeof hash === 'string' ? [hash] : []))
    // The highest eight, six times each.
    expect(new Set(wanted)).toEqual(new Set(Array.from({ length: 8 }, (_, i) => sha256Hex(`checkpoint ${92 + i}`))))
    expect(wanted).toHaveLength(8 * 6)
    expect([a.left(), b.left()]).toEqual([[], []])
  })

  test('whoever sends another branch’s blocks, that do not hold, for it is dropped', async () => {
    const town = new RelayTown()
    const a = await nodeOn(town, 1, [])
    const stranger = await town.peer(a)
    const [good] = blocksOn(top, 1)
    // The id is what was asked for; what it stands for is not.
    const forged = { ...good!, extra: 'another' }
    stranger.answer('block_request', ({ request_id: id }) =>
      stranger.say({ type: 'block_response', blocks: [forged], request_id: id! } as unknown as JsonObject),
    )
    a.chain.fetch(checkpointOf(good!), a.network.peers.all()[0]!.nodeId)
    await town.world.advance(1_000)
    expect(stranger.codes).toEqual(['bad-hash'])
  })

  test('is not fetched any more when the node stops', async () => {
    const town = new RelayTown()
    const a = await nodeOn(town, 1, [])
    await town.peer(a)
    a.chain.fetch({ index: 50, hash: sha256Hex('x') }, a.network.peers.all()[0]!.nodeId)
    await town.world.advance(20)
    const stopping = a.network.stop()
    await town.world.settled(stopping)
    a.chain.fetch({ index: 51, hash: sha256Hex('y') }, 'nobody')
    await town.world.advance(60_000)
    expect(asked(town, a, 'block_request').length).toBeLessThanOrEqual(1)
  })
})

describe('a node that catches up', () => {
  const heavy = blocksOn(top, 60, 'heavy')
  const light = blocksOn(top, 40, 'light')

  test('follows a lighter chain that holds what is justified', async () => {
    const town = new RelayTown()
    const a = await nodeOn(town, 1, heavy)
    const b = await nodeOn(town, 2, light, light[29])
    a.finality.justifiedPoint = checkpointOf(light[29]!)
    await town.join(a, b)
    await town.world.runUntil(() => headOf(a) === light.at(-1)!.current_hash, 30_000)
    expect([a.left(), b.left()]).toEqual([[], []])
  })

  test('fetches no block of a heavier chain that does not', async () => {
    const town = new RelayTown()
    const a = await nodeOn(town, 1, light, light[29])
    const b = await nodeOn(town, 2, heavy, heavy[29])
    await town.join(a, b)
    await town.world.advance(60_000)
    expect([a, b].map(headOf)).toEqual([light.at(-1)!.current_hash, heavy.at(-1)!.current_hash])
    expect(town.of('block_request')).toEqual([])
    expect([a.left(), b.left()]).toEqual([[], []])
  })
})

describe('threats row 13: a heavier branch below what is final', () => {
  test('is refused, its headers are not fetched again and again, and nobody is to blame', async () => {
    const town = new RelayTown()
    const ours = blocksOn(top, 5, 'ours')
    const a = await nodeOn(town, 1, ours)
    a.finality.finalPoint = a.finality.justifiedPoint = checkpointOf(ours[1]!)
    a.chain.reconsider()
    const theirs = blocksOn(top, 40, 'theirs')
    const b = await nodeOn(town, 2, theirs)
    await town.join(a, b)
    await town.world.advance(10 * 60_000)
    expect(headOf(a)).toBe(ours.at(-1)!.current_hash)
    expect([a.left(), b.left()]).toEqual([[], []])
    expect(asked(town, a, 'block_request')).toEqual([])
    // Once a minute, as of a branch that is too deep.
    expect(asked(town, a, 'header_request').length).toBeLessThanOrEqual(12)
  })

  test('that grows block by block near the head costs the blocks of its parents once', async () => {
    const town = new RelayTown()
    const ours = blocksOn(top, 5, 'ours')
    const a = await nodeOn(town, 1, ours)
    a.finality.finalPoint = a.finality.justifiedPoint = checkpointOf(ours[1]!)
    a.chain.reconsider()
    const begun = blocksOn(top, 6, 'theirs')
    const branch = new Map(begun.map((block) => [block.current_hash, block]))
    const peer = await town.peer(a)
    peer.answer('block_request', ({ hash, request_id: id }) => {
      const found = branch.get(hash as string)
      const blocks = (found === undefined ? [] : [found]) as unknown as JsonObject[]
      peer.say({ type: 'block_response', blocks, request_id: id! })
    })
    let tip = begun.at(-1)!
    for (let i = 0; i < 8; i++) {
      peer.say({ type: 'new_block', node_id: 'x', data: tip } as unknown as JsonObject)
      await town.world.advance(3_000)
      tip = blockOn(tip, [], 'theirs')
      branch.set(tip.current_hash, tip)
    }
    expect(headOf(a)).toBe(ours.at(-1)!.current_hash)
    expect(asked(town, a, 'block_request')).toHaveLength(5)
    expect([peer.codes, a.left()]).toEqual([[], []])
  })
})
