import type { Hash } from './canonical.ts'

/** A block beside the recorded chain, as far as pruning goes. */
export interface Side {
  readonly hash: Hash
  readonly prevHash: Hash
  readonly index: number
  readonly totalWork: bigint
  readonly bytes: number
}

/**
 * Which side blocks to drop: those below an index with all that stands on them, then the lightest tips, of equal weight
 * the higher hash, until no more than so many blocks and bytes are left. What is left has its branch whole, down to the
 * recorded chain: a block without its parent could never be adopted. Blocks of `keep`, and all below them, are dropped for
 * their index only: there is more about them than their weight.
 */
export function sidesToDrop(
  sides: readonly Side[],
  belowIndex: number,
  blocksMax: number,
  bytesMax: number,
  keep: readonly Hash[] = [],
): Hash[] {
  const kept = new Map(sides.map((side) => [side.hash, side]))
  const dropped: Hash[] = []
  const drop = (side: Side): void => {
    kept.delete(side.hash)
    dropped.push(side.hash)
  }
  const known = new Set(kept.keys())
  for (const side of sides.toSorted((a, b) => a.index - b.index)) {
    const lostParent = known.has(side.prevHash) && !kept.has(side.prevHash)
    if (side.index < belowIndex || lostParent) drop(side)
  }
  let bytes = [...kept.values()].reduce((sum, side) => sum + side.bytes, 0)
  const wanted = withAncestors(keep, kept)
  // Work adds up, so the lightest of all may carry others: only a tip can go.
  const children = new Map<Hash, number>()
  for (const { prevHash } of kept.values()) children.set(prevHash, (children.get(prevHash) ?? 0) + 1)
  const order = [...kept.values()].filter(({ hash }) => !wanted.has(hash)).toSorted(lighterFirst)
  while (kept.size > blocksMax || bytes > bytesMax) {
    const tip = order.find(({ hash }) => kept.has(hash) && (children.get(hash) ?? 0) === 0)
    if (tip === undefined) break
    drop(tip)
    bytes -= tip.bytes
    children.set(tip.prevHash, (children.get(tip.prevHash) ?? 1) - 1)
  }
  return dropped
}

function withAncestors(hashes: readonly Hash[], sides: ReadonlyMap<Hash, Side>): ReadonlySet<Hash> {
  const all = new Set<Hash>()
  for (const hash of hashes) {
    for (let side = sides.get(hash); side !== undefined && !all.has(side.hash); side = sides.get(side.prevHash)) {
      all.add(side.hash)
    }
  }
  return all
}

function lighterFirst(a: Side, b: Side): number {
  if (a.totalWork !== b.totalWork) return a.totalWork < b.totalWork ? -1 : 1
  return a.hash < b.hash ? 1 : -1
}
