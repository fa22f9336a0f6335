import type { Block, Header, SealedHeader } from '../chain/block.ts'
import type { Json } from '../chain/json.ts'
import type { Address } from '../chain/keys.ts'
import type { Result, Verdict } from '../errors.ts'
import type { StoredHeader } from './storage.ts'

/** The headers below a block, on its own branch, so that a rule can look back (median time, retarget, turns). */
export interface Ancestry {
  readonly parent: SealedHeader
  /** undefined above the parent. */
  at(index: number): SealedHeader | undefined
}

/** What somebody waits for, in words that end a sentence: `aurex why` shows it. */
export interface Waiting {
  /** `a transaction`, `a block of 3f2a...91, whose turn it is`. */
  readonly waitsFor: string
  /** Milliseconds, wall clock. Absent: since the head moved. */
  readonly since?: number
  /** What somebody could do about it. */
  readonly help?: string
}

/** When this node may produce: from `when` on (milliseconds, wall clock), or never by itself: it waits for something. */
export type Due = { readonly when: number } | Waiting

export interface Seal {
  readonly nonce: number
  readonly certificate?: Json
}

/** The chain, for an engine whose nodes agree on a block before it is recorded. */
export interface ChainDoor {
  head(): StoredHeader
  /** Of the head: `parent` is the head itself. */
  ancestry(): Ancestry
  /** How many transactions wait to be recorded. */
  pendingCount(): number
  /**
   * Whether a block could be recorded on the head, but for what its engine says of it: hash, signatures, body, time,
   * application. Refusals: as of `Chain.submitBlock`; `stale-proposal` where it does not stand on the head (nobody's fault).
   */
  examine(block: unknown): Promise<Result<Block>>
  /** As `Chain.submitBlock`. */
  submit(block: unknown): Promise<Verdict>
  /** The engine would answer `due` otherwise than before: core asks again. */
  changed(): void
  /** Called after every move of the head, on the writer's stack: take note, and work later. */
  onHead(hear: (head: SealedHeader) => void): void
}

/**
 * The rules of one engine. Everything but `due`, `seal` and `open` is pure: the same header and ancestry give the same
 * answer on every node. Core itself checks hash, signature, body, parent, index and that time goes forward.
 */
export interface Consensus {
  /** What the header's `consensus` says: the plugin's name. */
  readonly id: string
  /** How far ahead of the clock a timestamp may be. */
  readonly futureMillisecondsMax: number
  /** true: a valid block can never be undone, since those who could make another have agreed on it. The head is final. */
  readonly finalAtOnce?: boolean
  /** Fills in what the rules demand of the block after `ancestry.parent`: `work`, `seal`, `signer_id`. */
  prepare(draft: Header, ancestry: Ancestry): Header
  /** Whether these rules hold for a header, and its seal. */
  verify(header: SealedHeader, ancestry: Ancestry): Verdict
  /** Fork choice adds these up; at least 1. */
  weight(header: Header): bigint
  /**
   * Of two chains of the same weight that is preferred whose head ranks higher, then that of the lower hash. Absent: the
   * hash alone decides. Only of headers that were verified.
   */
  rank?(header: Header): bigint
  /** Whose blocks may follow `ancestry.parent`, by their addresses, in the order of turns. Absent: anybody's. */
  authorities?(ancestry: Ancestry): readonly Address[]
  /**
   * What a key may sign one block of only, in numbers that grow from block to block: `[height]`. Core keeps a durable
   * record of it, signs nothing twice and nothing earlier, and makes evidence of two blocks of one key and turn. Absent: a
   * producer may sign as many as it finds.
   */
  turn?(header: Header): readonly number[]
  /**
   * `pending`: how many transactions wait to be recorded. `since`: when the oldest of them came here; `now` where there is
   * none. All milliseconds of the wall clock.
   */
  due(ancestry: Ancestry, pending: number, now: number, since: number): Due
  /**
   * undefined when `signal` was aborted first. `propose`: the block as it will be but for its certificate (nonce 0),
   * signed, for those who must agree on it before it is sealed.
   */
  seal(header: Header, signal: AbortSignal, propose: () => Block): Promise<Seal | undefined>
  /** The chain is up: for an engine whose nodes agree among themselves. Called once, before anything is produced. */
  open?(door: ChainDoor): void
}
