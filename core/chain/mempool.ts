import { accepted, decline, type Verdict } from '../errors.ts'
import type { Limits } from '../limits.ts'
import type { Hash } from './canonical.ts'
import type { ReadTransaction } from './transaction.ts'

export interface PoolEntry {
  readonly read: ReadTransaction
  /** Milliseconds, wall clock. */
  readonly receivedAt: number
  /** The connection that it came by; undefined for what this node holds of itself (a restart, a block undone). */
  readonly source?: string | undefined
  /** It was recorded, and its block was undone. */
  readonly returned?: boolean | undefined
}

type PoolLimits = Pick<Limits, 'mempool_transactions_max' | 'mempool_bytes_max' | 'mempool_sender_transactions_max'>

/**
 * Transactions that wait to be recorded, in order of arrival: where there is an application, each holds on what those
 * before it leave. What is in here was acknowledged, so nothing is ever
 * put out to make room: who comes too late is told so.
 */
export class Mempool {
  readonly #limits: PoolLimits
  #entries = new Map<Hash, PoolEntry>()
  /** The ids that begin alike: nearly always one. */
  readonly #byPrefix = new Map<string, readonly Hash[]>()
  readonly #perSender = new Map<string, number>()
  readonly #perSource = new Map<string, Share>()
  #bytes = 0
  /** When the oldest came; undefined where it must be looked for. */
  #oldestAt: number | undefined

  constructor(limits: PoolLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#entries.size
  }

  get bytes(): number {
    return this.#bytes
  }

  get(hash: Hash): PoolEntry | undefined {
    return this.#entries.get(hash)
  }

  /**
   * By the first 16 hex digits of an id, which is how a compact block names it. undefined too where two pending ones
   * share them: whoever can find such a pair must not decide which of them a block holds.
   */
  getByPrefix(prefix: string): PoolEntry | undefined {
    const [hash, another] = this.#byPrefix.get(prefix) ?? []
    return hash === undefined || another !== undefined ? undefined : this.#entries.get(hash)
  }

  /** Ids of at most `max` that were received before this moment, in milliseconds of the wall clock. */
  receivedBefore(moment: number, max: number): Hash[] {
    const hashes: Hash[] = []
    // What came back from an undone block is older than its place in the order: so all are looked at.
    for (const { read, receivedAt } of this.#entries.values()) {
      if (hashes.length >= max) break
      if (receivedAt < moment) hashes.push(read.hash)
    }
    return hashes
  }

  /** When the oldest was received, in milliseconds of the wall clock; undefined where there is none. */
  oldestAt(): number | undefined {
    if (this.#oldestAt !== undefined || this.size === 0) return this.#oldestAt
    // What came back from an undone block is older than its place in the order: so all are looked at.
    let oldest = Number.POSITIVE_INFINITY
    for (const { receivedAt } of this.#entries.values()) oldest = Math.min(oldest, receivedAt)
    return (this.#oldestAt = oldest)
  }

  /** Whether there is room for one more by this source beside those in `ahead`, which are on their way in. */
  room(read: ReadTransaction, ahead: Mempool, source?: string): Verdict {
    const { mempool_transactions_max, mempool_bytes_max, mempool_sender_transactions_max } = this.#limits
    const sender = read.transaction.sender
    const pendingOfSender = (this.#perSender.get(sender) ?? 0) + (ahead.#perSender.get(sender) ?? 0)
    if (pendingOfSender >= mempool_sender_transactions_max) {
      return decline(
        'sender-quota',
        `${mempool_sender_transactions_max} transactions of this sender are pending; wait for a block`,
      )
    }
    if (this.size + ahead.size >= mempool_transactions_max) {
      return decline('mempool-full', `${mempool_transactions_max} transactions are pending; wait for a block`)
    }
    if (this.#bytes + ahead.#bytes + read.bytes > mempool_bytes_max) {
      return decline('mempool-full', `${mempool_bytes_max} bytes of transactions are pending; wait for a block`)
    }
    return source === undefined ? accepted : this.#roomOfSource(read, ahead, source)
  }

  /**
   * A source may hold as much as it leaves free: alone it gets half, n of them get n / (n + 1), and there is room for
   * one more however many they are. Choudhury and Hahne, "Dynamic Queue Length Thresholds", 1998.
   */
  #roomOfSource(read: ReadTransaction, ahead: Mempool, source: string): Verdict {
    const { mempool_transactions_max, mempool_bytes_max } = this.#limits
    const [here, coming] = [this.#perSource.get(source) ?? nothing, ahead.#perSource.get(source) ?? nothing]
    const countFree = mempool_transactions_max - this.size - ahead.size
    const bytesFree = mempool_bytes_max - this.#bytes - ahead.#bytes
    const fits = here.count + coming.count < countFree && here.bytes + coming.bytes + read.bytes <= bytesFree
    return fits ? accepted : decline('mempool-full', 'this connection may not fill the rest alone; wait for a block')
  }

  /** Adds without asking for room: for what was acknowledged before (a restart, a block undone). */
  add(entry: PoolEntry): void {
    const { hash, bytes, transaction } = entry.read
    if (this.#entries.has(hash)) return
    const oldestAt = this.oldestAt() ?? entry.receivedAt
    this.#oldestAt = Math.min(oldestAt, entry.receivedAt)
    this.#entries.set(hash, entry)
    const prefix = prefixOf(hash)
    this.#byPrefix.set(prefix, [...(this.#byPrefix.get(prefix) ?? []), hash])
    this.#bytes += bytes
    this.#perSender.set(transaction.sender, (this.#perSender.get(transaction.sender) ?? 0) + 1)
    this.#count(entry, 1)
  }

  remove(hash: Hash): void {
    const entry = this.#entries.get(hash)
    if (entry === undefined) return
    const { bytes, transaction } = entry.read
    this.#entries.delete(hash)
    if (entry.receivedAt === this.#oldestAt) this.#oldestAt = undefined
    this.#forgetPrefix(hash)
    this.#bytes -= bytes
    const left = (this.#perSender.get(transaction.sender) ?? 1) - 1
    if (left === 0) this.#perSender.delete(transaction.sender)
    else this.#perSender.set(transaction.sender, left)
    this.#count(entry, -1)
  }

  /** Puts what is in here in this order; what the list does not name comes last. */
  arrange(order: readonly Hash[]): void {
    const arranged = new Map<Hash, PoolEntry>()
    for (const hash of order) {
      const entry = this.#entries.get(hash)
      if (entry !== undefined) arranged.set(hash, entry)
    }
    for (const [hash, entry] of this.#entries) arranged.set(hash, entry)
    this.#entries = arranged
  }

  entries(): IterableIterator<PoolEntry> {
    return this.#entries.values()
  }

  /** The oldest ones that fit into a block. `bytesMax` counts canonical JSON and the commas between. */
  oldest(countMax: number, bytesMax: number): PoolEntry[] {
    const chosen: PoolEntry[] = []
    let bytes = 0
    for (const entry of this.#entries.values()) {
      if (chosen.length >= countMax || bytes + entry.read.bytes + 1 > bytesMax) break
      bytes += entry.read.bytes + 1
      chosen.push(entry)
    }
    return chosen
  }

  #forgetPrefix(hash: Hash): void {
    const prefix = prefixOf(hash)
    const others = (this.#byPrefix.get(prefix) ?? []).filter((other) => other !== hash)
    if (others.length === 0) this.#byPrefix.delete(prefix)
    else this.#byPrefix.set(prefix, others)
  }

  #count({ read, source }: PoolEntry, change: 1 | -1): void {
    if (source === undefined) return
    const { count, bytes } = this.#perSource.get(source) ?? nothing
    const share = { count: count + change, bytes: bytes + change * read.bytes }
    if (share.count === 0) this.#perSource.delete(source)
    else this.#perSource.set(source, share)
  }
}

interface Share {
  readonly count: number
  readonly bytes: number
}

const prefixOf = (hash: Hash): string => hash.slice(0, 16)

const nothing: Share = { count: 0, bytes: 0 }
