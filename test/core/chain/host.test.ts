// The slot `chain` of a node that has an application.
import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { join } from 'node:path'
import { bunRuntime } from '../../../core/bun.ts'
import { createBus } from '../../../core/bus.ts'
import { developmentGenesis, type Genesis } from '../../../core/chain/genesis.ts'
import { chainHost } from '../../../core/chainplugin.ts'
import { Contributed } from '../../../core/contributions.ts'
import { defaultNodeLimits } from '../../../core/limits.ts'
import { setUpPlugins, type PluginEntry, type SetUp } from '../../../core/load.ts'
import type { LoadedPlugin } from '../../../core/plugin.ts'
import instant from '../../../plugins/instant/index.ts'
import sqlite from '../../../plugins/sqlite/index.ts'
import { testServices } from '../../support/services.ts'
import { someTransaction } from '../../support/chainworld.ts'
import { countersPlugin } from '../../support/counters.ts'
import { eventually } from '../../support/eventually.ts'
import { makeKey } from '../../support/blocks.ts'
import { removeFolder, temporaryFolder } from '../../support/process.ts'

const withCounters = developmentGenesis('instant', {}, { name: 'counters', parameters: {} })

let folder: string
let up: SetUp | undefined
beforeEach(() => (folder = temporaryFolder()))
afterEach(async () => {
  await up?.dispose()
  removeFolder(folder)
})

const entry = (plugin: LoadedPlugin, config: unknown): PluginEntry => ({ plugin, config, parameters: undefined })

async function start(genesis: Genesis, applications: readonly LoadedPlugin[]) {
  const runtime = bunRuntime()
  const nothing = (): void => undefined
  const bus = createBus({ clock: runtime.clock, mailboxFactsMax: 100, report: nothing })
  const services = testServices()
  const host = chainHost({
    bus,
    services,
    contributed: new Contributed(),
    damaged: (error) => {
      throw error
    },
  })
  up = await setUpPlugins({
    plugins: [
      host.entry,
      entry(instant, { produce: true }),
      entry(sqlite, { path: join(folder, 'ledger.sqlite3'), readonly: false }),
      ...applications.map((plugin) => entry(plugin, {})),
    ],
    bus,
    runtime,
    identity: makeKey(1),
    genesis,
    node: { name: 'test', dataDir: folder, port: 0, version: '0.0.0' },
    limits: defaultNodeLimits,
    services,
    network: { genesis: () => genesis, peers: () => [] },
    contributed: new Contributed(),
    logFor: () => ({ debug: nothing, info: nothing, warn: nothing, error: nothing }),
  })
  return host
}

const thrownBy = async (promise: Promise<unknown>): Promise<unknown> => {
  try {
    return await promise
  } catch (error) {
    return error
  }
}

test('gets the application, its opening state and its blocks, and goes on where it stopped', async () => {
  const host = await start(withCounters, [countersPlugin])
  const { storage, chain } = up!.slots
  expect(storage!.stateAt('bank', 0)).toBe('100')
  host.producer()!.start()
  const data = { counter: 'bank', add: -30 }
  expect(await chain!.submitTransaction(someTransaction(undefined, data, withCounters.rules.chainId))).toMatchObject({
    ok: true,
  })
  await eventually(() => chain!.head().header.index === 1, 'it is recorded')
  expect(storage!.stateAt('bank', 1)).toBe('70')
  await up!.dispose()
  await start(withCounters, [countersPlugin])
  expect(up!.slots.storage!.stateAt('bank', up!.slots.chain!.head().header.index)).toBe('70')
})

test('row 28: does not start on a state that is not what its blocks say', async () => {
  await start(withCounters, [countersPlugin])
  await up!.dispose()
  const database = new Database(join(folder, 'ledger.sqlite3'))
  database.run("UPDATE state_rows SET value = '1000' WHERE key = 'bank'")
  database.close()
  expect(await thrownBy(start(withCounters, [countersPlugin]))).toMatchObject({
    code: 'ledger-damaged',
    exit: 78,
    message: expect.stringContaining('state, key "bank" (block 0): expected "100", got "1000"'),
  })
})

test.each<[string, Genesis, readonly LoadedPlugin[], string]>([
  [
    'one that the genesis does not name',
    developmentGenesis('instant', {}),
    [countersPlugin],
    'no application, but counters',
  ],
  ['none, which the genesis names', withCounters, [], 'counters, but none is set up'],
])('does not start with %s', async (_what, genesis, applications, says) => {
  expect(await thrownBy(start(genesis, applications))).toMatchObject({
    code: 'wrong-application',
    exit: 78,
    message: expect.stringContaining(says),
  })
})
