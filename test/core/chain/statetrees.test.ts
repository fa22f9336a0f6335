// Random trees of blocks whose transactions change a state, in random order, with some blocks that lie about it; against a
// model that executes every branch from the genesis.
import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { auditLedger } from '../../../core/chain/audit.ts'
import type { Block } from '../../../core/chain/block.ts'
import { transactionHash, type Transaction } from '../../../core/chain/transaction.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import { dice } from '../../support/dice.ts'
import { eventually } from '../../support/eventually.ts'
import { blockOn, chainWorld, someTransaction, type ChainWorld } from '../../support/chainworld.ts'
import { countersApplication, countersGenesis, CountersModel } from '../../support/counters.ts'

const genesis = countersGenesis()
const { chainId } = genesis.rules
const counters = ['bank', 'a', 'b']
const idOf = (transaction: Transaction): string => transactionHash(transaction, chainId)

type Roll = () => number
const pick = <T>(roll: Roll, from: readonly T[]): T => from[Math.floor(roll() * from.length)]!
const shuffled = <T>(roll: Roll, from: readonly T[]): T[] => from.toSorted(() => roll() - 0.5)

interface Node {
  readonly block: Block
  readonly parent: Node | undefined
  /** undefined: the block does not hold, nor does what stands on it. */
  readonly model: CountersModel | undefined
}

class Tree {
  readonly root: Node = { block: genesis.block, parent: undefined, model: CountersModel.opening() }
  readonly nodes: Node[] = []
  readonly transactions: Transaction[] = []

  constructor(roll: Roll, size: number) {
    for (let i = 0; i < 14; i++) {
      const data = { counter: pick(roll, counters), add: Math.round(roll() * 120) - 60 }
      this.transactions.push(someTransaction(undefined, data, chainId))
    }
    for (let i = 0; i < size; i++) {
      const parent = i === 0 ? this.root : pick(roll, [this.root, ...this.nodes].slice(-5))
      const below = idsBelow(parent)
      const careless = roll() < 0.1
      const transactions: Transaction[] = []
      for (const one of shuffled(roll, this.transactions)) {
        if (roll() < 0.7 || below.has(idOf(one))) continue
        if (careless || parent.model?.after([...transactions, one]) !== undefined) transactions.push(one)
      }
      const model = parent.model?.after(transactions)
      const lies = roll() < 0.1
      const state_root = lies ? 'f'.repeat(64) : (model?.root ?? parent.block.state_root)
      const block = blockOn(parent.block, { transactions, header: { extra: String(i), state_root } })
      this.nodes.push({ block, parent, model: lies ? undefined : model })
    }
  }
}

function pathTo(node: Node): Node[] {
  const path: Node[] = []
  for (let at: Node | undefined = node; at?.parent !== undefined; at = at.parent) path.unshift(at)
  return path
}

const idsBelow = (node: Node): Set<string> => new Set(pathTo(node).flatMap(({ block }) => block.transactions.map(idOf)))

const isValid = (node: Node): boolean => pathTo(node).every(({ model }) => model !== undefined)

function bestOf(tree: Tree, sent: ReadonlySet<Node>): Node {
  const known = tree.nodes.filter((node) => isValid(node) && pathTo(node).every((one) => sent.has(one)))
  const better = (a: Node, b: Node): Node => {
    if (a.block.index !== b.block.index) return a.block.index > b.block.index ? a : b
    return a.block.current_hash < b.block.current_hash ? a : b
  }
  return known.reduce(better, tree.root)
}

/** The whole state, at every height, and every block's own changes. */
async function agrees(node: ChainWorld, head: Node): Promise<void> {
  const { chain, storage } = node
  await eventually(
    () => chain.head().header.current_hash === head.block.current_hash,
    `${head.block.index} is the head`,
  )
  for (const one of pathTo(head)) {
    const { index, current_hash } = one.block
    for (const counter of counters) {
      expect(storage.stateAt(counter, index)).toBe(one.model!.counters.get(counter)?.toString())
    }
    expect(storage.stateChanges(current_hash)).toEqual(one.model!.changes)
    expect(chain.headerAt(index)?.header.state_root).toBe(one.model!.root)
  }
  // What is pending holds on it, in its order.
  const pending = chain.pendingHashes().map((hash) => chain.pending(hash)!)
  expect(head.model!.after(pending)).toBeDefined()
  const recorded = idsBelow(head)
  for (const one of pending) expect(recorded.has(idOf(one))).toBe(false)
}

function auditOf({ storage, engine }: ChainWorld) {
  const application = countersApplication()
  const audit = auditLedger({ storage, genesis, consensus: engine, application, signatures: false })
  let step = audit.next()
  while (step.done !== true) step = audit.next()
  return step.value
}

const ledgers = { memory: () => new MemoryLedger(), sqlite: () => 'sqlite' as const }
const limits = { orphan_blocks_per_source_max: 100 }

describe('random trees of blocks with a state', () => {
  for (const [name, ledger] of Object.entries(ledgers)) {
    test(`${name}: whatever is undone and comes back, every version of every key is the model’s`, async () => {
      const seen = { reorganised: 0, invalid: 0, valid: 0 }
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 1, max: 2 ** 31 }), async (seed) => {
          const roll = dice(seed)
          const tree = new Tree(roll, 18)
          const node = await chainWorld({ application: countersApplication(), limits, ledger: ledger() })
          const sent = new Set<Node>()
          for (const one of tree.transactions) if (roll() < 0.5) await node.chain.submitTransaction(one)
          const told = new Set<string>()
          for (const one of shuffled(roll, tree.nodes)) {
            for (let i = 0; i < 3; i++) await node.chain.submitTransaction(pick(roll, tree.transactions))
            const path = pathTo(one)
            const branch = roll() < 0.5 ? [one] : path.slice(Math.floor(roll() * path.length))
            const { verdict, taken } = await node.chain.submitBranch(branch.map(({ block }) => block))
            const waits = !verdict.ok && verdict.code === 'orphan'
            for (const arrived of branch.slice(0, waits ? 1 : taken)) sent.add(arrived)
            if (!verdict.ok) told.add(verdict.code)
            for (const arrived of branch.slice(0, taken)) expect(isValid(arrived)).toBe(true)
            await agrees(node, bestOf(tree, sent))
          }
          for (const code of told) expect(['orphan', 'bad-state-root', 'bad-transaction']).toContain(code)
          const moved = node.facts.filter(({ event }) => event === 'head:moved')
          seen.reorganised += moved.filter(({ fact }) => (fact as { undone: unknown[] }).undone.length > 0).length
          seen.invalid += node.facts.filter(({ event }) => event === 'block:refused').length
          seen.valid += moved.length
          expect(auditOf(node)).toBeUndefined()
          if (name === 'sqlite') {
            const again = await node.restart()
            await agrees(again, bestOf(tree, sent))
            await again.dispose()
          } else await node.dispose()
        }),
        { numRuns: 15 },
      )
      // Otherwise it shows less than it says.
      for (const count of Object.values(seen)) expect(count).toBeGreaterThan(0)
    }, 60_000)
  }
})
