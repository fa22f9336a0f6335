import type { Clock } from '../../runtime.ts'

/** A token bucket: so many at once, and so many come back in a second. */
export class Allowance {
  readonly #most: number
  readonly #perSecond: number
  readonly #clock: Clock
  #left: number
  /** Monotonic milliseconds. */
  #filledAt: number

  constructor(most: number, perSecond: number, clock: Clock) {
    this.#most = this.#left = most
    this.#perSecond = perSecond
    this.#clock = clock
    this.#filledAt = clock.monotonic()
  }

  /** Whole milliseconds until one may be taken, less than one being too little for a clock; 0 where it may be taken now. */
  wait(): number {
    const now = this.#clock.monotonic()
    this.#left = Math.min(this.#most, this.#left + ((now - this.#filledAt) / 1_000) * this.#perSecond)
    this.#filledAt = now
    return this.#left >= 1 ? 0 : Math.ceil(((1 - this.#left) / this.#perSecond) * 1_000)
  }

  /** False where none is left. */
  take(): boolean {
    if (this.wait() > 0) return false
    this.#left--
    return true
  }
}
