import * as v from 'valibot'
import { AurexError } from '../errors.ts'
import type { Place, RecordChange, Records } from '../plugin.ts'

/** Under which name the record stands in the ledger. */
export const signingOwner = 'signing'

/** The last that was signed on a track. */
export interface Last {
  readonly place: Place
  readonly text: string
}

/** Why nothing is signed any more. */
export interface Stop {
  /** As in `Waiting`. */
  readonly waitsFor: string
  /** Milliseconds, wall clock. */
  readonly since: number
  /** The height of what was met and is not known here. */
  readonly height?: number | undefined
}

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const lastShape = v.strictObject({ place: v.pipe(v.array(count), v.minLength(1)), text: v.string() })
/** Up to the year 9999. */
const moment = v.pipe(v.number(), v.minValue(0), v.maxValue(253_402_300_799_999))
const stopShape = v.strictObject({ waitsFor: v.string(), since: moment, height: v.optional(count) })

const lastPrefix = 'last/'
const [stopKey, floorKey] = ['stopped', 'floor']
/** A track for each kind of vote, and one for blocks. */
const tracksMax = 100

/**
 * What a key signed, as it stands in a ledger: `last/<track>`, one entry a track, since each track only goes forward; `floor`,
 * up to which height nothing is signed; `stopped`. Nothing is kept in memory. What is read throws `record-damaged` where it
 * is not what was written, and as `Storage` does.
 */
export class SigningRecord {
  readonly #records: Records

  constructor(records: Records) {
    this.#records = records
  }

  last(track: string): Last | undefined {
    return this.#read(lastPrefix + track, lastShape)
  }

  /** Every track with what stands there; undefined: it is damaged. */
  tracks(): readonly (readonly [track: string, last: Last | undefined])[] {
    return this.#records.list(lastPrefix, undefined, tracksMax).map(([key]) => {
      return [key.slice(lastPrefix.length), orDamaged(() => this.#read(key, lastShape))] as const
    })
  }

  stopped(): Stop | undefined {
    return this.#read(stopKey, stopShape)
  }

  /** Up to this height nothing is signed; 0 where no operator has said so. */
  floor(): number {
    return this.#read(floorKey, count) ?? 0
  }

  changeTo(track: string, last: Last): RecordChange {
    return [lastPrefix + track, JSON.stringify(last)]
  }

  write(changes: readonly RecordChange[]): void {
    if (changes.length > 0) this.#records.write(changes)
  }

  stop(stop: Stop): void {
    this.#records.write([[stopKey, JSON.stringify(stop)]])
  }

  /** Signing goes on above `floor`. What is damaged goes, since the floor stands in for it. */
  resume(floor: number): void {
    const damaged = this.tracks().filter(([, last]) => last === undefined)
    this.#records.write([
      [floorKey, JSON.stringify(floor)],
      [stopKey, undefined],
      ...damaged.map(([track]) => [lastPrefix + track, undefined] as const),
    ])
  }

  #read<T>(key: string, shape: v.GenericSchema<unknown, T>): T | undefined {
    const text = this.#records.get(key)
    if (text === undefined) return undefined
    const shaped = v.safeParse(v.pipe(v.string(), v.parseJson(), shape), text)
    if (shaped.success) return shaped.output
    throw new AurexError('record-damaged', `the record of what this key signed is damaged at ${key}`)
  }
}

/** undefined where what was read is damaged. */
export function orDamaged<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof AurexError && error.code === 'record-damaged') return undefined
    throw error
  }
}
