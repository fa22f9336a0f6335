import { join } from 'node:path'
import { createBus } from './bus.ts'
import { Contributed } from './contributions.ts'
import { chainHost } from './chainplugin.ts'
import type { Genesis } from './chain/genesis.ts'
import type { KeyPair } from './chain/keys.ts'
import { AurexError, messageOf } from './errors.ts'
import { openKeyFile, openOrCreate, type OpenedKey } from './keyfile.ts'
import type { Limits } from './limits.ts'
import { setUpPlugins, type PluginEntry, type SetUp } from './load.ts'
import type { Log, OpenLog } from './log.ts'
import { genesisMemory } from './network/genesis/memory.ts'
import type { HostPort } from './network/hostport.ts'
import type { NetworkSettings } from './network/module.ts'
import { createNetwork, type Network } from './network/network.ts'
import { lightNodeType } from './network/standing.ts'
import { PluginsView } from './network/view.ts'
import type { NodeFacts } from './plugin.ts'
import type { Runtime } from './runtime.ts'
import { openServices } from './services.ts'
import { KeyHold } from './signing/keyhold.ts'

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
  /** Where other nodes reach it; undefined where they do not. */
  readonly address: HostPort | undefined
  /** Everywhere that it listens, each with the plugin that does. */
  readonly listeners: readonly Listening[]
  /** Where the ledger is; undefined without one. */
  readonly ledger: string | undefined
  readonly head: { readonly height: number; readonly pending: number } | undefined
  /** The other nodes that it is connected with. */
  readonly network: Pick<Network, 'peers' | 'dial' | 'genesis'>
  /** Ends everything in reverse order of its beginning. Twice is once. */
  stop(reason: string): Promise<void>
}

export interface Listening extends HostPort {
  readonly plugin: string
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
  const view = new PluginsView(genesis)
  const contributed = new Contributed()
  const keyHold = new KeyHold({ files: runtime.files, path: keyPathOf(options), clock: runtime.clock, log })
  const services = openServices({
    identity,
    holdKey: () => keyHold.take(),
    contributed,
    clock: runtime.clock,
    logFor: (name) => options.log.log(name),
    emit: (event, fact) => bus.emit(event, fact),
  })
  const host = chainHost({ bus, damaged: options.failed, services, contributed })
  const up = await setUpPlugins({
    plugins: inOrder(options.plugins, host.entry),
    bus,
    runtime,
    identity,
    genesis,
    node,
    limits,
    network: view,
    contributed,
    services,
    logFor: (name) => options.log.log(name),
  })
  let network: Network | undefined
  const stop = async (): Promise<void> => {
    await network?.stop()
    await up.dispose()
    keyHold.release()
  }
  try {
    const { storage } = up.slots
    network = createNetwork({
      chain: host.chain(),
      storage,
      genesis,
      memory: storage && genesisMemory(storage),
      identity,
      node,
      runtime,
      limits,
      log: options.log.log('network'),
      settings: options.network,
      transports: up.slots.transport,
      contributed,
      ...services,
      emit: (event, fact) => bus.emit(event, fact),
      behind: (behind) => host.producer()?.hold(behind),
      finality: up.slots.finality,
      producer: genesis && { engine: genesis.consensus, due: () => host.producer()?.why() },
      publicAddress: () => options.network.advertise ?? addressOf(up),
    })
    view.attach(network)
    await openAll(up, network)
  } catch (error) {
    await stop()
    throw error
  }
  const address = addressOf(up)
  warnOfNoWay(options, up, log)
  registerSelf(up, address, identity, options)
  host.producer()?.start()
  network.start()
  bus.emit('node:started', { port: address?.port })
  return {
    identity,
    address,
    listeners: up.transports.flatMap(({ plugin, transport }) => {
      const at = transport.address()
      return at === undefined ? [] : [{ plugin, ...at }]
    }),
    ledger: up.slots.storage?.location,
    head: up.slots.chain && { height: up.slots.chain.head().header.index, pending: up.slots.chain.pendingCount() },
    network,
    stop: async (reason) => {
      bus.emit('node:stopping', { reason })
      await stop()
    },
  }
}

async function openAll({ transports }: SetUp, { inbox }: Network): Promise<void> {
  for (const { plugin, transport } of transports) {
    try {
      await transport.open(inbox)
    } catch (error) {
      if (error instanceof AurexError) throw error
      const message = `plugin ${plugin}: it could not begin to listen: ${messageOf(error)}`
      throw new AurexError('open-failed', message, { cause: error })
    }
  }
}

/** Who names peers wants to be connected with them. */
function warnOfNoWay({ network }: NodeOptions, { slots }: SetUp, log: Log): void {
  if (network.peers.length === 0 || slots.transport.some((one) => one.dial !== undefined)) return
  log.warn('--peers names other nodes, and no transport that is loaded can connect to them; add tcp to --plugins')
}

/** Several nodes may share a data directory, each under its port: so do their keys and ledgers. */
const keyPathOf = ({ node, keyPath }: NodeOptions): string => keyPath ?? join(node.dataDir, `node_${node.port}.pem`)

function identityOf(options: NodeOptions, log: Log): KeyPair {
  const { keyPath, runtime } = options
  const path = keyPathOf(options)
  if (keyPath !== undefined) return warned(openKeyFile(runtime.files, path), log)
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
  const own = { node_id: identity.nodeId, ...address, node_type: slots.chain === undefined ? lightNodeType : 'full' }
  try {
    slots.storage.saveNode({ ...own, status: 'active', last_seen: options.runtime.clock.now() })
  } catch (error) {
    // A full disk keeps nothing from being read.
    options.log.log('node').warn('this node is not listed in its own table nodes', { error })
  }
}

function addressOf({ slots }: Pick<SetUp, 'slots'>): HostPort | undefined {
  return slots.transport
    .filter((transport) => transport.dial !== undefined)
    .map((transport) => transport.address())
    .find((address) => address !== undefined)
}
