import type { Address, Signer, Waiting } from '../../core/index.ts'
import type { Rules } from './rules.ts'
import type { Ballot } from './votes.ts'

const namedMax = 10

const short = (address: Address): string => `${address.slice(0, 4)}...${address.slice(-2)}`

export interface Missing {
  readonly rules: Rules
  /** The height that is to become final. */
  readonly index: number
  /** What is being voted for, and who has; undefined: nobody has voted. */
  readonly ballot: Ballot | undefined
  /** Milliseconds, wall clock. */
  readonly since: number
  /** This node's own key. */
  readonly own: Pick<Signer, 'address' | 'floor'>
}

/** Whose votes are missing for a block to become final, for `aurex why`. */
export function missingVotes({ rules, index, ballot, since, own }: Missing): Waiting {
  const { authorities, quorum } = rules
  const missing = authorities.filter((address) => ballot?.signatures.has(address) !== true)
  const names = missing.slice(0, namedMax).map(short)
  const more = missing.length - names.length
  const who = `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
  const here = authorities.length - missing.length
  const what = ballot?.statement.kind === 'commit' ? 'second vote' : 'vote'
  const height = ballot?.statement.target.index ?? index
  const count = here === 0 ? 'nobody of a quorum has voted yet' : `${here} of the ${quorum} that decide have voted`
  return {
    waitsFor: `the ${what} of ${who} for block ${height}: ${count}`,
    since,
    help: missing.includes(own.address) && height <= own.floor() ? resumedText(own.floor()) : startText,
  }
}

const startText =
  'start the nodes of these authorities, and see that they reach this one; one that runs says why it does not vote: aurex why'

/** Of a node that was resumed: it may have voted for this block already, and does not know it any more. */
const resumedText = (floor: number): string =>
  `this node signs nothing up to height ${floor}, since it was resumed (aurex signing); it votes for the next block, which ` +
  'makes this one final as well; or start the nodes of the others'

/** Why no block may be made on a chain that halts. */
export const haltedWaiting = ({ haltAfter = 0 }: Rules, final: number): Waiting => ({
  waitsFor: `finality: block ${final} is the last final one, and no block may stand more than ${haltAfter} above it`,
  help: 'start the nodes of the authorities, so that their votes make a quorum',
})
