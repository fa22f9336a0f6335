import {
  AurexError,
  messageOf,
  type Log,
  type OutboxEntry,
  type Records,
  type Runtime,
  type Storage,
} from '../../core/index.ts'
import { backOff, type Bounds } from './backoff.ts'
import { readCursor, writeCursor, type Cursor } from './cursor.ts'
import type { News } from './news.ts'
import { step, type ChainView, type Saying, type View } from './projection.ts'

export interface CourierParts {
  /** How its target is called, and the key of its cursor. */
  readonly name: string
  readonly storage: Storage
  readonly records: Records
  readonly runtime: Runtime
  readonly log: Log
  readonly view: View
  /** Where a target begins that was never told anything. */
  readonly beginning: () => Cursor
  readonly newsOf: (saying: Saying) => News
  /** Resolves when the other side has it. */
  readonly deliver: (news: News, signal: AbortSignal) => Promise<void>
  readonly bounds: Bounds
}

/** A courier that nobody wakes looks by itself. */
const lookMilliseconds = 1_000
const entriesMax = 64

/** Tells one target everything, in order. A message that is not taken is sent again until it is. */
export class Courier {
  readonly #parts: CourierParts
  readonly #view: View
  readonly #abandon = new AbortController()
  #cursor: Cursor
  #entries: readonly OutboxEntry[] = []
  #stopping = false
  #running: Promise<void> = Promise.resolve()
  #wake: () => void = () => {}
  #woken = false
  /** For figures. */
  #delivered = 0
  #failed = 0
  #failuresInARow = 0
  #failingSince: number | undefined
  #lastFailure = ''
  #damaged = false
  #lastBacklog = 0
  #waiting: News | undefined

  /** Throws as `Storage` does, and `cursor-damaged`. The beginning of a new target is durable on return. */
  constructor(parts: CourierParts) {
    this.#parts = parts
    const { view } = parts
    this.#view = view.of === 'reports' ? view : { ...view, isFinal: (entry) => this.#isFinal(entry, view) }
    const known = readCursor(parts.records, parts.name)
    this.#cursor = known ?? parts.beginning()
    if (known === undefined) writeCursor(parts.records, parts.name, this.#cursor)
  }

  start(): void {
    this.#running = this.#run()
  }

  /** There may be something new. A pause after a failure is not cut short by that. */
  look(): void {
    this.#woken = true
    if (this.#failuresInARow === 0) this.#wake()
  }

  /** Begins nothing more; what is under way has so many milliseconds left. */
  async stop(graceMilliseconds: number): Promise<void> {
    this.#stopping = true
    this.#wake()
    const timer = this.#parts.runtime.clock.after(graceMilliseconds, () => this.#abandon.abort())
    await this.#running
    timer.cancel()
  }

  get name(): string {
    return this.#parts.name
  }

  /** Everything up to here was told, or is not to be. */
  get sequence(): number {
    return this.#cursor.sequence
  }

  get figures() {
    return {
      delivered: this.#delivered,
      failed: this.#failed,
      backlog: this.#backlog(),
      /** Of the block that is next, ISO 8601; undefined where nothing waits. */
      waitingSince: this.#waiting?.timestamp,
      failingMilliseconds:
        this.#failingSince === undefined ? 0 : this.#parts.runtime.clock.monotonic() - this.#failingSince,
      lastFailure: this.#lastFailure,
      /** It is the ledger that cannot be read: no try will mend that. */
      damaged: this.#damaged,
    }
  }

  /** Also while the ledger cannot be read: the loop that tells must not end over a figure. */
  #backlog(): number {
    try {
      this.#lastBacklog = this.#parts.storage.outboxEnd() - this.#cursor.sequence
    } catch {
      // What was known last is as near as one gets.
    }
    return this.#lastBacklog
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      this.#woken = false
      try {
        if (await this.#tellNext()) continue
        await this.#pause(lookMilliseconds)
      } catch (error) {
        if (this.#stopping) return
        this.#hasFailed(error)
        const { bounds, runtime } = this.#parts
        await this.#pause(backOff(this.#failuresInARow, bounds, (length) => runtime.random(length)))
      }
    }
  }

  /** False where there is nothing to tell. */
  async #tellNext(): Promise<boolean> {
    const next = this.#next()
    if (next === 'nothing') return false
    if (next === 'passed') {
      await new Promise<void>((resolve) => this.#parts.runtime.clock.soon(resolve))
      return true
    }
    const { says, place } = next
    this.#fix(says)
    const news = (this.#waiting = this.#parts.newsOf(says))
    await this.#untilAbandoned(this.#parts.deliver(news, this.#abandon.signal))
    // What the other side has, and this write does not tell, is sent once more after a restart.
    this.#move({ ...place, said: undefined })
    this.#waiting = undefined
    this.#hasDelivered()
    return true
  }

  /** The next thing to say. Entries that say nothing are passed, one batch in a turn of the event loop. */
  #next(): { readonly says: Saying; readonly place: Cursor } | 'passed' | 'nothing' {
    const { storage } = this.#parts
    this.#entries = this.#entries.filter(({ sequence }) => sequence > this.#cursor.sequence)
    if (this.#entries.length === 0) this.#entries = storage.outbox(this.#cursor.sequence, entriesMax)
    if (this.#entries.length === 0) return 'nothing'
    let place: Cursor = this.#cursor
    for (const entry of this.#entries) {
      if (entry.sequence <= place.sequence) continue
      const { says, place: after } = step(place, entry, this.#view)
      if (says !== undefined) return { says, place: after }
      place = after
    }
    this.#move(place)
    return 'passed'
  }

  /** What is final stays so: only the other must be remembered. */
  #fix(saying: Saying): void {
    if (saying.type !== 'block_confirmation' || saying.final) return
    const { sequence } = saying.entry
    if (this.#cursor.said?.sequence === sequence) return
    this.#move({ ...this.#cursor, said: { sequence, final: false } })
  }

  #isFinal(entry: OutboxEntry, view: ChainView): boolean {
    const { said } = this.#cursor
    return said?.sequence === entry.sequence ? said.final : view.isFinal(entry)
  }

  #move(cursor: Cursor): void {
    writeCursor(this.#parts.records, this.#parts.name, cursor)
    this.#cursor = cursor
  }

  /** A delivery that cannot be abandoned (HTTP) is not waited for. */
  async #untilAbandoned(delivery: Promise<void>): Promise<void> {
    const { signal } = this.#abandon
    const { promise, reject } = Promise.withResolvers<never>()
    const abandoned = (): void => reject(new AurexError('stopped', 'the node stops'))
    signal.addEventListener('abort', abandoned, { once: true })
    if (signal.aborted) abandoned()
    delivery.catch(() => {})
    try {
      await Promise.race([delivery, promise])
    } finally {
      signal.removeEventListener('abort', abandoned)
    }
  }

  async #pause(milliseconds: number): Promise<void> {
    if (this.#stopping || (this.#woken && this.#failuresInARow === 0)) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = this.#parts.runtime.clock.after(milliseconds, resolve)
    this.#wake = resolve
    await promise
    timer.cancel()
    this.#wake = () => {}
  }

  #hasDelivered(): void {
    this.#delivered++
    if (this.#failuresInARow === 0) return
    const { log, name, runtime } = this.#parts
    const seconds = Math.round((runtime.clock.monotonic() - this.#failingSince!) / 1_000)
    log.info(`${name} takes what it is told again`, {
      after_failures: this.#failuresInARow,
      seconds,
      waiting: this.#backlog(),
    })
    this.#failuresInARow = 0
    this.#failingSince = undefined
    this.#damaged = false
  }

  /** One line when it begins: the figures tell how it goes on. */
  #hasFailed(error: unknown): void {
    const { log, name, runtime } = this.#parts
    this.#failed++
    this.#failuresInARow++
    this.#failingSince ??= runtime.clock.monotonic()
    this.#lastFailure = messageOf(error)
    this.#damaged = error instanceof AurexError && error.code.endsWith('-damaged')
    if (this.#failuresInARow > 1) return
    const code = error instanceof AurexError ? error.code : 'failed'
    const outlook = this.#damaged ? 'until the ledger is mended' : 'nothing is lost, it is tried again until it works'
    const what = `${name} cannot be told (${outlook}): ${this.#lastFailure}`
    log.warn(what, { code, waiting: this.#backlog() })
  }
}
