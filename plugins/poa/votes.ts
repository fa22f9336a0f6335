import type { Address } from '../../core/index.ts'
import { authoritiesMax, type Ballot } from './seal.ts'

/** A vote that counts: its signer is an authority, and it says what is not so yet. */
export interface Vote {
  readonly signer: Address
  readonly target: Address
  /** To become an authority; otherwise to be one no longer. */
  readonly authorize: boolean
}

/** Who may sign, and what they have voted since the last checkpoint. */
export interface Electorate {
  /** Sorted: the order of turns. */
  readonly authorities: readonly Address[]
  /** Oldest first. */
  readonly votes: readonly Vote[]
}

/**
 * What one ballot does, as in EIP-225. The last vote of a signer on a target is the one that counts, so an earlier one
 * goes first. A vote for what is so already counts for nothing, and yet it touches the target: what has become a majority
 * since, because somebody left, is carried out then (EIP-225, cases 17 and 18).
 */
export function afterBallot(before: Electorate, signer: Address, ballot: Ballot): Electorate {
  const { target } = ballot
  const { authorities } = before
  const others = before.votes.filter((vote) => vote.signer !== signer || vote.target !== target)
  const votes =
    'authorize' in ballot && isMeant(authorities, ballot)
      ? [...others, { signer, target, authorize: ballot.authorize }]
      : others
  const tally = tallyOn({ authorities, votes }, target)
  if (tally === undefined || !tally.passes) return { authorities, votes }
  return tally.authorize ? afterJoining({ authorities, votes }, target) : afterLeaving({ authorities, votes }, target)
}

export interface Tally {
  readonly target: Address
  readonly authorize: boolean
  readonly signers: readonly Address[]
  /** How many it takes: more than half of the authorities. */
  readonly needed: number
  /** It has the majority, and is carried out at the next ballot on this target. */
  readonly passes: boolean
}

/** undefined: nobody votes on this address. */
export function tallyOn({ authorities, votes }: Electorate, target: Address): Tally | undefined {
  // Who is an authority can only be voted out, who is none only in: all votes on one target agree.
  const own = votes.filter((vote) => vote.target === target)
  if (own.length === 0) return undefined
  const { authorize } = own[0]!
  const needed = majorityOf(authorities.length)
  return { target, authorize, signers: own.map(({ signer }) => signer), needed, passes: own.length >= needed }
}

/** More than half: so many decide on a vote, and as many must be up for blocks to be made. */
export const majorityOf = (authorities: number): number => Math.floor(authorities / 2) + 1

/** Whether a vote would change anything. */
function isMeant(authorities: readonly Address[], { target, authorize }: Extract<Ballot, { authorize: boolean }>) {
  if (authorities.includes(target)) return !authorize
  return authorize && authorities.length < authoritiesMax
}

const afterJoining = ({ authorities, votes }: Electorate, target: Address): Electorate => ({
  authorities: [...authorities, target].sort(),
  votes: votes.filter((vote) => vote.target !== target),
})

/** Who leaves has no say any more, also not in what is undecided. */
const afterLeaving = ({ authorities, votes }: Electorate, target: Address): Electorate => ({
  authorities: authorities.filter((address) => address !== target),
  votes: votes.filter((vote) => vote.target !== target && vote.signer !== target),
})
