import { accepted, refuse, type Refusal, type Verdict } from '../errors.ts'
import type { Application, StateEntry, StateView, Storage } from '../plugin.ts'
import type { SealedHeader } from './block.ts'
import type { Branch, WeighedBlock } from './branch.ts'
import type { Hash } from './canonical.ts'
import { applyTransaction, executeBlock, Overlay, stateRootAfter } from './execution.ts'
import type { ReadTransaction } from './transaction.ts'

interface Parts {
  readonly application: Application
  readonly storage: Pick<Storage, 'stateAt' | 'stateChanges'>
}

/** A transaction that the application does not take, and what it says. */
export interface RefusedTransaction {
  readonly hash: Hash
  readonly refusal: Refusal
}

/** What a block of this node's own may hold. */
export interface ExecutedDraft {
  readonly reads: readonly ReadTransaction[]
  readonly stateRoot: Hash
  readonly refused: readonly RefusedTransaction[]
}

/** Executes blocks on the state below them, on whatever branch they stand. */
export class Executor {
  readonly #parts: Parts
  /** The last draft, so that the block which is made of it need not be executed again. */
  #drafted: { parent: Hash; reads: readonly ReadTransaction[]; changes: readonly StateEntry[] } | undefined

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** The state after the recorded block of this height. */
  at(height: number): StateView {
    return { get: (key) => this.#parts.storage.stateAt(key, height) }
  }

  /**
   * Blocks that stand on each other, the first on `branch`, with what each changes; up to the first that does not hold.
   * Refuses `bad-transaction`, `bad-state-root`; declines `application-failed`.
   */
  run(blocks: readonly WeighedBlock[], branch: Branch): { good: WeighedBlock[]; verdict: Verdict } {
    const state = this.#below(branch)
    const good: WeighedBlock[] = []
    let parentRoot = branch.parent.header.state_root
    for (const weighed of blocks) {
      const { block, transactions } = weighed.read
      const made = this.#madeBefore(block, transactions)
      const result = made ?? executeBlock(this.#parts.application, transactions, state)
      if (!result.ok) return { good, verdict: result }
      const root = stateRootAfter(parentRoot, result.value)
      if (root !== block.state_root) return { good, verdict: badStateRoot(root, block.state_root) }
      state.put(result.value)
      parentRoot = root
      good.push({ ...weighed, state: result.value })
    }
    return { good, verdict: accepted }
  }

  /** What of these, in their order, holds on top of a branch. */
  draft(reads: readonly ReadTransaction[], branch: Branch): ExecutedDraft {
    const { header: parent } = branch.parent
    const state = new Overlay(this.#below(branch))
    const held: ReadTransaction[] = []
    const refused: RefusedTransaction[] = []
    for (const read of reads) {
      const result = applyTransaction(this.#parts.application, read, state)
      if (result.ok) {
        state.put(result.value)
        held.push(read)
      } else refused.push({ hash: read.hash, refusal: result })
    }
    const changes = state.changes()
    this.#drafted = { parent: parent.current_hash, reads: held, changes }
    return { reads: held, stateRoot: stateRootAfter(parent.state_root, changes), refused }
  }

  #below({ side, fork }: Branch): Overlay {
    const state = new Overlay(this.at(fork.header.index))
    for (const { header } of side) state.put(this.#parts.storage.stateChanges(header.current_hash))
    return state
  }

  /** Only of the very same transactions: an id does not cover who signed for a name. */
  #madeBefore({ prev_hash }: SealedHeader, transactions: readonly ReadTransaction[]) {
    const drafted = this.#drafted
    if (drafted?.parent !== prev_hash || drafted.reads.length !== transactions.length) return undefined
    if (!drafted.reads.every((read, place) => read === transactions[place])) return undefined
    return { ok: true as const, value: drafted.changes }
  }
}

const badStateRoot = (expected: Hash, got: Hash): Refusal =>
  refuse('bad-state-root', `state_root: expected ${expected}, which the transactions lead to, got ${got}`)
