import type { Hash } from '../chain/canonical.ts'
import type { KeyPair } from '../chain/keys.ts'
import { AurexError, decline, found, messageOf, type Refusal, type Result } from '../errors.ts'
import type { Log } from '../log.ts'
import type { OwnedChanges, Place, RecordChange, Signer, Storage, Waiting } from '../plugin.ts'
import type { Clock } from '../runtime.ts'
import { comparePlaces, isPlace, placeText } from './place.ts'
import { signingOwner, SigningRecord, type Last } from './record.ts'

/** Blocks are core's own track. */
const blockTrack = 'chain/block'

export interface SigningParts {
  readonly identity: KeyPair
  readonly clock: Clock
  readonly log: Log
  /**
   * Makes this process the only one on this machine that signs with the key. Asked before each signature; whom it waits
   * for, where another has it. Absent: nobody else can have it.
   */
  readonly holdKey?: (() => Waiting | undefined) | undefined
}

/**
 * What this node's key has signed, in the ledger's own file. What is signed is read back from there each time, so what was
 * not written was not signed.
 */
export class Signing {
  readonly #parts: SigningParts
  #record: SigningRecord | undefined
  #ledger = ''
  /** A reason to stop that the ledger does not hold: it could not be written, or it ends with this process. */
  #here: Waiting | undefined
  /** Who had the key when it was last asked for. */
  #heldBy: Waiting | undefined

  constructor(parts: SigningParts) {
    this.#parts = parts
  }

  attach(storage: Pick<Storage, 'records' | 'location'>): void {
    this.#record = new SigningRecord(storage.records(signingOwner))
    this.#ledger = storage.location
  }

  signerOf(plugin: string): Signer {
    const full = (track: string) => `${plugin}/${track}`
    return {
      address: this.#parts.identity.address,
      sign: (track, place, text) => this.#sign(plugin, full(track), place, text),
      last: (track) => this.#lastOf(full(track)),
      met: (track, place, text) => this.#met(full(track), place, text),
      floor: () => this.#floor(),
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

  /** A block by this node's own key was taken. */
  metBlock(place: Place, hash: Hash): void {
    this.#met(blockTrack, place, hash)
  }

  /** Another process proved that it has this node's key. Nothing is signed until this one is started anew. */
  metKey(where: string): void {
    const help = 'one key is for one process: stop the other, or give it a key of its own, and start this node anew'
    this.#stopHere(`the process at ${where} to stop, since it has this node's key too`, help)
  }

  stopped(): Waiting | undefined {
    try {
      return this.#stopped() ?? this.#heldBy
    } catch (error) {
      if (!(error instanceof AurexError)) throw error
      const waiting = { waitsFor: `a record that can be read: ${error.message}` }
      return error.code === 'record-damaged' ? { ...waiting, help: this.#help() } : waiting
    }
  }

  #sign(plugin: string, track: string, place: Place, text: string): Result<string> {
    const reserved = this.#reserve(track, place, text)
    if (!reserved.ok) return reserved
    try {
      this.#own().write(reserved.value)
    } catch (error) {
      return unavailable(error)
    }
    return found(this.#parts.identity.sign(`aurex/${plugin}/1`, text))
  }

  #reserve(track: string, place: Place, text: string): Result<readonly RecordChange[]> {
    checkPlace(track, place)
    const record = this.#own()
    try {
      const stopped = this.#stopped()
      if (stopped !== undefined) return stoppedText(stopped)
      const [floor, last] = [record.floor(), record.last(track)]
      const refused = this.#refusal(track, place, text, floor, last)
      if (refused !== undefined) return refused
      this.#heldBy = this.#parts.holdKey?.()
      if (this.#heldBy !== undefined) return stoppedText(this.#heldBy)
      const isSame = last !== undefined && comparePlaces(place, last.place) === 0
      return found(isSame ? [] : [record.changeTo(track, { place, text })])
    } catch (error) {
      return this.#damaged(error) ?? unavailable(error)
    }
  }

  #refusal(track: string, place: Place, text: string, floor: number, last: Last | undefined): Refusal | undefined {
    if (place[0]! <= floor) return signedAlready(track, place, `nothing up to height ${floor} is signed`)
    if (last === undefined) return undefined
    const order = comparePlaces(place, last.place)
    if (order > 0 || (order === 0 && text === last.text)) return undefined
    return signedAlready(track, place, `${placeText(last.place)} was signed`)
  }

  #lastOf(track: string): Last | undefined {
    try {
      return this.#own().last(track)
    } catch (error) {
      if (this.#damaged(error) !== undefined) return undefined
      throw error
    }
  }

  #floor(): number {
    try {
      return this.#own().floor()
    } catch (error) {
      // Nothing is signed any more, whatever its height.
      if (this.#damaged(error) !== undefined) return Number.MAX_SAFE_INTEGER
      throw error
    }
  }

  #met(track: string, place: Place, text: string): void {
    checkPlace(track, place)
    const record = this.#own()
    try {
      // The first that was not known has stopped it: of a long chain with many, nothing more is written.
      if (record.stopped() !== undefined || place[0]! <= record.floor()) return
      const last = record.last(track)
      const order = last === undefined ? 1 : comparePlaces(place, last.place)
      if (order < 0 || (order === 0 && last!.text === text)) return
    } catch (error) {
      if (this.#damaged(error) === undefined)
        this.#stopHere(`a record that can be read: ${messageOf(error)}`, 'start this node anew')
      return
    }
    this.#stop(
      `${track} ${placeText(place)}: it was signed with this node's key, and the record does not know it`,
      place[0],
    )
  }

  #stopped(): Waiting | undefined {
    if (this.#here !== undefined) return this.#here
    const stop = this.#record?.stopped()
    return stop && { waitsFor: stop.waitsFor, since: stop.since, help: this.#help() }
  }

  /** The refusal where what was thrown says that the record is damaged: from then on nothing is signed. */
  #damaged(error: unknown): Refusal | undefined {
    if (!(error instanceof AurexError) || error.code !== 'record-damaged') return undefined
    this.#stop(error.message)
    return stoppedText(this.#here ?? { waitsFor: error.message })
  }

  /** For good: also for the processes after this one. The first reason stays, and is told once. */
  #stop(why: string, height?: number): void {
    const { clock, log } = this.#parts
    const stop = { waitsFor: `the operator: ${why}`, since: clock.now(), height }
    if (this.#isStopped()) return
    if (this.#here === undefined) log.error('nothing is signed any more', { why, what_to_do: this.#help() })
    try {
      this.#own().stop(stop)
    } catch (error) {
      if (!(error instanceof AurexError)) throw error
      this.#here ??= { waitsFor: stop.waitsFor, since: stop.since, help: this.#help() }
    }
  }

  /** Whether the ledger has a reason that can be read. */
  #isStopped(): boolean {
    try {
      return this.#own().stopped() !== undefined
    } catch (error) {
      if (error instanceof AurexError) return false
      throw error
    }
  }

  #stopHere(waitsFor: string, help: string): void {
    if (this.#here !== undefined) return
    const { clock, log } = this.#parts
    this.#here = { waitsFor, since: clock.now(), help }
    log.error('nothing is signed until this node is started anew', { waits_for: waitsFor, what_to_do: help })
  }

  #help(): string {
    return (
      'make sure that no other process has this key, let this node catch up with the others, stop it, and run: ' +
      `aurex signing ${quoted(this.#ledger)} --resume`
    )
  }

  #own(): SigningRecord {
    if (this.#record !== undefined) return this.#record
    const message =
      'signing needs the ledger for its record, and there is none yet; add sqlite, and sign when the chain is up'
    throw new AurexError('slot-empty', message)
  }
}

/** A path as a shell takes it. */
const quoted = (path: string): string => (/^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`)

function checkPlace(track: string, place: Place): void {
  if (isPlace(place)) return
  throw new AurexError('bad-place', `${track}: a place is whole numbers from 0 up, got ${JSON.stringify(place)}`)
}

const stoppedText = ({ waitsFor }: Waiting): Refusal => decline('signing-stopped', `signing waits for ${waitsFor}`)

const signedAlready = (track: string, place: Place, why: string): Refusal =>
  decline('signed-already', `${track} ${placeText(place)}: ${why}`)

/** What the storage threw. Throws again what is a fault of ours. */
function unavailable(error: unknown): Refusal {
  if (!(error instanceof AurexError)) throw error
  return decline('storage-unavailable', `the record of what is signed cannot be read or written: ${messageOf(error)}`)
}
