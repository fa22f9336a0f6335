import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { locatorOf } from '../../../../core/network/sync/locator.ts'

const indexes = (top: number): number[] => locatorOf(top, String).map(Number)

test('a locator has the newest ten one by one, then doubles its steps, and ends in block 0', () => {
  expect(indexes(0)).toEqual([0])
  expect(indexes(5)).toEqual([5, 4, 3, 2, 1, 0])
  expect(indexes(100)).toEqual([100, 99, 98, 97, 96, 95, 94, 93, 92, 91, 89, 85, 77, 61, 29, 0])
})

test('whatever the height, it is short, falls, and is at most half of the depth away from any block', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 40 }), fc.double({ min: 0, max: 1, noNaN: true }), (top, fraction) => {
      const list = indexes(top)
      expect(list.length).toBeLessThanOrEqual(64)
      expect(list).toEqual(list.toSorted((a, b) => b - a))
      const fork = Math.floor(top * fraction)
      const below = list.find((index) => index <= fork)!
      expect(fork - below).toBeLessThanOrEqual(Math.max(1, 2 * (top - fork)))
    }),
  )
})

test('what is not there is left out', () => {
  expect(locatorOf(3, (index) => (index === 2 ? undefined : String(index)))).toEqual(['3', '1', '0'])
})
