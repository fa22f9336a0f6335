import {
  accepted,
  AurexError,
  parseTimestamp,
  refuse,
  type Ancestry,
  type Hash,
  type SealedHeader,
  type Verdict,
} from '../../core/index.ts'
import { retarget } from './asert.ts'
import type { PowParameters } from './schema.ts'

/** Expected hashes for the block after `ancestry.parent`. */
export function workAt(ancestry: Ancestry, parameters: PowParameters): number {
  const { parent } = ancestry
  const { difficulty, block_time: blockTime } = parameters
  // The genesis was not mined, so the time between it and block 1 says nothing about hash power.
  if (blockTime === undefined || parent.index < 2) return 16 ** difficulty
  const before = ancestry.at(parent.index - 1)
  if (before === undefined) {
    throw new AurexError(
      'missing-ancestor',
      `pow: block ${parent.index - 1}, the parent of ${parent.current_hash}, is not in the ledger; run: aurex verify`,
    )
  }
  const halfLife = parameters.half_life ?? halfLifeBlockTimes * blockTime
  const pace = { blockTime: blockTime * 1000, halfLife: halfLife * 1000 }
  const next = retarget(parent.work, timeOf(parent) - timeOf(before), pace)
  // A chain with little to record sees late blocks only: it must not sink to where anybody rewrites it in a second.
  return Math.max(next, 16 ** Math.max(0, difficulty - 1))
}

/**
 * Whether a header keeps the rules. Refuses `bad-work` (not what the rules give, whatever the header claims),
 * `bad-block` (a field that proof of work has no use for), `bad-seal` (the hash does not meet the target).
 */
export function verifyHeader(header: SealedHeader, ancestry: Ancestry, parameters: PowParameters): Verdict {
  // First, because it costs least and no later answer matters without it.
  const work = workAt(ancestry, parameters)
  if (header.work !== work) return refuse('bad-work', `work: the rules give ${work}, got ${header.work}`)
  const unused = (['seal', 'certificate', 'signer_id'] as const).find((field) => header[field] !== undefined)
  if (unused !== undefined) return refuse('bad-block', `${unused}: proof of work has no such field`)
  if (!meetsTarget(header.current_hash, work)) {
    return refuse('bad-seal', `current_hash does not meet the target of work ${work}`)
  }
  return accepted
}

/** Protocol section 4: a hash must be less than this as a number. `work`: expected hashes, an integer from 1 up. */
export const target = (work: number): bigint => 2n ** 256n / BigInt(work)

export const meetsTarget = (hash: Hash, work: number): boolean => BigInt(`0x${hash}`) < target(work)

/** Work as leading zero hex digits, with a fraction between powers of 16. */
export const difficultyOf = (work: number): number => Math.log2(work) / 4

/** Where the genesis gives a `block_time` and no `half_life`. */
const halfLifeBlockTimes = 20

function timeOf(header: SealedHeader): number {
  const time = parseTimestamp(header.timestamp)
  if (time !== undefined) return time
  throw new AurexError('ledger-damaged', `block ${header.index}: timestamp ${header.timestamp} is none`)
}
