import { describe, expect, test } from 'bun:test'
import { chooseSite, type SiteParts, type Tip } from '../../../core/chain/site.ts'
import type { Due } from '../../../core/plugin.ts'

interface Place extends Tip {
  readonly weight: number
}

const place = (hash: string, index: number, weight = index): Place => ({ hash, index, weight })
const waits = (what: string): Due => ({ waitsFor: what })

/** Of `free`, the places on which this node may build. */
function choose(free: readonly Place[], more: Partial<SiteParts<Place>> & { readonly head: Place }) {
  const asked: string[] = []
  const site = chooseSite({
    sideTips: [],
    stalled: false,
    holdsFinal: () => true,
    prefers: (a, b) => a.weight > b.weight,
    mayBuild: (tip) => {
      asked.push(tip.hash)
      return free.includes(tip) ? { when: tip.index } : waits(`somebody else on ${tip.hash}`)
    },
    ...more,
  })
  return { site, asked }
}

const head = place('head', 5, 10)
const [high, higher, level] = [place('high', 6, 7), place('higher', 7, 8), place('level', 5, 9)]

describe('a producer builds', () => {
  test('on the head while that moves, and nowhere else', () => {
    expect(choose([head, higher], { head, sideTips: [higher] }).site).toEqual({ on: head, when: 5 })
    const { site, asked } = choose([higher], { head, sideTips: [higher] })
    expect(site).toEqual({ waitsFor: 'somebody else on head' })
    expect(asked).toEqual(['head'])
  })

  test('once that is stalled, on the highest tip on which it may, whatever it weighs', () => {
    const world = { head, sideTips: [level, higher, high], stalled: true }
    expect(choose([head, level, high, higher], world)).toEqual({ site: { on: higher, when: 7 }, asked: ['higher'] })
    expect(choose([head, level, high], world)).toEqual({ site: { on: high, when: 6 }, asked: ['higher', 'high'] })
  })

  test('of those of one height, on the better by fork choice', () => {
    const world = { head, sideTips: [level, higher, high], stalled: true }
    expect(choose([head, level], world).site).toEqual({ on: head, when: 5 })
    expect(choose([level], world)).toEqual({
      site: { on: level, when: 5 },
      asked: ['higher', 'high', 'head', 'level'],
    })
  })

  test('nowhere, if it may not, and says what the head waits for', () => {
    expect(choose([], { head, sideTips: [level, high], stalled: true }).site).toEqual({
      waitsFor: 'somebody else on head',
    })
  })

  test('never on a branch without the final block', () => {
    const holdsFinal = (tip: Place): boolean => tip === level
    const stalled = choose([head, higher, level], { head, sideTips: [higher, level], stalled: true, holdsFinal })
    expect(stalled).toEqual({ site: { on: level, when: 5 }, asked: ['level'] })
    const { site, asked } = choose([head], { head, holdsFinal })
    expect(site).toEqual({ waitsFor: expect.stringContaining('the final block') })
    expect(asked).toEqual([])
  })
})
