// A whole node, as it is, on one host of a simulated world.
import * as v from 'valibot'
import { developmentGenesis, type Genesis } from '../../core/chain/genesis.ts'
import { defaultNodeLimits, type Limits } from '../../core/limits.ts'
import type { PluginEntry } from '../../core/load.ts'
import type { OpenLog } from '../../core/log.ts'
import type { AurexError } from '../../core/errors.ts'
import type { HostPort } from '../../core/network/hostport.ts'
import type { NetworkSettings } from '../../core/network/module.ts'
import { startNode, type NodeOptions, type RunningNode } from '../../core/node.ts'
import type { LoadedPlugin } from '../../core/plugin.ts'
import instant from '../../plugins/instant/index.ts'
import memory from '../../plugins/memory/index.ts'
import tcp from '../../plugins/tcp/index.ts'
import type { World } from './runtime.ts'

export interface SimNodeOptions {
  readonly genesis?: Genesis
  /** Default: `instant`, which makes a block at once. */
  readonly engine?: PluginEntry
  readonly storage?: PluginEntry
  /** Beside engine, storage and tcp. */
  readonly plugins?: readonly PluginEntry[]
  readonly peers?: readonly HostPort[]
  readonly network?: Partial<NetworkSettings>
  readonly limits?: Partial<Limits>
  /** Hears what is logged. */
  readonly log?: (level: string, message: string, fields?: Record<string, unknown>) => void
  /** Default: it is thrown. */
  readonly failed?: (error: AurexError) => void
}

export interface SimNode {
  readonly address: string
  readonly node: RunningNode
}

export const simPort = 13_245

export const pluginEntry = (
  plugin: LoadedPlugin,
  config: Record<string, unknown> = {},
  parameters = {},
): PluginEntry => ({
  plugin,
  config: v.parse(plugin.config, config),
  parameters,
})

/** What makes a node that listens on `address`, port 13245. */
export function simNodeOptions(world: World, address: string, options: SimNodeOptions = {}): NodeOptions {
  const hear = options.log ?? (() => undefined)
  const say = (level: string) => (message: string, fields?: Record<string, unknown>) => hear(level, message, fields)
  const log: OpenLog = {
    log: () => ({ debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') }),
    close: () => Promise.resolve(),
  }
  return {
    node: { name: address, dataDir: '/data', port: simPort, version: '0' },
    keyPath: undefined,
    limits: { ...defaultNodeLimits, ...options.limits },
    genesis: options.genesis ?? developmentGenesis('instant', {}),
    plugins: [
      options.engine ?? pluginEntry(instant),
      options.storage ?? pluginEntry(memory),
      pluginEntry(tcp, { host: address }),
      ...(options.plugins ?? []),
    ],
    network: {
      peers: options.peers ?? [],
      allow: [],
      dialNetworks: ['10.0.0.0/8'],
      advertise: undefined,
      ...options.network,
    },
    runtime: world.host(address),
    log,
    failed:
      options.failed ??
      ((error) => {
        throw error
      }),
  }
}

/** Starts a node. */
export async function startSimNode(world: World, address: string, options: SimNodeOptions = {}): Promise<SimNode> {
  return { address, node: await world.settled(startNode(simNodeOptions(world, address, options))) }
}
