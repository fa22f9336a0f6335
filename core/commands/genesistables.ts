import * as v from 'valibot'
import { isObject, type Json, type JsonObject } from '../chain/json.ts'
import { publicKeyOf } from '../chain/keys.ts'
import { issueText, tablesOf, typeText, unwrapped } from '../config/value.ts'
import { suggestion, type AurexError } from '../errors.ts'
import type { LoadedPlugin } from '../plugin.ts'
import { usageError } from './flags.ts'

/** What the command line says of one parameter. */
export interface Given {
  readonly whose: 'engine' | 'application' | 'finality'
  /** With the dashes, as it was written. */
  readonly flag: string
  readonly key: string
  readonly text: string
}

export function refuseGivenTwice(given: readonly Given[]): void {
  const twice = given.find(
    ({ whose, key }, at) => given.findIndex((other) => other.whose === whose && other.key === key) !== at,
  )
  if (twice !== undefined) throw usageError('bad-value', `${twice.flag}: ${twice.key} is given twice`)
}

/** Whether a plugin has a parameter of this name. */
export const hasParameter = (plugin: LoadedPlugin, key: string): boolean =>
  Object.hasOwn(entriesOf(plugin.parameters), key)

/** A plugin's whole table: what was given, checked by its schema, and its defaults for the rest. */
export function tableOf(whose: Given['whose'], plugin: LoadedPlugin, all: readonly Given[]): JsonObject {
  const given = all.filter((one) => one.whose === whose)
  const schema = plugin.parameters
  const entries = entriesOf(schema)
  const table: Record<string, Json> = {}
  for (const { flag, key, text } of given) {
    const entry = Object.hasOwn(entries, key) ? entries[key] : undefined
    const owner = whose === 'finality' ? 'finality' : `the ${whose} ${plugin.name}`
    if (entry === undefined) throw noParameter(flag, key, owner, Object.keys(entries))
    if (key === 'authorities') table[key] = addressesOf(flag, text)
    else table[key] = valueFor(entry, text)
  }
  if (schema === undefined) return {}
  const shaped = v.safeParse(schema, table)
  if (shaped.success) return shaped.output
  const issue = shaped.issues[0]
  const path = v.getDotPath(issue)
  // A fault inside a table or a list is one of the flag that gave it.
  const key = issue.path?.[0]?.key
  const flag =
    given.find((one) => one.key === key)?.flag ?? (path === null ? 'aurex genesis' : `--${plugin.name}.${path}`)
  throw usageError('bad-value', `${flag}: ${issueText(issue, schema)}`)
}

/** Addresses with commas between, each once. */
export function addressesOf(flag: string, text: string): string[] {
  const addresses = listOf(text)
  const wrong = addresses.find((address) => !publicKeyOf(address).ok)
  if (wrong !== undefined || addresses.length === 0) {
    const got = JSON.stringify(wrong ?? text)
    throw usageError('bad-value', `${flag}: expected addresses (64 hex digits) with commas between, got ${got}`)
  }
  const twice = addresses.find((address, at) => addresses.indexOf(address) !== at)
  if (twice !== undefined) throw usageError('bad-value', `${flag}: ${twice} is named twice; leave one out`)
  return addresses
}

function noParameter(flag: string, key: string, owner: string, keys: readonly string[]): AurexError {
  const has = keys.length === 0 ? 'it takes none' : `it takes ${keys.join(', ')}`
  // Where the engine knows no authorities, there may still be some who say what is final.
  const hint = key === 'authorities' ? '; is --finality missing?' : suggestion(key, keys)
  return usageError('unknown-flag', `${flag}: ${owner} has no parameter ${key}; ${has}${hint}`)
}

/** The schemas of an object schema's fields. */
function entriesOf(schema: LoadedPlugin['parameters']): Record<string, v.GenericSchema> {
  if (schema === undefined || !('entries' in schema) || !isObject(schema.entries)) return {}
  return schema.entries as object as Record<string, v.GenericSchema>
}

/** What a flag's text means to a field: the first reading that the field's schema takes, or else the most natural. */
function valueFor(entry: v.GenericSchema, text: string): Json {
  const number = /^-?\d+(\.\d+)?$/.test(text) ? [Number(text)] : []
  const truth = text === 'true' || text === 'false' ? [text === 'true'] : []
  const list = listOf(text)
  const numbers = list.every((item) => /^-?\d+(\.\d+)?$/.test(item)) ? [list.map(Number)] : []
  const tables = typeText(entry) === 'text' && unwrapped(entry).type !== 'string' ? tablesOf(text) : []
  const readings: Json[] = [text, ...number, ...truth, list, ...numbers, ...tables]
  return readings.find((reading) => v.is(entry, reading)) ?? number[0] ?? truth[0] ?? tables[0] ?? text
}

const listOf = (text: string): string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
