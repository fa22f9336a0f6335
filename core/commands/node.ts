import { builtinNames } from '../builtin.ts'
import { describeKeys, resolveConfig, type ResolvedConfig } from '../config.ts'
import { AurexError, exitCode } from '../errors.ts'
import { resolvePlugin } from '../load.ts'
import { colorWanted, openLog } from '../log.ts'
import { startNode, type RunningNode } from '../node.ts'
import type { LoadedPlugin } from '../plugin.ts'
import { version } from '../version.ts'
import type { Command, Io } from './command.ts'
import { printable } from './terminal.ts'

export const command: Command = {
  name: 'node',
  summary: 'start a node',
  help: 'aurex node --help lists the plugins that it finds.',
  async run(argv, io) {
    if (argv.includes('--help') || argv.includes('-h')) {
      io.out(await helpText(io))
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
    log.log('config').debug('not used: its plugin is not loaded', { name, origin })
  const { promise: failure, resolve: failed } = Promise.withResolvers<AurexError>()
  try {
    const node = await startNode({
      node: { name: core.name, dataDir: core.dataDir, port: core.port, version },
      keyPath: core.keyPath,
      limits,
      genesis,
      plugins,
      runtime: io.runtime,
      log,
      failed,
    })
    io.outlive()
    const ready = readyFacts(config, node)
    io.out(config.own['json'] === true ? `${JSON.stringify(ready)}\n` : bannerText(ready, config))
    const reason = await Promise.race([failure, interrupted(io.signal)])
    if (reason instanceof AurexError) log.log('node').error('stopping', { code: reason.code, why: reason.message })
    else log.log('node').info('stopping', { reason })
    await node.stop(reason instanceof AurexError ? reason.code : reason)
    if (reason instanceof AurexError) throw reason
    return exitCode.ok
  } finally {
    await log.close()
  }
}

function interrupted(signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(String(signal.reason))
    signal.addEventListener('abort', () => resolve(String(signal.reason)), { once: true })
  })
}

/** What a script wants to know when the node is ready. */
function readyFacts({ core, genesis, plugins }: ResolvedConfig, node: RunningNode) {
  return {
    event: 'ready',
    name: core.name,
    address: node.identity.address,
    node_id: node.identity.nodeId,
    chain_id: genesis?.rules.chainId,
    chain: genesis?.name,
    consensus: genesis?.consensus,
    plugins: plugins.map(({ plugin }) => plugin.name),
    host: node.address?.host,
    port: node.address?.port,
    data_dir: core.dataDir,
    ledger: node.ledger,
    height: node.head?.height,
    pending: node.head?.pending,
  }
}

function bannerText(ready: ReturnType<typeof readyFacts>, { core, genesis }: ResolvedConfig): string {
  const rows: [string, string | undefined][] = [
    [
      'chain',
      genesis && `${genesis.name}${core.genesisPath === undefined ? ' (built in)' : ''}, ${engineText(genesis)}`,
    ],
    ['chain id', ready.chain_id],
    ['address', ready.address],
    ['node id', ready.node_id],
    ['ledger', ready.ledger && `${ready.ledger} (block ${ready.height}, ${ready.pending} pending)`],
    ['listening', ready.port === undefined ? undefined : `${ready.host}:${ready.port}`],
    [
      'try',
      ready.port === undefined
        ? undefined
        : `aurex tx --node ${ready.host}:${ready.port} --data '{"hello":"world"}' --wait`,
    ],
  ]
  const lines = rows.flatMap(([name, value]) =>
    value === undefined ? [] : [`  ${name.padEnd(10)} ${printable(value)}\n`],
  )
  return `aurex ${version} is up\n${lines.join('')}`
}

function engineText({ consensus, parameters }: NonNullable<ResolvedConfig['genesis']>): string {
  const table = Object.entries(parameters).map(([key, value]) => `${key} ${JSON.stringify(value)}`)
  return [consensus, ...table].join(', ')
}

async function helpText(io: Io): Promise<string> {
  const found = await Promise.all(builtinNames.map((name) => resolvePlugin(name, io.cwd)))
  const core = describeKeys([]).filter(({ key }) => !key.includes('.') && key !== 'plugins' && key !== 'config')
  return `Starts a node: a set of plugins on one ledger. With nothing given, a development chain.

  aurex node                                       mine, record, answer on 127.0.0.1:13245
  aurex node --plugins pow,tcp,sqlite --port 13246 --difficulty 3
  aurex node --config config/pow.toml              what a file says; flags win over it
  aurex node --plugins ./my-engine.ts,tcp,sqlite   an engine of your own

  --plugins LIST       built-in names, files, npm packages (default: pow,tcp,sqlite)
${found.map((plugin) => pluginLine(plugin)).join('')}  --config FILE        TOML; then the environment (AUREX_PORT, ...), then flags
${core.map(({ flag, type, default: value, summary }) => flagLine(flag, type, value, summary ?? '')).join('')}  --difficulty N       of the development chain: leading zero hex digits
  --<plugin>.<key>     any key of a plugin, or of limits; \`aurex config\` lists them all
  --json               one JSON line on stdout when the node is ready
`
}

const pluginLine = ({ name, summary }: LoadedPlugin): string => `      ${name.padEnd(14)} ${summary}\n`

function flagLine(flag: string, type: string, value: string, summary: string): string {
  const shown = { number: 'N', list: 'LIST', text: 'TEXT' }[type] ?? 'LEVEL'
  return `  ${`${flag} ${shown}`.padEnd(20)} ${summary}${value === '' || value === '[]' ? '' : ` (${value})`}\n`
}
