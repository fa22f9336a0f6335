// One small life of a network, as its seed decides it, and what must be true at its end.
import type { Member } from './member.ts'
import { keys, World, type WorldOptions } from './world.ts'
import { majorityOf } from '../../plugins/poa/votes.ts'

/** Milliseconds of the world in which something befalls the members. */
const troubleMilliseconds = 90_000
/** So far wall clocks may be apart: what the engine takes of a block that comes from the future. */
const skewMax = 15_000
/** In which so many blocks more must be on the chain, once enough are up and reach each other. */
const goesOnMilliseconds = 600_000
const goesOnBlocks = 12
/** After so long without a reason for a block, all have heard of everything. */
const quietMilliseconds = 20_000
/** A chain that has not grown for so long, with too few up, has stopped. */
const stopsMilliseconds = 300_000

export interface Outcome {
  /** What was wrong; undefined: nothing. */
  readonly fault?: string | undefined
  readonly enough: boolean
  readonly faults: Readonly<Record<string, number>>
  /** Until the chain had grown by a block, where enough are up. */
  readonly recovered?: number
  readonly height: number
}

type Rules = Pick<WorldOptions, 'tieBreak' | 'site' | 'record'>

/** Trouble of all kinds, then none: some members stay away for good. */
export function life(seed: number, rules: Rules = {}): Outcome {
  const counts: Record<string, number> = {}
  const count = (kind: string): void => void (counts[kind] = (counts[kind] ?? 0) + 1)
  let world: World | undefined
  try {
    world = openWorld(seed, rules)
    trouble(world, count)
    world.playTo(troubleMilliseconds)
    return { ...ending(world, count), faults: counts, height: heightOf(world) }
  } catch (error) {
    return { fault: (error as Error).message, enough: true, faults: counts, height: world ? heightOf(world) : 0 }
  }
}

function openWorld(seed: number, rules: Rules): World {
  const count = 1 + (seed % keys.length)
  const epoch = [3, 7, 1_000][seed % 3]!
  const world = new World({ seed, count, epoch, skewMax: seed % 2 === 0 ? skewMax : 0, ...rules })
  const { dice } = world
  world.wires.loss = dice.pick([0, 0.02, 0.2, 0.5])
  world.wires.delayMax = dice.pick([20, 300, 1_500, 6_000])
  world.start()
  return world
}

function trouble(world: World, count: (kind: string) => void): void {
  const { dice, members } = world
  const events = dice.pick([dice.between(0, 5), dice.between(6, 15), dice.between(16, 40)])
  for (let i = 0; i < events; i++) {
    world.at(dice.between(0, troubleMilliseconds - 1), () => {
      const member = dice.pick(members)
      switch (dice.between(0, 4)) {
        case 0:
        case 1:
          count(member.up ? 'crash' : 'restart')
          return member.up ? world.crash(member) : world.restart(member)
        case 2:
          count('dying while signing')
          member.diesSigning = true
          return
        case 3:
          count('partition')
          return divide(world)
        default:
          count('other delays')
          world.wires.delayMax = dice.pick([20, 300, 1_500, 6_000])
      }
    })
  }
}

function divide(world: World): void {
  const groups = world.dice.between(1, 3)
  const chosen = new Map(world.members.map((member) => [member, world.dice.between(1, groups)]))
  world.divide((member) => chosen.get(member)!)
}

type Ending = Pick<Outcome, 'fault' | 'enough' | 'recovered'>

/** From here on nothing goes wrong any more; who is up stays up. */
function ending(world: World, count: (kind: string) => void): Ending {
  const { dice, members } = world
  world.wires.loss = 0
  world.wires.delayMax = 300
  for (const member of members) member.diesSigning = false
  const alive =
    dice.between(0, 9) < 8
      ? dice.between(majorityOf(members.length), members.length)
      : dice.between(0, members.length - 1)
  const chosen = new Set(dice.shuffled(members).slice(0, alive))
  for (const member of members) if (!chosen.has(member)) world.crash(member)
  world.divide(() => 0)
  for (const member of dice.shuffled([...chosen])) world.restart(member)
  const enough = alive >= majorityOf(members.length)
  count(enough ? 'enough are up' : 'too few are up')
  if (enough && alive < members.length && dice.chance(0.3)) {
    count('the dead are voted out')
    for (const member of members) if (!chosen.has(member)) world.unwanted.add(member.key.address)
  }
  return enough ? { enough, ...goesOn(world) } : { enough, fault: stops(world) }
}

/** With enough of them up, the chain goes on and all end on one head. */
export function goesOn(world: World): Pick<Ending, 'fault' | 'recovered'> {
  const from = heightOf(world)
  const recovered = world.playUntil(() => leastHeight(world) > from, goesOnMilliseconds)
  if (recovered === undefined) return { fault: `deadlock at height ${from}: ${waits(world)}` }
  const target = from + goesOnBlocks
  if (world.playUntil(() => leastHeight(world) >= target, goesOnMilliseconds) === undefined) {
    return { recovered, fault: `deadlock at height ${heightOf(world)}, later: ${waits(world)}` }
  }
  world.busy = false
  world.unwanted.clear()
  world.playFor(quietMilliseconds)
  const heads = new Set(world.up.map(({ head }) => head.hash))
  return heads.size === 1 ? { recovered } : { recovered, fault: `${heads.size} heads in the end: ${waits(world)}` }
}

/** With too few of them up, the chain stops, and each says for whom it waits. */
export function stops(world: World): string | undefined {
  world.playFor(stopsMilliseconds)
  const heights = world.up.map(({ head }) => head.index)
  world.playFor(stopsMilliseconds)
  if (world.up.some(({ head }, at) => head.index !== heights[at])) return 'too few are up, and yet the chain goes on'
  return world.up.map((member) => saysForWhom(world, member)).find((fault) => fault !== undefined)
}

function saysForWhom(world: World, member: Member): string | undefined {
  const site = world.siteOf(member)
  if ('when' in site) return `member ${member.place + 1} is about to make a block on height ${site.on.index}`
  const due = world.dueAt(member, member.head)
  const absent = world.members.filter(({ up }) => !up)
  // The engine would let it: then it is its record that does not, and that is core's to say.
  if ('when' in due) return site.waitsFor === '' ? 'nothing is said' : undefined
  const names = absent.some(({ key }) => due.waitsFor.includes(`${key.address.slice(0, 4)}...${key.address.slice(-2)}`))
  return names ? undefined : `member ${member.place + 1} waits for ${due.waitsFor}, and names nobody who is away`
}

export const heightOf = (world: World): number => Math.max(0, ...world.up.map(({ head }) => head.index))
const leastHeight = (world: World): number => Math.min(...world.up.map(({ head }) => head.index))

function waits(world: World): string {
  return world.up
    .map((member) => {
      const site = world.siteOf(member)
      const tips = [...member.tips].map((tip) => `${tip.index}/${tip.totalWork}`).join(' ')
      const head = `${member.head.index} ${member.head.hash.slice(0, 4)}`
      return `${member.place + 1} on ${head} (tips ${tips}; signed ${member.signedHeight}) ${
        'when' in site ? `builds on ${site.on.index}` : `waits for ${site.waitsFor}`
      }`
    })
    .join('; ')
}
