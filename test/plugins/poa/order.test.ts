// Which of two chains is better, among all that authorities could make: a total order, whatever came first.
import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { SealedHeader } from '../../../core/chain/block.ts'
import { ForkChoice, type Candidate } from '../../../core/chain/forkchoice.ts'
import { sha256Hex } from '../../../core/chain/canonical.ts'
import vectors from '../../vectors/poa-voting/eip3436-forkchoice.json'
import { each, Ring } from './support.ts'

const engine = new Ring('ABC').engine('A')
const nobody = (): never => {
  throw new Error('only the two chains are to be looked at')
}
const choice = new ForkChoice({ consensus: engine, storage: { head: nobody }, ancestors: undefined as never })

interface Chain {
  readonly work: number
  readonly index: number
  readonly since: number
  readonly hash: string
}

function candidate({ work, index, since, hash }: Chain): Candidate {
  const header = { index, current_hash: hash, seal: { since_turn: since } } as unknown as SealedHeader
  return { line: { parent: header, at: () => undefined }, totalWork: BigInt(work) }
}
const better = (a: Chain, b: Chain): boolean => choice.isBetter(candidate(a), candidate(b))

// Small ranges, so that ties are common.
const chains = fc.record({
  work: fc.integer({ min: 1, max: 4 }),
  index: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.constantFrom(2 ** 40, Number.MAX_SAFE_INTEGER)),
  since: fc.constantFrom(0, 1, 2, 199),
  hash: fc.constantFrom('a', 'b', 'c', 'd').map((letter) => sha256Hex(letter)),
})

test('of two different chains exactly one is better, and none is better than itself', () => {
  fc.assert(
    fc.property(chains, chains, (a, b) => {
      // A hash is of one header only, so the same hash with other fields does not occur.
      fc.pre(a.hash !== b.hash)
      expect(better(a, b)).toBe(!better(b, a))
      expect(better(a, a)).toBe(false)
    }),
  )
})

test('what is better than the better one is better', () => {
  fc.assert(
    fc.property(chains, chains, chains, (a, b, c) => {
      fc.pre(new Set([a.hash, b.hash, c.hash]).size === 3)
      if (better(a, b) && better(b, c)) expect(better(a, c)).toBe(true)
    }),
    { numRuns: 1_000 },
  )
})

test('the order is that of EIP-3436', () => {
  expect(vectors.order).toEqual([
    'highest total difficulty',
    'lowest block number',
    'largest (header_number - validator_index) mod validator_count',
    'lowest block hash as unsigned 256-bit',
  ])
  const base: Chain = { work: 3, index: 5, since: 1, hash: 'b'.repeat(64) }
  const worst: Chain = { work: 3, index: 9, since: 0, hash: 'f'.repeat(64) }
  expect(better({ ...worst, work: 4 }, base)).toBe(true)
  expect(better({ ...worst, index: 4 }, base)).toBe(true)
  expect(better({ ...worst, index: 5, since: 2 }, base)).toBe(true)
  expect(better({ ...base, hash: 'a'.repeat(64) }, base)).toBe(true)
})

test('a signed header tells how long ago the turn of its signer was', () => {
  const ring = new Ring('ABCDE')
  // Block 1 is the turn of B.
  expect(each('ABCDE').map((letter) => ring.block(letter).seal!['since_turn'])).toEqual([1, 0, 4, 3, 2])
  expect(each('ABCDE').map((letter) => ring.block(letter).work)).toEqual([1, 2, 1, 1, 1])
})
