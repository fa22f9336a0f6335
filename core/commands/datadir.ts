import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import type { Io } from './command.ts'

/** XDG Base Directory Specification: a relative path in the variable is to be ignored. */
export function dataDirOf(given: string | undefined, io: Pick<Io, 'cwd' | 'env'>): string {
  if (given !== undefined) return resolve(io.cwd, given)
  const { XDG_DATA_HOME: xdg, HOME: home } = io.env
  if (xdg !== undefined && isAbsolute(xdg)) return join(xdg, 'aurex')
  return join(home === undefined || home === '' ? homedir() : home, '.local/share/aurex')
}
