import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { transactionsRoot } from '../../../core/chain/block.ts'
import { sha256, sha256Hex } from '../../../core/chain/canonical.ts'
import { inclusionProof, leafHash, merkleRoot, verifyInclusion } from '../../../core/chain/merkle.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const leafOf = (i: number) => sha256(`leaf ${i}`)
const leavesOf = (count: number) => Array.from({ length: count }, (_, i) => leafOf(i))

/** RFC 6962, 2.1, as its definition stands there: split at the largest power of two below the size. */
function rootByDefinition(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return sha256('')
  if (leaves.length === 1) return sha256(Buffer.concat([Uint8Array.of(0), leaves[0]!]))
  const split = 2 ** Math.floor(Math.log2(leaves.length - 1))
  const halves = [leaves.slice(0, split), leaves.slice(split)].map(rootByDefinition)
  return sha256(Buffer.concat([Uint8Array.of(1), ...halves]))
}

test('the root of every size up to 130 is that of the definition', () => {
  for (let size = 0; size <= 130; size++)
    expect(hex(merkleRoot(leavesOf(size)))).toBe(hex(rootByDefinition(leavesOf(size))))
})

test('every proof holds, and none for another leaf, place, size or path', () => {
  const place = fc
    .integer({ min: 1, max: 200 })
    .chain((size) => fc.tuple(fc.constant(size), fc.nat(size - 1), fc.nat()))
  fc.assert(
    fc.property(place, ([size, index, other]) => {
      const leaves = leavesOf(size)
      const root = merkleRoot(leaves)
      const path = inclusionProof(leaves, index)
      const leaf = leafHash(leaves[index]!)
      expect(verifyInclusion(leaf, index, size, path, root)).toBe(true)
      expect(verifyInclusion(leafHash(leafOf(size)), index, size, path, root)).toBe(false)
      const wrong = other % size
      if (wrong !== index) expect(verifyInclusion(leaf, wrong, size, path, root)).toBe(false)
      expect(verifyInclusion(leaf, index, size, [...path, root], root)).toBe(false)
      if (path.length > 0) expect(verifyInclusion(leaf, index, size, path.slice(1), root)).toBe(false)
    }),
  )
})

// Threats, row 8.
describe('tricks with the tree', () => {
  test('second preimage: the nodes of a level are no leaves of a smaller tree', () => {
    const ids = leavesOf(4).map(hex)
    const pairs = [ids.slice(0, 2), ids.slice(2)].map((pair) => transactionsRoot(pair))
    expect(transactionsRoot(pairs)).not.toBe(transactionsRoot(ids))
    const concatenated = ids.map((id) => leafHash(Buffer.from(id, 'hex')))
    const asLeaf = sha256(Buffer.concat([concatenated[0]!, concatenated[1]!]))
    expect(transactionsRoot([hex(asLeaf), ...ids.slice(2)])).not.toBe(transactionsRoot(ids))
  })

  test('a node is no proof of itself as a leaf', () => {
    const leaves = leavesOf(2)
    const preimage = Buffer.concat([Uint8Array.of(1), ...leaves.map(leafHash)])
    expect(hex(sha256(preimage))).toBe(hex(merkleRoot(leaves)))
    expect(verifyInclusion(leafHash(preimage.subarray(1)), 0, 1, [], merkleRoot(leaves))).toBe(false)
  })

  test('duplicate leaves: repeating the last ones changes the root (not so in Bitcoin, CVE-2012-2459)', () => {
    const roots = new Set<string>()
    for (let size = 1; size <= 40; size++) {
      const ids = leavesOf(size).map(hex)
      for (let repeated = 0; repeated <= size; repeated++) {
        roots.add(transactionsRoot([...ids, ...ids.slice(size - repeated)]))
      }
    }
    // Sizes 1 to 40, each with 0 to `size` leaves again: all different.
    expect(roots.size).toBe((40 * 43) / 2)
  })

  test('an empty list and a list of the empty hash differ', () => {
    expect(transactionsRoot([])).toBe(sha256Hex(''))
    expect(transactionsRoot([sha256Hex('')])).not.toBe(transactionsRoot([]))
  })
})
