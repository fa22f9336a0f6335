import * as v from 'valibot'
import { readGenesis } from '../../core/chain/genesis.ts'
import type { JsonObject } from '../../core/chain/json.ts'
import { entriesOf } from '../../core/config/keys.ts'
import type { PluginEntry } from '../../core/load.ts'
import type { LoadedPlugin } from '../../core/plugin.ts'
import bft from '../../plugins/bft/index.ts'
import finality from '../../plugins/finality/index.ts'
import poa from '../../plugins/poa/index.ts'
import { engineOf, powOf, type Engine } from './engines.ts'
import type { Plan } from './plan.ts'
import { ringOf, type Ring } from './ring.ts'

/** Which plugins a world takes: tests put spoilt ones in. */
export interface Plugins {
  readonly poa: LoadedPlugin
  readonly bft: LoadedPlugin
  readonly finality: LoadedPlugin
}
const sound: Plugins = { poa, bft, finality }

/** The engine that a plan names, with its keys. */
export function planEngine(plan: Plan, plugins: Plugins = sound): Engine {
  return withAuthorities(named(plan, plugins), plan, plugins)
}

function named(plan: Plan, plugins: Plugins): Engine {
  const { engine, blockSeconds } = plan
  if (engine === 'pow') return powOf(plan)
  return engineOf(plugins[engine], new Map([[`${engine}.block_time`, String(blockSeconds)]]))
}

/**
 * The engine on a chain that names keys: in its own parameter `authorities` where it has one, and in the table of whoever
 * says what is final. The same engine where the plan names nobody.
 */
export function withAuthorities(engine: Engine, plan: Plan, plugins: Plugins = sound): Engine {
  const ring = ringOf(plan)
  if (ring === undefined || plan.authorities === undefined) return engine
  const { plugin } = engine.entry(0)
  const table = JSON.parse(engine.genesis.text) as JsonObject
  const isNamed = Object.hasOwn(entriesOf(plugin.parameters), 'authorities')
  const own = isNamed ? { ...(table[engine.name] as JsonObject), authorities: [...ring.addresses] } : undefined
  const parameters = own === undefined ? undefined : v.parse(plugin.parameters!, own)
  const voted = finalityTable(plan, ring)
  const genesis = readGenesis(
    { ...table, ...(own && { [engine.name]: own }), ...(voted && { finality: voted }) },
    'the genesis of the simulator',
  )
  const entry = (node: number): PluginEntry => {
    const usual = engine.entry(node)
    return parameters === undefined ? usual : { ...usual, parameters }
  }
  return { ...engine, genesis, entry, ring, ...(voted && { finality: finalityEntry(plugins.finality, voted) }) }
}

function finalityTable({ authorities }: Plan, { addresses }: Ring): JsonObject | undefined {
  if (authorities?.finality === undefined) return undefined
  const { every, haltAfter } = authorities.finality
  return {
    authorities: [...addresses],
    checkpoint_every: every,
    ...(haltAfter === undefined ? {} : { stall: 'halt', halt_after: haltAfter }),
  }
}

const finalityEntry = (plugin: LoadedPlugin, table: JsonObject): PluginEntry => ({
  plugin,
  config: v.parse(plugin.config, {}),
  parameters: v.parse(plugin.parameters!, table),
})
