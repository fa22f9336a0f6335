import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { comparePlaces, isPlace } from '../../../core/signing/place.ts'

// Few numbers, so that many places begin alike.
const number = fc.oneof(fc.nat(2), fc.constantFrom(Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER - 1))
const place = fc.array(number, { minLength: 1, maxLength: 4 })
const runs = { numRuns: 2_000 }

test('places are in one total order', () => {
  fc.assert(
    fc.property(place, place, place, (a, b, c) => {
      const [ab, ba, bc, ac] = [comparePlaces(a, b), comparePlaces(b, a), comparePlaces(b, c), comparePlaces(a, c)]
      expect(Math.sign(ab) + Math.sign(ba)).toBe(0)
      expect(ab === 0).toBe(a.join() === b.join())
      if (ab <= 0 && bc <= 0) expect(ac).toBeLessThanOrEqual(0)
      if (ab < 0 && bc <= 0) expect(ac).toBeLessThan(0)
    }),
    runs,
  )
})

test('what begins like another and goes on comes after it; the first number that differs decides', () => {
  fc.assert(
    fc.property(place, place, (a, more) => {
      expect(comparePlaces(a, [...a, ...more])).toBeLessThan(0)
      expect(comparePlaces([...a, 1, ...more], [...a, 2])).toBeLessThan(0)
    }),
    runs,
  )
  expect(comparePlaces([9], [10])).toBeLessThan(0)
  expect(comparePlaces([2, 0], [1, 9, 9])).toBeGreaterThan(0)
})

test.each([[[]], [[-1]], [[1.5]], [[Number.NaN]], [[1, Infinity]], [[2 ** 53]]])('%j is no place', (numbers) => {
  expect(isPlace(numbers)).toBe(false)
})
