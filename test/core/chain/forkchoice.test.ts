import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { dice } from '../../support/dice.ts'
import { makeBlock } from '../../support/blocks.ts'
import type { Block } from '../../../core/chain/block.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import { genesis, lab, ToldFinality, type Lab } from './lab.ts'
import { LabTree, pick, rankOf, shuffled } from './labtree.ts'

const seeds = fc.integer({ min: 1, max: 2 ** 31 })
const engine = { rank: rankOf }

async function deliver({ chain }: Lab, blocks: readonly unknown[]): Promise<void> {
  for (const block of blocks) expect(await chain.submitBlock(block)).toMatchObject({ ok: true })
}

describe('the order of chains', () => {
  test('is total, and as a look at the whole tree has it, whatever is final and justified', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const roll = dice(seed)
        const tree = new LabTree(roll, 12)
        const finality = new ToldFinality()
        // Nothing is final while the blocks come, so that all of them are kept.
        const node = lab({ engine, finality })
        await deliver(node, tree.blocks)
        const final = pick(roll, tree.blocks)
        const justified = pick(roll, tree.blocks)
        finality.door = undefined
        finality.tell({ final, justified })
        const all = [genesis.block, ...tree.blocks].map(({ current_hash }) => node.chain.header(current_hash)!)
        for (const a of all) {
          for (const b of all) {
            const order = tree.compare(a.header, b.header, final, justified)
            expect(node.chain.prefers(a, b)).toBe(order > 0)
            expect(node.chain.prefers(b, a)).toBe(order < 0)
          }
        }
        await node.stop()
      }),
      { numRuns: 20 },
    )
  }, 30_000)

  test('leads to the same head in whatever order blocks come', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const roll = dice(seed)
        const tree = new LabTree(roll, 12)
        const final = pick(roll, tree.blocks)
        // What is justified stands on what is final.
        const justified = pick(
          roll,
          tree.blocks.filter((block) => tree.holds(block, final)),
        )
        const expected = tree.best(tree.blocks, final, justified)
        for (let run = 0; run < 3; run++) {
          const finality = new ToldFinality()
          const node = lab({ engine, finality, limits: { orphan_blocks_per_source_max: 100 } })
          finality.tell({ final, justified })
          for (const block of shuffled(roll, tree.blocks)) await node.chain.submitBlock(block)
          // An orphan whose parent was declined meanwhile comes again, as peers send it again.
          for (const block of tree.blocks) await node.chain.submitBlock(block)
          expect(node.head()).toBe(expected.current_hash)
          await node.stop()
        }
      }),
      { numRuns: 15 },
    )
  }, 30_000)
})

test('the rank of an engine decides between heads of the same weight, and then the lower hash', async () => {
  const low = makeBlock(genesis.block, { extra: '0' })
  const tied = Array.from({ length: 6 }, (_, i) => makeBlock(genesis.block, { extra: `${i} 1` }))
  const node = lab({ engine })
  await deliver(node, [low, ...tied])
  const lowest = tied.map(({ current_hash }) => current_hash).toSorted()[0]!
  expect(node.head()).toBe(lowest)
  const plain = lab()
  await deliver(plain, [low, ...tied])
  expect(plain.head()).toBe([low.current_hash, lowest].toSorted()[0]!)
})

test('a header trail is worth fetching by the same order', async () => {
  const finality = new ToldFinality()
  const node = lab({ finality })
  const heavy = makeBlock(genesis.block, { work: 9 })
  const light = makeBlock(genesis.block, { work: 2, extra: 'light' })
  await deliver(node, [heavy])
  const trail = node.chain.trail(genesis.block.current_hash)!
  const { transactions: _none, ...header } = light
  expect(await trail.extend([header])).toEqual({ ok: true })
  expect(trail.isBetter).toBe(false)
  finality.tell({ justified: light })
  expect(trail.isBetter).toBe(true)
  finality.tell({ final: heavy })
  expect(trail.isBetter).toBe(false)
})

test('however many branches there are beside the chain, a move of what is final walks down none that weighs less', async () => {
  let reads = 0
  class Counting extends MemoryLedger {
    override header(...args: Parameters<MemoryLedger['header']>) {
      reads++
      return super.header(...args)
    }
    override headerAt(...args: Parameters<MemoryLedger['headerAt']>) {
      reads++
      return super.headerAt(...args)
    }
  }
  const finality = new ToldFinality()
  const node = lab({ finality, storage: new Counting() })
  const chain: Block[] = []
  for (let i = 0; i < 100; i++) chain.push(makeBlock(chain.at(-1) ?? genesis.block, { work: 2 }))
  await deliver(node, chain)
  await deliver(
    node,
    chain.slice(0, 99).map((parent) => makeBlock(parent, { work: 1, extra: 'beside' })),
  )
  reads = 0
  finality.tell({ justified: chain[1]! })
  expect(node.storage.counts().sideBlocks).toBe(99)
  expect(reads).toBeLessThan(20)
})
