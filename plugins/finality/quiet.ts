import { parseTimestamp, sha256Hex, type Ancestry, type Checkpoint, type SealedHeader } from '../../core/index.ts'
import { checkpointUpTo, type Rules } from './rules.ts'

/** Blocks without transactions that are asked for in a row; more would not help either. */
export const emptyBlocksMax = 100
/** Of them so many checkpoints above the one that would have done. */
const sparesMax = 8

/** RFC 6962, 2.1: the root of a block without transactions. */
const emptyRoot = sha256Hex('')

export interface Quiet {
  readonly ancestry: Ancestry
  /** Milliseconds, wall clock. */
  readonly now: number
  readonly final: Checkpoint
  readonly rules: Rules
  readonly roundMilliseconds: number
  /** Whether no quorum can come together any more for a checkpoint that is not final. */
  readonly isSplit: (checkpoint: Checkpoint) => boolean
}

/**
 * Whether an empty block would help to make final what is recorded: up to the checkpoint that covers the last transaction;
 * and where the votes for that one are split between branches, up to the next, and so on, later each time.
 */
export function wantsEmptyBlock(quiet: Quiet): boolean {
  const { ancestry, rules, final, isSplit, now, roundMilliseconds } = quiet
  const { parent } = ancestry
  const busy = lastBusy(ancestry, final.index)
  if (busy === undefined) return false
  const covering = Math.ceil(busy / rules.every) * rules.every
  if (covering - busy > emptyBlocksMax) return false
  if (parent.index < covering) return true
  const newest = checkpointUpTo(parent.index, rules)
  // Between two checkpoints: somebody began to go to the next one.
  const spares = Math.floor((parent.index - covering) / rules.every)
  if (spares >= sparesMax || !isSplit({ index: newest, hash: hashAt(ancestry, newest) })) return false
  const since = parseTimestamp(parent.timestamp) ?? now
  return parent.index > newest || now >= since + roundMilliseconds * 2 ** spares
}

/** The height of the last block with transactions above the final one; undefined where there is none, or too far below. */
function lastBusy(ancestry: Ancestry, finalIndex: number): number | undefined {
  const lowest = Math.max(finalIndex, ancestry.parent.index - emptyBlocksMax)
  for (let index = ancestry.parent.index; index > lowest; index--) {
    const header = ancestry.at(index)
    if (header === undefined) return undefined
    if (!isEmpty(header)) return index
  }
  return undefined
}

/** It records nothing. */
export const isEmpty = ({ tx_root }: SealedHeader): boolean => tx_root === emptyRoot

const hashAt = (ancestry: Ancestry, index: number): string => ancestry.at(index)?.current_hash ?? ''
