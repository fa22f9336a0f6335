import { SQLiteError } from 'bun:sqlite'
import { AurexError, exitCode, messageOf } from '../../core/index.ts'

/**
 * The `AurexError` for whatever went wrong while `doing` something with the file at `location`. One that is an
 * `AurexError` already stays as it is.
 */
export function storageFailure(cause: unknown, location: string, doing: string): AurexError {
  if (cause instanceof AurexError) return cause
  const system = systemCodeOf(cause)
  const { code, advice } = kindOf(system)
  const reason = cause instanceof SQLiteError ? `${messageOf(cause)} (${system})` : messageOf(cause)
  const exit = code === 'ledger-damaged' ? exitCode.failure : exitCode.tryAgain
  return new AurexError(code, `${location}: ${doing}: ${reason}; ${advice}`, { cause, exit })
}

const full = { code: 'storage-full', advice: 'nothing was changed; make room on the disk or raise the size limit' }
const readonly = {
  code: 'storage-readonly',
  advice: 'nothing was changed; give the node write access to the file and its folder',
}
const failed = (advice: string) => ({ code: 'storage-failed', advice })

/** From a code of SQLite, or of the system where a file could not even be made. */
function kindOf(system: string): { readonly code: string; readonly advice: string } {
  switch (system) {
    case 'SQLITE_FULL':
    // A write beyond a file-size limit or quota (EFBIG, EDQUOT) is an I/O error to SQLite; only ENOSPC is FULL.
    case 'SQLITE_IOERR_WRITE':
    case 'SQLITE_IOERR_FSYNC':
    case 'SQLITE_IOERR_SHMSIZE':
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return full
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    case 'SQLITE_PERM':
      return readonly
    case 'SQLITE_CORRUPT':
    case 'SQLITE_CORRUPT_INDEX':
    case 'SQLITE_NOTADB':
      return { code: 'ledger-damaged', advice: damagedAdvice }
    case 'SQLITE_BUSY':
    case 'SQLITE_BUSY_SNAPSHOT':
      return failed('another program is writing to the file; only its node may')
    case 'SQLITE_CANTOPEN':
      return failed('the file and those beside it (-wal, -shm) must be readable; bring them along when you copy it')
  }
  return system.startsWith('SQLITE_READONLY') ? readonly : failed('nothing was changed')
}

const systemCodeOf = (cause: unknown): string =>
  cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : ''

const damagedAdvice = 'restore the file from a copy, or move it away and let the node sync again'

/** `ledger-damaged`: what was read in one row, or missed there, cannot be. */
export const damaged = (location: string, table: string, row: string, what: string): AurexError =>
  new AurexError('ledger-damaged', `${location}: ${table}, ${row}: ${what}; ${damagedAdvice}`, {
    exit: exitCode.config,
  })
