import type { AurexError } from '../errors.ts'
import type { CoreEvents } from '../events.ts'
import type { Log } from '../log.ts'
import type { Clock } from '../runtime.ts'

interface Parts {
  readonly clock: Clock
  readonly log: Log
  readonly emit: <E extends keyof CoreEvents>(event: E, fact: CoreEvents[E]) => void
}

/** Whether the ledger can be written, as far as the last attempt tells; says so once when that changes. */
export class DiskWatch {
  readonly #parts: Parts
  #downSince: number | undefined
  #failure: { readonly why: string; readonly since: number } | undefined

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Why the ledger cannot be written, and since when, in milliseconds of the wall clock. */
  get failure(): { readonly why: string; readonly since: number } | undefined {
    return this.#failure
  }

  failed(error: AurexError): void {
    const { log, clock, emit } = this.#parts
    if (this.#downSince === undefined) {
      this.#downSince = clock.monotonic()
      this.#failure = { why: error.message, since: clock.now() }
      log.error('the ledger cannot be written; reading goes on, and writing is tried again with the next request', {
        code: error.code,
        why: error.message,
      })
    }
    emit('storage:failed', { code: error.code, detail: error.message })
  }

  worked(): void {
    if (this.#downSince === undefined) return
    const downMilliseconds = this.#parts.clock.monotonic() - this.#downSince
    this.#downSince = undefined
    this.#failure = undefined
    this.#parts.log.info('the ledger can be written again', { downMilliseconds: Math.round(downMilliseconds) })
    this.#parts.emit('storage:recovered', { downMilliseconds })
  }
}
