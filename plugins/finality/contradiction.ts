import type { Statement } from './votes.ts'

/**
 * What two statements of one key are that no honest key signs, in words that end a sentence; undefined where they go
 * together. The two commandments of Casper FFG (Buterin, Griffith 2017, figure 2), a commit being a vote from its target to
 * its target.
 */
export function contradiction(a: Statement, b: Statement): string | undefined {
  if (a.kind === b.kind && a.target.index === b.target.index && a.target.hash !== b.target.hash) {
    return `two ${a.kind} votes at height ${a.target.index}`
  }
  if (isAround(a, b)) return `a vote around height ${b.target.index}`
  return isAround(b, a) ? `a vote around height ${a.target.index}` : undefined
}

/** Whether one vote begins below another and ends above it. */
export function isAround(outer: Statement, inner: Statement): boolean {
  if (outer.kind === 'commit') return false
  const innerSource = inner.kind === 'commit' ? inner.target : inner.source
  return outer.source.index < innerSource.index && inner.target.index < outer.target.index
}
