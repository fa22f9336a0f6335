// A node with several transports.
import { expect, test } from 'bun:test'
import * as v from 'valibot'
import { AurexError } from '../../../core/errors.ts'
import { startNode } from '../../../core/node.ts'
import { definePlugin, type LoadedPlugin } from '../../../core/plugin.ts'
import { simRuntime } from '../../sim/runtime.ts'
import { pluginEntry, simNodeOptions, simPort, startSimNode } from '../../sim/simnode.ts'

const one = '10.0.0.1'

/** Serves clients only. */
const door = (
  port: number,
  open: () => Promise<void> = () => Promise.resolve(),
  released: string[] = [],
): LoadedPlugin =>
  definePlugin({
    name: 'door',
    summary: 'for a test',
    provides: 'transport',
    needs: [],
    config: v.strictObject({}),
    setup(context) {
      context.defer(() => void released.push('door'))
      return { open, address: () => ({ host: '0.0.0.0', port }) }
    },
  })

test('other nodes are told of the transport that can dial, wherever it stands; the rest is listed with its plugin', async () => {
  const world = simRuntime({ seed: 1 })
  const options = simNodeOptions(world, one)
  const node = await world.settled(startNode({ ...options, plugins: [pluginEntry(door(5_000)), ...options.plugins] }))
  expect(node.address).toEqual({ host: one, port: simPort })
  expect(node.listeners).toEqual([
    { plugin: 'door', host: '0.0.0.0', port: 5_000 },
    { plugin: 'tcp', host: one, port: simPort },
  ])
  const other = await startSimNode(world, '10.0.0.2')
  await world.settled(node.network.dial({ host: other.address, port: simPort }))
  expect(other.node.network.peers.all()[0]?.facts.listens).toEqual({ host: one, port: simPort })
  await world.settled(Promise.all([node.stop('a test'), other.node.stop('a test')]))
})

test('with none that can dial, there is nowhere for other nodes to reach it', async () => {
  const world = simRuntime({ seed: 1 })
  const { plugins, ...options } = simNodeOptions(world, one)
  const without = plugins.filter(({ plugin }) => plugin.name !== 'tcp')
  const node = await world.settled(startNode({ ...options, plugins: [...without, pluginEntry(door(5_000))] }))
  expect([node.address, node.listeners.length]).toEqual([undefined, 1])
  await world.settled(node.stop('a test'))
})

test('peers are named and no transport can dial: it is said', async () => {
  const world = simRuntime({ seed: 1 })
  const said: string[] = []
  const options = simNodeOptions(world, one, {
    peers: [{ host: '10.0.0.2', port: simPort }],
    log: (level, message) => void (level === 'warn' && said.push(message)),
  })
  const without = options.plugins.filter(({ plugin }) => plugin.name !== 'tcp')
  const node = await world.settled(startNode({ ...options, plugins: without }))
  expect(said).toContainEqual(expect.stringContaining('add tcp to --plugins'))
  await world.settled(node.stop('a test'))
  const quiet = await world.settled(startNode(options))
  expect(said.filter((message) => message.includes('add tcp'))).toHaveLength(1)
  await world.settled(quiet.stop('a test'))
})

test('one that cannot listen keeps the node from starting, with its own error, and all that is up is released', async () => {
  const cases: readonly [Error, string, string][] = [
    [new AurexError('port-taken', 'door: port 5000 is taken'), 'port-taken', 'door: port 5000 is taken'],
    [new Error('EACCES'), 'open-failed', 'plugin door: it could not begin to listen: EACCES'],
  ]
  for (const [error, code, message] of cases) {
    const world = simRuntime({ seed: 1 })
    const released: string[] = []
    const plugin = pluginEntry(door(5_000, () => Promise.reject(error), released))
    const failed = await world.settled(
      startNode({ ...simNodeOptions(world, one, { plugins: [plugin] }) }).then(
        () => undefined,
        (thrown: unknown) => thrown,
      ),
    )
    expect(failed).toMatchObject({ code, message })
    expect(released).toEqual(['door'])
    // tcp listened already: its port is free again.
    const again = await startSimNode(world, one)
    await world.settled(again.node.stop('a test'))
  }
})
