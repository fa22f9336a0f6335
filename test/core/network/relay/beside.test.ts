import { describe, expect, test } from 'bun:test'
import type { Block } from '../../../../core/chain/block.ts'
import type { Consensus } from '../../../../core/plugin.ts'
import { anything, blockOn, blocksOn, genesis, isOneOf, RelayTown, type RelayNode } from './rig.ts'

const turns: Consensus = { ...anything, turn: ({ index }) => [index] }

/** Two blocks of one height: the one that fork choice takes, and the other. */
function rivals(): [winner: Block, loser: Block] {
  const [a, b] = [blockOn(genesis.block, [], 'a'), blockOn(genesis.block, [], 'b')]
  return a.current_hash < b.current_hash ? [a, b] : [b, a]
}

async function line(town: RelayTown, consensus: Consensus): Promise<RelayNode[]> {
  const nodes = [1, 2, 3, 4].map((n) => town.relayNode(n, {}, { consensus }))
  for (const [i, node] of nodes.slice(1).entries()) await town.join(nodes[i]!, node)
  await town.world.advance(100)
  return nodes
}

const pairsOf = (town: RelayTown, { current_hash: hash }: Block): string[] =>
  town.sent
    .filter(({ message }) => isOneOf(message, 'new_block', 'compact_block'))
    .filter(({ message }) => (message['data'] as { current_hash?: string }).current_hash === hash)
    .map(({ from, to }) => `${from}>${to}`)

describe('a block beside the chain', () => {
  test('of an engine with turns reaches all, over each pair once, and never goes back', async () => {
    const town = new RelayTown()
    const nodes = await line(town, turns)
    const [winner, loser] = rivals()
    for (const block of [winner, loser]) {
      await town.world.settled(nodes[0]!.chain.submitBlock(block))
      await town.world.advance(1_000)
    }
    expect(nodes.map(({ chain }) => chain.head().header.current_hash)).toEqual(nodes.map(() => winner.current_hash))
    expect(nodes.map(({ chain }) => chain.header(loser.current_hash)?.recorded)).toEqual(nodes.map(() => false))
    expect(pairsOf(town, loser)).toEqual([1, 2, 3].map((n) => `10.0.0.${n}>10.0.0.${n + 1}`))
    expect(town.of('ERROR')).toEqual([])
  })

  test('of another engine stays where it is', async () => {
    const town = new RelayTown()
    const nodes = await line(town, anything)
    const [winner, loser] = rivals()
    for (const block of [winner, loser]) await town.world.settled(nodes[0]!.chain.submitBlock(block))
    await town.world.advance(1_000)
    expect(pairsOf(town, loser)).toEqual([])
  })

  test('of many that come at once only the newest are passed on', async () => {
    const town = new RelayTown()
    const [a] = await line(town, turns)
    await town.world.settled(a!.chain.submitBranch(blocksOn(genesis.block, 100, 'long')))
    await town.world.advance(2_000)
    const beside = blocksOn(genesis.block, 50, 'short')
    await town.world.settled(a!.chain.submitBranch(beside))
    await town.world.advance(2_000)
    const passedOn = beside.filter((block) => pairsOf(town, block).includes('10.0.0.1>10.0.0.2'))
    expect(passedOn).toEqual(beside.slice(-20))
  })

  test('of a key that signs without end is passed on twice a height, and nobody is dropped for it', async () => {
    const town = new RelayTown()
    const nodes = await line(town, turns)
    const chain = blocksOn(genesis.block, 400, 'long')
    await town.world.settled(nodes[0]!.chain.submitBranch(chain))
    await town.world.advance(5_000)
    const many = Array.from({ length: 700 }, (_, n) => blockOn(genesis.block, [], `${n}`))
    for (const block of many) await town.world.settled(nodes[0]!.chain.submitBlock(block))
    await town.world.advance(5_000)
    expect(many.filter((block) => pairsOf(town, block).length > 0)).toEqual(many.slice(0, 2))
    // At heights of its choice it may do more, at a pace that leaves the others room.
    const spread = chain.slice(0, 399).flatMap((parent) => [blockOn(parent, [], 'a'), blockOn(parent, [], 'b')])
    for (const block of spread) await town.world.settled(nodes[0]!.chain.submitBlock(block))
    await town.world.advance(5_000)
    expect(nodes.map(({ network }) => network.peers.size)).toEqual([1, 2, 2, 1])
    expect(town.of('ERROR')).toEqual([])
    expect(spread.filter((block) => pairsOf(town, block).length > 0).length).toBeLessThan(200)
  })

  test('is said again to all peers, whatever they are believed to have, when the chain asks for it', async () => {
    const town = new RelayTown()
    const nodes = await line(town, turns)
    const [winner, loser] = rivals()
    for (const block of [winner, loser]) await town.world.settled(nodes[1]!.chain.submitBlock(block))
    await town.world.advance(1_000)
    const before = pairsOf(town, loser).length
    nodes[1]!.chain.sayAgain(loser.current_hash)
    nodes[1]!.chain.sayAgain(winner.current_hash)
    await town.world.advance(1_000)
    expect(pairsOf(town, loser).slice(before)).toEqual(['10.0.0.2>10.0.0.1', '10.0.0.2>10.0.0.3'])
    expect(nodes.map(({ network }) => network.peers.size)).toEqual([1, 2, 2, 1])
  })
})
