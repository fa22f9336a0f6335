// Every set of survivors of a small network, and every order in which the others die.
import { goesOn, stops } from './life.ts'
import { World } from './world.ts'
import { majorityOf } from '../../plugins/poa/votes.ts'

export interface Deaths {
  readonly count: number
  /** Places, in the order in which they die. */
  readonly dying: readonly number[]
}

/** All of them for so many authorities: 2 for one, 326 for five. */
export function allDeaths(count: number): Deaths[] {
  const orders = (chosen: readonly number[]): (readonly number[])[] => {
    const rest = Array.from({ length: count }, (_, place) => place).filter((place) => !chosen.includes(place))
    return [chosen, ...rest.flatMap((place) => orders([...chosen, place]))]
  }
  return orders([]).map((dying) => ({ count, dying }))
}

/** undefined: all is as it must be. */
export function deathsFault({ count, dying }: Deaths, seed: number): string | undefined {
  try {
    const world = new World({ seed, count, skewMax: seed % 2 === 0 ? 0 : 15_000 })
    const { dice } = world
    world.wires.delayMax = dice.pick([20, 300, 1_500])
    world.start()
    let time = 0
    for (const place of dying) {
      time += dice.between(0, 6_000)
      const member = world.members[place]!
      world.at(time, () => world.crash(member))
    }
    world.playTo(time + 1)
    return count - dying.length >= majorityOf(count) ? goesOn(world).fault : (stops(world) ?? comesBack(world, dying))
  } catch (error) {
    return (error as Error).message
  }
}

/** When enough of them are up again, it goes on from where it stopped. */
function comesBack(world: World, dead: readonly number[]): string | undefined {
  const missing = majorityOf(world.members.length) - world.up.length
  for (const place of world.dice.shuffled(dead).slice(0, missing)) world.restart(world.members[place]!)
  return goesOn(world).fault
}
