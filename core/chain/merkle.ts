// RFC 6962, section 2.1: the Merkle tree over a block's transaction ids, with its proofs.
import { sha256, utf8Bytes } from './canonical.ts'

// 2.1: the prefixes keep a leaf from being read as a node, and a node as a leaf.
const leafPrefix = Uint8Array.of(0)
const nodePrefix = Uint8Array.of(1)

export const leafHash = (leaf: Uint8Array): Uint8Array => sha256(Buffer.concat([leafPrefix, leaf]))
const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array => sha256(Buffer.concat([nodePrefix, left, right]))
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

/** Root over leaf inputs, 32 bytes; SHA-256 of nothing for an empty list. */
export const merkleRoot = (leaves: readonly Uint8Array[]): Uint8Array => rootOfHashes(leaves.map(leafHash))

function rootOfHashes(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length === 0) return sha256(utf8Bytes(''))
  // Pairing level by level and carrying an odd one up gives the RFC's tree, without its recursion.
  let level = hashes
  while (level.length > 1) {
    const above: Uint8Array[] = []
    for (let i = 0; i + 1 < level.length; i += 2) above.push(nodeHash(level[i]!, level[i + 1]!))
    if (level.length % 2 === 1) above.push(level.at(-1)!)
    level = above
  }
  return level[0]!
}

/** Audit path (2.1.1) of the leaf at `index`, from the leaf's sibling up. */
export function inclusionProof(leaves: readonly Uint8Array[], index: number): Uint8Array[] {
  const path: Uint8Array[] = []
  let level = leaves.map(leafHash)
  for (let at = index; level.length > 1; at >>= 1) {
    const sibling = level[at ^ 1]
    if (sibling !== undefined) path.push(sibling)
    const above: Uint8Array[] = []
    for (let i = 0; i < level.length; i += 2) {
      above.push(i + 1 < level.length ? nodeHash(level[i]!, level[i + 1]!) : level[i]!)
    }
    level = above
  }
  return path
}

/** Whether `path` proves that the leaf hash stands at `index` of the tree of `size` leaves with this root. */
export function verifyInclusion(
  hash: Uint8Array,
  index: number,
  size: number,
  path: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  if (!isCount(index) || !isCount(size) || index >= size || !wellFormed([...path, hash, root])) return false
  // RFC 9162, 2.1.3.2 states the check that RFC 6962 leaves to the reader.
  let at = index
  let last = size - 1
  let result = hash
  for (const step of path) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      result = nodeHash(step, result)
      while (at % 2 === 0 && at !== 0) [at, last] = [half(at), half(last)]
    } else {
      result = nodeHash(result, step)
    }
    ;[at, last] = [half(at), half(last)]
  }
  return last === 0 && same(result, root)
}

/** Whether `path` (2.1.2) proves that the tree of `size1` leaves is the beginning of the tree of `size2`. */
export function verifyConsistency(
  size1: number,
  size2: number,
  path: readonly Uint8Array[],
  root1: Uint8Array,
  root2: Uint8Array,
): boolean {
  // A proof from size 0 says nothing, so it is not taken for one.
  if (!isCount(size1) || !isCount(size2) || size1 === 0 || size1 > size2) return false
  if (!wellFormed([...path, root1, root2])) return false
  if (size1 === size2) return path.length === 0 && same(root1, root2)
  // RFC 9162, 2.1.4.2.
  let at = size1 - 1
  let last = size2 - 1
  while (at % 2 === 1) [at, last] = [half(at), half(last)]
  const steps = at === 0 ? [root1, ...path] : [...path]
  const first = steps.shift()
  if (first === undefined) return false
  let old = first
  let young = first
  for (const step of steps) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      old = nodeHash(step, old)
      young = nodeHash(step, young)
      while (at % 2 === 0 && at !== 0) [at, last] = [half(at), half(last)]
    } else {
      young = nodeHash(young, step)
    }
    ;[at, last] = [half(at), half(last)]
  }
  return last === 0 && same(old, root1) && same(young, root2)
}

const isCount = (n: number): boolean => Number.isSafeInteger(n) && n >= 0
const half = (n: number): number => Math.floor(n / 2)
const wellFormed = (hashes: readonly Uint8Array[]): boolean => hashes.every((hash) => hash.length === 32)
