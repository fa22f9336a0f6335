import type { Address } from '../chain/keys.ts'
import type { Result } from '../errors.ts'
import type { Waiting } from './consensus.ts'

/** Numbers that grow, compared from the first on: `[height]`, `[height, round, step]`. The first is a height. */
export type Place = readonly number[]

/**
 * Signs with this node's key, and remembers for good what it signed before anybody gets to see it: in the ledger's own
 * file. Each track (`vote`) goes forward only. Needs the slot `storage`.
 */
export interface Signer {
  readonly address: Address
  /**
   * Base64 of the signature over `aurex/<plugin>/1` + newline + `text`. The same text at the last place is signed again.
   * Declines `signed-already` (another text at this place, or one at a later place), `signing-stopped` (the record is
   * older than what this key has signed, or another process has the key: see `stopped`), `storage-unavailable`.
   */
  sign(track: string, place: Place, text: string): Result<string>
  /** The last that was signed on a track. */
  last(track: string): { readonly place: Place; readonly text: string } | undefined
  /**
   * A signature by this node's own key was met. If the record does not know of it, somebody else signs with the key, or
   * the record is an old one: nothing is signed any more, by anyone in this process, until the operator has mended it.
   */
  met(track: string, place: Place, text: string): void
  /**
   * The operator has resumed signing after the record was lost: up to this height nothing is signed, and what was may not be
   * known. 0: never. Throws as `Storage` does.
   */
  floor(): number
  /** Why nothing is signed; undefined: it is. */
  stopped(): Waiting | undefined
}
