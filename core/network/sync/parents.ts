import type { SealedHeader } from '../../chain/block.ts'
import type { NetworkChain } from '../module.ts'
import type { Peer } from '../peer.ts'
import { askBlock, type Unchecked } from './questions.ts'

/** Protocol section 5: a node that is further behind synchronises by headers. */
export const nearBlocksMax = 10

/**
 * Fetches what is missing below a block that a peer sent, one parent after the other down to a block that is here, and
 * hands it to the chain. The block itself waits there as an orphan. False where this was not enough.
 */
export async function fetchParents(
  chain: NetworkChain,
  peer: Peer,
  block: SealedHeader,
  millisecondsMax: number,
): Promise<boolean> {
  const parents: Unchecked[] = []
  for (let wanted = block.prev_hash; chain.header(wanted) === undefined;) {
    if (parents.length >= nearBlocksMax) return false
    const answer = await askBlock(peer, wanted, millisecondsMax)
    if (!answer.ok && answer.provable) peer.drop(answer)
    const parent = answer.ok ? answer.value[0] : undefined
    if (parent?.current_hash !== wanted) return false
    parents.unshift(parent)
    wanted = parent.prev_hash
  }
  if (parents.length === 0) return true
  const { verdict } = await chain.submitBranch(parents, peer.id)
  if (!verdict.ok && verdict.provable) peer.drop(verdict)
  return verdict.ok
}
