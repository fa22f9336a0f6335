import {
  accepted,
  AurexError,
  decline,
  type Log,
  type RecordChange,
  type Records,
  type Runtime,
  type Verdict,
} from '../../core/index.ts'

/**
 * Writes what comes in one turn of the event loop in one durable commit, since each costs a wait for the disk. While the
 * disk is waited for, the next ones gather.
 */
export class Writer {
  readonly #records: Pick<Records, 'write'>
  readonly #clock: Runtime['clock']
  readonly #log: Log
  #failed = false
  #waiting: { readonly changes: RecordChange[]; readonly done: Promise<Verdict> } | undefined

  constructor(records: Pick<Records, 'write'>, clock: Runtime['clock'], log: Log) {
    this.#records = records
    this.#clock = clock
    this.#log = log
  }

  /** Resolves when they are durable. Declines `storage-unavailable`: nothing was written. */
  write(changes: readonly RecordChange[]): Promise<Verdict> {
    this.#waiting ??= this.#group()
    this.#waiting.changes.push(...changes)
    return this.#waiting.done
  }

  /** Resolves when what was given until now is written. */
  async settled(): Promise<void> {
    await this.#waiting?.done
  }

  #group() {
    const changes: RecordChange[] = []
    const { promise: done, resolve, reject } = Promise.withResolvers<Verdict>()
    this.#clock.soon(() => {
      this.#waiting = undefined
      try {
        resolve(this.#commit(changes))
      } catch (error) {
        reject(error)
      }
    })
    return { changes, done }
  }

  #commit(changes: readonly RecordChange[]): Verdict {
    try {
      this.#records.write(changes)
    } catch (error) {
      if (!(error instanceof AurexError)) throw error
      if (!this.#failed) this.#log.error('nothing is recorded', { code: error.code, why: error.message })
      this.#failed = true
      return decline('storage-unavailable', `nothing is recorded at the moment: ${error.message}`)
    }
    if (this.#failed) this.#log.info('records are written again')
    this.#failed = false
    return accepted
  }
}
