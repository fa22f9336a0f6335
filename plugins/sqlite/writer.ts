import type { Database } from 'bun:sqlite'
import { AurexError } from '../../core/index.ts'
import { storageFailure } from './failure.ts'
import { Reader } from './reader.ts'

/** How the ledger's file is written and let go of. */
export class Writer extends Reader {
  readonly #letGo: (() => void) | undefined
  #open = true

  /** Without `letGo`, which ends this process's hold on the file, the ledger is read only. */
  constructor(location: string, database: Database, letGo: (() => void) | undefined) {
    super(location, database)
    this.#letGo = letGo
  }

  /** Lets go of the file; what the log holds is moved into it first, so that it can be copied alone. */
  close(): void {
    if (!this.#open) return
    this.#open = false
    try {
      // A reader that is still there keeps the log from being emptied: not worth waiting for, the log is safe.
      this.database.run('PRAGMA busy_timeout = 0')
      if (this.#letGo !== undefined) this.database.run('PRAGMA wal_checkpoint(TRUNCATE)')
    } catch {
      // No room to move it: the next opening finds the log where it is.
    } finally {
      // SQLite keeps the file open until the last statement is gone.
      for (const statement of Object.values(this.run)) statement.finalize()
      this.database.close()
      this.#letGo?.()
    }
  }

  /**
   * As `write`, but the disk is not waited for: what comes next and is durable makes this durable too. Two ranges a
   * block would otherwise cost as much time as the block and its transactions, and a branch of a thousand blocks a
   * thousand waits before it outweighs the chain. Side blocks that a power failure takes are fetched again.
   */
  protected writeLazily<T>(doing: string, change: () => T): T {
    this.#mustBeWritable(doing)
    // Not among the prepared statements: this one takes effect when it is prepared, not when it runs.
    this.database.run('PRAGMA synchronous = NORMAL')
    try {
      return this.write(doing, change)
    } finally {
      this.database.run('PRAGMA synchronous = FULL')
    }
  }

  /** Runs `change` as one transaction of SQLite, durable on return. */
  protected write<T>(doing: string, change: () => T): T {
    this.#mustBeWritable(doing)
    try {
      this.run.begin.run()
      const result = change()
      this.run.commit.run()
      return result
    } catch (cause) {
      // After some errors, a full disk among them, SQLite has rolled back by itself.
      if (this.database.inTransaction) this.run.rollback.run()
      throw storageFailure(cause, this.location, doing)
    }
  }

  #mustBeWritable(doing: string): void {
    if (this.#letGo === undefined) throw openedReadonly(this.location, doing)
  }
}

const openedReadonly = (location: string, doing: string) =>
  new AurexError('storage-readonly', `${location}: ${doing}: the ledger was opened with readonly; open it without`)
