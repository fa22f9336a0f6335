import type { Clock } from '../../core/index.ts'

/** A round is doubled up to so many times while nothing becomes justified. */
const doublingsMax = 6
/** Targets of others that are joined before the own one was waited for. */
const joinsMax = 3

/**
 * When a voter may leave a target that is not final yet. Fast blocks must not keep votes from adding up, so a target is
 * waited for; and where votes split it must be left in the end, later each time, until messages are faster than that.
 */
export class Pace {
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #roundMilliseconds: number
  readonly #pauseMilliseconds: number
  #votedAt = Number.NEGATIVE_INFINITY
  /** Since the last vote or the last progress. */
  #since: number
  #misses = 0
  #joins = 0

  /** `pauseMilliseconds`: between two targets, however fast they become final. */
  constructor(clock: Pick<Clock, 'monotonic'>, roundMilliseconds: number, pauseMilliseconds: number) {
    this.#clock = clock
    this.#roundMilliseconds = roundMilliseconds
    this.#pauseMilliseconds = pauseMilliseconds
    this.#since = clock.monotonic()
  }

  get leave(): 'never' | 'to-join' | 'freely' {
    if (this.#clock.monotonic() >= this.#roundEnd) return 'freely'
    return this.#joins < joinsMax ? 'to-join' : 'never'
  }

  get isPaused(): boolean {
    return this.#clock.monotonic() < this.#pauseEnd
  }

  /** Milliseconds until `leave` or `isPaused` answers otherwise; undefined: they do not by themselves. */
  get changesIn(): number | undefined {
    const now = this.#clock.monotonic()
    const ends = [this.#pauseEnd, this.#roundEnd].filter((end) => end > now)
    return ends.length === 0 ? undefined : Math.min(...ends) - now
  }

  /** A link was signed; `unfinished`: the target before it is left behind. */
  voted(unfinished: boolean): void {
    if (unfinished) {
      if (this.leave === 'freely') {
        this.#misses = Math.min(doublingsMax, this.#misses + 1)
        this.#joins = 0
      } else {
        this.#joins++
      }
    }
    this.#votedAt = this.#since = this.#clock.monotonic()
  }

  /** Something became justified or final. */
  progressed(): void {
    this.#since = this.#clock.monotonic()
    this.#misses = 0
    this.#joins = 0
  }

  get #roundEnd(): number {
    return this.#since + this.#roundMilliseconds * 2 ** this.#misses
  }

  get #pauseEnd(): number {
    return this.#votedAt + this.#pauseMilliseconds
  }
}
