import type { Address, Ancestry, SealedHeader } from '../../core/index.ts'
import { signerOf, type Snapshot } from './authorities.ts'
import type { Action } from './wishes.ts'
import { majorityOf } from './votes.ts'
import { shortAddress } from './waiting.ts'

/** Nobody looks back further for the last block of somebody who signs no more. */
const lookBackBlocksMax = 1_000

/** The last block of each authority, among the last 1,000; those that have none are not in it. */
export function lastSigned(ancestry: Ancestry, authorities: readonly Address[]): ReadonlyMap<Address, SealedHeader> {
  const wanted = new Set(authorities)
  const last = new Map<Address, SealedHeader>()
  const lowest = Math.max(1, ancestry.parent.index - lookBackBlocksMax + 1)
  for (let index = ancestry.parent.index; index >= lowest && wanted.size > 0; index--) {
    const header = ancestry.at(index)
    if (header === undefined) break
    const signer = signerOf(header)
    if (wanted.delete(signer)) last.set(signer, header)
  }
  return last
}

/** How many of the last blocks tell who is up: twice as many as there are authorities. */
export const latelyBlocks = ({ index, authorities }: Snapshot): number => Math.min(index, 2 * authorities.length)

/** Who signed one of the last blocks. */
export const signedLately = (below: Snapshot): ReadonlySet<Address> =>
  new Set(below.recent.slice(0, latelyBlocks(below)))

/**
 * What to think of before a vote: once it has passed, too few may be up for blocks to be made. `seen`: who is up for
 * another reason, this node among them. undefined: nothing.
 */
export function warningOf(
  vote: Action,
  target: Address,
  below: Snapshot,
  seen: ReadonlySet<Address>,
): string | undefined {
  if (vote === 'withdraw') return undefined
  const others = below.authorities.filter((address) => address !== target)
  const after = vote === 'add' ? [...others, target] : others
  const lately = signedLately(below)
  const up = after.filter((address) => lately.has(address) || seen.has(address))
  const needed = majorityOf(after.length)
  if (up.length >= needed) return undefined
  const silent = after.filter((address) => !up.includes(address))
  return (
    `when this vote has passed, ${needed} of ${after.length} authorities must be up, and only ${up.length} of them ` +
    `${up.length === 1 ? 'is' : 'are'} connected here or signed one of the last ${latelyBlocks(below)} blocks: the chain ` +
    `would stop; see first that ${silent.slice(0, 4).map(shortAddress).join(', ')} runs`
  )
}
