// The slot `chain` of a node that has an application.
import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import * as v from 'valibot'
import { bunRuntime } from '../../../core/bun.ts'
import { createBus } from '../../../core/bus.ts'
import { developmentGenesis, readGenesis, type Genesis } from '../../../core/chain/genesis.ts'
import { chainHost } from '../../../core/chainplugin.ts'
import { Contributed } from '../../../core/contributions.ts'
import { defaultNodeLimits } from '../../../core/limits.ts'
import { setUpPlugins, type PluginEntry, type SetUp } from '../../../core/load.ts'
import { definePlugin, type LoadedPlugin } from '../../../core/plugin.ts'
import instant from '../../../plugins/instant/index.ts'
import sqlite from '../../../plugins/sqlite/index.ts'
import { testServices } from '../../support/services.ts'
import { someTransaction } from '../../support/chainworld.ts'
import { countersPlugin } from '../../support/counters.ts'
import { eventually } from '../../support/eventually.ts'
import { makeKey } from '../../support/blocks.ts'
import { removeFolder, temporaryFolder } from '../../support/process.ts'
import { labEngine, ToldFinality } from './lab.ts'

const withCounters = developmentGenesis('instant', {}, { name: 'counters', parameters: {} })

let folder: string
let up: SetUp | undefined
beforeEach(() => (folder = temporaryFolder()))
afterEach(async () => {
  await up?.dispose()
  removeFolder(folder)
})

let contributed = new Contributed()
let services = testServices()

const entry = (plugin: LoadedPlugin, config: unknown): PluginEntry => ({ plugin, config, parameters: undefined })

async function start(genesis: Genesis, applications: readonly LoadedPlugin[], engine?: LoadedPlugin) {
  const runtime = bunRuntime()
  const nothing = (): void => undefined
  const bus = createBus({ clock: runtime.clock, mailboxFactsMax: 100, report: nothing })
  services = testServices()
  contributed = new Contributed()
  const host = chainHost({
    bus,
    services,
    contributed,
    damaged: (error) => {
      throw error
    },
  })
  up = await setUpPlugins({
    plugins: [
      host.entry,
      engine === undefined ? entry(instant, { produce: true }) : entry(engine, {}),
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
    contributed,
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

test('a node that signs nothing any more is not well', async () => {
  await start(withCounters, [countersPlugin])
  const found = () => contributed.findings().find(({ name }) => name === 'signing')
  expect(found()).toEqual({ name: 'signing', status: 'pass', output: '' })
  services.signing.metKey('192.0.2.7:13245')
  expect(found()).toMatchObject({ status: 'fail', output: expect.stringContaining('192.0.2.7:13245') })
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

describe('an engine with turns, and a finality', () => {
  const genesis = readGenesis(
    { name: 'authorities', timestamp: '2026-01-01T00:00:00.000Z', consensus: 'lab', gateways: 'any', finality: {} },
    'a test',
  )
  /** What happened, in order. */
  const happened: string[] = []
  const engine = definePlugin({
    name: 'lab',
    summary: 'takes turns',
    provides: 'consensus',
    needs: [],
    config: v.strictObject({}),
    setup: () =>
      labEngine({
        turn: ({ index }) => [index],
        authorities: () => [makeKey(1).address],
        open: (door) => void happened.push(`engine at ${door.head().header.index}`),
        prepare: (draft) => (happened.push(`drafts ${draft.index}`), draft),
      }),
  })
  const told = new ToldFinality()
  told.tell({ final: genesis.block, justified: genesis.block })
  const finality = definePlugin({
    name: 'finality',
    summary: 'says what it is told',
    provides: 'finality',
    needs: [],
    config: v.strictObject({}),
    setup: () => told,
  })

  test('see the chain before anything is produced; what was final is written when it was not yet', async () => {
    const host = await start(genesis, [finality], engine)
    expect(happened).toEqual(['engine at 0'])
    host.producer()!.start()
    const { chain, storage } = up!.slots
    await chain!.submitTransaction(someTransaction(undefined, {}, genesis.rules.chainId))
    await eventually(() => chain!.head().header.index === 1, 'it is recorded')
    expect(happened[1]).toBe('drafts 1')
    expect(storage!.records('signing').get('last/chain/block')).toContain(chain!.head().header.current_hash)
    const { header } = chain!.head()
    await up!.dispose()
    // It learns of it while the node does not run.
    told.door = undefined
    told.tell({ final: header })
    await start(genesis, [finality], engine)
    expect(up!.slots.storage!.finalHeight()).toBe(1)
    expect(up!.slots.chain!.finalHeight()).toBe(1)
    expect(happened.at(-1)).toBe('engine at 1')
  })
})
