import { describe, expect, test } from 'bun:test'
import type { SealedHeader } from '../../../core/index.ts'
import { Pace } from '../../../plugins/finality/pace.ts'
import { emptyBlocksMax, wantsEmptyBlock } from '../../../plugins/finality/quiet.ts'
import { ancestryOf, timeOf } from '../../support/headers.ts'
import { branchOf, checkpointOf, genesisBranch, grown, testRules } from './world.ts'

interface Given {
  readonly final?: number
  readonly every?: number
  readonly isSplit?: boolean
  /** Milliseconds after the last block. */
  readonly after?: number
}

function wants(
  branch: readonly SealedHeader[],
  { final = 0, every = 1, isSplit = false, after = 0 }: Given = {},
): boolean {
  return wantsEmptyBlock({
    ancestry: ancestryOf(branch),
    now: timeOf(branch.at(-1)!) + after,
    final: checkpointOf(branch[final]!),
    rules: testRules(4, { checkpoint_every: every }),
    roundMilliseconds: 1_000,
    isSplit: () => isSplit,
  })
}

/** So many empty blocks as are wanted, one after the other. */
function fill(start: readonly SealedHeader[], given: Given): number {
  let branch = start
  while (wants(branch, given)) branch = grown(branch, { empty: true })
  return branch.length - start.length
}

describe('an empty block is wanted', () => {
  test('never where nothing was recorded, or all of it is final', () => {
    expect(wants(genesisBranch, { isSplit: true, after: 1e9 })).toBe(false)
    expect(wants(branchOf(3), { final: 3, isSplit: true, after: 1e9 })).toBe(false)
    expect(wants(grown(branchOf(3), { empty: true }), { final: 3, every: 3, isSplit: true, after: 1e9 })).toBe(false)
  })

  test('not where the votes for the last block are on their way', () => {
    expect(wants(branchOf(3), { after: 1e9 })).toBe(false)
  })

  test('up to the checkpoint that covers the last transaction', () => {
    expect(fill(branchOf(3), { every: 5 })).toBe(2)
    expect(fill(branchOf(5), { every: 5 })).toBe(0)
    expect(fill(branchOf(6), { every: 5, final: 5 })).toBe(4)
  })

  test('not for a checkpoint that is very far', () => {
    expect(fill(branchOf(1), { every: emptyBlocksMax + 1 })).toBe(emptyBlocksMax)
    expect(fill(branchOf(1), { every: emptyBlocksMax + 2 })).toBe(0)
  })

  test('where votes are split, later each time, and eight times at most', () => {
    let branch = branchOf(1)
    const waits: number[] = []
    for (let spare = 0; spare < 8; spare++) {
      const after = [...Array(20).keys()]
        .map((n) => 2 ** n * 1_000)
        .find((ms) => wants(branch, { isSplit: true, after: ms }))!
      expect(wants(branch, { isSplit: true, after: after - 1 })).toBe(false)
      waits.push(after)
      branch = grown(branch, { empty: true })
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 128].map((seconds) => seconds * 1_000))
    expect(wants(branch, { isSplit: true, after: 1e9 })).toBe(false)
    expect(wants(grown(branch), { isSplit: true, after: 1e9 })).toBe(true)
  })

  test('and so is the rest of the way to the next checkpoint, at most a hundred in a row', () => {
    expect(fill(branchOf(5), { every: 5, isSplit: true, after: 1e9 })).toBe(40)
    expect(fill(branchOf(50), { every: 50, isSplit: true, after: 1e9 })).toBe(emptyBlocksMax)
  })
})

describe('the pace of a voter', () => {
  function pace() {
    let now = 0
    const made = new Pace({ monotonic: () => now }, 1_000, 80)
    return { made, pass: (milliseconds: number) => void (now += milliseconds) }
  }
  /** Milliseconds until a target may be left, looked at as who waits does. */
  function patience({ made, pass }: ReturnType<typeof pace>): number {
    let waited = 0
    while (made.leave !== 'freely') {
      const step = made.changesIn!
      pass(step)
      waited += step
    }
    return waited
  }

  test('doubles while nothing becomes justified, up to 64 times, and begins anew with progress', () => {
    const one = pace()
    const waits: number[] = []
    for (let round = 0; round < 9; round++) {
      one.made.voted(round > 0)
      waits.push(patience(one))
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 64, 64].map((seconds) => seconds * 1_000))
    one.made.progressed()
    expect(patience(one)).toBe(1_000)
    expect(one.made.changesIn).toBeUndefined()
  })

  test('joins others three times, and then waits', () => {
    const { made } = pace()
    made.voted(false)
    for (const leave of ['to-join', 'to-join', 'to-join', 'never'] as const) {
      expect(made.leave).toBe(leave)
      made.voted(true)
    }
    made.progressed()
    expect(made.leave).toBe('to-join')
  })

  test('pauses between two targets', () => {
    const { made, pass } = pace()
    expect(made.isPaused).toBe(false)
    made.voted(false)
    made.progressed()
    pass(79)
    expect(made.isPaused).toBe(true)
    pass(1)
    expect(made.isPaused).toBe(false)
  })
})
