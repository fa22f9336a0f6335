import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { retarget, workMax, type Pace } from '../../../plugins/pow/asert.ts'

const tenSeconds: Pace = { blockTime: 10_000, halfLife: 200_000 }

// work, solve time, block time, half life, next work: by a second implementation, in Python with exact fractions.
const golden: readonly (readonly [number, number, number, number, number])[] = [
  [65536, 10000, 10000, 200000, 65536],
  [65536, 0, 10000, 200000, 67852],
  [65536, 5000, 10000, 200000, 66685],
  [65536, 20000, 10000, 200000, 63308],
  [65536, 100000, 10000, 200000, 47972],
  [65536, 1000000000, 10000, 200000, 47972],
  [65536, -3600000, 10000, 200000, 89517],
  [65536, -80000, 10000, 200000, 89517],
  [65536, 210000, 10000, 200000, 47972],
  [1000000, 12345, 10000, 200000, 991928],
  [1, 0, 10000, 200000, 2],
  [1, 20000, 10000, 200000, 1],
  [2, 10500, 10000, 200000, 1],
  [4503599627370496, 0, 10000, 200000, 4503599627370496],
  [4503599627370495, 30000, 10000, 200000, 4202470880313343],
  [65536, 0, 10000, 1000, 262144],
  [65536, 1000000000, 10000, 1000, 16384],
  [65536, 10001, 10000, 200000, 65536],
  [65536, 9999, 10000, 200000, 65536],
  [123456789, 600000, 600000, 172800000, 123456789],
  [123456789, 0, 600000, 172800000, 123754430],
]

const work = fc.integer({ min: 1, max: workMax })
const solveTime = fc.integer({ min: -10_000_000, max: 100_000_000 })
const pace = fc
  .tuple(fc.integer({ min: 1, max: 10_000 }), fc.integer({ min: 1, max: 1_000_000 }))
  .map(([blockTime, halfLife]) => ({ blockTime: blockTime * 1000, halfLife: halfLife * 1000 }))

describe('retarget', () => {
  test.each(golden)('golden: work %d, %d ms at %d/%d gives %d', (from, solved, blockTime, halfLife, expected) => {
    expect(retarget(from, solved, { blockTime, halfLife })).toBe(expected)
  })

  test('a block exactly on time keeps the work', () => {
    fc.assert(fc.property(work, pace, (from, at) => retarget(from, at.blockTime, at) === from))
  })

  test('an early block never lowers the work, a late one never raises it', () => {
    fc.assert(
      fc.property(work, solveTime, pace, (from, solved, at) => {
        const next = retarget(from, solved, at)
        return solved < at.blockTime ? next >= from : next <= from
      }),
    )
  })

  test('the earlier the block, the higher the work', () => {
    fc.assert(
      fc.property(work, solveTime, solveTime, pace, (from, a, b, at) => {
        return retarget(from, Math.min(a, b), at) >= retarget(from, Math.max(a, b), at)
      }),
    )
  })

  test('no step is larger than a factor of 4, nor leaves 1 to 2^52', () => {
    fc.assert(
      fc.property(work, solveTime, pace, (from, solved, at) => {
        const next = retarget(from, solved, at)
        expect(Number.isSafeInteger(next)).toBe(true)
        expect(next).toBeGreaterThanOrEqual(Math.max(1, Math.floor(from / 4)))
        expect(next).toBeLessThanOrEqual(Math.min(workMax, from * 4))
      }),
    )
  })

  test('it follows the exponential to a part in 5,000', () => {
    const noticeable = fc.integer({ min: 2 ** 20, max: 2 ** 50 })
    fc.assert(
      fc.property(noticeable, fc.integer({ min: -80_000, max: 100_000 }), (from, solved) => {
        const exact = from * 2 ** ((10_000 - solved) / 200_000)
        expect(Math.abs(retarget(from, solved, tenSeconds) / exact - 1)).toBeLessThan(1 / 5_000)
      }),
    )
  })

  test('a night without transactions costs one bounded step, which a few quick blocks win back', () => {
    const before = 1_000_000
    const night = retarget(before, 12 * 3600 * 1000, tenSeconds)
    expect(night).toBe(retarget(before, 100_000, tenSeconds))
    expect(night).toBeGreaterThan(before / 2)
    let after = night
    for (let block = 0; block < 10; block++) after = retarget(after, 0, tenSeconds)
    expect(after).toBeGreaterThan(before)
  })

  test('an invented timestamp and the honest one after it cancel out', () => {
    const ahead = retarget(1_000_000, 7_200_000, tenSeconds)
    const back = retarget(ahead, -7_190_000, tenSeconds)
    expect(Math.abs(back / 1_000_000 - 1)).toBeLessThan(0.001)
  })

  test('work 1 rises again when blocks come fast', () => {
    let from = 1
    for (let block = 0; block < 200; block++) from = retarget(from, 0, tenSeconds)
    expect(from).toBeGreaterThan(100)
  })

  test('it finds the hash power of a steady miner from far off, both ways', () => {
    const hashesPerMillisecond = 100
    const settled = hashesPerMillisecond * tenSeconds.blockTime
    for (const start of [1_000, 1_000_000_000]) {
      let from = start
      for (let block = 0; block < 400; block++)
        from = retarget(from, Math.round(from / hashesPerMillisecond), tenSeconds)
      expect(Math.abs(from / settled - 1)).toBeLessThan(0.01)
    }
  })
})
