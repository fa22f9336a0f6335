import { accepted, decline, type Verdict } from '../errors.ts'
import type { Limits } from '../limits.ts'
import type { Hash } from './canonical.ts'
import type { ReadTransaction } from './transaction.ts'

export interface PoolEntry {
  readonly read: ReadTransaction
  /** Milliseconds, wall clock. */
  readonly receivedAt: number
}

type PoolLimits = Pick<Limits, 'mempool_transactions_max' | 'mempool_bytes_max' | 'mempool_sender_transactions_max'>

/**
 * Transactions that wait to be recorded, in order of arrival. What is in here was acknowledged, so nothing is ever
 * put out to make room: who comes too late is told so.
 */
export class Mempool {
  readonly #limits: PoolLimits
  readonly #entries = new Map<Hash, PoolEntry>()
  readonly #perSender = new Map<string, number>()
  #bytes = 0

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

  /** Whether there is room for one more beside those in `ahead`, which are on their way in. */
  room(read: ReadTransaction, ahead: Mempool): Verdict {
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
    return accepted
  }

  /** Adds without asking for room: for what was acknowledged before (a restart, a block undone). */
  add(entry: PoolEntry): void {
    const { hash, bytes, transaction } = entry.read
    if (this.#entries.has(hash)) return
    this.#entries.set(hash, entry)
    this.#bytes += bytes
    this.#perSender.set(transaction.sender, (this.#perSender.get(transaction.sender) ?? 0) + 1)
  }

  remove(hash: Hash): void {
    const entry = this.#entries.get(hash)
    if (entry === undefined) return
    const { bytes, transaction } = entry.read
    this.#entries.delete(hash)
    this.#bytes -= bytes
    const left = (this.#perSender.get(transaction.sender) ?? 1) - 1
    if (left === 0) this.#perSender.delete(transaction.sender)
    else this.#perSender.set(transaction.sender, left)
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
}
