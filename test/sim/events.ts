import type { Dice } from './dice.ts'
import type { HonestNode } from './honest.ts'
import type { LightPeer } from './light.ts'
import type { Plan } from './plan.ts'
import type { World } from './runtime.ts'

export interface EventsParts {
  readonly world: World
  readonly plan: Plan
  readonly nodes: readonly HonestNode[]
  /** They are on one side of a partition too, and crash. */
  readonly lights: readonly LightPeer[]
  readonly dice: Dice
  /** Milliseconds of the world: when everything is over and healed. */
  readonly endsAt: number
  readonly say: (what: string) => void
}

/** Nodes find each other first. */
const beginsAt = 5_000

/** Everything that befalls hosts and ways, at moments that the dice decide. */
export function arrangeEvents(parts: EventsParts): void {
  const { world, plan, nodes, lights, dice, endsAt } = parts
  const moments = (count: number): number[] =>
    Array.from({ length: count }, () => beginsAt + dice.fraction() * Math.max(0, endsAt - beginsAt - 5_000))
  world.at(beginsAt, () => void (world.weather = plan.weather))
  world.syncMillisecondsMax = plan.syncMillisecondsMax
  if (plan.apartMilliseconds > 0) setApart(parts)
  for (const node of nodes) skew(node, parts)
  for (const at of moments(plan.partitions)) world.at(at, () => partition(parts))
  for (const at of moments(plan.crashes)) world.at(at, () => crash(parts))
  if (plan.crashes > 0) for (const at of moments(lights.length)) world.at(at, () => crashLight(parts))
  for (const at of moments(plan.absences)) world.at(at, () => absent(parts))
  for (const at of moments(plan.jumps)) world.at(at, () => jump(dice.pick(nodes), parts))
  for (const at of moments(plan.stalls)) world.at(at, () => stall(parts))
}

function skew(node: HonestNode, { world, plan, dice }: EventsParts): void {
  if (plan.skewMilliseconds === 0 || !dice.chance(0.5)) return
  world.host(node.address).clockOffset = dice.between(-plan.skewMilliseconds, plan.skewMilliseconds)
  world.tally.add('clock-skew')
}

function jump(node: HonestNode, { world, plan, dice, say }: EventsParts): void {
  const most = Math.max(plan.skewMilliseconds, 2_000)
  const offset = dice.between(-most, most)
  world.host(node.address).clockOffset = offset
  world.tally.add('clock-jump')
  say(`the clock of ${node.address} jumps: it is ${(offset / 1_000).toFixed(1)} s off now`)
}

function stall({ world, nodes, dice, say }: EventsParts): void {
  const node = dice.pick(nodes)
  const milliseconds = dice.between(500, 12_000)
  world.stall(node.address, milliseconds)
  world.tally.add('stall')
  say(`${node.address} stands still for ${(milliseconds / 1_000).toFixed(1)} s`)
}

// ---- partitions ----

const partitionMilliseconds = [5_000, 40_000] as const

function partition({ world, nodes, lights, dice, endsAt, say }: EventsParts): void {
  if (world.links.cuts > 0) return
  const order = dice.shuffled([...nodes, ...lights].map(({ address }) => address))
  const at = dice.between(1, order.length - 1)
  const [left, right] = [order.slice(0, at), order.slice(at)]
  const kind = dice.pick(['one-way', 'two-way', 'bridge'] as const)
  // Of the larger side one node still sees everybody.
  const bridge = kind === 'bridge' && order.length > 2 ? (left.length > right.length ? left : right).pop() : undefined
  for (const a of left) {
    for (const b of right) {
      if (kind === 'one-way') world.links.cut(a, b)
      else world.links.cutBoth(a, b)
    }
  }
  world.tally.add(`${kind}-partition`)
  const milliseconds = Math.min(dice.between(...partitionMilliseconds), endsAt - world.elapsed)
  const sees = bridge === undefined ? '' : `, ${bridge} sees both`
  say(`${kind} partition for ${(milliseconds / 1_000).toFixed(1)} s: ${left.join(' ')} | ${right.join(' ')}${sees}`)
  world.at(milliseconds, () => world.heal())
}

/** From the beginning. The last node, which is a clone where there is one, is on the other side than who has its key. */
function setApart({ world, plan, nodes, dice, endsAt, say }: EventsParts): void {
  const clone = nodes.at(-1)!
  const same = nodes.filter((node) => node !== clone && node.keyAddress === clone.keyAddress)
  const others = dice.shuffled(nodes.filter((node) => node !== clone && !same.includes(node)))
  const half = Math.ceil(others.length / 2)
  const [left, right] = [
    [...same, ...others.slice(0, half)],
    [clone, ...others.slice(half)],
  ]
  for (const a of left) for (const b of right) world.links.cutBoth(a.address, b.address)
  world.tally.add('two-way-partition')
  say(
    `${left.map(({ address }) => address).join(' ')} | ${right.map(({ address }) => address).join(' ')} from the beginning`,
  )
  world.at(Math.min(plan.apartMilliseconds, endsAt), () => world.heal())
}

// ---- crashes ----

function crash({ world, nodes, dice, say }: EventsParts): void {
  const up = nodes.filter(({ isUp }) => isUp)
  if (up.length <= nodes.length / 2) return
  const node = dice.pick(up)
  const how = dice.pick(['process', 'power', 'write', 'reorganisation'] as const)
  node.crash(how, dice.between(1, 6))
  if (how === 'process') say(`${node.address} is killed`)
  else if (how === 'power') say(`${node.address} loses its power`)
  else say(`${node.address} is to lose its power in the middle of a ${how}`)
  void world
}

const absentMilliseconds = [20_000, 50_000] as const

/** Longer than a crash takes, and as many at a time as it happens: fewer than are needed may be left. */
function absent({ world, nodes, dice, say }: EventsParts): void {
  const up = nodes.filter(({ isUp }) => isUp)
  if (up.length < 2) return
  const node = dice.pick(up)
  node.absentMilliseconds = dice.between(...absentMilliseconds)
  world.tally.add('absence')
  say(`${node.address} is gone for long`)
  node.crash(dice.pick(['process', 'power']))
}

function crashLight({ lights, dice, say }: EventsParts): void {
  const light = dice.pick(lights)
  if (!light.isUp) return
  say(`${light.address}, which has no chain, crashes`)
  light.crash(dice.pick(['process', 'power']))
}
