import type { Hash } from '../../chain/canonical.ts'

/** So many hashes one by one before the steps begin to double. */
const singleSteps = 10
/** 2^40 blocks are more than any chain will have. */
const locatorHashesMax = 64

/**
 * Hashes that tell a peer which chain we mean, newest first: ten one by one, then in doubling steps, last block 0. The
 * peer continues from the first of them that is on its own chain. The same form as Bitcoin's `getheaders`.
 */
export function locatorOf(top: number, hashAt: (index: number) => Hash | undefined): Hash[] {
  const hashes: Hash[] = []
  let step = 1
  for (let index = top; index > 0 && hashes.length < locatorHashesMax; index -= step) {
    const hash = hashAt(index)
    if (hash !== undefined) hashes.push(hash)
    if (hashes.length >= singleSteps) step *= 2
  }
  const genesis = hashAt(0)
  return genesis === undefined ? hashes : [...hashes, genesis]
}
