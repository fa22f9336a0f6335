import { isAbsolute, join, resolve } from 'node:path'
import { configError } from './settings.ts'

type Environment = Readonly<Record<string, string | undefined>>

export const nonEmpty = (text: string | undefined): string | undefined => (text === '' ? undefined : text)

/** A shell replaces `~` itself, a file and `--x=~/y` do not. */
export function absolute(path: string, base: string, env: Environment): string {
  const home = nonEmpty(env['HOME'])
  return path.startsWith('~/') && home !== undefined ? join(home, path.slice(2)) : resolve(base, path)
}

/** XDG Base Directory Specification: what is not absolute there does not count. Throws `no-data-dir`. */
export function defaultDataDir(env: Environment): string {
  const xdg = nonEmpty(env['XDG_DATA_HOME'])
  if (xdg !== undefined && isAbsolute(xdg)) return join(xdg, 'aurex')
  const home = nonEmpty(env['HOME'])
  if (home !== undefined) return join(home, '.local', 'share', 'aurex')
  throw configError('no-data-dir', 'data_dir: neither XDG_DATA_HOME nor HOME is set; say where with --data-dir')
}
