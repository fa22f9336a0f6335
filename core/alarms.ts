import type { Context } from './plugin.ts'
import type { Timer } from './runtime.ts'

/**
 * A plugin's timers by their names, each set once at a time. What one throws is logged, and ends nothing else; when the
 * node begins to stop, none is set any more, and none that was set runs.
 */
export class Alarms {
  readonly #context: Pick<Context, 'runtime' | 'log' | 'signal'>
  readonly #timers = new Map<string, Timer>()

  constructor(context: Pick<Context, 'runtime' | 'log' | 'signal'>) {
    this.#context = context
    context.signal.addEventListener('abort', () => this.cancel(...this.#timers.keys()), { once: true })
  }

  /** Does nothing where one of this name is set already. */
  set(name: string, milliseconds: number, run: () => void): void {
    const { runtime, log, signal } = this.#context
    if (this.#timers.has(name) || signal.aborted) return
    const timer = runtime.clock.after(milliseconds, () => {
      this.#timers.delete(name)
      try {
        run()
      } catch (error) {
        log.error('what was to be done at this time failed', { name, error })
      }
    })
    this.#timers.set(name, timer)
  }

  cancel(...names: readonly string[]): void {
    for (const name of names) {
      this.#timers.get(name)?.cancel()
      this.#timers.delete(name)
    }
  }
}
