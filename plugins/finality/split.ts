import type { Checkpoint } from '../../core/index.ts'
import { isAround } from './contradiction.ts'
import { isSame } from './rules.ts'
import type { Tally } from './tally.ts'
import { keyOf, type Ballot, type Statement } from './votes.ts'

/** The statement that a checkpoint needs signatures for next, and who signed it as far as is known here. */
function underWay(tally: Tally, justified: Checkpoint, checkpoint: Checkpoint): Ballot | undefined {
  if (justified.index >= checkpoint.index) return commitsOf(tally, justified)
  return mostVoted(
    tally.linksAbove(checkpoint.index - 1).filter(({ statement }) => isSame(statement.target, checkpoint)),
  )
}

export function commitsOf(tally: Tally, target: Checkpoint): Ballot {
  const statement: Statement = { kind: 'commit', target }
  return tally.of(statement) ?? { statement, signatures: new Map() }
}

/** The first of those with most votes. */
export const mostVoted = (ballots: readonly Ballot[]): Ballot | undefined =>
  ballots.toSorted((a, b) => b.signatures.size - a.signatures.size)[0]

/**
 * Whether some authority has voted such that it can no longer help a checkpoint to become justified or committed: then only
 * a higher one can make it final.
 */
export function isSplit(
  tally: Tally,
  authorities: readonly string[],
  justified: Checkpoint,
  checkpoint: Checkpoint,
): boolean {
  const wanted = underWay(tally, justified, checkpoint)?.statement
  const isBound = ({ statement }: { readonly statement: Statement }): boolean => {
    if (statement.kind === 'commit') return false
    if (wanted?.kind === 'commit') return isAround(statement, wanted)
    return statement.target.index >= checkpoint.index && (wanted === undefined || keyOf(statement) !== keyOf(wanted))
  }
  return authorities.some((address) => tally.votesOf(address).some(isBound))
}
