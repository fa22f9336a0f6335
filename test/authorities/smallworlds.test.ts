// The quick part of `bun run test:authorities`, which plays more of the same.
import { describe, expect, test } from 'bun:test'
import { allDeaths, deathsFault } from './deaths.ts'
import { goesOn, life } from './life.ts'
import { eip3436, playScene, spentHeight, type Hearing } from './scenes.ts'
import { firstDeadlock, plainClique } from './smallworlds.ts'

const hearings: Hearing[] = ['in one batch', 'block by block']

describe('more than half of the authorities make blocks, fewer say for whom they wait', () => {
  test.each([1, 2, 3, 4, 5])('%d authorities: every set of survivors, in every order of dying', (count) => {
    const faults = allDeaths(count).map((deaths) => [deaths.dying.join(), deathsFault(deaths, count)])
    expect(faults.filter(([, fault]) => fault !== undefined)).toEqual([])
  })

  test('crashes, restarts, clocks, delays, losses and partitions of 250 seeds', () => {
    for (let seed = 1; seed <= 250; seed++) expect(`seed ${seed}: ${life(seed).fault}`).toBe(`seed ${seed}: undefined`)
  })
})

describe.each(hearings)('the forks of EIP-3436, heard of %s', (hearing) => {
  test('first: equal weight, and the shorter one wins everywhere', () => {
    const { world, tips } = playScene(eip3436[0], hearing)
    expect(tips[0].totalWork).toBe(tips[1].totalWork)
    expect(tips.map(({ index }) => index)).toEqual([17, 18])
    expect(goesOn(world).fault).toBeUndefined()
    for (const { head } of world.up) expect(head.at(17)).toBe(tips[0])
  })

  test('second: equal weight and length, and one of the two wins everywhere', () => {
    const { world, tips } = playScene(eip3436[1], hearing)
    expect(tips[0].totalWork).toBe(tips[1].totalWork)
    expect(tips[0].index).toBe(tips[1].index)
    expect(goesOn(world).fault).toBeUndefined()
    // At height 17 it is the turn of 2: the turn of 5 was 5 blocks ago, that of 6 was 4.
    for (const { head } of world.up) expect(head.at(17)).toBe(tips[0])
  })

  test('both halt plain Clique', () => {
    for (const scene of eip3436) {
      expect(goesOn(playScene(scene, hearing, plainClique).world).fault).toStartWith('deadlock')
    }
  })

  test('where the next height is spent on the fork that lost, that fork is built on', () => {
    expect(goesOn(playScene(spentHeight, hearing).world).fault).toBeUndefined()
    expect(goesOn(playScene(spentHeight, hearing, { site: false }).world).fault).toStartWith('deadlock')
  })
})

describe('the search can fail', () => {
  test.each([
    ['plain Clique', plainClique],
    ['no tie-break', { tieBreak: false }],
    ['no other place to build', { site: false }],
  ])('%s: a seed is found that halts', (_name, rules) => {
    expect(firstDeadlock(rules)).toBeNumber()
  })

  test('a key that signs twice at one height is caught', () => {
    const { world, tips } = playScene(spentHeight, 'in one batch')
    const signer = world.members[2]!
    expect(tips[1].index).toBe(tips[0].index + 1)
    expect(() => world.plant(signer, world.make(signer, tips[0], world.now))).toThrow(/signed two blocks/)
  })
})
