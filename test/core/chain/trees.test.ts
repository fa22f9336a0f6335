// Random trees of blocks in random order, against a model that knows only what a block stands on.
import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { Block } from '../../../core/chain/block.ts'
import { developmentGenesis } from '../../../core/chain/genesis.ts'
import type { Transaction } from '../../../core/chain/transaction.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import { dice } from '../../support/dice.ts'
import { eventually } from '../../support/eventually.ts'
import { blockOn, chainWorld, idOf, someTransaction, type ChainWorld } from '../../support/chainworld.ts'

const genesis = developmentGenesis('pow', { difficulty: 1 }).block
const workOfBlock = 16n

type Roll = () => number
const pick = <T>(roll: Roll, from: readonly T[]): T => from[Math.floor(roll() * from.length)]!
const shuffled = <T>(roll: Roll, from: readonly T[]): T[] => from.toSorted(() => roll() - 0.5)

class Tree {
  readonly blocks: Block[] = []
  readonly transactions: Transaction[] = []
  readonly #byHash = new Map<string, Block>()

  constructor(roll: Roll, seed: number, size: number) {
    for (let i = 0; i < 8; i++) this.transactions.push(someTransaction())
    for (let i = 0; i < size; i++) {
      // Near the end of what there is, so that branches get long enough to displace each other.
      const parent = i === 0 ? genesis : pick(roll, [genesis, ...this.blocks].slice(-5))
      const some = this.transactions.filter(() => roll() < 0.2)
      const repeats = roll() < 0.1
      const transactions = some.filter((one) => repeats || !this.idsBelow(parent).has(idOf(one)))
      const block = blockOn(parent, { transactions, header: { extra: `${seed} ${i}` } })
      this.blocks.push(block)
      this.#byHash.set(block.current_hash, block)
    }
  }

  /** From block 1 up to and including this one. */
  pathTo(block: Block): Block[] {
    const path: Block[] = []
    for (let at: Block | undefined = block; at !== undefined && at.index > 0; at = this.#byHash.get(at.prev_hash))
      path.push(at)
    return path.toReversed()
  }

  idsBelow(block: Block): Set<string> {
    return new Set(this.pathTo(block).flatMap(({ transactions }) => transactions.map(idOf)))
  }

  /** Whether no id stands twice on its chain. */
  isValid(block: Block): boolean {
    const path = this.pathTo(block)
    return this.idsBelow(block).size === path.reduce((sum, { transactions }) => sum + transactions.length, 0)
  }
}

/** What a node must answer after what it was sent, whatever the order. */
class Model {
  readonly sent = new Set<Block>()
  /** Acknowledged, or recorded at some time. */
  readonly owed = new Set<string>()
  /** Recorded at some time. */
  readonly once = new Set<string>()
  readonly #tree: Tree
  constructor(tree: Tree) {
    this.#tree = tree
  }

  known(): Block[] {
    return [...this.sent].filter(
      (block) => this.#tree.isValid(block) && this.#tree.pathTo(block).every((one) => this.sent.has(one)),
    )
  }

  /** Most blocks, since all weigh the same, then the lower hash. */
  head(): Block {
    const better = (a: Block, b: Block): Block =>
      a.index !== b.index ? (a.index > b.index ? a : b) : a.current_hash < b.current_hash ? a : b
    return this.known().reduce(better, genesis)
  }

  pending(): string[] {
    const recorded = this.#tree.idsBelow(this.head())
    return [...this.owed].filter((hash) => !recorded.has(hash)).toSorted()
  }
}

async function agrees({ chain }: ChainWorld, model: Model, tree: Tree): Promise<void> {
  const head = model.head()
  await eventually(() => chain.head().header.current_hash === head.current_hash, `block ${head.index} is the head`)
  expect(chain.head().totalWork).toBe(BigInt(head.index) * workOfBlock)
  expect(chain.pendingHashes().toSorted()).toEqual(model.pending())
  const path = tree.pathTo(head)
  for (const [i, block] of path.entries()) expect(chain.headerAt(i + 1)?.header.current_hash).toBe(block.current_hash)
  for (const block of path) {
    for (const transaction of block.transactions) {
      expect(chain.status(idOf(transaction))).toMatchObject({ status: 'included', blockHash: block.current_hash })
    }
  }
  for (const hash of model.pending()) {
    expect(chain.status(hash)).toEqual({ status: model.once.has(hash) ? 'orphaned' : 'pending' })
  }
}

/** One way or another to send a block: alone, or at the end of a branch, prepared beforehand or not. */
async function send({ chain }: ChainWorld, tree: Tree, block: Block, roll: Roll): Promise<Block[]> {
  const path = tree.pathTo(block)
  const way = roll()
  if (way < 0.4) {
    await chain.submitBlock(block)
    return [block]
  }
  const branch = path.slice(Math.floor(roll() * path.length))
  if (way < 0.7) {
    const { verdict, taken } = await chain.submitBranch(branch)
    // The first of them waits for its parent.
    return branch.slice(0, !verdict.ok && verdict.code === 'orphan' ? 1 : taken)
  }
  const { taken } = await chain.submitBranch(await chain.prepareBranch(branch))
  return branch.slice(0, taken)
}

const limits = { orphan_blocks_per_source_max: 100 }
const ledgers = { memory: () => new MemoryLedger(), sqlite: () => 'sqlite' as const }

describe('random trees of blocks', () => {
  for (const [name, ledger] of Object.entries(ledgers)) {
    test(`${name}: head, pending set and rows are those of the model after every step; work never falls`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 1, max: 2 ** 31 }), async (seed) => {
          const roll = dice(seed)
          const tree = new Tree(roll, seed, 18)
          const model = new Model(tree)
          const node = await chainWorld({ limits, ledger: ledger() })
          for (const transaction of tree.transactions.filter(() => roll() < 0.5)) {
            await node.chain.submitTransaction(transaction)
            model.owed.add(idOf(transaction))
          }
          let work = 0n
          node.chain.watch({
            moved: ({ applied }) => {
              expect(node.chain.head().totalWork).toBeGreaterThanOrEqual(work)
              work = node.chain.head().totalWork
              for (const { hashes } of applied) {
                for (const hash of hashes) {
                  model.owed.add(hash)
                  model.once.add(hash)
                }
              }
            },
          })
          for (const block of shuffled(roll, tree.blocks)) {
            for (const sent of await send(node, tree, block, roll)) model.sent.add(sent)
            await agrees(node, model, tree)
          }
          await node.dispose()
        }),
        { numRuns: 12 },
      )
    }, 60_000)

    test(`${name}: sent all at once, twice, from several sides: the same head, nothing lost, nothing twice`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 1, max: 2 ** 31 }), async (seed) => {
          const roll = dice(seed)
          const tree = new Tree(roll, seed, 18)
          const model = new Model(tree)
          const node = await chainWorld({ limits, ledger: ledger() })
          node.chain.watch({
            moved: ({ applied }) => {
              for (const { hashes } of applied) for (const hash of hashes) model.once.add(hash)
            },
          })
          await Promise.all(tree.transactions.map((transaction) => node.chain.submitTransaction(transaction)))
          for (const transaction of tree.transactions) model.owed.add(idOf(transaction))
          for (const block of tree.blocks) model.sent.add(block)
          const all = shuffled(roll, [...tree.blocks, ...tree.blocks])
          await Promise.all(all.map((block) => send(node, tree, block, roll)))
          // Every block once more, oldest first: what was an orphan too many is sent again by somebody.
          for (const block of tree.blocks) await node.chain.submitBlock(block)
          await agrees(node, model, tree)
          const again = await node.restart()
          await agrees(again, model, tree)
          await again.dispose()
        }),
        { numRuns: 12 },
      )
    }, 60_000)
  }
})
