import { LRUCache } from 'lru-cache'
import { AurexError, type Refusal, type Verdict } from '../errors.ts'
import type { CoreEvents } from '../events.ts'
import type { Log } from '../log.ts'
import type { Application, Change, Storage } from '../plugin.ts'
import type { AdmissionDesk } from './admission.ts'
import type { Hash } from './canonical.ts'
import type { DiskWatch } from './diskwatch.ts'
import type { RefusedTransaction } from './executor.ts'
import type { Mempool, PoolEntry } from './mempool.ts'
import { PendingState } from './pendingstate.ts'
import type { ReadTransaction } from './transaction.ts'

/** Dropped ones of which it is still known why. */
const droppedRememberedMax = 10_000
/** Of many that are dropped at once, so many are logged one by one. */
const droppedLoggedMax = 20

interface Parts {
  readonly application: Application
  readonly storage: Pick<Storage, 'head' | 'stateAt' | 'locate' | 'dropPending'>
  readonly mempool: Mempool
  readonly desk: Pick<AdmissionDesk, 'waiting' | 'refuse'>
  readonly disk: DiskWatch
  readonly log: Log
  readonly emit: <E extends keyof CoreEvents>(event: E, fact: CoreEvents[E]) => void
}

export interface Dropped {
  readonly refusal: Refusal
  /** It had been recorded once. */
  readonly returned: boolean
}

/**
 * Keeps what is pending such that the application takes all of it, in its order: who comes late is told at the door, and
 * what no longer holds when the head moved is dropped.
 */
export class PendingRules {
  readonly #parts: Parts
  readonly #state: PendingState
  readonly #dropped = new LRUCache<Hash, Dropped>({ max: droppedRememberedMax })
  /** The ledger could not be read when the head moved: the state is not that of what is pending. */
  #stale = false

  constructor(parts: Parts) {
    this.#parts = parts
    this.#state = new PendingState(parts)
  }

  /** Takes one in that is about to be admitted. Declines as the application does. */
  admit(read: ReadTransaction): Verdict {
    if (this.#stale) this.#rebuild([])
    const verdict = this.#state.take(read)
    if (verdict.ok) this.#dropped.delete(read.hash)
    return verdict
  }

  /** Those that were about to be admitted could not be written. */
  letGo(entries: readonly PoolEntry[]): void {
    const { mempool } = this.#parts
    const gone = entries.filter(({ read }) => mempool.get(read.hash) === undefined).map(({ read }) => read)
    if (!this.#state.letGo(gone)) this.#rebuildIfReadable([])
  }

  /** The head moved, and the mempool knows. */
  moved({ undone, applied, returned }: Change): void {
    const transactions = applied.flatMap(({ block }) => block.transactions)
    if (!this.#stale && undone.length === 0 && this.#state.recorded(transactions)) return
    this.#rebuildIfReadable(returned.map(({ hash }) => hash))
  }

  /** After a start. Those that were recorded once come first, as when they came back. */
  restored(): void {
    const entries = [...this.#parts.mempool.entries()]
    this.#rebuild(entries.flatMap(({ read, returned }) => (returned === true ? [read.hash] : [])))
  }

  /** These do not hold although they should: they keep nobody waiting any longer. */
  drop(lost: readonly RefusedTransaction[]): void {
    this.#drop(lost)
    this.#rebuildIfReadable([])
  }

  /** What became of one that was pending here and is not any more. */
  dropped(hash: Hash): Dropped | undefined {
    return this.#dropped.get(hash)
  }

  #rebuildIfReadable(first: readonly Hash[]): void {
    try {
      this.#rebuild(first)
    } catch (error) {
      if (!(error instanceof AurexError)) throw error
      this.#stale = true
      this.#parts.log.error('what is pending could not be looked at again', { error })
    }
  }

  /**
   * Executes all that is pending anew on the recorded state, `first` before all others: what came back from blocks that
   * were undone stood below what came later.
   */
  #rebuild(first: readonly Hash[]): void {
    const { mempool } = this.#parts
    const pool = [...mempool.entries()].map(({ read }) => read)
    const place = new Map(first.map((hash, at) => [hash, at]))
    const before = pool.filter(({ hash }) => place.has(hash))
    before.sort((a, b) => place.get(a.hash)! - place.get(b.hash)!)
    const pending = first.length === 0 ? pool : [...before, ...pool.filter(({ hash }) => !place.has(hash))]
    const { held, refused } = this.#state.rebuild(pending)
    mempool.arrange(held.map(({ hash }) => hash))
    this.#drop(refused)
    this.#judgeComing()
    this.#stale = false
  }

  /** They come after all others, in the order in which they were decided. */
  #judgeComing(): void {
    const { mempool, desk, storage } = this.#parts
    for (const { read } of desk.waiting()) {
      // A block may have brought it meanwhile.
      if (mempool.get(read.hash) !== undefined || storage.locate(read.hash) !== undefined) continue
      const verdict = this.#state.take(read)
      if (!verdict.ok) desk.refuse(read.hash, verdict)
    }
  }

  #drop(lost: readonly RefusedTransaction[]): void {
    const { mempool, storage, disk } = this.#parts
    if (lost.length === 0) return
    for (const { hash, refusal } of lost) {
      this.#dropped.set(hash, { refusal, returned: mempool.get(hash)?.returned === true })
      mempool.remove(hash)
    }
    try {
      storage.dropPending(lost.map(({ hash }) => hash))
    } catch (error) {
      if (!(error instanceof AurexError)) throw error
      disk.failed(error) // They stay in the ledger for now: the next start drops them again.
    }
    this.#tell(lost)
  }

  #tell(lost: readonly RefusedTransaction[]): void {
    const { log, emit } = this.#parts
    for (const { hash, refusal } of lost.slice(0, droppedLoggedMax)) {
      log.info('a pending transaction was dropped', { hash, code: refusal.code, detail: refusal.detail })
    }
    if (lost.length > droppedLoggedMax) log.info('pending transactions were dropped', { transactions: lost.length })
    for (const { hash, refusal } of lost) emit('tx:dropped', { hash, code: refusal.code, detail: refusal.detail })
  }
}
