import { defaultNodeLimits, type Limits } from '../../core/limits.ts'
import type { ApplicationName } from './applications.ts'
import { Dice } from './dice.ts'
import type { Weather } from './faults.ts'
import { hostileKinds, type HostileKind } from './hostile/kinds.ts'

/** Keys that the genesis names. */
export interface AuthoritiesPlan {
  /** Those of the first nodes, and of the liars. */
  readonly count: number
  /** So many of them are hostile, and no nodes. */
  readonly liars: number
  /** So many of the nodes, the last, have the key of another one. */
  readonly clones: number
  /** Which of them say what is final, whatever the engine is; undefined: nobody does. */
  readonly finality: FinalityPlan | undefined
}

export interface FinalityPlan {
  /** Blocks from a checkpoint to the next. */
  readonly every: number
  /** Blocks that may stand above the last certified one; undefined: any number. */
  readonly haltAfter: number | undefined
}

/** What is to happen in a simulation, but for the moments, which the seed draws. */
export interface Plan {
  readonly seed: number
  /** Of the plugins that the simulator knows. */
  readonly engine: 'pow' | 'poa' | 'bft'
  /** undefined: whoever mines makes blocks, and nobody says what is final. */
  readonly authorities: AuthoritiesPlan | undefined
  /** Of all hash power so much is a hostile miner's who works in secret. */
  readonly secretShare: number
  /** From the beginning two sides are apart for so long, those with one key on different sides. Milliseconds. */
  readonly apartMilliseconds: number
  /** So often a node is away for long. */
  readonly absences: number
  readonly nodes: number
  /** Simulated, until everything is healed. */
  readonly minutes: number
  /** One way, in milliseconds. */
  readonly latency: readonly [number, number]
  readonly weather: Weather
  /** So many of the nodes are started late, with an empty ledger. */
  readonly late: number
  readonly partitions: number
  readonly crashes: number
  /** Wall clocks are off by so much at the most, milliseconds. */
  readonly skewMilliseconds: number
  readonly jumps: number
  readonly stalls: number
  /** A sync of the disk takes so long at the most, milliseconds. */
  readonly syncMillisecondsMax: number
  readonly hostile: readonly HostileKind[]
  /** What transactions mean; `none`: any data is taken as it is. */
  readonly application: ApplicationName
  /** Nodes without a chain, beside the others: they only take part. */
  readonly light: number
  /** New transactions a second, all clients together. */
  readonly rate: number
  readonly difficulty: number
  /** Seconds that all nodes together need for a block. */
  readonly blockSeconds: number
  readonly retarget: boolean
  /** Seconds of delay that halve the work; undefined: what the rules take for it. */
  readonly halfLifeSeconds: number | undefined
  /** Of every node. */
  readonly limits: Limits
}

/** So small that a small world reaches them. */
export const smallLimits: Limits = {
  ...defaultNodeLimits,
  orphan_blocks_max: 12,
  orphan_blocks_per_source_max: 4,
  known_addresses_max: 64,
  side_blocks_max: 40,
  mempool_transactions_max: 400,
  peers_max: 16,
}

/** A small world with a mixture of everything, all of it decided by the seed: for many seeds. */
export function mixedPlan(seed: number): Plan {
  const dice = new Dice(`${seed}/plan`)
  const maybe = (share: number, value: () => number): number => (dice.chance(share) ? value() : 0)
  const hostile = hostileKinds.filter(() => dice.chance(0.3))
  const slow = dice.between(1, 60)
  return {
    seed,
    engine: 'pow',
    authorities: undefined,
    secretShare: 0,
    apartMilliseconds: 0,
    absences: absencesOf(seed),
    nodes: dice.between(4, 8),
    minutes: dice.between(80, 150) / 60,
    latency: [1, slow],
    weather: {
      loss: maybe(0.4, () => dice.fraction() * 0.03),
      duplicate: maybe(0.4, () => dice.fraction() * 0.05),
      reorder: maybe(0.4, () => dice.fraction() * 0.05),
      delaySpike: maybe(0.4, () => dice.fraction() * 0.02),
      reset: maybe(0.4, () => dice.fraction() * 0.004),
    },
    late: maybe(0.5, () => 1),
    partitions: maybe(0.6, () => dice.between(1, 3)),
    crashes: maybe(0.6, () => dice.between(1, 5)),
    skewMilliseconds: maybe(0.4, () => dice.between(100, 600_000)),
    jumps: maybe(0.3, () => dice.between(1, 3)),
    stalls: maybe(0.3, () => dice.between(1, 3)),
    syncMillisecondsMax: maybe(0.2, () => dice.between(1, 50)),
    hostile,
    application: applicationOf(seed),
    light: lightOf(seed),
    rate: dice.between(2, 10) / 10,
    difficulty: 1,
    blockSeconds: dice.between(3, 8),
    retarget: dice.chance(0.4),
    // So short that branches of the same length differ in work.
    halfLifeSeconds: dice.between(2, 12),
    limits: smallLimits,
  }
}

// Dice of their own: what else a seed decides does not depend on these.

export const applicationOf = (seed: number): ApplicationName =>
  new Dice(`${seed}/application`).chance(0.5) ? 'market' : 'none'

const absencesOf = (seed: number): number => (new Dice(`${seed}/absences`).chance(0.2) ? 1 : 0)

function lightOf(seed: number): number {
  const dice = new Dice(`${seed}/light peers`)
  return dice.chance(0.3) ? dice.between(1, 2) : 0
}
