import * as v from 'valibot'
import { developmentGenesis, type Genesis } from '../../core/chain/genesis.ts'
import type { Json } from '../../core/chain/json.ts'
import { definePlugin, type Clock, type Header, type Seal } from '../../core/index.ts'
import { entriesOf } from '../../core/config/keys.ts'
import type { PluginEntry } from '../../core/load.ts'
import type { LoadedPlugin } from '../../core/plugin.ts'
import instant from '../../plugins/instant/index.ts'
import { Attempt } from '../../plugins/pow/attempt.ts'
import { powEngine, type Sealer } from '../../plugins/pow/engine.ts'
import { configSchema, parametersSchema } from '../../plugins/pow/schema.ts'
import { search } from '../../plugins/pow/search.ts'
import { usageError } from '../../core/commands/flags.ts'
import { Dice } from './dice.ts'
import type { Ring } from './ring.ts'

/** An engine for all nodes of a world: the chain that they share, and what each of them loads. */
export interface Engine {
  readonly name: string
  readonly genesis: Genesis
  /** `node`: from 0. */
  entry(node: number): PluginEntry
  /** Where the genesis names keys. */
  readonly ring?: Ring
  /** Whoever says what is final, if anybody does. */
  readonly finality?: PluginEntry
}

export interface PowOptions {
  readonly seed: number
  readonly nodes: number
  /** Leading zero hex digits of the first blocks. */
  readonly difficulty: number
  /** Seconds between blocks that all nodes together need at that difficulty. */
  readonly blockSeconds: number
  /** Whether the rules keep the time between blocks there when hash power comes and goes. */
  readonly retarget: boolean
  /** Seconds of delay that halve the work; undefined: what the rules take for it. */
  readonly halfLifeSeconds: number | undefined
}

/**
 * The pow plugin's own rules, with a miner that hashes in virtual time: how long it takes is drawn from the dice, then a
 * real nonce is looked for, so every rule holds as it does in a real node.
 */
export function powOf(options: PowOptions): Engine {
  const { seed, nodes, difficulty, blockSeconds, retarget, halfLifeSeconds } = options
  const parameters = {
    difficulty,
    ...(retarget ? { block_time: Math.max(1, Math.round(blockSeconds)) } : {}),
    ...(retarget && halfLifeSeconds !== undefined ? { half_life: halfLifeSeconds } : {}),
  }
  // A block of its own is made whether or not there is something to record, as miners do who are paid for it.
  const config = v.parse(configSchema, { mine_empty_after: 0.001 })
  const powers = new Dice(`${seed}/hash power`)
  const shares = Array.from({ length: nodes }, () => 0.2 + powers.fraction())
  const sum = shares.reduce((total, share) => total + share, 0)
  const hashesPerMillisecond = 16 ** difficulty / (blockSeconds * 1_000)
  return {
    name: 'pow',
    genesis: developmentGenesis('pow', parameters),
    entry: (node) => ({
      plugin: simulatedPow(`${seed}/${node}`, (hashesPerMillisecond * shares[node]!) / sum),
      config,
      parameters,
    }),
  }
}

function simulatedPow(seed: string, hashesPerMillisecond: number): LoadedPlugin {
  // Its own dice: how many blocks a node looks for has no say in what befalls its messages.
  const dice = new Dice(`${seed}/mining`)
  return definePlugin({
    name: 'pow',
    summary: 'proof of work in virtual time',
    provides: 'consensus',
    needs: [],
    config: configSchema,
    parameters: parametersSchema,
    setup: ({ runtime }, config, parameters) =>
      powEngine(parameters, config, virtualSealer(runtime.clock, dice, hashesPerMillisecond)),
  })
}

function virtualSealer(clock: Clock, dice: Dice, hashesPerMillisecond: number): Sealer {
  return {
    seal: (header, signal) =>
      new Promise<Seal | undefined>((resolve) => {
        if (signal.aborted) return resolve(undefined)
        // Hashing has no memory, so what was in vain until a new head came counts for nothing.
        const timer = clock.after(dice.exponential(header.work / hashesPerMillisecond), () => {
          signal.removeEventListener('abort', giveUp)
          resolve({ nonce: nonceFor(header) })
        })
        const giveUp = (): void => {
          timer.cancel()
          resolve(undefined)
        }
        signal.addEventListener('abort', giveUp, { once: true })
      }),
  }
}

/** The first nonce that meets the header's target. */
export function nonceFor(header: Header): number {
  const { nonce } = search(new Attempt(header, 0, 0).puzzle, 0, Number.MAX_SAFE_INTEGER, () => true)
  if (nonce === undefined) throw new Error('every nonce was tried')
  return nonce
}

/** One node makes the blocks: more would make different ones at the same height, at once and without end. */
export const instantEngine = (): Engine => ({
  name: 'instant',
  genesis: developmentGenesis('instant', {}),
  entry: (node) => ({ plugin: instant, config: v.parse(instant.config, { produce: node === 0 }), parameters: {} }),
})

/**
 * Any plugin that provides consensus, unchanged. `settings` are keys of its config or of its parameters, as text; what
 * reads as JSON is taken as that. Throws a usage error for a key that it does not have.
 */
export function engineOf(plugin: LoadedPlugin, settings: ReadonlyMap<string, string>): Engine {
  if (plugin.provides !== 'consensus') {
    throw usageError('bad-value', `--engine: ${plugin.name} provides ${plugin.provides}, expected consensus`)
  }
  const config: Record<string, Json> = {}
  const parameters: Record<string, Json> = {}
  for (const [flag, text] of settings) {
    const [owner, key = ''] = flag.split('.')
    const table = Object.hasOwn(entriesOf(plugin.parameters), key) ? parameters : config
    if (owner !== plugin.name) throw usageError('unknown-flag', `--${flag}: the engine is called ${plugin.name}`)
    table[key] = valueOf(text)
  }
  const parsed = plugin.parameters === undefined ? {} : v.parse(plugin.parameters, parameters)
  return {
    name: plugin.name,
    genesis: developmentGenesis(plugin.name, parsed),
    entry: () => ({ plugin, config: parse(plugin, config), parameters: parsed }),
  }
}

function parse(plugin: LoadedPlugin, config: Record<string, Json>): unknown {
  const shaped = v.safeParse(plugin.config, config)
  if (shaped.success) return shaped.output
  const [issue] = shaped.issues
  throw usageError('bad-value', `--${plugin.name}.${v.getDotPath(issue) ?? ''}: ${issue.message}`)
}

function valueOf(text: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch {
    return text
  }
}
