import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import * as v from 'valibot'
import { addressList, checkQuorum, quorumOf } from '../../../core/chain/quorum.ts'
import { testKey } from '../../support/headers.ts'

const keys = [1, 2, 3, 4].map(testKey)
const addresses = keys.map(({ address }) => address)
const purpose = 'aurex/lab/1'
const signed = (ids: readonly number[], text = 'it') =>
  Object.fromEntries(ids.map((n) => [keys[n]!.address, keys[n]!.sign(purpose, text)]))

test('a quorum is more than two thirds, and any two share one more than may lie', () => {
  expect([1, 2, 3, 4, 5, 6, 7, 10, 100].map((n) => quorumOf(Array(n)))).toEqual([1, 2, 3, 3, 4, 5, 5, 7, 67])
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000 }), (n) => {
      const quorum = quorumOf(Array(n))
      const mayLie = Math.ceil(n / 3) - 1
      expect(3 * quorum).toBeGreaterThan(2 * n)
      expect(2 * quorum - n).toBeGreaterThan(mayLie)
      // Those who do not lie are enough.
      expect(n - mayLie).toBeGreaterThanOrEqual(quorum)
    }),
  )
})

test('a quorum of good signatures is taken, in any order, and nothing else', () => {
  expect(checkQuorum(signed([3, 0, 2]), addresses, purpose, 'it')).toEqual({ ok: true })
  expect(checkQuorum(signed([0, 1, 2, 3]), addresses, purpose, 'it')).toEqual({ ok: true })
  const bad = [
    signed([0, 1]),
    signed([0, 1, 2], 'something else'),
    { ...signed([0, 1]), [addresses[2]!]: keys[1]!.sign(purpose, 'it') },
    { ...signed([0, 1, 2]), [addresses[3]!]: '' },
    { ...signed([0, 1, 2]), [testKey(9).address]: testKey(9).sign(purpose, 'it') },
    {},
  ]
  for (const signatures of bad) {
    expect(checkQuorum(signatures, addresses, purpose, 'it')).toMatchObject({ code: 'bad-certificate', provable: true })
  }
  expect(checkQuorum(signed([0, 1, 2]), addresses, 'aurex/other/1', 'it')).toMatchObject({ code: 'bad-certificate' })
})

test('authorities are addresses of proper keys, each once', () => {
  expect(v.is(addressList, addresses)).toBe(true)
  expect(v.is(addressList, [])).toBe(true)
  for (const wrong of [
    ['x'],
    ['00'.repeat(32)],
    [addresses[0], addresses[0]],
    addresses[0],
    [1],
    [addresses[0]!.toUpperCase()],
  ]) {
    expect(v.is(addressList, wrong)).toBe(false)
  }
})
