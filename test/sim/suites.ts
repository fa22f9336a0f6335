import { planEngine } from './authorityengines.ts'
import { Dice } from './dice.ts'
import { powOf, type Engine } from './engines.ts'
import { hostileKinds, type HostileKind, type LiarKind } from './hostile/kinds.ts'
import { mixedPlan, smallLimits, type Plan } from './plan.ts'
import type { Scene } from './scenes.ts'

/** A kind of small worlds, one a seed. */
export interface Suite {
  readonly about: string
  plan(seed: number): Plan
  engine(plan: Plan): Engine
  /** What must have come to pass in a batch, beside all faults. */
  readonly kinds: readonly (HostileKind | LiarKind | Scene)[]
}

/** Those that make no blocks: where only named keys may, others are sent away at once. */
const talkers: readonly HostileKind[] = ['stalling', 'eclipsing', 'lying']

export const suites = {
  mixed: {
    about: 'proof of work, markets, light peers, hostile peers',
    plan: mixedPlan,
    engine: powOf,
    kinds: [...hostileKinds, 'market', 'rivals', 'declined', 'dropped', 'light-peer', 'light-crash'],
  },
  finality: {
    about: 'proof of work with finality, lying voters, miner majorities that work in secret',
    plan: finalityPlan,
    engine: planEngine,
    kinds: ['perjury', 'hiding', 'final', 'evidence', 'named-missing'],
  },
  authorities: {
    about: 'poa, poa with finality, and bft, with authorities that lie',
    plan: authoritiesPlan,
    engine: planEngine,
    kinds: ['perjury', 'doubling', 'two-tongued', 'final', 'evidence', 'named-missing'],
  },
  clones: {
    about: 'two nodes with the key of one authority',
    plan: clonesPlan,
    engine: planEngine,
    kinds: ['final', 'evidence'],
  },
} as const satisfies Record<string, Suite>
export type SuiteName = keyof typeof suites

/** What all worlds with authorities have in common. */
function basicPlan(seed: number, dice: Dice): Omit<Plan, 'engine' | 'authorities' | 'nodes'> {
  const maybe = (share: number, value: () => number): number => (dice.chance(share) ? value() : 0)
  const slow = dice.between(1, 60)
  return {
    seed,
    secretShare: 0,
    apartMilliseconds: 0,
    absences: maybe(0.5, () => dice.between(1, 3)),
    minutes: dice.between(50, 75) / 60,
    latency: [1, slow],
    weather: {
      loss: maybe(0.3, () => dice.fraction() * 0.02),
      duplicate: maybe(0.3, () => dice.fraction() * 0.03),
      reorder: maybe(0.3, () => dice.fraction() * 0.03),
      delaySpike: maybe(0.3, () => dice.fraction() * 0.02),
      reset: maybe(0.3, () => dice.fraction() * 0.003),
    },
    late: maybe(0.2, () => 1),
    partitions: maybe(0.6, () => dice.between(1, 2)),
    crashes: maybe(0.6, () => dice.between(1, 5)),
    skewMilliseconds: maybe(0.4, () => dice.between(100, 7_500)),
    jumps: maybe(0.2, () => 1),
    stalls: maybe(0.3, () => dice.between(1, 2)),
    syncMillisecondsMax: maybe(0.2, () => dice.between(1, 20)),
    hostile: talkers.filter(() => dice.chance(0.1)),
    application: dice.chance(0.2) ? 'market' : 'none',
    light: 0,
    rate: dice.between(2, 8) / 10,
    difficulty: 1,
    blockSeconds: dice.between(2, 5),
    retarget: dice.chance(0.3),
    // Long enough that clocks which differ do not make it leap.
    halfLifeSeconds: dice.between(10, 30),
    limits: smallLimits,
  }
}

/** As many lie as may, mostly. */
const liarsOf = (count: number, dice: Dice): number => {
  const most = Math.floor((count - 1) / 3)
  return dice.chance(0.7) ? most : dice.between(0, most)
}

function finalityPlan(seed: number): Plan {
  const dice = new Dice(`${seed}/plan of finality`)
  const count = dice.between(4, 7)
  const liars = liarsOf(count, dice)
  return {
    ...basicPlan(seed, dice),
    engine: 'pow',
    // Some mine and have no vote.
    nodes: count - liars + dice.between(0, 1),
    secretShare: dice.chance(0.6) ? dice.between(30, 75) / 100 : 0,
    authorities: {
      count,
      liars,
      clones: 0,
      finality: { every: dice.pick([1, 1, 2, 3]), haltAfter: dice.chance(0.2) ? dice.between(6, 12) : undefined },
    },
  }
}

function authoritiesPlan(seed: number): Plan {
  const dice = new Dice(`${seed}/plan of authorities`)
  const engine = dice.pick(['poa', 'poa', 'bft'] as const)
  const finality = engine === 'poa' && dice.chance(0.6)
  const count = dice.between(engine === 'poa' && !finality ? 3 : 4, 7)
  const liars = dice.chance(0.5) ? liarsOf(count, dice) : 0
  return {
    ...basicPlan(seed, dice),
    engine,
    nodes: count - liars + dice.between(0, 1),
    blockSeconds: dice.between(1, 4) / 2,
    authorities: {
      count,
      liars,
      clones: 0,
      finality: finality ? { every: dice.pick([1, 1, 2]), haltAfter: undefined } : undefined,
    },
  }
}

function clonesPlan(seed: number): Plan {
  const dice = new Dice(`${seed}/plan of clones`)
  const engine = dice.pick(['poa', 'poa', 'pow'] as const)
  const count = dice.between(4, 6)
  return {
    ...basicPlan(seed, dice),
    engine,
    nodes: count + 1,
    late: 0,
    rate: dice.between(5, 10) / 10,
    apartMilliseconds: dice.between(12, 25) * 1_000,
    blockSeconds: engine === 'pow' ? dice.between(2, 4) : dice.between(1, 4) / 2,
    authorities: {
      count,
      liars: 0,
      clones: 1,
      finality: engine === 'pow' || dice.chance(0.6) ? { every: 1, haltAfter: undefined } : undefined,
    },
  }
}
