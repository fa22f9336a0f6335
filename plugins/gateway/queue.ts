import {
  accepted,
  decline,
  sha256Hex,
  type Hash,
  type RecordChange,
  type Records,
  type Runtime,
  type Transaction,
  type Verdict,
} from '../../core/index.ts'
import { Schedule } from './schedule.ts'
import type { Writer } from './writer.ts'

/** One transaction that is kept until it is settled. What it says stands in the records alone. */
export interface Kept {
  /** Names the transaction with its signature, which the hash does not cover: a variant that no node takes must not stand in the way of a good one. */
  readonly key: string
  readonly hash: Hash
  /** `unsent`: no node can have it. `asked`: one may. `had`: one said so. */
  readonly stage: 'unsent' | 'asked' | 'had'
  /** Since the stage last changed for the better. */
  tries: number
  /** Monotonic milliseconds: every node has refused it since. */
  refusedSince: number | undefined
}

export interface RefusalNote {
  readonly code: string
  readonly detail: string
}

interface QueueParts {
  readonly records: Records
  readonly writer: Writer
  readonly clock: Runtime['clock']
  readonly transactionsMax: number
}

const pageRecords = 100

/** What was accepted and is not settled. Durable: it stands in the records before anything is sent or answered. */
export class Queue {
  readonly #parts: QueueParts
  /** In the order in which they were accepted. */
  readonly #kept = new Map<string, Kept>()
  readonly #variants = new Map<Hash, number>()
  readonly #schedule = new Schedule()
  /** Of those that are kept, the ones that a node has. */
  #had = 0
  /** On the way to the disk: they count already. */
  #coming = 0
  #lastOrder = 0

  constructor(parts: QueueParts) {
    this.#parts = parts
  }

  get size(): number {
    return this.#kept.size
  }

  /** How many a node is known to have. */
  get had(): number {
    return this.#had
  }

  moveTo(kept: Kept, stage: Kept['stage']): void {
    if (this.#kept.get(kept.key) === kept) this.#had += Number(stage === 'had') - Number(kept.stage === 'had')
    // Everybody but the queue only looks at it.
    ;(kept as { stage: Kept['stage'] }).stage = stage
  }

  has(hash: Hash): boolean {
    return this.#variants.has(hash)
  }

  get(key: string): Kept | undefined {
    return this.#kept.get(key)
  }

  /**
   * Takes up what the records hold, oldest first. All of it may have been sent; giving it again changes nothing, and keeps
   * what builds on each other in its order.
   */
  async load(): Promise<void> {
    const { records, clock } = this.#parts
    const found: { readonly key: string; readonly order: number }[] = []
    let after: string | undefined
    for (;;) {
      const page = records.list(prefix, after, pageRecords)
      for (const [key, text] of page) found.push({ key: key.slice(prefix.length), order: readRecord(text).order })
      after = page.at(-1)?.[0]
      if (page.length < pageRecords) break
      await new Promise<void>((next) => clock.soon(next))
    }
    for (const { key, order } of found.sort((a, b) => a.order - b.order)) {
      this.#lastOrder = Math.max(this.#lastOrder, order)
      this.#add(key, 'unsent')
      this.later(key, 0)
    }
  }

  /**
   * Resolves to the kept one when it is durable, `changes` with it; `fresh`: it was not kept before. It is looked at again
   * when `later` says so. Declines `queue-full`, `storage-unavailable`.
   */
  async keep(hash: Hash, transaction: Transaction, changes: readonly RecordChange[]): Promise<KeepResult> {
    const { writer, transactionsMax } = this.#parts
    const key = keyOf(hash, transaction)
    const before = this.#kept.get(key)
    if (before !== undefined) {
      const written = changes.length === 0 ? accepted : await writer.write(changes)
      return written.ok ? { ok: true, kept: before, fresh: false } : written
    }
    if (this.#kept.size + this.#coming >= transactionsMax) {
      return decline('queue-full', `${transactionsMax} transactions wait to be recorded; try again later`)
    }
    this.#coming++
    const record = JSON.stringify({ order: this.#nextOrder(), transaction })
    const written = await writer.write([...changes, [prefix + key, record]])
    this.#coming--
    return written.ok ? { ok: true, kept: this.#add(key, 'unsent'), fresh: true } : written
  }

  /** undefined where it is kept no longer. */
  transaction(key: string): Transaction | undefined {
    const text = this.#parts.records.get(prefix + key)
    return text === undefined ? undefined : readRecord(text).transaction
  }

  /** Forgets one, with `changes`; where that cannot be written it is looked at again. */
  async drop(kept: Kept, changes: readonly RecordChange[] = []): Promise<Verdict> {
    const written = await this.#parts.writer.write([[prefix + kept.key, undefined], ...changes])
    if (!written.ok) return written
    this.#schedule.remove(kept.key)
    if (!this.#kept.delete(kept.key)) return written
    if (kept.stage === 'had') this.#had--
    const left = (this.#variants.get(kept.hash) ?? 1) - 1
    if (left === 0) this.#variants.delete(kept.hash)
    else this.#variants.set(kept.hash, left)
    return written
  }

  /** Gives one up for good; `refusal` tells why from now on. */
  giveUp(kept: Kept, note: RefusalNote): Promise<Verdict> {
    return this.drop(kept, [[refusedKey(kept.hash), JSON.stringify(note)]])
  }

  /** Why one was given up. */
  refusal(hash: Hash): RefusalNote | undefined {
    const text = this.#parts.records.get(refusedKey(hash))
    return text === undefined ? undefined : (JSON.parse(text) as RefusalNote)
  }

  /** It is due after so many milliseconds, one of a few numbers. */
  later(key: string, delay: number): void {
    if (!this.#kept.has(key)) return
    this.#schedule.remove(key)
    this.#schedule.add(key, delay, this.#parts.clock.monotonic())
  }

  /** One that is due; who takes it says `later` or drops it. */
  take(): Kept | undefined {
    for (;;) {
      const key = this.#schedule.take(this.#parts.clock.monotonic())
      if (key === undefined) return undefined
      const kept = this.#kept.get(key)
      if (kept !== undefined) return kept
    }
  }

  /** What no node is known to have is due at once, in the order in which it was accepted. */
  hasten(): void {
    const unsent = [...this.#kept.values()].filter(({ stage }) => stage !== 'had').map(({ key }) => key)
    this.#schedule.hasten(unsent, this.#parts.clock.monotonic())
  }

  #add(key: string, stage: Kept['stage']): Kept {
    const there = this.#kept.get(key)
    if (there !== undefined) return there
    const kept: Kept = { key, hash: key.slice(0, 64), stage, tries: 0, refusedSince: undefined }
    this.#kept.set(key, kept)
    this.#variants.set(kept.hash, (this.#variants.get(kept.hash) ?? 0) + 1)
    return kept
  }

  /** Microseconds of the wall clock, and always more than before. */
  #nextOrder(): number {
    this.#lastOrder = Math.max(this.#parts.clock.now() * 1_000, this.#lastOrder + 1)
    return this.#lastOrder
  }
}

export type KeepResult =
  { readonly ok: true; readonly kept: Kept; readonly fresh: boolean } | Extract<Verdict, { ok: false }>

const prefix = 'queue/'
const refusedKey = (hash: Hash): string => `refused/${hash}`

export const keyOf = (hash: Hash, { signature, public_key_pem = '' }: Transaction): string =>
  `${hash}.${sha256Hex(`${signature}\n${public_key_pem}`).slice(0, 16)}`

const readRecord = (text: string) => JSON.parse(text) as { readonly order: number; readonly transaction: Transaction }
