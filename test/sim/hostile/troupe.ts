import type { Hash } from '../../../core/chain/canonical.ts'
import { Dice } from '../dice.ts'
import type { Tally } from '../faults.ts'
import type { HonestNode } from '../honest.ts'
import type { World } from '../runtime.ts'
import { Eclipsing } from './eclipsing.ts'
import { Equivocating } from './equivocating.ts'
import { Flooding } from './flooding.ts'
import { Invalid } from './invalid.ts'
import type { HostileKind } from './kinds.ts'
import { Lying } from './lying.ts'
import { Stalling } from './stalling.ts'

export interface Stage {
  readonly world: World
  readonly chainId: Hash
  readonly nodes: readonly HonestNode[]
  readonly dice: Dice
  /** Counts what was done to honest nodes. */
  readonly tally: Tally<HostileKind>
  /** A network address of its own. */
  address(): string
}

/** One hostile party. It is asked to act once a second. */
export interface Villain {
  act(second: number): void
}

const cast: Readonly<Record<HostileKind, new (stage: Stage) => Villain>> = {
  invalid: Invalid,
  equivocating: Equivocating,
  stalling: Stalling,
  flooding: Flooding,
  eclipsing: Eclipsing,
  lying: Lying,
}

export interface TroupeParts extends Omit<Stage, 'dice' | 'address'> {
  readonly kinds: readonly HostileKind[]
}

/** Brings hostile peers into a world. They go on until it ends. */
export function enterTroupe(parts: TroupeParts): void {
  const { world, kinds } = parts
  let made = 0
  for (const kind of kinds) {
    const dice = new Dice(`${world.seed}/${kind}`)
    // Each in another network of 16 bits, as far as it does not want it otherwise.
    const address = (): string => `91.${made % 250}.${Math.floor(made++ / 250)}.1`
    const villain = new cast[kind]({ ...parts, dice, address })
    let second = 0
    const act = (): void => {
      villain.act(second++)
      world.at(1_000, act)
    }
    world.at(2_000, act)
  }
}

/** One that runs, if any does. */
export function someNode({ nodes, dice }: Pick<Stage, 'nodes' | 'dice'>): HonestNode | undefined {
  const up = nodes.filter(({ isUp }) => isUp)
  return up.length === 0 ? undefined : dice.pick(up)
}

export const highest = (nodes: readonly HonestNode[]): number => Math.max(0, ...nodes.map(({ height }) => height))
