import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'bun:test'
import { inclusionProof, leafHash, merkleRoot, verifyConsistency, verifyInclusion } from '../../core/chain/merkle.ts'

const folder = join(import.meta.dir, 'rfc6962')

interface Case {
  readonly desc: string
  readonly wantErr: boolean
  readonly proof: readonly string[] | null
}
interface Inclusion extends Case {
  readonly leafIdx: number
  readonly treeSize: number
  readonly root: string
  readonly leafHash: string
}
interface Consistency extends Case {
  readonly size1: number
  readonly size2: number
  readonly root1: string
  readonly root2: string
}

function casesOf<C extends Case>(kind: string): [string, C][] {
  const under = join(folder, 'testdata', kind)
  const files = readdirSync(under, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.json'))
  return files.toSorted().map((file) => [file, JSON.parse(readFileSync(join(under, file), 'utf8')) as C])
}

const bytes = (base64: string | null): Uint8Array => Buffer.from(base64 ?? '', 'base64')
const pathOf = (proof: Case['proof']): Uint8Array[] => (proof ?? []).map(bytes)
const hex = (hash: Uint8Array): string => Buffer.from(hash).toString('hex')
const flip = (hash: Uint8Array, bit: number): Uint8Array =>
  hash.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte))

const inclusions = casesOf<Inclusion>('inclusion')
const consistencies = casesOf<Consistency>('consistency')

/** Policy, where the source says yes: its roots are no hashes (12 bytes). A proof with size 0 is refused by both. */
const refusedByPolicy = 'additional/sizes-are-equal-one-and-proof-is-empty.json'

test('all cases are there', () => {
  expect([inclusions.length, consistencies.length]).toEqual([98, 98])
  expect([...inclusions, ...consistencies].filter(([, { wantErr }]) => wantErr)).toHaveLength(184)
  const fromNothing = consistencies.filter(([, { size1 }]) => size1 === 0)
  expect(fromNothing.length).toBeGreaterThan(0)
  expect(fromNothing.every(([, { wantErr }]) => wantErr)).toBe(true)
  expect(consistencies.filter(([file]) => file === refusedByPolicy)).toHaveLength(1)
})

describe('RFC 6962 inclusion', () => {
  test.each(inclusions)('%s', (_file, { leafIdx, treeSize, root, leafHash: leaf, proof, wantErr }) => {
    expect(verifyInclusion(bytes(leaf), leafIdx, treeSize, pathOf(proof), bytes(root))).toBe(!wantErr)
  })
})

describe('RFC 6962 consistency', () => {
  test.each(consistencies)('%s', (file, { size1, size2, root1, root2, proof, wantErr }) => {
    const expected = !wantErr && file !== refusedByPolicy
    expect(verifyConsistency(size1, size2, pathOf(proof), bytes(root1), bytes(root2))).toBe(expected)
  })
})

interface Roots {
  readonly leaf_inputs_hex: readonly string[]
  readonly node_hashes_by_level: readonly (readonly string[])[]
  readonly root_hash_by_size: readonly string[]
}
const roots = JSON.parse(readFileSync(join(folder, 'roots.json'), 'utf8')) as Roots
const leaves = roots.leaf_inputs_hex.map((leaf) => Buffer.from(leaf, 'hex'))

test('the nine roots and eight leaves', () => {
  const got = roots.root_hash_by_size.map((_, size) => hex(merkleRoot(leaves.slice(0, size))))
  expect(got).toEqual([...roots.root_hash_by_size])
  expect(got).toHaveLength(9)
  expect(leaves.map((leaf) => hex(leafHash(leaf)))).toEqual([...roots.node_hashes_by_level[0]!])
})

test('our own proofs hold for every leaf of every size, and for no other place or root', () => {
  for (let size = 1; size <= 8; size++) {
    const tree = leaves.slice(0, size)
    const root = merkleRoot(tree)
    for (let index = 0; index < size; index++) {
      const path = inclusionProof(tree, index)
      const leaf = leafHash(leaves[index]!)
      for (let at = 0; at < size; at++) expect(verifyInclusion(leaf, at, size, path, root)).toBe(at === index)
      expect(verifyInclusion(leaf, index, size, path, flip(root, 13))).toBe(false)
      expect(verifyInclusion(leaf, index, size, [...path, root], root)).toBe(false)
    }
  }
})

test.each([Number.NaN, 0.5, -1, 2 ** 53, Infinity])('sizes that are no count prove nothing: %d', (size) => {
  const root = merkleRoot(leaves.slice(0, 1))
  expect(verifyInclusion(root, 0, size, [], root)).toBe(false)
  expect(verifyInclusion(root, size, 1, [], root)).toBe(false)
  expect(verifyConsistency(size, 1, [root], root, root)).toBe(false)
  expect(verifyConsistency(size, size, [], root, root)).toBe(false)
  expect(verifyConsistency(1, size, [root], root, root)).toBe(false)
})
