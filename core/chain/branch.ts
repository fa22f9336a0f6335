import type { AppliedBlock, Change, PendingTransaction, StateEntry, Storage, StoredHeader } from '../plugin.ts'
import type { Block, ReadBlock } from './block.ts'
import type { Hash } from './canonical.ts'
import type { Mempool } from './mempool.ts'
import type { ChainRules } from './rules.ts'
import { transactionHash } from './transaction.ts'

/** What a block stands on. */
export interface Branch {
  readonly parent: StoredHeader
  /** The side blocks up to and including the parent, oldest first; none when the parent is recorded. */
  readonly side: readonly StoredHeader[]
  /** The last recorded block below. */
  readonly fork: StoredHeader
}

/** A block that may be recorded, with the work of its chain up to and including it. */
export interface WeighedBlock {
  readonly read: ReadBlock
  readonly totalWork: bigint
  /** What it changes of the application's state, once it was executed. */
  readonly state?: readonly StateEntry[]
}

/** Looks at the tree of blocks: what stands below one, and what changes when it becomes the head. */
export class Branches {
  readonly #storage: Storage
  readonly #mempool: Mempool
  readonly #rules: Pick<ChainRules, 'chainId' | 'application'>

  constructor(storage: Storage, mempool: Mempool, rules: Pick<ChainRules, 'chainId' | 'application'>) {
    this.#storage = storage
    this.#mempool = mempool
    this.#rules = rules
  }

  /** What a block on this parent stands on; undefined while the parent is not known here. */
  on(parentHash: Hash): Branch | undefined {
    const parent = this.#storage.header(parentHash)
    const side: StoredHeader[] = []
    let at = parent
    for (; at !== undefined && !at.recorded; at = this.#storage.header(at.header.prev_hash)) side.unshift(at)
    return parent === undefined || at === undefined ? undefined : { parent, side, fork: at }
  }

  /** Ids of the transactions in its side blocks. */
  idsBeside({ side }: Branch): Set<Hash> {
    return new Set(side.flatMap(({ header }) => this.#hashesOf(this.#storage.block(header.current_hash)!)))
  }

  /**
   * A transaction that stands below this block on its own branch, recorded or among `beside`: an id is in a chain at
   * most once, for ever.
   */
  repeatedTransaction(read: ReadBlock, { fork }: Branch, beside: ReadonlySet<Hash>): Hash | undefined {
    return read.transactions.find(({ hash }) => {
      if (beside.has(hash)) return true
      // What is pending is not recorded.
      if (this.#mempool.get(hash) !== undefined) return false
      const place = this.#storage.locate(hash)
      return place !== undefined && place.blockIndex <= fork.header.index
    })?.hash
  }

  /** What recording these blocks changes, with those below them on their branch and those that they displace. */
  changeTo(blocks: readonly WeighedBlock[], { side, fork }: Branch, writtenAt: number): Change {
    const below = side.map(({ header, totalWork }) => {
      const hash = header.current_hash
      const block = this.#storage.block(hash)!
      const state = this.#rules.application === undefined ? undefined : this.#storage.stateChanges(hash)
      return this.#applied(block, this.#hashesOf(block), { totalWork, writtenAt, state })
    })
    const above = blocks.map(({ read, totalWork, state }) => {
      const hashes = read.transactions.map(({ hash }) => hash)
      return this.#applied(read.block, hashes, { totalWork, writtenAt, state })
    })
    const applied = [...below, ...above]
    const undone = this.#recordedAbove(fork)
    const again = new Set(applied.flatMap((block) => block.hashes))
    // Oldest first, as they came: what a later one builds on is before it again.
    const returned = undone.toReversed().flatMap((block) => this.#returned(block, again))
    return { undone: undone.map((block) => block.current_hash), applied, returned, writtenAt }
  }

  /** Newest first. */
  #recordedAbove(fork: StoredHeader): Block[] {
    const blocks: Block[] = []
    let hash = this.#storage.head().header.current_hash
    while (hash !== fork.header.current_hash) {
      const block = this.#storage.block(hash)!
      blocks.push(block)
      hash = block.prev_hash
    }
    return blocks
  }

  #returned(block: Block, again: ReadonlySet<Hash>): PendingTransaction[] {
    const lost = this.#hashesOf(block).filter((hash) => !again.has(hash))
    return lost.map((hash) => {
      const { transaction, receivedAt } = this.#storage.transaction(hash)!
      return { hash, transaction, receivedAt, returned: true }
    })
  }

  #applied(block: Block, hashes: readonly Hash[], { totalWork, writtenAt, state }: Applying): AppliedBlock {
    const receivedAt = hashes.map((hash) => this.#mempool.get(hash)?.receivedAt ?? writtenAt)
    return { block, hashes, receivedAt, totalWork, ...(state && { state }) }
  }

  #hashesOf(block: Block): Hash[] {
    return block.transactions.map((transaction) => transactionHash(transaction, this.#rules.chainId))
  }
}

interface Applying {
  readonly totalWork: bigint
  readonly writtenAt: number
  readonly state: readonly StateEntry[] | undefined
}
