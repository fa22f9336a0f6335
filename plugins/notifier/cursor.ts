import * as v from 'valibot'
import { AurexError, type Records } from '../../core/index.ts'
import type { Place } from './projection.ts'

/**
 * What is durable of a target. `said` is fixed before a block is told as not final for the first time: it may become so
 * between two tries, and the second must not say anything else than the first.
 */
export interface Cursor extends Place {
  readonly said?: { readonly sequence: number; readonly final: boolean } | undefined
}

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const schema = v.strictObject({
  sequence: whole,
  reported: whole,
  floor: whole,
  final: v.optional(whole),
  said: v.exactOptional(v.strictObject({ sequence: whole, final: v.boolean() })),
})
const prefix = 'cursor/'

/** undefined where this target was never told anything. Throws `cursor-damaged`. */
export function readCursor(records: Records, key: string): Cursor | undefined {
  const text = records.get(prefix + key)
  if (text === undefined) return undefined
  try {
    const { final, ...cursor } = v.parse(schema, JSON.parse(text))
    // Written before there was anything final: what was told then is not told once more.
    return { ...cursor, final: final ?? cursor.reported }
  } catch (cause) {
    const message = `the record ${prefix}${key} of the notifier cannot be read, got ${text.slice(0, 100)}; check the ledger with aurex verify`
    throw new AurexError('cursor-damaged', message, { cause })
  }
}

/** Durable on return. Throws as `Storage` does. */
export const writeCursor = (records: Records, key: string, { said, ...place }: Cursor): void =>
  records.write([[prefix + key, JSON.stringify(said === undefined ? place : { ...place, said })]])

const targetsMax = 1_000

/** The keys of all targets that were ever told anything. */
export const knownKeys = (records: Records): string[] =>
  records.list(prefix, undefined, targetsMax).map(([key]) => key.slice(prefix.length))
