import { LRUCache } from 'lru-cache'
import type {
  Ancestry,
  Consensus,
  Due,
  Finality,
  RecordedTransaction,
  Storage,
  StoredHeader,
  TransactionStatus,
} from '../plugin.ts'
import type { Clock } from '../runtime.ts'
import type { Ancestors } from './ancestry.ts'
import type { Block } from './block.ts'
import type { Hash } from './canonical.ts'
import type { Finals } from './finals.ts'
import type { Candidate, ForkChoice } from './forkchoice.ts'
import type { Genesis } from './genesis.ts'
import type { Mempool } from './mempool.ts'
import type { Dropped } from './pendingrules.ts'
import type { ReadTransaction, Transaction } from './transaction.ts'

export interface QueriesParts {
  readonly genesis: Genesis
  readonly consensus: Consensus
  readonly finality?: Finality | undefined
  readonly storage: Storage
  readonly clock: Clock
  readonly mempool: Mempool
  readonly ancestors: Ancestors
  readonly choice: ForkChoice
  readonly finals: Finals
}

/** The head, and tips beside it. */
const wantedMax = 64

/** What there is to record. */
export interface Demand {
  /** Transactions, or one block without any. */
  readonly pending: number
  /** Since when, in milliseconds of the wall clock; undefined where no transaction waits. */
  readonly since: number | undefined
}

const emptyBlock: Demand = { pending: 1, since: undefined }

/** What may be asked of a chain without changing anything. */
export abstract class ChainQueries {
  readonly genesis: Genesis
  readonly mempool: Mempool
  readonly ancestors: Ancestors
  readonly #parts: QueriesParts
  /** Since when a block without transactions is wanted on a block: an engine waits so long from then on. */
  readonly #wantedSince = new LRUCache<Hash, number>({ max: wantedMax })

  constructor(parts: QueriesParts) {
    this.#parts = parts
    this.genesis = parts.genesis
    this.mempool = parts.mempool
    this.ancestors = parts.ancestors
  }

  /** Of a transaction that was pending and is not any more: why it went. */
  protected abstract dropped(hash: Hash): Dropped | undefined

  // ---- blocks ----

  head(): StoredHeader {
    return this.#parts.storage.head()
  }

  headerAt(index: number): StoredHeader | undefined {
    return this.#parts.storage.headerAt(index)
  }

  block(hash: Hash): Block | undefined {
    return this.#parts.storage.block(hash)
  }

  /** Of a recorded block or of one beside. */
  header(hash: Hash): StoredHeader | undefined {
    return this.#parts.storage.header(hash)
  }

  /** The last blocks of the branches beside the recorded chain, in no order. */
  sideTips(): readonly StoredHeader[] {
    return this.#parts.storage.sideTips()
  }

  finalHeight(): number {
    return this.#parts.finals.height()
  }

  /** Fork choice: whether the branch that ends in `a` is better than the one that ends in `b`. */
  prefers(a: StoredHeader, b: StoredHeader): boolean {
    return this.#parts.choice.isBetter(this.#candidate(a), this.#candidate(b))
  }

  /** Whether the final block is on the branch that ends here, or is its last. */
  holdsFinal({ header }: StoredHeader): boolean {
    return this.#parts.choice.holdsFinal(this.ancestors.of(header))
  }

  // ---- transactions ----

  pending(hash: Hash): Transaction | undefined {
    return this.mempool.get(hash)?.read.transaction
  }

  /** In order of arrival. */
  pendingHashes(): Hash[] {
    return [...this.mempool.entries()].map(({ read }) => read.hash)
  }

  /** By the first 16 hex digits of its id; undefined where none or more than one begins so. */
  pendingByPrefix(prefix: string): ReadTransaction | undefined {
    return this.mempool.getByPrefix(prefix)?.read
  }

  /** When it was received, in milliseconds of the wall clock. */
  pendingSince(hash: Hash): number | undefined {
    return this.mempool.get(hash)?.receivedAt
  }

  /** At most `max` that have been pending for longer than this. */
  pendingOlderThan(milliseconds: number, max: number): Hash[] {
    return this.mempool.receivedBefore(this.#parts.clock.now() - milliseconds, max)
  }

  pendingCount(): number {
    return this.mempool.size
  }

  transaction(hash: Hash): RecordedTransaction | undefined {
    return this.#parts.storage.transaction(hash)
  }

  status(hash: Hash): TransactionStatus {
    const { storage } = this.#parts
    const place = storage.locate(hash)
    if (place === undefined) return this.#statusUnrecorded(hash)
    const blockHash = storage.headerAt(place.blockIndex)!.header.current_hash
    const confirmations = storage.head().header.index - place.blockIndex + 1
    const status = place.blockIndex <= this.finalHeight() ? 'final' : 'included'
    return { status, blockIndex: place.blockIndex, blockHash, confirmations }
  }

  // ---- producing ----

  due(): Due {
    return this.dueOn(this.head())
  }

  /** As `due`, of a block on this one, recorded or beside. */
  dueOn({ header }: StoredHeader): Due {
    const { consensus, finality, clock } = this.#parts
    const ancestry = this.ancestors.of(header)
    const now = clock.now()
    const halted = finality?.halted(ancestry)
    // Votes that are split come together on a higher block only; one that records nothing may always stand there.
    if (halted !== undefined && finality?.wantsBlock(ancestry, now) !== true) return halted
    const { pending, since } = halted === undefined ? this.demand(ancestry) : emptyBlock
    const wanted = since ?? (pending > 0 ? this.#wantedOn(header.current_hash, now) : now)
    return consensus.due(ancestry, pending, now, wanted)
  }

  /** Asked again and again, the answer stays: or who waits some time from then on would wait for ever. */
  #wantedOn(hash: Hash, now: number): number {
    const since = Math.min(now, this.#wantedSince.get(hash) ?? now)
    this.#wantedSince.set(hash, since)
    return since
  }

  /** Where nothing is pending, a block may be wanted to make final what is recorded. */
  demand(ancestry: Ancestry = this.ancestors.of(this.head().header)): Demand {
    const { finality, clock } = this.#parts
    const pending = this.mempool.size
    if (pending > 0) return { pending, since: this.mempool.oldestAt() }
    return { pending: finality?.wantsBlock(ancestry, clock.now()) === true ? 1 : 0, since: undefined }
  }

  #candidate({ header, totalWork }: StoredHeader): Candidate {
    return { line: this.ancestors.of(header), totalWork }
  }

  #statusUnrecorded(hash: Hash): TransactionStatus {
    const pending = this.mempool.get(hash)
    if (pending !== undefined) return { status: pending.returned === true ? 'orphaned' : 'pending' }
    const dropped = this.dropped(hash)
    if (dropped === undefined) return { status: 'unknown' }
    return { status: dropped.returned ? 'orphaned' : 'unknown', refusal: dropped.refusal }
  }
}
