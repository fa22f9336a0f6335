import type { AppliedBlock, Change, PendingTransaction, Storage, StoredHeader } from '../plugin.ts'
import type { Block, ReadBlock, SealedHeader } from './block.ts'
import type { Hash } from './canonical.ts'
import type { Mempool } from './mempool.ts'
import { transactionHash } from './transaction.ts'

/** What a block stands on. */
export interface Branch {
  readonly parent: StoredHeader
  /** The side blocks up to and including the parent, oldest first; none when the parent is recorded. */
  readonly side: readonly StoredHeader[]
  /** The last recorded block below. */
  readonly fork: StoredHeader
}

/** Looks at the tree of blocks: what stands below one, and what changes when it becomes the head. */
export class Branches {
  readonly #storage: Storage
  readonly #mempool: Mempool
  readonly #chainId: Hash

  constructor(storage: Storage, mempool: Mempool, chainId: Hash) {
    this.#storage = storage
    this.#mempool = mempool
    this.#chainId = chainId
  }

  /** undefined while the parent is not known here. */
  below(block: SealedHeader): Branch | undefined {
    const parent = this.#storage.header(block.prev_hash)
    const side: StoredHeader[] = []
    let at = parent
    for (; at !== undefined && !at.recorded; at = this.#storage.header(at.header.prev_hash)) side.unshift(at)
    return parent === undefined || at === undefined ? undefined : { parent, side, fork: at }
  }

  /** A transaction that stands below this block on its own branch: an id is in a chain at most once, for ever. */
  repeatedTransaction(read: ReadBlock, { side, fork }: Branch): Hash | undefined {
    const onBranch = new Set(side.flatMap(({ header }) => this.#hashesOf(this.#storage.block(header.current_hash)!)))
    return read.transactions.find(({ hash }) => {
      // What is pending is not recorded.
      if (this.#mempool.get(hash) !== undefined) return onBranch.has(hash)
      const place = this.#storage.locate(hash)
      return (place !== undefined && place.blockIndex <= fork.header.index) || onBranch.has(hash)
    })?.hash
  }

  /** What recording this block changes, the blocks below it on its branch and those that it displaces with it. */
  changeTo(read: ReadBlock, totalWork: bigint, { side, fork }: Branch, writtenAt: number): Change {
    const applied = side.map(({ header, totalWork: work }) => {
      const block = this.#storage.block(header.current_hash)!
      return this.#applied(block, this.#hashesOf(block), work, writtenAt)
    })
    const hashes = read.transactions.map(({ hash }) => hash)
    applied.push(this.#applied(read.block, hashes, totalWork, writtenAt))
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
    return lost.map((hash) => this.#storage.transaction(hash)!)
  }

  #applied(block: Block, hashes: readonly Hash[], totalWork: bigint, writtenAt: number): AppliedBlock {
    const receivedAt = hashes.map((hash) => this.#mempool.get(hash)?.receivedAt ?? writtenAt)
    return { block, hashes, receivedAt, totalWork }
  }

  #hashesOf(block: Block): Hash[] {
    return block.transactions.map((transaction) => transactionHash(transaction, this.#chainId))
  }
}
