import { messageOf } from '../../errors.ts'
import type { Log } from '../../log.ts'
import type { Clock } from '../../runtime.ts'

/** A plugin that has not answered after so long is not waited for. */
const workMilliseconds = 10_000
/** Of one type of message, in work at once. What was given up counts until the plugin is done with it. */
const runningMax = 1_000
/** A plugin that fails with every message says so once in so long; the rest goes to the debug log. */
const tellMilliseconds = 10_000

export interface WorkParts {
  readonly clock: Clock
  /** The plugin's own. */
  readonly log: Log
  /** The type of message, for the log. */
  readonly type: string
}

/** What a plugin does with what others said, so that nothing that it does wrong harms the node. */
export class PluginWork {
  readonly #parts: WorkParts
  #running = 0
  #toldAt = Number.NEGATIVE_INFINITY

  constructor(parts: WorkParts) {
    this.#parts = parts
  }

  /** undefined where the plugin threw, takes too long, or has too much to do already: its log says so. */
  run<T>(work: () => T | Promise<T>): T | undefined | Promise<T | undefined> {
    if (this.#running >= runningMax) return this.#failed(`${runningMax} messages are in work and none of them ends`)
    try {
      const result = work()
      return result instanceof Promise ? this.#inTime(result) : result
    } catch (error) {
      return this.#failed(error)
    }
  }

  #inTime<T>(later: Promise<T>): Promise<T | undefined> {
    const { promise: tooSlow, resolve } = Promise.withResolvers<undefined>()
    const timer = this.#parts.clock.after(workMilliseconds, () =>
      resolve(this.#failed(`not done after ${workMilliseconds} ms`)),
    )
    this.#running++
    const done = later
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#running--
        timer.cancel()
      })
    return Promise.race([done, tooSlow])
  }

  #failed(error: unknown): undefined {
    const { clock, log, type } = this.#parts
    const now = clock.monotonic()
    const isNews = now - this.#toldAt >= tellMilliseconds
    if (isNews) this.#toldAt = now
    const detail = error instanceof Error ? (error.stack ?? error.message) : messageOf(error)
    log[isNews ? 'error' : 'debug']('this plugin failed to work on a message', { type, error: detail })
    return undefined
  }
}
