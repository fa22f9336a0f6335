import type { Verdict } from '../errors.ts'
import type { StoredHeader } from '../plugin.ts'
import type { SealedHeader } from './block.ts'

/**
 * Headers on top of a block of the ledger that are checked (hash, signature, rules, work) and held in memory while
 * nothing of them is stored: what a peer says its chain is, before anybody fetches the blocks.
 */
export interface HeaderTrail {
  /** The block of the ledger on which it stands. */
  readonly base: StoredHeader
  /** The last header; the base's where there is none yet. */
  readonly tip: SealedHeader
  /** Up to and including the tip. */
  readonly totalWork: bigint
  /** A header above the base. undefined where there is none, or it was released. */
  at(index: number): SealedHeader | undefined
  /**
   * Checks headers that continue the trail, oldest first, and adds them. At the first that does not hold it stops and
   * says why; those before it were added. Refusals: those of `readHeader`, `bad-signature`, `bad-parent`, those of
   * `checkSuccession`, `timestamp-ahead`, `reorganisation-too-deep`, and `too-many` beyond `sync_headers_max`.
   */
  extend(values: readonly unknown[]): Promise<Verdict>
  /** Forgets the headers up to and including this index, except for what the rules of later ones look back on. */
  release(index: number): void
}
