import type { Hash } from '../chain/canonical.ts'
import type { KeyPair } from '../chain/keys.ts'
import { AurexError, decline, found, messageOf, type Result } from '../errors.ts'
import type { Log } from '../log.ts'
import type { OwnedChanges, Place, RecordChange, Records, Signer, Storage, Waiting } from '../plugin.ts'
import type { Clock } from '../runtime.ts'

/** Under which name the records stand in the ledger. */
export const signingOwner = 'signing'
/** Blocks are core's own track. */
const blockTrack = 'chain/block'

interface SigningParts {
  readonly identity: KeyPair
  readonly clock: Clock
  readonly log: Log
}

interface Last {
  readonly place: Place
  readonly text: string
}

/**
 * What this node's key has signed, in the ledger's own file: one entry a track, the last, since each track only goes
 * forward. Nothing is kept in memory, so what was not written was not signed.
 */
export class Signing {
  readonly #parts: SigningParts
  #records: Records | undefined

  constructor(parts: SigningParts) {
    this.#parts = parts
  }

  attach(storage: Pick<Storage, 'records'>): void {
    this.#records = storage.records(signingOwner)
  }

  signerOf(plugin: string): Signer {
    const full = (track: string) => `${plugin}/${track}`
    return {
      address: this.#parts.identity.address,
      sign: (track, place, text) => {
        const reserved = this.#reserve(full(track), place, text)
        if (!reserved.ok) return reserved
        try {
          if (reserved.value.length > 0) this.#own().write(reserved.value)
        } catch (error) {
          if (!(error instanceof AurexError)) throw error
          return decline('storage-unavailable', `the record of what is signed cannot be written: ${messageOf(error)}`)
        }
        return found(this.#parts.identity.sign(`aurex/${plugin}/1`, text))
      },
      last: (track) => this.#last(full(track)),
      met: (track, place, text) => this.#met(full(track), place, text),
      stopped: () => this.stopped(),
    }
  }

  /** What must be written with a block of this node's own before anybody gets to see its signature. Declines as `sign`. */
  reserveBlock(place: Place, hash: Hash): Result<readonly OwnedChanges[]> {
    const reserved = this.#reserve(blockTrack, place, hash)
    return reserved.ok ? found([{ owner: signingOwner, changes: reserved.value }]) : reserved
  }

  /** Whether a block at this place could be signed. Declines as `sign`. */
  roomForBlock(place: Place): Result<unknown> {
    return this.#reserve(blockTrack, place, '')
  }

  metBlock(place: Place, hash: Hash): void {
    this.#met(blockTrack, place, hash)
  }

  stopped(): Waiting | undefined {
    const text = this.#own().get('stopped')
    return text === undefined ? undefined : (JSON.parse(text) as Waiting)
  }

  #reserve(track: string, place: Place, text: string): Result<readonly RecordChange[]> {
    const stopped = this.stopped()
    if (stopped !== undefined) return decline('signing-stopped', stopped.waitsFor)
    const last = this.#last(track)
    const order = last === undefined ? 1 : compare(place, last.place)
    if (order === 0 && last!.text === text) return found([])
    if (order <= 0) return decline('signed-already', `${track} ${place.join('.')}: ${last!.place.join('.')} was signed`)
    return found([[`last/${track}`, JSON.stringify({ place, text })]])
  }

  #met(track: string, place: Place, text: string): void {
    const last = this.#last(track)
    const order = last === undefined ? 1 : compare(place, last.place)
    if (order < 0 || (order === 0 && last!.text === text)) return
    this.#stop(`${track} ${place.join('.')} was signed with this node's key, and its record does not know of it`)
  }

  #stop(waitsFor: string): void {
    if (this.stopped() !== undefined) return
    const { clock, log } = this.#parts
    log.error('nothing is signed any more', { why: waitsFor })
    this.#own().write([['stopped', JSON.stringify({ waitsFor, since: clock.now() })]])
  }

  #last(track: string): Last | undefined {
    const text = this.#own().get(`last/${track}`)
    return text === undefined ? undefined : (JSON.parse(text) as Last)
  }

  #own(): Records {
    if (this.#records !== undefined) return this.#records
    throw new AurexError('slot-empty', 'signing needs a plugin that fills storage, for its record; add sqlite')
  }
}

export function compare(a: Place, b: Place): number {
  const at = a.findIndex((number, i) => number !== (b[i] ?? -1))
  if (at < 0) return a.length - b.length
  return a[at]! - (b[at] ?? -1)
}
