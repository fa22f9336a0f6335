import type { Due, Waiting } from '../plugin.ts'
import type { Hash } from './canonical.ts'

/**
 * A head that did not move for so long although something waits to be recorded is stalled: blocks are said again, and
 * built elsewhere. Where nothing waits, and a higher branch stands beside it, they are built there, if the engine wants any.
 */
export const stalledMilliseconds = 3_000

/** The last block of a branch. */
export interface Tip {
  readonly index: number
  readonly hash: Hash
}

export interface SiteParts<T extends Tip> {
  readonly head: T
  /** The last blocks of the branches beside the recorded chain, in no order. */
  readonly sideTips: readonly T[]
  /** See `stalledMilliseconds`. Never, for an engine without turns: it may always build on the head. */
  readonly stalled: boolean
  /** Whether the final block is on this branch, or is its tip. */
  readonly holdsFinal: (tip: T) => boolean
  /** Fork choice: whether the branch that ends in `a` is better than the one that ends in `b`. */
  readonly prefers: (a: T, b: T) => boolean
  /**
   * When this node may make the block after this one: the engine says when, and the record of what was signed has room
   * for the block's turn. Asked of one after the other, until one has a time.
   */
  readonly mayBuild: (tip: T) => Due
}

/** On which block to build, and from when on; or what the head waits for, where there is none. */
export type Site<T extends Tip> = { readonly on: T; readonly when: number } | Waiting

/**
 * Where a producer builds. On the head, as long as that moves. An authority signs one block a height, so those who signed
 * at the next height of a branch that lost cannot go on with the head, and when they are too many, nobody can. Then
 * all who produce turn to the highest of the tips that hold the final block: it is above everything that anybody who is up
 * has signed (nothing is signed that is not kept and relayed), so those whom the engine lets may extend it, until it
 * outweighs the head. Only where they may not, the next one is looked at; of equal heights the better one by fork choice, so
 * that all come to the same. On a branch without the final block nothing is built: its blocks would be of no use to anyone.
 */
export function chooseSite<T extends Tip>(parts: SiteParts<T>): Site<T> {
  const { head, stalled, holdsFinal, mayBuild } = parts
  let headWaits: Waiting | undefined
  for (const on of stalled ? highestFirst(parts) : [head].filter(holdsFinal)) {
    const due = mayBuild(on)
    if ('when' in due) return { on, when: due.when }
    if (on === head) headWaits = due
  }
  return headWaits ?? { waitsFor: 'the final block, which is not on the chain that is recorded here' }
}

function highestFirst<T extends Tip>({ head, sideTips, holdsFinal, prefers }: SiteParts<T>): T[] {
  const tips = [head, ...sideTips].filter(holdsFinal)
  return tips.sort((a, b) => b.index - a.index || (prefers(a, b) ? -1 : prefers(b, a) ? 1 : 0))
}
