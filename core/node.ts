import { join } from 'node:path'
import { createBus } from './bus.ts'
import { chainHost } from './chainplugin.ts'
import type { Genesis } from './chain/genesis.ts'
import type { KeyPair } from './chain/keys.ts'
import type { AurexError } from './errors.ts'
import { openKeyFile, openOrCreate, type OpenedKey } from './keyfile.ts'
import type { Limits } from './limits.ts'
import { setUpPlugins, type PluginEntry, type SetUp } from './load.ts'
import type { Log, OpenLog } from './log.ts'
import type { HostPort } from './network/hostport.ts'
import type { NetworkSettings } from './network/module.ts'
import { createNetwork, type Network } from './network/network.ts'
import type { NodeFacts } from './plugin.ts'
import type { Runtime } from './runtime.ts'

export interface NodeOptions {
  readonly node: NodeFacts
  /** undefined: one of its own in the data directory, made on the first start. */
  readonly keyPath: string | undefined
  readonly limits: Limits
  /** undefined on a node without a chain. */
  readonly genesis: Genesis | undefined
  readonly plugins: readonly PluginEntry[]
  readonly network: NetworkSettings
  readonly runtime: Runtime
  readonly log: OpenLog
  /** The node found that it must not go on (its ledger is damaged). Whoever runs it stops it and says why. */
  readonly failed: (error: AurexError) => void
}

export interface RunningNode {
  readonly identity: KeyPair
  /** Where it listens; undefined where it does not. */
  readonly address: HostPort | undefined
  /** Where the ledger is; undefined without one. */
  readonly ledger: string | undefined
  readonly head: { readonly height: number; readonly pending: number } | undefined
  /** The other nodes that it is connected with. */
  readonly network: Pick<Network, 'peers' | 'dial'>
  /** Ends everything in reverse order of its beginning. Twice is once. */
  stop(reason: string): Promise<void>
}

/** Starts a node. When something fails on the way, what is up already is undone, and the error is thrown. */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const { runtime, node, limits, genesis } = options
  const log = options.log.log('node')
  runtime.files.makeDirectory(node.dataDir)
  const identity = identityOf(options, log)
  const bus = createBus({
    clock: runtime.clock,
    mailboxFactsMax: limits.mailbox_facts_max,
    report: ({ code, owner, event, detail }) => log.error(code, { owner, event, detail }),
  })
  const host = chainHost({ bus, damaged: options.failed })
  const up = await setUpPlugins({
    plugins: inOrder(options.plugins, host.entry),
    bus,
    runtime,
    identity,
    genesis,
    node,
    limits,
    logFor: (name) => options.log.log(name),
  })
  const network = createNetwork({
    chain: host.chain(),
    storage: up.slots.storage,
    genesis,
    identity,
    node,
    runtime,
    limits,
    log: options.log.log('network'),
    settings: options.network,
    transports: up.slots.transport,
    emit: (event, fact) => bus.emit(event, fact),
    behind: (behind) => host.producer()?.hold(behind),
    publicAddress: () => options.network.advertise ?? addressOf(up),
  })
  const stop = async (): Promise<void> => {
    await network.stop()
    await up.dispose()
  }
  try {
    for (const transport of up.slots.transport) await transport.open(network.inbox)
  } catch (error) {
    await stop()
    throw error
  }
  const address = addressOf(up)
  registerSelf(up, address, identity, options)
  host.producer()?.start()
  network.start()
  bus.emit('node:started', { port: address?.port })
  return {
    identity,
    address,
    ledger: up.slots.storage?.location,
    head: up.slots.chain && { height: up.slots.chain.head().header.index, pending: up.slots.chain.pendingCount() },
    network,
    stop: async (reason) => {
      bus.emit('node:stopping', { reason })
      await stop()
    },
  }
}

function identityOf({ node, keyPath, runtime }: NodeOptions, log: Log): KeyPair {
  if (keyPath !== undefined) return warned(openKeyFile(runtime.files, keyPath), log)
  // Several nodes may share a data directory, each under its port: so do their keys and ledgers.
  const path = join(node.dataDir, `node_${node.port}.pem`)
  const opened = openOrCreate(runtime.files, path, (length) => runtime.random(length))
  if (opened.created) log.info('made a key for this node', { path })
  return warned(opened, log)
}

function warned({ key, warning }: OpenedKey, log: Log): KeyPair {
  if (warning !== undefined) log.warn(warning)
  return key
}

/** With an engine there is a chain, which needs a ledger. Transports come last, so that they are the first to go. */
function inOrder(plugins: readonly PluginEntry[], chain: PluginEntry): PluginEntry[] {
  const hasEngine = plugins.some(({ plugin }) => plugin.provides === 'consensus')
  const transports = plugins.filter(({ plugin }) => plugin.provides === 'transport')
  const others = plugins.filter(({ plugin }) => plugin.provides !== 'transport')
  return [...others, ...(hasEngine ? [chain] : []), ...transports]
}

/** The table `nodes` starts with this node, as people who look there expect. */
function registerSelf(
  { slots }: SetUp,
  address: RunningNode['address'],
  identity: KeyPair,
  options: NodeOptions,
): void {
  if (address === undefined || slots.storage === undefined) return
  const last_seen = options.runtime.clock.now()
  try {
    slots.storage.saveNode({ node_id: identity.nodeId, ...address, node_type: 'full', status: 'active', last_seen })
  } catch (error) {
    // A full disk keeps nothing from being read.
    options.log.log('node').warn('this node is not listed in its own table nodes', { error })
  }
}

function addressOf({ slots }: Pick<SetUp, 'slots'>): HostPort | undefined {
  return slots.transport.map((transport) => transport.address()).find((address) => address !== undefined)
}
