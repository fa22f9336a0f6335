import type { SealedHeader } from '../chain/block.ts'
import type { Hash } from '../chain/canonical.ts'
import type { JsonObject } from '../chain/json.ts'
import type { NodeId } from '../chain/keys.ts'
import type { Verdict } from '../errors.ts'
import type { Ancestry, Waiting } from './consensus.ts'
import type { StoredHeader } from './storage.ts'

export interface Checkpoint {
  readonly index: number
  readonly hash: Hash
}

/** The chain, for whoever says what is final. */
export interface FinalityDoor {
  head(): StoredHeader
  /** Header of the recorded chain. */
  headerAt(index: number): StoredHeader | undefined
  /** Of a recorded block or of one beside. */
  header(hash: Hash): StoredHeader | undefined
  /** `parent` is this block itself; undefined where it is not here. */
  ancestry(hash: Hash): Ancestry | undefined
  /** What is justified or final is another than before: core looks again for the best chain. */
  changed(): void
  /** Has a block fetched that is not here, with all below it, from a peer that is said to have it. */
  fetch(checkpoint: Checkpoint, from: NodeId): void
  /** Called with every block that was taken, recorded or beside, on the writer's stack: take note, and work later. */
  onBlock(hear: (header: SealedHeader) => void): void
  /** Called after every move of the head, on the writer's stack. */
  onHead(hear: (head: SealedHeader) => void): void
}

/**
 * Which block can no longer be undone, whatever engine proposes. What it is told in `open` may come in any order; what it
 * answers never goes back.
 */
export interface Finality {
  /** Of what this node knows, the highest checkpoint that fork choice looks at first. Block 0 at the beginning. */
  justified(): Checkpoint
  /** Nothing up to it is ever undone. Block 0 at the beginning. */
  final(): Checkpoint
  /** For the header's `finality` of a block on `ancestry.parent`; undefined where there is nothing new to say. */
  certificate(ancestry: Ancestry): JsonObject | undefined
  /** Pure: whether a header may bear what stands in its `finality`, or may do without. */
  verify(header: SealedHeader, ancestry: Ancestry): Verdict
  /**
   * undefined: a block may follow; else why this node may not make one now that records something (a chain that halts
   * without finality).
   */
  halted(ancestry: Ancestry): Waiting | undefined
  /** Whether a block would help to make final what is recorded, although no transaction waits. */
  wantsBlock(ancestry: Ancestry, now: number): boolean
  /** Whom or what finality waits for; undefined: for nothing. */
  waits(): Waiting | undefined
  /** The chain is up. Called once. */
  open(door: FinalityDoor): void
}
