import type { SealedHeader } from '../../chain/block.ts'
import type { Hash } from '../../chain/canonical.ts'
import { accepted, decline, type Verdict } from '../../errors.ts'
import type { NetworkChain } from '../module.ts'
import type { Peer } from '../peer.ts'
import { askBlock, type Unchecked } from './questions.ts'

/** Protocol section 5: a node that is further behind synchronises by headers. */
export const nearBlocksMax = 10

export interface ParentsParts {
  readonly chain: NetworkChain
  readonly peer: Peer
  readonly block: SealedHeader
  /** Whether a block was found to stand on what is never taken. */
  readonly isRefused: (hash: Hash) => boolean
  readonly millisecondsMax: number
}

/**
 * Fetches what is missing below a block that a peer sent, one parent after the other down to a block that is here, and
 * hands it to the chain. The block itself waits there as an orphan. `verdict`: why this was not enough; `hashes`: of what
 * then stands on nothing.
 */
export async function fetchParents(parts: ParentsParts): Promise<{ verdict: Verdict; hashes: readonly Hash[] }> {
  const { chain, peer, block, isRefused, millisecondsMax } = parts
  const parents: Unchecked[] = []
  const ended = (verdict: Verdict) => ({
    verdict,
    hashes: [block.current_hash, ...parents.map(({ current_hash }) => current_hash)],
  })
  for (let wanted = block.prev_hash; chain.header(wanted) === undefined;) {
    if (isRefused(wanted)) return ended(decline('below-final', 'it stands on what was refused before'))
    if (parents.length >= nearBlocksMax)
      return ended(decline('too-many', 'more parents are missing than are fetched so'))
    const answer = await askBlock(peer, wanted, millisecondsMax)
    if (!answer.ok && answer.provable) peer.drop(answer)
    const parent = answer.ok ? answer.value[0] : undefined
    if (parent?.current_hash !== wanted) return ended(decline('bodies-missing', 'the peer did not send a parent'))
    parents.unshift(parent)
    wanted = parent.prev_hash
  }
  if (parents.length === 0) return ended(accepted)
  const { verdict } = await chain.submitBranch(parents, peer.id)
  if (!verdict.ok && verdict.provable) peer.drop(verdict)
  return ended(verdict)
}
