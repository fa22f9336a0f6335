import type { AppliedBlock, Checkpoint } from '../plugin.ts'
import type { Block, SealedHeader } from './block.ts'
import type { Hash } from './canonical.ts'
import type { Address, NodeId } from './keys.ts'
import type { PoolEntry } from './mempool.ts'

/** A block whose signature is good. */
export interface SignedBlock {
  readonly header: SealedHeader
  /** Of the key that signed. */
  readonly signer: Address
  /** It was made by this very process. */
  readonly own: boolean
}

/** Whoever must know at once and without fail; called by the writer, so it only takes note and works later. */
export interface ChainWatcher {
  /** These transactions were admitted just now. */
  admitted?(entries: readonly PoolEntry[]): void
  /** The head moved. `from`: the connection that the block came by, or `local`. */
  moved?(moved: HeadMove): void
  /** A block was taken, recorded or beside. Before `moved`. */
  taken?(header: SealedHeader): void
  /** A block was kept beside the recorded chain, of an engine with turns: others may have to build on it. */
  beside?(block: Block, from: string): void
  /** The head is stalled, and this block, which this node signed last, is beside the recorded chain: others may lack it. */
  sayAgain?(block: Block): void
}

/** `from`: a peer that is said to have it. */
export type Fetch = (checkpoint: Checkpoint, from: NodeId) => void

export interface HeadMove {
  readonly head: SealedHeader
  /** Newest first. */
  readonly undone: readonly Hash[]
  /** Oldest first. */
  readonly applied: readonly AppliedBlock[]
  /** Pending again: their blocks were undone. */
  readonly returned: readonly PoolEntry[]
  readonly from: string
}
