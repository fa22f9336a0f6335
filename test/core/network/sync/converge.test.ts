// Whatever branches nodes hold and however their lines fail: they end on one chain, and nobody is punished for it.
import { expect, setDefaultTimeout, test } from 'bun:test'
import * as fc from 'fast-check'
import type { Block } from '../../../../core/chain/block.ts'
import { simRuntime } from '../../../sim/runtime.ts'
import { genesis, history, OddPeer, rigNode, type Reply } from './rig.ts'

// The world's time is what counts; on a busy machine it takes long to pass.
setDefaultTimeout(60_000)

const nodesMax = 5

/** Each node grows a branch from some block of the one before it. */
const trees = fc.array(fc.record({ fork: fc.nat({ max: 40 }), length: fc.nat({ max: 40 }) }), {
  minLength: 2,
  maxLength: nodesMax,
})

function branchesOf(tree: readonly { readonly fork: number; readonly length: number }[]): Block[][] {
  const branches: Block[][] = []
  for (const [i, { fork, length }] of tree.entries()) {
    const below = (branches.at(-1) ?? []).slice(0, fork)
    branches.push([...below, ...history(length, i + 1, below.at(-1) ?? genesis.block)])
  }
  return branches
}

/** Heaviest, then of the lowest hash. */
function bestOf(branches: readonly Block[][]): string {
  const most = Math.max(...branches.map(({ length }) => length))
  const tips = branches.filter(({ length }) => length === most).map((branch) => branch.at(-1) ?? genesis.block)
  return tips.reduce((a, b) => (a.current_hash < b.current_hash ? a : b)).current_hash
}

test('nodes with any branches, over lines that break: all end on the best of them', async () => {
  const property = fc.asyncProperty(
    trees,
    fc.array(fc.nat({ max: nodesMax - 1 }), { maxLength: 8 }),
    fc.integer({ min: 1, max: 2 ** 31 }),
    async (tree, cuts, seed) => {
      const world = simRuntime({ seed, latencyMilliseconds: [1, 150] })
      const branches = branchesOf(tree)
      const nodes = await Promise.all(branches.map((branch, i) => rigNode(world, i + 1, branch)))
      // A line of nodes: what the last one has must go through all the others.
      for (const [i, node] of nodes.entries()) if (i > 0) await node.dial(nodes[i - 1]!)
      for (const cut of cuts) {
        await world.advance(40)
        const node = nodes[cut % nodes.length]!
        for (const peer of node.node.network.peers.all()) peer.connection.close('a line breaks')
        await world.advance(40)
        await node.dial(nodes[(cut + 1) % nodes.length]!)
      }
      for (const [i, node] of nodes.entries()) if (i > 0) await node.dial(nodes[i - 1]!)
      const best = bestOf(branches)
      await world.runUntil(() => nodes.every(({ head }) => head === best), 60_000)
      for (const node of nodes) expect(node.facts('peer:banned')).toEqual([])
      for (const node of nodes) await node.stop()
    },
  )
  await fc.assert(property, { numRuns: 25 })
})

test('a block whose parents were lost: they are asked for one after the other, by hash', async () => {
  const world = simRuntime({ seed: 31 })
  const blocks = history(9)
  const node = await rigNode(world, 1, blocks.slice(0, 2))
  const asked: unknown[] = []
  // It has no headers to show, as an older program.
  const reply: Reply = ({ type, hash }) => {
    if (type !== 'block_request') return undefined
    asked.push(hash)
    return { type: 'block_response', blocks: blocks.filter((block) => block.current_hash === hash) as never }
  }
  const odd = await new OddPeer(9, reply).join(world, node, 0)
  odd.send({ type: 'new_block', node_id: odd.key.nodeId, data: blocks[8] as never })
  await world.runUntil(() => node.height === 9, 10_000)
  expect(asked).toEqual([7, 6, 5, 4, 3, 2].map((place) => blocks[place]!.current_hash))
  expect(odd.closedAt).toBeUndefined()
})

test('news that were lost: a node at rest asks on its own and is not behind for longer than a minute', async () => {
  const world = simRuntime({ seed: 32 })
  const blocks = history(5)
  const one = await rigNode(world, 1, blocks.slice(0, 2))
  const two = await rigNode(world, 2, blocks.slice(0, 2))
  await one.dial(two)
  await world.advance(5_000)
  // Recorded behind the back of the node: nobody is told.
  const applied = blocks
    .slice(2)
    .map((block) => ({ block, hashes: [], receivedAt: [], totalWork: BigInt(block.index) }))
  two.ledger.commit({ undone: [], applied, returned: [], writtenAt: 0 })
  await world.runUntil(() => one.height === 5, 60_000)
})
