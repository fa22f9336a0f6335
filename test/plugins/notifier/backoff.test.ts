import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { backOff } from '../../../plugins/notifier/backoff.ts'

const bounds = { millisecondsMin: 500, millisecondsMax: 60_000 }
const dice = (byte: number) => (length: number) => new Uint8Array(length).fill(byte)

test('twice as long each time up to a minute, and of that at least half', () => {
  const longest = [1, 2, 3, 7, 8, 9, 1_000_000].map((failures) => backOff(failures, bounds, dice(255)))
  expect(longest).toEqual([500, 1_000, 2_000, 32_000, 60_000, 60_000, 60_000])
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e9 }), fc.nat(255), (failures, byte) => {
      const [all, some] = [backOff(failures, bounds, dice(255)), backOff(failures, bounds, dice(byte))]
      expect(some).toBeGreaterThanOrEqual(all / 2)
      expect(some).toBeLessThanOrEqual(all)
    }),
  )
})

test('many who fail at once do not call again at once', () => {
  const waits = Array.from({ length: 256 }, (_, byte) => backOff(4, bounds, dice(byte)))
  expect(new Set(waits).size).toBe(256)
})
