// Forks that have halted networks of authorities, laid out by hand.
import type { Block } from './block.ts'
import type { Member } from './member.ts'
import { World, type WorldOptions } from './world.ts'

export interface Scene {
  /** How many authorities there are; they are numbered from 1, in the order of turns. */
  readonly count: number
  /** Who has just signed in turn, on top of a chain that was signed in order. */
  readonly last: number
  /** Whose last turn before that was taken by another. */
  readonly instead?: { readonly of: number; readonly by: number }
  /** Who signed each fork, from the bottom. They have seen their own fork first. */
  readonly forks: readonly [readonly number[], readonly number[]]
  /** Who is away from now on. */
  readonly away: readonly number[]
}

/**
 * The two of EIP-3436; test/vectors/poa-voting restates them. In the second, 6 would sign twice in five blocks, which
 * EIP-225 lets none of 8 do: so here 8 has taken its turn before.
 */
export const eip3436: readonly [Scene, Scene] = [
  {
    count: 8,
    last: 8,
    away: [5, 7, 8],
    forks: [
      [1, 3],
      [2, 4, 6],
    ],
  },
  {
    count: 8,
    last: 7,
    instead: { of: 6, by: 8 },
    away: [7, 8],
    forks: [
      [1, 3, 5],
      [2, 4, 6],
    ],
  },
]

/**
 * What comes of it that nobody signs twice at one height: the shorter fork wins (EIP-3436), 1 has just signed it and 3 has
 * spent the next height on the other fork.
 */
export const spentHeight: Scene = { count: 3, last: 3, away: [2], forks: [[1], [2, 3]] }

/** How the members hear of the other fork: as a whole when they greet, or of one block after the other. */
export type Hearing = 'in one batch' | 'block by block'

export interface PlayedScene {
  readonly world: World
  readonly tips: readonly [Block, Block]
}

export function playScene(scene: Scene, hearing: Hearing, rules: Partial<WorldOptions> = {}): PlayedScene {
  const world = new World({ seed: 1, ...rules, count: scene.count })
  const by = (number: number): Member => world.members[number - 1]!
  let below = world.genesis
  // The turn of number k, whose place is k - 1, comes at heights that leave k - 1 over. Two rounds, so that all rest.
  const top = scene.count + scene.last - 1
  for (let index = 1; index <= top; index++) {
    const inTurn = (index % scene.count) + 1
    const isTaken = inTurn === scene.instead?.of && index > top - scene.count
    below = world.make(by(isTaken ? scene.instead.by : inTurn), below, index * 1_000)
  }
  const began = (scene.count + scene.last) * 1_000
  world.playTo(began)
  const tips = scene.forks.map((signers) =>
    signers.reduce((on, number, at) => world.make(by(number), on, began + at * 1_000), below),
  ) as [Block, Block]
  const sideOf = ({ place }: Member): number => (scene.forks[0].includes(place + 1) ? 0 : 1)
  world.divide(sideOf)
  for (const member of world.members) world.plant(member, tips[sideOf(member)]!)
  world.playTo(began + 5_000)
  for (const number of scene.away) world.crash(by(number))
  for (const member of world.up) member.headMovedAt = world.now
  if (hearing === 'in one batch') world.divide(() => 0)
  else tellEach(world, tips, below)
  world.start()
  return { world, tips }
}

function tellEach(world: World, tips: readonly [Block, Block], fork: Block): void {
  const before = world.up.map((member) => ({ member, group: member.group }))
  for (const { member } of before) member.group = 0
  for (const { member, group } of before) {
    const from = before.find((other) => other.group !== group)!.member
    for (const block of tips[1 - group]!.line()) if (block.index > fork.index) world.tell(member, from, block)
  }
}
