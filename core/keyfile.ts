import { dirname } from 'node:path'
import { keyPairOfPem, privatePemOf, type KeyPair } from './chain/keys.ts'
import { AurexError, exitCode, messageOf } from './errors.ts'
import type { Files, Runtime } from './runtime.ts'

export interface OpenedKey {
  readonly key: KeyPair
  /** Something the operator should mend, in one line: others may read the file. */
  readonly warning?: string
}

const privateMode = 0o600
const othersMode = 0o077

/**
 * Makes a key and writes it as PKCS#8 PEM, mode 0600, to a file that must not exist yet. Throws `file-exists`, and
 * `key-file-failed` when it cannot be written.
 */
export function createKeyFile(files: Files, path: string, random: Runtime['random']): KeyPair {
  const pem = privatePemOf(random(32))
  try {
    files.createText(path, pem, privateMode)
  } catch (cause) {
    if (codeOf(cause) === 'EEXIST') {
      throw new AurexError(
        'file-exists',
        `${path}: there is a file already, and a key that is overwritten is lost; choose another path`,
        { cause, exit: exitCode.usage },
      )
    }
    throw new AurexError('key-file-failed', `${path}: the key cannot be written: ${messageOf(cause)}`, {
      cause,
      exit: exitCode.config,
    })
  }
  return keyPairOfPem(pem, path)
}

/** Reads a key file. Throws `no-key-file`, `bad-key-file`, `key-file-failed`. */
export function openKeyFile(files: Files, path: string): OpenedKey {
  const pem = readIfThere(files, path)
  if (pem === undefined) {
    throw new AurexError('no-key-file', `${path}: no such file; make a key with: aurex key new --out ${path}`, {
      exit: exitCode.config,
    })
  }
  return opened(files, path, pem)
}

/** Reads a key file; makes it, and the folder it stands in, where there is none. */
export function openOrCreate(
  files: Files,
  path: string,
  random: Runtime['random'],
): OpenedKey & { readonly created: boolean } {
  const pem = readIfThere(files, path)
  if (pem !== undefined) return { ...opened(files, path, pem), created: false }
  try {
    files.makeDirectory(dirname(path))
  } catch (cause) {
    throw new AurexError('key-file-failed', `${dirname(path)}: cannot be made: ${messageOf(cause)}`, {
      cause,
      exit: exitCode.config,
    })
  }
  try {
    return { key: createKeyFile(files, path, random), created: true }
  } catch (error) {
    // Another process was faster: its key is the one.
    if (codeOf(error) !== 'file-exists') throw error
    return { ...openKeyFile(files, path), created: false }
  }
}

function readIfThere(files: Files, path: string): string | undefined {
  try {
    return files.readText(path)
  } catch (cause) {
    throw new AurexError('key-file-failed', `${path}: the key cannot be read: ${messageOf(cause)}`, {
      cause,
      exit: exitCode.config,
    })
  }
}

function opened(files: Files, path: string, pem: string): OpenedKey {
  const key = keyPairOfPem(pem, path)
  const mode = files.mode(path) & 0o777
  if ((mode & othersMode) === 0) return { key }
  const octal = mode.toString(8).padStart(4, '0')
  return { key, warning: `${path}: others may use this key (mode ${octal}, expected 0600); run: chmod 600 ${path}` }
}

/** The `code` of what was thrown: `EEXIST` of the system, or an `AurexError`'s. */
const codeOf = (thrown: unknown): unknown =>
  typeof thrown === 'object' && thrown !== null && 'code' in thrown ? thrown.code : undefined
