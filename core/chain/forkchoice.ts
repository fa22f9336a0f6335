import type { Hash } from './canonical.ts'

export interface Candidate {
  readonly hash: Hash
  readonly totalWork: bigint
}

/**
 * Whether the chain that ends in `challenger` is to be preferred: most total work, then the lower hash, so that the
 * order in which two blocks arrived has no say.
 */
export function isBetter(challenger: Candidate, holder: Candidate): boolean {
  if (challenger.totalWork !== holder.totalWork) return challenger.totalWork > holder.totalWork
  return challenger.hash < holder.hash
}
