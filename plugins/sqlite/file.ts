import { constants, Database, SQLiteError } from 'bun:sqlite'
import { closeSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { AurexError, exitCode } from '../../core/index.ts'
import { storageFailure } from './failure.ts'
import { applicationId, migrations } from './schema.ts'

const cacheKiB = 16 * 1024
/** A stranger who holds SQLite's write lock makes the whole node wait so long; then the write is refused, and tried again. */
const busyMilliseconds = 250
/** Checkpoints are what makes a commit slow now and then; 16 MiB of log make them a quarter as frequent. */
const walPagesMax = 4_096
/** A reader that stays long makes the log grow; afterwards it is cut back to this. */
const walBytesKeptMax = 64 * 1024 * 1024

/**
 * Opens a ledger file for its node, makes it if there is none, and brings it to the newest schema. Throws
 * `not-a-ledger`, `ledger-newer`, `storage-readonly`, `storage-full`, `storage-failed`.
 */
export function openForWriting(path: string): Database {
  return opening(path, () => {
    // SQLite gives the files that it puts beside this one (-wal, -shm) the same mode.
    if (sizeOf(path) === undefined) closeSync(openSync(path, 'a', 0o600))
    const database = new Database(path, { readwrite: true, strict: true })
    try {
      harden(database)
      const version = versionOf(database, path)
      keepLog(database, path)
      migrate(database, version)
    } catch (error) {
      database.close()
      throw error
    }
    return database
  })
}

/**
 * Opens a ledger file for looking: one unchanging snapshot of it, whatever its node does meanwhile, without the lock
 * and without writing. Throws `ledger-missing`, `not-a-ledger`, `ledger-newer`, `ledger-older`, `storage-failed`.
 */
export function openForReading(path: string): Database {
  if ((sizeOf(path) ?? 0) === 0) {
    throw new AurexError('ledger-missing', `${path}: there is no ledger; give the path of one`, {
      exit: exitCode.config,
    })
  }
  return opening(path, () => {
    const database = openReader(path)
    try {
      harden(database)
      database.run('BEGIN')
      const version = versionOf(database, path)
      if (version < migrations.length) throw tooOld(path, version)
    } catch (error) {
      database.close()
      throw error
    }
    return database
  })
}

/** Makes the folder of a ledger, for its owner alone, if there is none. */
export function makeFolder(path: string): void {
  opening(path, () => mkdirSync(dirname(path), { recursive: true, mode: 0o700 }))
}

function openReader(path: string): Database {
  // Without a log there is no node and nothing to recover; `immutable` then leaves nothing behind and needs no write
  // access to the folder. A node that runs, or was killed, has left one, and it must be read too.
  if ((sizeOf(`${path}-wal`) ?? 0) > 0) return new Database(path, { readonly: true, strict: true })
  const uri = `${pathToFileURL(path).href}?immutable=1`
  return new Database(uri, constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI)
}

function harden(database: Database): void {
  database.run(`PRAGMA busy_timeout = ${busyMilliseconds}`)
  // Someone else's file must not run functions through views or triggers that it brings.
  database.run('PRAGMA trusted_schema = OFF')
  database.run('PRAGMA cell_size_check = ON')
  database.run('PRAGMA foreign_keys = ON')
  database.run(`PRAGMA cache_size = -${cacheKiB}`)
}

function keepLog(database: Database, path: string): void {
  const mode = pragma(database, 'journal_mode = WAL')
  if (mode !== 'wal') {
    throw new AurexError(
      'storage-failed',
      `${path}: this file system cannot hold a write-ahead log (journal mode stays ${mode}); use a local disk`,
    )
  }
  database.run('PRAGMA synchronous = FULL')
  database.run(`PRAGMA wal_autocheckpoint = ${walPagesMax}`)
  database.run(`PRAGMA journal_size_limit = ${walBytesKeptMax}`)
}

function migrate(database: Database, version: number): void {
  if (version === migrations.length) return
  database.run('BEGIN EXCLUSIVE')
  for (const step of migrations.slice(version)) database.run(step)
  database.run(`PRAGMA user_version = ${migrations.length}`)
  database.run('COMMIT')
}

/** The schema's version; 0 for a file that is still empty. Throws `not-a-ledger`, `ledger-newer`. */
function versionOf(database: Database, path: string): number {
  const version = Number(pragma(database, 'user_version'))
  const owner = Number(pragma(database, 'application_id'))
  const empty = database.query('SELECT 1 FROM sqlite_schema').get() === null
  if (owner !== applicationId && !(owner === 0 && version === 0 && empty)) {
    throw notLedger(path, 'an SQLite file of another program')
  }
  if (version > migrations.length) {
    throw new AurexError(
      'ledger-newer',
      `${path}: the file has schema version ${version}, this program knows up to ${migrations.length}; ` +
        'use the newer aurex that wrote it, or another --data-dir',
      { exit: exitCode.config },
    )
  }
  return version
}

function pragma(database: Database, text: string): string {
  using statement = database.prepare<unknown, []>(`PRAGMA ${text}`)
  return String(statement.values()[0]?.[0])
}

function opening<T>(path: string, open: () => T): T {
  try {
    return open()
  } catch (error) {
    if (error instanceof SQLiteError && error.code === 'SQLITE_NOTADB') throw notLedger(path, 'not an SQLite file')
    throw storageFailure(error, path, 'opening the ledger')
  }
}

const sizeOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.size

const notLedger = (path: string, got: string): AurexError =>
  new AurexError('not-a-ledger', `${path}: expected a ledger of aurex, got ${got}; give another path`, {
    exit: exitCode.config,
  })

const tooOld = (path: string, version: number): AurexError =>
  new AurexError(
    'ledger-older',
    `${path}: schema version ${version} of ${migrations.length}; let a node open it once, which brings it up to date`,
    { exit: exitCode.config },
  )
