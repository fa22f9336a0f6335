import type { Clock } from '../../core/index.ts'

const millisecondsMin = 2_000
const millisecondsMax = 60_000

/** When something is done again that was in vain: after a while, then after twice as long, and so on. */
export class Repeat {
  readonly #clock: Pick<Clock, 'monotonic'>
  #milliseconds = millisecondsMin
  #at = Number.POSITIVE_INFINITY

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
  }

  /** Milliseconds; Infinity while it is stopped. */
  get in(): number {
    return this.#at - this.#clock.monotonic()
  }

  get isRunning(): boolean {
    return this.#at !== Number.POSITIVE_INFINITY
  }

  start(): void {
    this.#milliseconds = millisecondsMin
    this.#at = this.#clock.monotonic() + this.#milliseconds
  }

  /** It was done. */
  again(): void {
    this.#milliseconds = Math.min(millisecondsMax, this.#milliseconds * 2)
    this.#at = this.#clock.monotonic() + this.#milliseconds
  }

  stop(): void {
    this.#at = Number.POSITIVE_INFINITY
  }
}
