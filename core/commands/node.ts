import type { Json } from '../chain/json.ts'
import { originText, resolveConfig, type CoreConfig, type ResolvedConfig } from '../config.ts'
import { AurexError, exitCode, messageOf } from '../errors.ts'
import { colorWanted, openLog, type Log } from '../log.ts'
import { hostPortText, parseHostPort, type HostPort } from '../network/hostport.ts'
import type { NetworkSettings } from '../network/module.ts'
import { startNode, type RunningNode } from '../node.ts'
import { version } from '../version.ts'
import type { Command, Io } from './command.ts'
import { nodeHelp } from './nodehelp.ts'
import { programOf } from './program.ts'
import { printable } from './terminal.ts'

export const command: Command = {
  name: 'node',
  summary: 'start a node',
  help: 'aurex node --help lists the plugins that it finds.',
  async run(argv, io) {
    if (argv.includes('--help') || argv.includes('-h')) {
      io.out(await nodeHelp(io))
      return exitCode.ok
    }
    const config = await resolveConfig({
      argv,
      env: io.env,
      cwd: io.cwd,
      readText: (path) => io.runtime.files.readText(path),
      ownFlags: { json: 'boolean' },
    })
    return await runNode(config, io)
  },
}

/** Runs until it is told to stop. Throws when it cannot start or must not go on. */
async function runNode(config: ResolvedConfig, io: Io): Promise<number> {
  const { core, limits, plugins, genesis } = config
  const log = openLog({
    level: core.logLevel,
    file: core.logFile,
    pretty: io.isTerminal,
    color: colorWanted(io.env, io.isTerminal),
    now: () => io.runtime.clock.now(),
  })
  for (const { name, origin } of config.unused)
    log.log('config').debug('not used: its plugin is not loaded', { name, origin: originText(origin) })
  for (const plugin of config.demanded) log.log('config').info('loaded by itself: the genesis demands it', { plugin })
  const { promise: failure, resolve: failed } = Promise.withResolvers<AurexError>()
  try {
    makeDataDirectory(config, log.log('node'), io)
    const node = await startNode({
      node: { name: core.name, dataDir: core.dataDir, port: core.port, version },
      keyPath: core.keyPath,
      limits,
      genesis,
      plugins,
      network: networkSettings(core),
      runtime: io.runtime,
      log,
      failed,
    })
    io.outlive()
    const ready = readyFacts(config, node)
    io.out(config.own['json'] === true ? `${JSON.stringify(ready)}\n` : bannerText(ready, config, io))
    const reason = await Promise.race([failure, interrupted(io.signal)])
    if (reason instanceof AurexError) log.log('node').error('stopping', { code: reason.code, why: reason.message })
    else log.log('node').info('stopping', { reason })
    await node.stop(reason instanceof AurexError ? reason.code : reason)
    log.log('node').info('stopped')
    if (reason instanceof AurexError) throw reason
    return exitCode.ok
  } finally {
    await log.close()
  }
}

function networkSettings({ peers, allowPeers, dialNetworks, advertise }: CoreConfig): NetworkSettings {
  // The schema has let nothing else through.
  const hostPort = (text: string): HostPort => {
    const parsed = parseHostPort(text)
    if (!parsed.ok) throw new Error(`${text}: ${parsed.detail}`)
    return parsed.value
  }
  return {
    peers: peers.map(hostPort),
    allow: allowPeers,
    dialNetworks,
    advertise: advertise === undefined ? undefined : hostPort(advertise),
  }
}

function makeDataDirectory({ core, values }: ResolvedConfig, log: Log, io: Io): void {
  const { files } = io.runtime
  try {
    files.mode(core.dataDir)
  } catch {
    log.info('making the data directory', { path: core.dataDir })
  }
  try {
    files.makeDirectory(core.dataDir)
  } catch (cause) {
    const origin = values.find(({ key }) => key.id === 'data_dir')?.origin ?? { from: 'default' }
    const why = codeOf(cause) === 'EEXIST' ? 'there is a file of that name' : messageOf(cause)
    throw new AurexError(
      'data-dir-failed',
      `data_dir (${originText(origin)}): cannot make the directory ${core.dataDir}: ${why}; choose another with --data-dir`,
      { cause, exit: exitCode.config },
    )
  }
}

const codeOf = (thrown: unknown): unknown => (thrown as { readonly code?: unknown } | null | undefined)?.code

function interrupted(signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(String(signal.reason))
    signal.addEventListener('abort', () => resolve(String(signal.reason)), { once: true })
  })
}

/** What a script wants to know when the node is ready. */
function readyFacts({ core, plugins }: ResolvedConfig, node: RunningNode) {
  const chain = node.network.genesis()
  return {
    event: 'ready',
    name: core.name,
    address: node.identity.address,
    node_id: node.identity.nodeId,
    chain_id: chain?.rules.chainId,
    chain: chain?.name,
    consensus: chain?.consensus,
    plugins: plugins.map(({ plugin }) => plugin.name),
    host: node.address?.host,
    port: node.address?.port,
    listeners: node.listeners,
    data_dir: core.dataDir,
    ledger: node.ledger,
    height: node.head?.height,
    pending: node.head?.pending,
  }
}

type Ready = ReturnType<typeof readyFacts>

function bannerText(ready: Ready, config: ResolvedConfig, io: Io): string {
  const rows: [string, string | undefined][] = [
    ['chain', chainText(ready, config)],
    ['chain id', ready.chain_id],
    ['address', ready.address],
    ['node id', ready.node_id],
    ['ledger', ledgerText(ready)],
    ...listeningRows(ready),
    ['try', tryText(ready, io)],
  ]
  const lines = rows.flatMap(([name, value]) =>
    value === undefined ? [] : [`  ${name.padEnd(10)} ${printable(value)}\n`],
  )
  return `aurex ${version} is up\n${lines.join('')}`
}

function chainText({ height, chain }: Ready, { core, genesis }: ResolvedConfig): string {
  if (height !== undefined && genesis !== undefined) {
    const builtIn = core.genesisPath === undefined ? ' (built in)' : ''
    return `${genesis.name}${builtIn}, ${engineText(genesis)}`
  }
  if (chain !== undefined) {
    return `that of its peers: ${chain}${genesis === undefined ? ', remembered' : ''}; it keeps none itself`
  }
  if (core.peers.length > 0)
    return `that of its peers, to be learnt from ${core.peers.join(', ')}; it keeps none itself`
  return 'none: no engine is loaded, and neither --peers nor --genesis says which one its network is on'
}

function ledgerText({ ledger, height, pending }: Ready): string | undefined {
  return ledger === undefined || height === undefined ? ledger : `${ledger} (block ${height}, ${pending} pending)`
}

/** Where other nodes and clients of its wire come first, then what else listens, each under its plugin's name. */
function listeningRows({ host, port, listeners }: Ready): [string, string][] {
  if (listeners.length === 0) return [['listening', 'nowhere: no transport is loaded']]
  const at = (one: HostPort): string => hostPortText(one)
  const isFirst = (one: HostPort): boolean => one.host === host && one.port === port
  const first: [string, string][] = listeners.filter(isFirst).map((one) => ['listening', at(one)])
  return [...first, ...listeners.filter((one) => !isFirst(one)).map((one): [string, string] => [one.plugin, at(one)])]
}

/** A command that the reader can paste; undefined where it would not work. */
function tryText({ height, host, port }: Ready, io: Io): string | undefined {
  if (height === undefined || port === undefined) return undefined
  const node = port === 13_245 ? '' : ` --node ${host?.includes(':') ? `[${host}]` : host}:${port}`
  return `${programOf(io)} tx${node} --data '{"hello":"world"}' --wait`
}

function engineText({ consensus, parameters, finality }: NonNullable<ResolvedConfig['genesis']>): string {
  const table = Object.entries(parameters).flatMap(([key, value]) => parameterText(key, value))
  return [consensus, ...table, ...(finality === undefined ? [] : ['with finality'])].join(', ')
}

/** A list of addresses would fill the screen: it is said how long it is. */
function parameterText(key: string, value: Json): string[] {
  if (!Array.isArray(value)) return [`${key} ${JSON.stringify(value)}`]
  return value.length === 0 ? [] : [`${key}: ${value.length}`]
}
