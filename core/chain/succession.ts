import { accepted, decline, refuse, type Verdict } from '../errors.ts'
import type { Ancestry, Consensus, Finality } from '../plugin.ts'
import { medianTimePast } from './ancestry.ts'
import type { SealedHeader } from './block.ts'
import { zeroHash } from './canonical.ts'
import type { ChainRules } from './rules.ts'
import { parseTimestamp } from './timestamp.ts'

interface SuccessionParts {
  readonly consensus: Consensus
  /** Where the genesis asks for one. */
  readonly finality?: Pick<Finality, 'verify'> | undefined
  readonly rules: Pick<ChainRules, 'application'>
}

/**
 * What a header that was read must be on top of its parent, at any time and on every node: whoever takes a block in and
 * whoever re-checks a ledger ask here. Refuses `bad-parent`, `bad-index`, `bad-state-root`, `bad-finality`,
 * `bad-timestamp`, and what the engine refuses.
 */
export function checkSuccession(header: SealedHeader, ancestry: Ancestry, parts: SuccessionParts): Verdict {
  const ground = checkGround(header, ancestry, parts)
  if (!ground.ok) return ground
  const seal = parts.consensus.verify(header, ancestry)
  return seal.ok ? checkCertificate(header, ancestry, parts) : seal
}

/** All of it but what the engine says: of a block on which its engine has not agreed yet. */
export function checkProposal(
  header: SealedHeader,
  ancestry: Ancestry,
  parts: Omit<SuccessionParts, 'consensus'>,
): Verdict {
  const ground = checkGround(header, ancestry, parts)
  return ground.ok ? checkCertificate(header, ancestry, parts) : ground
}

function checkGround(header: SealedHeader, ancestry: Ancestry, { rules }: Pick<SuccessionParts, 'rules'>): Verdict {
  const { parent } = ancestry
  if (header.prev_hash !== parent.current_hash) {
    return refuse('bad-parent', `prev_hash: expected ${parent.current_hash}, the hash of the block below`)
  }
  if (header.index !== parent.index + 1) {
    return refuse('bad-index', `index: expected ${parent.index + 1}, got ${header.index}`)
  }
  // Of a chain with an application the header alone does not tell: its block is executed later.
  if (rules.application === undefined && header.state_root !== zeroHash)
    return refuse('bad-state-root', 'state_root: expected 64 zeros')
  if (parseTimestamp(header.timestamp)! <= medianTimePast(ancestry)) {
    return refuse('bad-timestamp', 'timestamp: expected later than the median of the last 11 blocks')
  }
  return accepted
}

function checkCertificate(
  header: SealedHeader,
  ancestry: Ancestry,
  { finality }: Pick<SuccessionParts, 'finality'>,
): Verdict {
  if (finality !== undefined) return finality.verify(header, ancestry)
  if (header.finality === undefined) return accepted
  return refuse('bad-finality', 'finality: this chain has no such certificates')
}

/** Clocks differ: a block from the future may be good in a while, so nobody is to blame. Declines `timestamp-ahead`. */
export function checkNotAhead({ timestamp }: SealedHeader, { futureMillisecondsMax }: Consensus, now: number): Verdict {
  if (parseTimestamp(timestamp)! <= now + futureMillisecondsMax) return accepted
  return decline('timestamp-ahead', `timestamp: more than ${futureMillisecondsMax / 1000} s ahead of this clock`)
}
