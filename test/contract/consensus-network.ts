// Four whole nodes with the engine, as they are, in a world of the simulator that goes wrong in every run in the same way.
import { describe, expect, test } from 'bun:test'
import type { LoadedPlugin } from '../../core/plugin.ts'
import { calm } from '../sim/faults.ts'
import { tableOf, type ConsensusOptions } from './consensus-crew.ts'
import { EngineWorld } from './consensus-world.ts'

const nodes = 4
/** All who can be cut off or crash: the first one is whoever alone makes blocks, where one does. */
const away = 3
const settleMilliseconds = 120_000
const weather = { ...calm, loss: 0.04, duplicate: 0.02, reorder: 0.04, delaySpike: 0.02 }
/** Real milliseconds, for slow machines: a world takes a second or two. */
const testMillisecondsMax = 30_000

export function networkContract(plugin: LoadedPlugin, options: ConsensusOptions): void {
  const begin = async (seed: number): Promise<EngineWorld> => {
    const { producers = nodes } = options
    const table = (keys: readonly string[]) => tableOf(plugin, options, keys.slice(0, producers))
    const world = new EngineWorld({ plugin, seed, nodes, parameters: table, config: options.config })
    await world.begin()
    return world
  }
  /** They agree, have recorded everything, and nothing happened that must not happen. */
  const settle = async (world: EngineWorld, above: number): Promise<void> => {
    await world.world.runUntil(() => world.isSettled || world.faults.length > 0, settleMilliseconds)
    expect(world.faults).toEqual([])
    expect(world.lowest).toBeGreaterThan(above)
  }
  const during = options.mayBeAway === 1 ? 'the others go on, and ' : ''
  const check = (what: string, run: () => Promise<void>) => test(what, run, testMillisecondsMax)

  if (options.network === false) return
  describe('in a network of four', () => {
    check('all record the same while messages are lost, late, doubled and out of order', async () => {
      const world = await begin(1)
      world.world.weather = weather
      await world.busy(20)
      world.world.weather = calm
      await settle(world, 2)
    })

    check(`one is cut off: ${during}all record the same when it is back`, async () => {
      const world = await begin(2)
      await world.busy(5)
      const cut = world.nodes[away]!
      for (const other of world.nodes.slice(0, away)) world.world.links.cutBoth(cut.address, other.address)
      const before = world.nodes[0]!.height
      await world.busy(20)
      if (options.mayBeAway === 1) expect(world.nodes[0]!.height).toBeGreaterThan(before + 1)
      world.world.heal()
      await settle(world, before)
    })

    check('two halves do not hear each other: all record the same when they do again', async () => {
      const world = await begin(3)
      await world.busy(5)
      for (const one of world.nodes.slice(0, 2)) {
        for (const other of world.nodes.slice(2)) world.world.links.cutBoth(one.address, other.address)
      }
      const before = world.lowest
      await world.busy(15)
      world.world.heal()
      await settle(world, before)
    })

    check(`one loses its power: ${during}all record the same when it is up again`, async () => {
      const world = await begin(4)
      await world.busy(5)
      world.nodes[away]!.crash('power')
      const before = world.nodes[0]!.height
      await world.busy(20)
      if (options.mayBeAway === 1) expect(world.nodes[0]!.height).toBeGreaterThan(before + 1)
      world.nodes[away]!.start()
      await settle(world, before)
    })

    check('one after the other is killed and started again', async () => {
      const world = await begin(5)
      for (const [n, node] of world.nodes.entries()) {
        await world.busy(2)
        node.crash(n % 2 === 0 ? 'process' : 'power')
        await world.busy(2)
        node.start()
        await world.world.runUntil(() => node.isUp)
      }
      await settle(world, 2)
    })
  })
}
