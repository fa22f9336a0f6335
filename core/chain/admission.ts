import { AurexError, decline, found, messageOf, type Refusal, type Result } from '../errors.ts'
import type { Admission, Storage } from '../plugin.ts'
import type { Runtime, Timer } from '../runtime.ts'
import type { Hash } from './canonical.ts'
import { Mempool, type PoolEntry } from './mempool.ts'
import type { ReadTransaction } from './transaction.ts'
import type { Limits } from '../limits.ts'

interface Parts {
  readonly storage: Pick<Storage, 'head' | 'keepPending' | 'locate'>
  readonly mempool: Mempool
  /** How many signatures are being checked: so many more may come in a moment. */
  readonly verifying: () => number
  readonly limits: Limits
  readonly clock: Runtime['clock']
  /** Told after the write, with what came in. */
  readonly admitted: (entries: readonly PoolEntry[]) => void
  readonly storageFailed: (error: AurexError) => void
  /** Told where the write failed, with what did not come in. */
  readonly lost: (entries: readonly PoolEntry[]) => void
}

/** How long a transaction waits at the most for those whose signatures are being checked, to be written with them. */
const gatherMillisecondsMax = 8

/**
 * The way into the mempool. What arrives together is written in one durable commit, since each costs a wait for the
 * disk, and only then is anybody told that it was taken: an acknowledgement is never ahead of the disk.
 */
export class AdmissionDesk {
  readonly #parts: Parts
  /** Runs while something waits. */
  #timer: Timer | undefined
  #looking = false
  /** The head when the first of those that wait was found not to be recorded. */
  #head: Hash | undefined
  /** On the way in: verified, not yet written. Counted by the quotas. */
  #waiting: Mempool
  #promises = new Map<
    Hash,
    { readonly answer: Promise<Result<Admission>>; readonly settle: (r: Result<Admission>) => void }
  >()

  constructor(parts: Parts) {
    this.#parts = parts
    this.#waiting = new Mempool(parts.limits)
  }

  /** The answer that a transaction on its way in will get; undefined when it is not on its way. */
  pendingAnswer(hash: Hash): Promise<Result<Admission>> | undefined {
    return this.#promises.get(hash)?.answer
  }

  /** One that is on its way in. */
  get(hash: Hash): PoolEntry | undefined {
    return this.#waiting.get(hash)
  }

  /** All that are on their way in, in their order. */
  waiting(): IterableIterator<PoolEntry> {
    return this.#waiting.entries()
  }

  /** One that is on its way in may not come in any more: the head moved. */
  refuse(hash: Hash, refusal: Refusal): void {
    this.#waiting.remove(hash)
    this.#promises.get(hash)?.settle(refusal)
    this.#promises.delete(hash)
  }

  room(read: ReadTransaction, source: string | undefined) {
    return this.#parts.mempool.room(read, this.#waiting, source)
  }

  /** Takes a verified transaction. Resolves when it is durable, or refused because it could not be made so. */
  admit(read: ReadTransaction, source: string | undefined): Promise<Result<Admission>> {
    const underWay = this.pendingAnswer(read.hash)
    if (underWay !== undefined) return underWay
    const { clock, storage } = this.#parts
    if (this.#waiting.size === 0) {
      this.#head = storage.head().header.current_hash
      this.#timer = clock.after(gatherMillisecondsMax, () => this.#write())
    }
    this.#lookSoon()
    this.#waiting.add({ read, receivedAt: clock.now(), source })
    const { promise: answer, resolve: settle } = Promise.withResolvers<Result<Admission>>()
    this.#promises.set(read.hash, { answer, settle })
    return answer
  }

  /** Resolves when nothing is on its way in. */
  async settled(): Promise<void> {
    while (this.#promises.size > 0) await Promise.allSettled([...this.#promises.values()].map(({ answer }) => answer))
  }

  #lookSoon(): void {
    if (this.#looking) return
    this.#looking = true
    this.#parts.clock.soon(() => {
      this.#looking = false
      // With half of them the other half is checked while the disk is waited for.
      if (this.#waiting.size > 0 && this.#waiting.size >= this.#parts.verifying()) this.#write()
    })
  }

  #write(): void {
    this.#timer?.cancel()
    const entries = this.#unrecorded()
    const promises = this.#promises
    const refusal = this.#keep(entries)
    const hashes = new Set(entries.map(({ read }) => read.hash))
    const all = [...this.#waiting.entries()]
    this.#waiting = new Mempool(this.#parts.limits)
    this.#promises = new Map()
    if (refusal === undefined) this.#parts.admitted(entries)
    else this.#parts.lost(entries)
    for (const { read } of all) {
      const { hash } = read
      const status = hashes.has(hash) ? 'admitted' : 'included'
      promises.get(hash)?.settle(refusal ?? found({ hash, read, status }))
    }
  }

  /** A block that was written meanwhile may hold some of those that wait. */
  #unrecorded(): PoolEntry[] {
    const { storage } = this.#parts
    const entries = [...this.#waiting.entries()]
    if (storage.head().header.current_hash === this.#head) return entries
    return entries.filter(({ read }) => storage.locate(read.hash) === undefined)
  }

  #keep(entries: readonly PoolEntry[]) {
    try {
      this.#parts.storage.keepPending(
        entries.map(({ read, receivedAt }) => ({ hash: read.hash, transaction: read.transaction, receivedAt })),
      )
    } catch (error) {
      if (error instanceof AurexError) this.#parts.storageFailed(error)
      return decline('storage-unavailable', `nothing is recorded at the moment: ${messageOf(error)}`)
    }
    for (const entry of entries) this.#parts.mempool.add(entry)
    return undefined
  }
}
