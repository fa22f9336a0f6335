// Whole nodes with bft in worlds where everything goes wrong at once: what was decided stays, and all come to it.
import { expect, test } from 'bun:test'
import bft from '../../../plugins/bft/index.ts'
import { EngineWorld } from '../../contract/consensus-world.ts'
import { Dice } from '../../sim/dice.ts'
import { calm } from '../../sim/faults.ts'

const weather = { loss: 0.08, reorder: 0.1, duplicate: 0.05, delaySpike: 0.05, reset: 0.002 }
const seconds = 25
const testMillisecondsMax = 30_000

test.each([
  [1, 4, 0],
  [2, 4, 0.1],
  [3, 5, 0.1],
  [4, 4, 1],
  [5, 7, 0.1],
  [6, 4, 0.1],
])(
  'seed %d: %d nodes are killed, lose their power while they write, and are cut off, with clocks that are seconds apart',
  async (seed, nodes, block_time) => {
    const parameters = (authorities: readonly string[]) => ({ authorities: [...authorities], block_time })
    const world = new EngineWorld({ plugin: bft, seed, nodes, parameters })
    await world.begin()
    await trouble(world, new Dice(`${seed}/trouble`))
    world.world.weather = calm
    world.world.syncMillisecondsMax = 0
    world.world.heal()
    for (const node of world.nodes) {
      node.spare()
      if (!world.world.host(node.address).alive) node.start()
    }
    await world.world.runUntil(() => world.isSettled || world.faults.length > 0, 60_000)
    expect(world.faults).toEqual([])
    expect(world.lowest).toBeGreaterThan(0)
  },
  testMillisecondsMax,
)

async function trouble(world: EngineWorld, dice: Dice): Promise<void> {
  const { world: sim, nodes } = world
  sim.weather = { ...calm, ...weather }
  sim.syncMillisecondsMax = 20
  for (const { address } of nodes) sim.host(address).clockOffset = dice.between(-2_000, 2_000)
  for (let second = 0; second < seconds; second++) {
    await world.busy(1)
    const [node, other] = dice.shuffled(nodes)
    const what = dice.fraction()
    if (what < 0.3 && nodes.filter(({ isUp }) => isUp).length > 1) {
      node!.crash((['process', 'power', 'write'] as const)[second % 3]!, dice.between(1, 6))
    } else if (what < 0.4) sim.links.cutBoth(node!.address, other!.address)
    else if (what < 0.5) sim.heal()
    for (const one of nodes) if (!sim.host(one.address).alive && dice.fraction() < 0.6) one.start()
  }
}
