import { parse, TomlDate, TomlError } from 'smol-toml'
import { parseJsonText, type Json, type JsonObject } from '../chain/json.ts'
import { messageOf } from '../errors.ts'
import { configError } from './settings.ts'

/** The text of a file, or undefined where there is none. May throw, as file systems do. */
export type ReadText = (path: string) => string | undefined

export interface TomlFile {
  readonly path: string
  readonly table: Readonly<Record<string, unknown>>
}

/** A config file. Throws `no-such-file`, `unreadable-file`, `bad-toml` (with line and column). */
export function readToml(path: string, readText: ReadText): TomlFile {
  const missing = `there is no config file ${path}; see what --config or AUREX_CONFIG says`
  return { path, table: parsed(path, textOf(path, readText, missing)) }
}

/** A genesis file, TOML or (by its name) JSON, as the JSON that its id is made of. Throws as `readToml`, and `bad-json`. */
export function readGenesisFile(path: string, readText: ReadText): JsonObject {
  const missing = `there is no genesis file ${path}; write one with: aurex genesis --name NAME --consensus pow --out FILE`
  const text = textOf(path, readText, missing)
  if (!path.endsWith('.json')) return jsonOf(parsed(path, text)) as JsonObject
  const value = parseJsonText(text)
  if (!value.ok) throw configError('bad-json', `${path}: ${value.detail}`)
  if (typeof value.value !== 'object' || value.value === null || Array.isArray(value.value)) {
    throw configError('bad-json', `${path}: expected an object`)
  }
  return value.value as JsonObject
}

function textOf(path: string, readText: ReadText, missing: string): string {
  let text: string | undefined
  try {
    text = readText(path)
  } catch (cause) {
    const isDirectory = (cause as { readonly code?: unknown }).code === 'EISDIR'
    const why = isDirectory ? 'this is a directory; name a file in it' : `it cannot be read: ${messageOf(cause)}`
    throw configError('unreadable-file', `${path}: ${why}`, cause)
  }
  if (text === undefined) throw configError('no-such-file', missing)
  // What is no UTF-8 was read as U+FFFD: a picture, an archive, a ledger.
  if (/[\0\ufffd]/.test(text)) throw configError('unreadable-file', `${path}: expected text in UTF-8, got other bytes`)
  return text
}

function parsed(path: string, text: string) {
  try {
    return parse(text)
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause
    const what = cause.message.split('\n')[0]!.replace('Invalid TOML document: ', '')
    throw configError('bad-toml', `${path}:${cause.line}:${cause.column}: ${what}`, cause)
  }
}

/** TOML has moments of its own; a genesis has them as text in the one form there is. */
function jsonOf(value: unknown): Json {
  if (value instanceof TomlDate) {
    return value.isDateTime() && !value.isLocal() ? new Date(value.getTime()).toISOString() : value.toISOString()
  }
  if (Array.isArray(value)) return value.map(jsonOf)
  if (typeof value !== 'object' || value === null) return value as Json
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, jsonOf(one)]))
}
