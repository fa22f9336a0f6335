import type { Hash } from '../../../core/chain/canonical.ts'
import type { Address, KeyPair } from '../../../core/chain/keys.ts'
import { Dice } from '../dice.ts'
import type { Tally } from '../faults.ts'
import type { HonestNode } from '../honest.ts'
import type { Plan } from '../plan.ts'
import type { Ring } from '../ring.ts'
import type { World } from '../runtime.ts'
import { Doubling } from './doubling.ts'
import { Eclipsing } from './eclipsing.ts'
import { Equivocating } from './equivocating.ts'
import { Flooding } from './flooding.ts'
import { Invalid } from './invalid.ts'
import { Hiding } from './hiding.ts'
import type { HostileKind, LiarKind } from './kinds.ts'
import { Lying } from './lying.ts'
import { Perjury } from './perjury.ts'
import type { Puppet, PuppetParts } from './puppet.ts'
import { Stalling } from './stalling.ts'
import { TwoTongued } from './twotongued.ts'

export interface Stage {
  readonly world: World
  readonly chainId: Hash
  readonly nodes: readonly HonestNode[]
  readonly dice: Dice
  /** Counts what was done to honest nodes. */
  readonly tally: Tally<HostileKind | LiarKind>
  readonly plan: Plan
  /** A key has shown everybody that it lies. `kind`: of the evidence. */
  expose(address: Address, kind: string): void
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

/** What a liar may do with a key, by what its chain has. */
const liars: Readonly<Record<Exclude<LiarKind, 'hiding'>, new (stage: Stage, key: KeyPair) => Villain>> = {
  perjury: Perjury,
  doubling: Doubling,
  'two-tongued': TwoTongued,
}

export interface TroupeParts extends Omit<Stage, 'dice' | 'address'> {
  readonly ring: Ring | undefined
}

/** Brings hostile peers into a world, those with a right to vote among them. They go on until it ends. */
export function enterTroupe(parts: TroupeParts): void {
  const { world, plan, ring } = parts
  let made = 0
  const stageOf = (name: string): Stage => ({
    ...parts,
    dice: new Dice(`${world.seed}/${name}`),
    // Each in another network of 16 bits, as far as it does not want it otherwise.
    address: () => `91.${made % 250}.${Math.floor(made++ / 250)}.1`,
  })
  const enter = (villain: Villain): void => {
    let second = 0
    const act = (): void => {
      villain.act(second++)
      world.at(1_000, act)
    }
    world.at(2_000, act)
  }
  for (const kind of plan.hostile) enter(new cast[kind](stageOf(kind)))
  for (const [n, key] of (ring?.liars ?? []).entries()) {
    const stage = stageOf(`liar ${n}`)
    enter(new liars[stage.dice.pick(liesIn(plan))](stage, key))
  }
  if (plan.secretShare > 0) enter(new Hiding(stageOf('hiding')))
}

function liesIn({ engine, authorities }: Plan): readonly (keyof typeof liars)[] {
  if (engine === 'bft') return ['two-tongued']
  const votes = authorities?.finality === undefined ? [] : (['perjury'] as const)
  return engine === 'poa' ? ['doubling', ...votes] : votes
}

/** Connects with all nodes that it is not connected with. */
export function meetAll(puppet: Puppet, nodes: readonly HonestNode[]): void {
  const known = new Set([...puppet.links].map(({ address }) => address))
  for (const { address, isUp } of nodes) if (isUp && !known.has(address)) puppet.connect(address)
}

/** One that runs, if any does. */
export function someNode({ nodes, dice }: Pick<Stage, 'nodes' | 'dice'>): HonestNode | undefined {
  const up = nodes.filter(({ isUp }) => isUp)
  return up.length === 0 ? undefined : dice.pick(up)
}

export const highest = (nodes: readonly HonestNode[]): number => Math.max(0, ...nodes.map(({ height }) => height))

/** Parts of a puppet that passes for a node as high as the highest, and says nothing by itself. */
export const silent = (stage: Stage): PuppetParts => ({
  stage,
  chainId: stage.chainId,
  height: () => highest(stage.nodes),
  joined: () => {},
  heard: () => {},
})
