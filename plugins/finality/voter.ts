import type { Checkpoint } from '../../core/index.ts'
import { isSame } from './rules.ts'
import type { Commit, Justify, Statement } from './votes.ts'

/** The last of each kind that this node's key has signed. */
export interface VoteRecord {
  readonly justify: Justify | undefined
  readonly commit: Commit | undefined
  /** Nothing up to this height is signed: what was is lost. Whoever chose it all the same would wait for it for ever. */
  readonly floor?: number
}

/**
 * Whether the link may be signed after all that was signed before, of which the record has the last of each kind. Targets
 * grow from vote to vote and sources never fall, so that no two votes of one key share a target height, and none goes
 * around another; a source not below what was committed keeps it from going around a commit.
 */
export function mayJustify({ justify, commit, floor = 0 }: VoteRecord, { source, target }: Justify): boolean {
  if (source.index >= target.index || target.index <= floor) return false
  if (justify !== undefined && (target.index <= justify.target.index || source.index < justify.source.index))
    return false
  return commit === undefined || source.index >= commit.target.index
}

/**
 * The same of a commit. No vote signed before may go around it. The record has only the last, whose target is the highest,
 * so that what is not below that target is inside none.
 */
export function mayCommit({ justify, commit, floor = 0 }: VoteRecord, target: Checkpoint): boolean {
  if (target.index <= floor) return false
  if (commit !== undefined && target.index <= commit.target.index) return false
  return justify === undefined || target.index >= justify.target.index
}

/** What a node knows when it is to vote. */
export interface Outlook {
  readonly final: Checkpoint
  /** The highest, on whatever branch. */
  readonly justified: Checkpoint
  /** The highest that is justified on the head's chain; undefined where the head has left the final block. */
  readonly source: Checkpoint | undefined
  /** The latest checkpoint of the head's chain. */
  readonly newest: Checkpoint
  /** Targets on the head's chain that others link to `source`, and how many of them do. */
  readonly supported: readonly Support[]
  /** Whether a block is on the head's chain. */
  readonly isOnHead: (checkpoint: Checkpoint) => boolean
  /** Another target before the last one is final: never; one that others voted for; any. */
  readonly leave: 'never' | 'to-join' | 'freely'
}

export interface Support {
  readonly target: Checkpoint
  readonly votes: number
}

/** What to sign next, if anything. A commit first: it ends what a link began. */
export function nextStatement(record: VoteRecord, outlook: Outlook): Statement | undefined {
  const { justified, final } = outlook
  if (justified.index > final.index && mayCommit(record, justified)) return { kind: 'commit', target: justified }
  return nextLink(record, outlook)
}

function nextLink(record: VoteRecord, outlook: Outlook): Justify | undefined {
  const { source, justified, leave } = outlook
  if (source === undefined) return undefined
  // The head is about to move to what is justified: votes for what it leaves would be wasted, and bind this node.
  if (leave !== 'freely' && !isSame(source, justified)) return undefined
  const unfinished = isUnfinished(record, outlook)
  if (unfinished && leave === 'never') return undefined
  const target = joined(record, source, outlook) ?? (unfinished && leave === 'to-join' ? undefined : outlook.newest)
  if (target === undefined) return undefined
  const link: Justify = { kind: 'justify', source, target }
  return mayJustify(record, link) ? link : undefined
}

/** Whether the last target may still become final. */
function isUnfinished({ justify }: VoteRecord, { final, isOnHead }: Outlook): boolean {
  return justify !== undefined && justify.target.index > final.index && isOnHead(justify.target)
}

/**
 * The target of others that has most votes. Heads differ by a block or two, and votes only add up where they name the same
 * one. What lies in the lower half of what is not justified yet is passed over: who lies could hold everybody back with it.
 */
function joined(record: VoteRecord, source: Checkpoint, { supported, newest }: Outlook): Checkpoint | undefined {
  const least = (source.index + newest.index) / 2
  const open = supported.filter(({ target }) => target.index >= least && target.index <= newest.index)
  const possible = open.filter(({ target }) => mayJustify(record, { kind: 'justify', source, target }))
  return possible.toSorted((a, b) => b.votes - a.votes || b.target.index - a.target.index)[0]?.target
}
