import { createHash } from 'node:crypto'
import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { search } from '../../../plugins/pow/search.ts'

const text = new TextEncoder().encode('{"a":1}')
const sha256 = (nonce: number) => createHash('sha256').update(`{"a":1}${nonce}`).digest()
const always = () => true

/** A bound that only the hash of `nonce` itself, or a rarer one, can meet. */
const boundOf = (nonce: number) => new Uint8Array(sha256(nonce))
const nothing = new Uint8Array(32)

test.each([0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 9_999, 10_000, 99_999, 100_000])(
  'it hashes nonce %d as its decimal digits',
  (nonce) => {
    expect(search({ text, bound: boundOf(nonce) }, nonce, nonce + 1, always)).toEqual({ attempts: 1, nonce })
  },
)

test('it counts through every change of length', () => {
  // Where the digits are carried in place, a slip shows as a nonce that is reported but does not hash so.
  fc.assert(
    fc.property(
      fc.constantFrom(0, 5, 95, 990, 9_990, 99_995, 2 ** 53 - 100),
      fc.integer({ min: 0, max: 60 }),
      (start, more) => {
        const nonce = start + more
        const first = Array.from({ length: more + 1 }, (_, i) => start + i).find(
          (n) => sha256(n).compare(sha256(nonce)) <= 0,
        )
        expect(search({ text, bound: boundOf(nonce) }, start, nonce + 1, always).nonce).toBe(first)
      },
    ),
  )
})

test('a range without a solution is used up', () => {
  expect(search({ text, bound: nothing }, 7, 1007, always)).toEqual({ attempts: 1000, nonce: undefined })
  expect(search({ text, bound: nothing }, 7, 7, always)).toEqual({ attempts: 0, nonce: undefined })
})

test('it stops when it is told to, and says how far it came', () => {
  const heard: number[] = []
  const outcome = search({ text, bound: nothing }, 0, 1e9, (attempts) => heard.push(attempts) < 4)
  expect(outcome).toEqual({ attempts: heard.at(-1)!, nonce: undefined })
  expect(heard.length).toBe(4)
})
