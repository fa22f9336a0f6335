import { Database, SQLiteError } from 'bun:sqlite'
import { closeSync, openSync } from 'node:fs'
import { AurexError, exitCode } from '../../core/index.ts'
import { storageFailure } from './failure.ts'

/**
 * Makes this process the only writer of a ledger; returns how to let go. Throws `ledger-in-use`.
 *
 * The hold is SQLite's own lock on an empty database beside the ledger: the system releases it when the process ends,
 * however it ends, and the ledger itself stays readable for everyone. The file is left behind on purpose: removing it
 * would let one process hold the old file and another the new one.
 */
export function holdLock(ledgerPath: string): () => void {
  const path = `${ledgerPath}.lock`
  let lock: Database | undefined
  try {
    closeSync(openSync(path, 'a', 0o600))
    lock = new Database(path, { readwrite: true, strict: true })
    lock.run('PRAGMA busy_timeout = 0')
    // Nothing is ever written: without this, an empty journal would lie beside it.
    lock.run('PRAGMA journal_mode = MEMORY')
    lock.run('BEGIN EXCLUSIVE')
  } catch (cause) {
    lock?.close()
    if (cause instanceof SQLiteError && cause.code === 'SQLITE_BUSY') throw inUse(ledgerPath)
    throw storageFailure(cause, path, 'taking the lock')
  }
  const held = lock
  return () => held.close()
}

const inUse = (path: string): AurexError =>
  new AurexError(
    'ledger-in-use',
    `${path}: another node is writing to this ledger; stop it, or give this one another --port or --data-dir`,
    { exit: exitCode.tryAgain },
  )
