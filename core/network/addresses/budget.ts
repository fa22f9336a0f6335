import type { Clock } from '../../runtime.ts'

/** So many at once, and then one more in each so many milliseconds (a token bucket). */
export class Budget {
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #most: number
  readonly #milliseconds: number
  #left: number
  #countedAt: number

  constructor(clock: Pick<Clock, 'monotonic'>, most: number, milliseconds: number) {
    this.#clock = clock
    this.#most = most
    this.#milliseconds = milliseconds
    this.#left = most
    this.#countedAt = clock.monotonic()
  }

  take(): boolean {
    const now = this.#clock.monotonic()
    this.#left = Math.min(this.#most, this.#left + (now - this.#countedAt) / this.#milliseconds)
    this.#countedAt = now
    if (this.#left < 1) return false
    this.#left--
    return true
  }
}
