import type { Verdict } from '../../errors.ts'
import type { CoreEvents } from '../../events.ts'
import type { Log } from '../../log.ts'
import type { Clock } from '../../runtime.ts'

const tellMilliseconds = 1_000
/** People who read a log want to see that it goes on, not each step. */
const logMilliseconds = 5_000
/** The rate is that of the last so many seconds: blocks are not all alike. */
const rateMilliseconds = 10_000

export interface ProgressParts {
  readonly clock: Clock
  readonly log: Log
  readonly emit: <E extends keyof CoreEvents>(event: E, fact: CoreEvents[E]) => void
}

interface Sample {
  readonly at: number
  readonly blocks: number
}

/** Tells how far the catching up is. */
export class Progress {
  readonly #parts: ProgressParts
  readonly #startedAt: number
  #samples: Sample[]
  #blocks = 0
  #toldAt: number
  #loggedAt: number

  constructor(parts: ProgressParts, height: number, target: number) {
    this.#parts = parts
    this.#startedAt = this.#toldAt = this.#loggedAt = parts.clock.monotonic()
    this.#samples = [{ at: this.#startedAt, blocks: 0 }]
    parts.emit('sync:started', { height, target })
    parts.log.info(`synchronising: from block ${height} to ${target}`)
  }

  /** So many blocks more were recorded; the chain is at `height` now. */
  recorded(blocks: number, height: number, target: number): void {
    this.#blocks += blocks
    const now = this.#parts.clock.monotonic()
    if (now - this.#toldAt < tellMilliseconds) return
    this.#toldAt = now
    this.#samples = [
      ...this.#samples.filter(({ at }) => now - at <= rateMilliseconds),
      { at: now, blocks: this.#blocks },
    ]
    const rate = this.#rate()
    const secondsLeft = rate > 0 ? Math.round(Math.max(0, target - height) / rate) : undefined
    this.#parts.emit('sync:progressed', { height, target, blocksPerSecond: rate, secondsLeft })
    if (now - this.#loggedAt < logMilliseconds) return
    this.#loggedAt = now
    const left = secondsLeft === undefined ? '' : `, ${secondsLeft} s left`
    this.#parts.log.info(`synchronising: block ${height} of ${target}, ${Math.round(rate)} blocks a second${left}`)
  }

  /** `verdict`: why it did not come to its end. */
  ended(height: number, verdict: Verdict): void {
    const milliseconds = Math.round(this.#parts.clock.monotonic() - this.#startedAt)
    this.#parts.emit('sync:ended', { height, blocks: this.#blocks, milliseconds })
    const what = verdict.ok ? 'synchronised' : `synchronising is broken off, ${verdict.detail}`
    this.#parts.log.info(`${what}: block ${height}, ${this.#blocks} blocks in ${milliseconds / 1_000} s`)
  }

  #rate(): number {
    const [first, last] = [this.#samples[0]!, this.#samples.at(-1)!]
    return last.at > first.at ? ((last.blocks - first.blocks) / (last.at - first.at)) * 1_000 : 0
  }
}
