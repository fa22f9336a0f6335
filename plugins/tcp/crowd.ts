import type { Clock, Timer } from '../../core/index.ts'

/** A connection that has not said anything yet. */
export interface Silent {
  /** Its time is over. */
  hurry(): void
}

export interface CrowdParts {
  readonly clock: Pick<Clock, 'monotonic' | 'after'>
  /** So many may take their time. */
  readonly silentMax: number
  /** What everybody gets who was there when there were more. */
  readonly millisecondsMax: number
}

interface Arrival {
  readonly number: number
  readonly at: number
}

/**
 * Those who connected and have not completed a message. While they are few, a person at a keyboard has an idle client's
 * time. When they are too many, all who are there must be done soon: otherwise a crowd that says nothing would hold the
 * connections that others need. One timer, for the oldest.
 */
export class Crowd {
  readonly #parts: CrowdParts
  /** In order of arrival. */
  readonly #silent = new Map<Silent, Arrival>()
  #arrivals = 0
  /** Number of the last who was there when there were too many. */
  #hurried = 0
  #timer: Timer | undefined

  constructor(parts: CrowdParts) {
    this.#parts = parts
  }

  get size(): number {
    return this.#silent.size
  }

  enter(silent: Silent): void {
    this.#silent.set(silent, { number: ++this.#arrivals, at: this.#parts.clock.monotonic() })
    if (this.#silent.size <= this.#parts.silentMax) return
    this.#hurried = this.#arrivals
    this.#arm()
  }

  /** It said something, or is gone. */
  leave(silent: Silent): void {
    this.#silent.delete(silent)
  }

  stop(): void {
    this.#timer?.cancel()
    this.#silent.clear()
  }

  #arm(): void {
    const [oldest] = this.#silent.values()
    if (this.#timer !== undefined || oldest === undefined || oldest.number > this.#hurried) return
    const { clock, millisecondsMax } = this.#parts
    const rest = oldest.at + millisecondsMax - clock.monotonic()
    this.#timer = clock.after(Math.max(0, Math.ceil(rest)), () => this.#timeCame())
  }

  #timeCame(): void {
    this.#timer = undefined
    const late = this.#parts.clock.monotonic() - this.#parts.millisecondsMax
    for (const [silent, { number, at }] of this.#silent) {
      if (number > this.#hurried || at > late) break
      this.#silent.delete(silent)
      silent.hurry()
    }
    this.#arm()
  }
}
