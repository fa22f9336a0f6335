import type { Clock, Timer } from '../../core/index.ts'

/** Has something looked at soon, however often it is asked for, or after a while: the last word counts. */
export class Wakeup {
  readonly #clock: Pick<Clock, 'soon' | 'after'>
  readonly #look: () => void
  #isSoon = false
  #isClosed = false
  #timer: Timer | undefined

  constructor(clock: Pick<Clock, 'soon' | 'after'>, look: () => void) {
    this.#clock = clock
    this.#look = look
  }

  /** In a later turn: never on top of who asks. */
  soon(): void {
    if (this.#isSoon || this.#isClosed) return
    this.#isSoon = true
    this.#clock.soon(() => {
      this.#isSoon = false
      if (!this.#isClosed) this.#look()
    })
  }

  /** Infinity: not by itself. */
  after(milliseconds: number): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (milliseconds === Number.POSITIVE_INFINITY || this.#isClosed) return
    this.#timer = this.#clock.after(Math.max(1, milliseconds), () => {
      this.#timer = undefined
      if (!this.#isClosed) this.#look()
    })
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }
}
