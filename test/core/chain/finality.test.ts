// What is final and justified moves, and the recorded chain with it.
import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { Block } from '../../../core/chain/block.ts'
import { AurexError } from '../../../core/errors.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import { makeBlock, makeTransaction } from '../../support/blocks.ts'
import { transactionHash } from '../../../core/chain/transaction.ts'
import { dice } from '../../support/dice.ts'
import { eventually } from '../../support/eventually.ts'
import { genesis, lab, ToldFinality, type Lab } from './lab.ts'
import { LabTree, pick, rankOf, shuffled } from './labtree.ts'

async function deliver({ chain }: Lab, ...blocks: readonly unknown[]): Promise<void> {
  for (const block of blocks) expect(await chain.submitBlock(block)).toMatchObject({ ok: true })
}

const codeOf = (verdict: { readonly ok: boolean; readonly code?: string }): string =>
  verdict.ok ? 'ok' : verdict.code!

const rowOf = (parent: Block, works: readonly number[], extra: string): Block[] => {
  const row: Block[] = []
  for (const work of works) row.push(makeBlock(row.at(-1) ?? parent, { work, extra }))
  return row
}

describe('with no room for more beside the chain', () => {
  const heavy = rowOf(genesis.block, [9, 9, 9, 9, 9, 9, 9, 9], 'recorded')
  const crowd = ['a', 'b', 'c', 'd'].map((extra) => makeBlock(heavy[5]!, { work: 8, extra }))

  test('a light branch that others made final is fetched piece by piece, and becomes the chain', async () => {
    const finality = new ToldFinality()
    const node = lab({ finality, limits: { side_blocks_max: 3 } })
    await deliver(node, ...heavy)
    for (const block of crowd) await node.chain.submitBlock(block)
    const light = rowOf(genesis.block, [1, 1, 1, 1, 1, 1], 'light')
    expect(await node.chain.submitBranch(light.slice(0, 2))).toMatchObject({ verdict: { code: 'side-blocks-full' } })
    for (const from of [0, 2, 4]) {
      const piece = light.slice(from, from + 2)
      expect(await node.chain.submitBranch(piece, 'a peer', true)).toEqual({ verdict: { ok: true }, taken: 2 })
      for (const block of crowd) await node.chain.submitBlock(block)
    }
    finality.tell({ justified: light[5]!, final: light[5]! })
    expect(node.head()).toBe(light[5]!.current_hash)
    await node.stop()
  })

  test('what is justified and what this node signed last stay, however light they are', async () => {
    const finality = new ToldFinality()
    // It may not be adopted: it would undo too much.
    const node = lab({
      finality,
      limits: { side_blocks_max: 3, reorganisation_blocks_max: 6 },
      engine: { turn: ({ index }) => [index] },
    })
    await deliver(node, heavy[0])
    const [own, justified] = [makeBlock(heavy[0]!, { extra: 'own' }), makeBlock(heavy[0]!, { extra: 'justified' })]
    await deliver(node, ...heavy.slice(1, 7))
    const reserved = node.signing.reserveBlock([2], own.current_hash)
    const records = reserved.ok ? reserved.value : []
    expect(await node.chain.submitBlock(own, 'local', undefined, records)).toEqual({ ok: true })
    await node.chain.submitBranch([justified], 'a peer', true)
    await deliver(node, heavy[7])
    finality.tell({ justified })
    for (const block of crowd) await node.chain.submitBranch([block], 'a peer', true)
    expect([own, justified].map(({ current_hash }) => node.chain.header(current_hash)?.recorded)).toEqual([
      false,
      false,
    ])
    expect(node.storage.counts().sideBlocks).toBe(3)
    await node.stop()
  })
})

describe('on random trees, with justified and final checkpoints that move', () => {
  test('the recorded chain is the best of all that came, and holds the final block once that is here', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 2 ** 31 }), async (seed) => {
        const roll = dice(seed)
        const tree = new LabTree(roll, 16)
        const finality = new ToldFinality()
        const limits = { orphan_blocks_per_source_max: 100 }
        const node = lab({ finality, limits, engine: { rank: rankOf } })
        const came = new Set<Block>([genesis.block])
        let [final, justified]: Block[] = [genesis.block, genesis.block]
        /** The last that was final and here. */
        let fixed = genesis.block
        const undoneBelow: string[] = []
        node.chain.watch({
          moved: ({ undone }) => {
            const fixed = node.storage.finalHeight()
            for (const hash of undone) {
              if (node.chain.header(hash)!.header.index <= fixed) undoneBelow.push(hash)
            }
          },
        })
        const agrees = async (): Promise<void> => {
          const known = [...came].filter((block) => tree.pathTo(block).every((one) => came.has(one)))
          if (known.includes(final!)) fixed = final!
          const allowed = known.filter((block) => tree.holds(block, fixed))
          const head = tree.best(allowed, final!, justified!)
          // Orphans whose parents came are taken in later turns.
          await eventually(
            () => node.head() === head.current_hash,
            `seed ${seed}: block ${head.extra} is the head`,
            2_000,
          )
          const path = tree.pathTo(head)
          for (const block of path)
            expect(node.chain.headerAt(block.index)?.header.current_hash).toBe(block.current_hash)
          expect(tree.holds(head, fixed)).toBe(true)
          expect(node.chain.finalHeight()).toBe(fixed.index)
        }
        // Mostly parents first, so that there is something to move.
        const order = roll() < 0.5 ? tree.blocks : shuffled(roll, tree.blocks)
        for (const block of order) {
          await node.chain.submitBlock(block)
          came.add(block)
          await agrees()
          if (roll() < 0.3) {
            const above = tree.blocks.filter((one) => tree.holds(one, final!))
            justified = pick(roll, [final!, ...above])
            finality.tell({ justified })
            await agrees()
          }
          if (roll() < 0.2) {
            // Never one that conflicts with an earlier one; it need not be here yet.
            final = pick(roll, [final!, ...tree.blocks.filter((one) => tree.holds(one, final!))].slice(0, 4))
            finality.tell({ final })
            await agrees()
          }
        }
        expect(undoneBelow).toEqual([])
        await node.stop()
      }),
      { numRuns: 40 },
    )
  }, 30_000)
})

describe('a checkpoint', () => {
  const [a1, a2, a3] = rowOf(genesis.block, [5, 5, 5], 'a') as [Block, Block, Block]
  const [b1, b2] = rowOf(genesis.block, [1, 1], 'b') as [Block, Block]

  test('that is justified moves the head to a lighter branch, in one commit that others hear of', async () => {
    const finality = new ToldFinality()
    const node = lab({ finality })
    const moves: unknown[] = []
    node.chain.watch({ moved: ({ undone, applied, from }) => moves.push([undone.length, applied.length, from]) })
    await deliver(node, a1, a2, b1, b2)
    moves.length = 0
    finality.heard.length = 0
    const before = node.storage.outboxEnd()
    finality.tell({ justified: b1 })
    expect(node.head()).toBe(b2.current_hash)
    expect(moves).toEqual([[2, 2, 'local']])
    expect(finality.heard).toEqual(['head 2'])
    expect(node.storage.outbox(before, 10).map(({ kind, index }) => `${kind} ${index}`)).toEqual([
      'undone 2',
      'undone 1',
      'applied 1',
      'applied 2',
    ])
    expect(node.told('head:moved').at(-1)).toMatchObject({ undone: [a2.current_hash, a1.current_hash] })
    expect(node.changes.slice(-2)).toEqual(['head', 'due'])
    finality.tell({ justified: a1 })
    expect(node.head()).toBe(a2.current_hash)
    await node.stop()
  })

  test('that is final is written and told once, and people see it', async () => {
    const finality = new ToldFinality()
    const transaction = makeTransaction(genesis, 1, { n: 1 })
    const hash = transactionHash(transaction, genesis.rules.chainId)
    const node = lab({ finality })
    const holding = makeBlock(genesis.block, { transactions: [transaction] })
    await deliver(node, holding, makeBlock(holding))
    expect(node.chain.status(hash).status).toBe('included')
    finality.tell({ final: holding })
    finality.tell({})
    expect(node.chain.status(hash).status).toBe('final')
    expect(node.chain.finalHeight()).toBe(1)
    expect(node.told('chain:finalized')).toEqual([{ index: 1, hash: holding.current_hash }])
    expect(node.storage.outbox(0, 10).map(({ kind }) => kind)).toEqual(['applied', 'applied', 'final'])
    await node.stop()
  })

  test('that is final before its block is here is so with the block, whatever that weighs', async () => {
    const finality = new ToldFinality()
    const node = lab({ finality })
    await deliver(node, a1, a2, a3)
    finality.tell({ final: b2 })
    expect(node.chain.finalHeight()).toBe(0)
    await deliver(node, b1, b2)
    expect(node.head()).toBe(b2.current_hash)
    expect(node.chain.finalHeight()).toBe(2)
    expect(node.told('reorganisation:refused')).toEqual([])
    await node.stop()
  })

  test('that moves while others are told of a block counts as soon as they are', async () => {
    const finality = new ToldFinality()
    const node = lab({ finality })
    await deliver(node, a1, b1)
    let told = false
    node.chain.watch({
      moved: ({ head }) => {
        if (told || head.index !== 2) return
        told = true
        finality.tell({ justified: b1 })
        expect(node.head()).toBe(a2.current_hash)
      },
    })
    await deliver(node, a2)
    expect(node.head()).toBe(b1.current_hash)
    await node.stop()
  })

  test('that cannot be written is tried again with the next block; nothing below it is undone meanwhile', async () => {
    const finality = new ToldFinality()
    let full = false
    class Full extends MemoryLedger {
      override finalize(height: number): void {
        if (full) throw new AurexError('storage-full', 'there is no room')
        super.finalize(height)
      }
    }
    const node = lab({ finality, storage: new Full() })
    await deliver(node, a1, a2)
    full = true
    finality.tell({ final: a1 })
    expect(node.chain.finalHeight()).toBe(0)
    expect(node.chain.storageFailure()).toMatchObject({ why: 'there is no room' })
    expect(codeOf(await node.chain.submitBlock(makeBlock(genesis.block, { work: 99 })))).toBe('below-final')
    full = false
    await deliver(node, a3)
    expect(node.chain.finalHeight()).toBe(1)
    expect(node.chain.storageFailure()).toBeUndefined()
    await node.stop()
  })

  test('whose chain cannot be written is adopted with the next block', async () => {
    const finality = new ToldFinality()
    let full = false
    class Full extends MemoryLedger {
      override commit(...args: Parameters<MemoryLedger['commit']>): void {
        if (full) throw new AurexError('storage-full', 'there is no room')
        super.commit(...args)
      }
    }
    const node = lab({ finality, storage: new Full() })
    await deliver(node, a1, a2, b1)
    full = true
    finality.tell({ justified: b1 })
    expect(node.head()).toBe(a2.current_hash)
    full = false
    await deliver(node, a3)
    expect(node.head()).toBe(b1.current_hash)
    await node.stop()
  })

  test('that was final stays so for a node that starts anew, even if nobody says so any more', async () => {
    const storage = new MemoryLedger()
    const finality = new ToldFinality()
    const node = lab({ finality, storage })
    await deliver(node, a1)
    finality.tell({ final: a1 })
    await node.stop()
    const again = lab({ finality: new ToldFinality(), storage })
    expect(again.chain.finalHeight()).toBe(1)
    expect(codeOf(await again.chain.submitBlock(makeBlock(genesis.block, { work: 99 })))).toBe('below-final')
    await again.stop()
  })
})

describe('threats row 13: a branch that leaves below the final block', () => {
  const main = rowOf(genesis.block, [5, 5, 5, 5], 'main')
  const alarm = 'a heavier branch was refused: it would undo what is final'

  test('is declined, with one alarm for all of it once it is heavier', async () => {
    const finality = new ToldFinality()
    const node = lab({ finality })
    await deliver(node, ...main)
    finality.tell({ final: main[2]! })
    const branch = rowOf(main[0]!, [1, 1, 90, 90], 'branch')
    expect(codeOf(await node.chain.submitBlock(branch[0]))).toBe('below-final')
    expect((await node.chain.submitBranch(branch.slice(0, 2))).verdict).toMatchObject({ provable: false })
    expect(node.lines).toEqual([])
    for (let times = 0; times < 3; times++) {
      expect(codeOf((await node.chain.submitBranch(branch)).verdict)).toBe('below-final')
    }
    const trail = node.chain.trail(main[0]!.current_hash)!
    const headers = branch.map(({ transactions: _none, ...header }) => header)
    expect(codeOf(await trail.extend(headers))).toBe('below-final')
    expect(node.lines).toEqual([alarm])
    expect(node.told('reorganisation:refused')).toEqual([
      { code: 'below-final', block: branch[0]!.current_hash, depth: 3, depthMax: 1 },
    ])
    expect(node.head()).toBe(main[3]!.current_hash)
    // On the final block and above it, branches are as ever.
    await deliver(node, ...rowOf(main[2]!, [90], 'allowed'))
    expect(node.chain.head().header.extra).toBe('allowed')
    await node.stop()
  })

  test('is no alarm while it is one block beside the final one, as among miners that race; it is once it grows', async () => {
    const finality = new ToldFinality()
    const node = lab({ finality })
    await deliver(node, ...main.slice(0, 3))
    finality.tell({ final: main[2]! })
    const rivals = rowOf(main[1]!, [90, 90], 'rival')
    expect(codeOf(await node.chain.submitBlock(rivals[0]))).toBe('below-final')
    expect(node.lines).toEqual([])
    expect(codeOf((await node.chain.submitBranch(rivals)).verdict)).toBe('below-final')
    expect(node.lines).toEqual([alarm])
    await node.stop()
  })

  test('is taken where it holds the final block and the recorded chain does not, but not beyond the depth limit', async () => {
    const branch = rowOf(genesis.block, [1], 'branch')
    const near = new ToldFinality()
    const node = lab({ finality: near, limits: { reorganisation_blocks_max: 4 } })
    await deliver(node, ...main)
    near.tell({ final: branch[0]! })
    await deliver(node, ...branch)
    expect(node.head()).toBe(branch[0]!.current_hash)
    await node.stop()
    const far = new ToldFinality()
    const deep = lab({ finality: far, limits: { reorganisation_blocks_max: 3 } })
    await deliver(deep, ...main)
    far.tell({ final: branch[0]! })
    expect(codeOf(await deep.chain.submitBlock(branch[0]))).toBe('reorganisation-too-deep')
    expect(deep.told('reorganisation:refused')).toMatchObject([{ code: 'reorganisation-too-deep', depth: 4 }])
    expect(deep.lines).toHaveLength(1)
    await deep.stop()
  })

  test('is never adopted, though a finality that contradicts itself says so', async () => {
    const finality = new ToldFinality()
    const node = lab({ finality })
    const other = rowOf(genesis.block, [1, 1, 1], 'other')
    await deliver(node, ...main.slice(0, 2), ...other)
    finality.tell({ final: main[1]! })
    finality.tell({ final: other[2]! })
    expect(node.head()).toBe(main[1]!.current_hash)
    expect(node.chain.finalHeight()).toBe(2)
    expect(node.told('reorganisation:refused')).toMatchObject([{ code: 'below-final' }])
    // Nor is it tried: that the ledger would refuse it is no reason to ask.
    expect(node.chain.storageFailure()).toBeUndefined()
    await node.stop()
  })
})

describe('an engine whose blocks are final at once', () => {
  test('writes that with the block, tells it, and undoes nothing', async () => {
    const changes: unknown[] = []
    class Watched extends MemoryLedger {
      override commit(...args: Parameters<MemoryLedger['commit']>): void {
        changes.push(args[0].final)
        super.commit(...args)
      }
      override finalize(): void {
        throw new Error('it is final with its commit')
      }
    }
    const node = lab({ engine: { finalAtOnce: true }, storage: new Watched() })
    const [first, second] = rowOf(genesis.block, [1, 1], 'agreed') as [Block, Block]
    await deliver(node, first, second)
    expect(changes).toEqual([1, 2])
    expect(node.chain.finalHeight()).toBe(2)
    expect(node.told('chain:finalized')).toEqual([
      { index: 1, hash: first.current_hash },
      { index: 2, hash: second.current_hash },
    ])
    expect(codeOf(await node.chain.submitBlock(makeBlock(first, { work: 9 })))).toBe('below-final')
    expect(node.lines).toHaveLength(1)
    await node.stop()
  })
})

test('without a finality nothing is final but block 0', async () => {
  const node = lab()
  await deliver(node, ...rowOf(genesis.block, [1, 1], 'plain'))
  expect(node.chain.finalHeight()).toBe(0)
  expect(node.told('chain:finalized')).toEqual([])
  await node.stop()
})
