import { resolve } from 'node:path'
import type { JsonObject } from '../chain/json.ts'
import type { Gateways } from '../chain/rules.ts'
import { formatTimestamp, parseTimestamp, type Timestamp } from '../chain/timestamp.ts'
import { AurexError, exitCode, messageOf } from '../errors.ts'
import { resolvePlugin } from '../load.ts'
import type { LoadedPlugin } from '../plugin.ts'
import type { Command, Io } from './command.ts'
import { readFlags, usageError, type Flags } from './flags.ts'
import { genesisFile, type GenesisSettings } from './genesisfile.ts'
import { addressesOf, hasParameter, refuseGivenTwice, tableOf, type Given } from './genesistables.ts'
import { quorumIn, quorumText, quorumWarning } from './quorum.ts'
import { paint } from './terminal.ts'

const help = `Writes the genesis of a new chain: what its nodes must agree on.

  aurex genesis --name shop --consensus pow --difficulty 4 --out genesis.toml
  aurex genesis --name ring --consensus poa --authorities <address>,<address> \\
      --block-time 5 --gateways <address> --out genesis.toml
  aurex genesis --name lab --consensus ./my-engine.ts --out genesis.toml \\
      --finality --authorities <address>,<address>,<address>,<address>
  aurex genesis --name bazaar --consensus pow --application market \\
      --market.money strict --market.balances alice=10.50,bob=3 --out g.toml

Usage: aurex genesis --name <name> --consensus <engine> --out <file> [flags]

  --name <name>              what people call the chain
  --consensus <engine>       a plugin's name, or the path of its .ts file
  --out <file>               where it goes; a file that is there is kept
  --application <name>       what transactions mean: a plugin's name or .ts file
                             (none: any data)
  --gateways <addresses>     who may sign for names, with commas; or any
  --timestamp <time>         as 2026-11-21T00:00:00.000Z (now)
  --json                     prints JSON: chain_id, path, name, finality

  --difficulty <n>  --block-time <n>  --half-life <n>
                             the engine's; those left out get its defaults
  --authorities <addresses>  who makes blocks (poa, bft), who votes (--finality)
  --<engine>.<key> <value>   any other, as --pow.difficulty 4

  --finality                 authorities say by votes what is never undone
  --checkpoint-every <n>     their votes are on every n-th block (1)
  --stall continue|halt      while too few vote, blocks go on, or stop
  --finality.<key> <value>   any other; --finality.authorities, if not the same

The application's own: --<application>.<key> <value>. A list has commas, a table
is written a=1,b=2. Whatever is long is written into the file by hand, before
the first node starts: from then on the file never changes.
`

const engineFlags = { difficulty: 'difficulty', 'block-time': 'block_time', 'half-life': 'half_life' } as const
const finalityFlags = { 'checkpoint-every': 'checkpoint_every', stall: 'stall' } as const

const flags = {
  name: { type: 'string' },
  consensus: { type: 'string' },
  out: { type: 'string' },
  application: { type: 'string' },
  gateways: { type: 'string' },
  timestamp: { type: 'string' },
  json: { type: 'boolean' },
  difficulty: { type: 'string' },
  'block-time': { type: 'string' },
  'half-life': { type: 'string' },
  authorities: { type: 'string' },
  finality: { type: 'boolean' },
  'checkpoint-every': { type: 'string' },
  stall: { type: 'string' },
} as const

type Values = Flags<typeof flags>['values']

/** The plugins of the new chain. */
interface Roles {
  readonly engine: LoadedPlugin
  readonly application: NamedApplication | undefined
  /** undefined: nobody says what is final. */
  readonly finality: LoadedPlugin | undefined
}

export const command: Command = { name: 'genesis', summary: 'write the genesis of a new chain', help, run }

async function run(argv: readonly string[], io: Io): Promise<number> {
  const { help: asked, values, dotted } = readFlags(argv, { command: 'aurex genesis', flags, dotted: true })
  if (asked) {
    io.out(help)
    return exitCode.ok
  }
  const out = needed(values, 'out')
  const consensus = needed(values, 'consensus')
  const settings = await settingsOf(values, dotted, io)
  const { text, genesis } = genesisFile(settings, 'aurex genesis')
  const path = resolve(io.cwd, out)
  write(path, out, text, io)
  const quorum = quorumIn(genesis.finality)
  const warning = quorum && quorumWarning(quorum)
  if (warning !== undefined) io.err(`${paint(io, 'yellow', 'warning:')} --finality: ${warning}\n`)
  const chain_id = genesis.rules.chainId
  if (values.json) io.out(`${JSON.stringify({ chain_id, path, name: settings.name, finality: quorum })}\n`)
  else {
    const final = quorum === undefined ? '' : `finality: ${quorumText(quorum)}\n`
    const start = startText(consensus, values.application, out)
    io.out(`chain_id: ${chain_id}\nwritten:  ${out}\n${final}start:    ${start}\n`)
  }
  return exitCode.ok
}

async function settingsOf(values: Values, dotted: ReadonlyMap<string, string>, io: Io): Promise<GenesisSettings> {
  const name = needed(values, 'name')
  refuseHalf(values, dotted)
  const engine = await engineOf(needed(values, 'consensus'), io)
  const application = await applicationOf(values.application, io)
  const finality = values.finality ? await resolvePlugin('finality', io.cwd) : undefined
  const roles = { engine, application, finality }
  const given = [...shortParameters(values, dotted, roles), ...longParameters(dotted, roles)]
  refuseGivenTwice(given)
  return {
    name,
    timestamp: timestampOf(values.timestamp, io),
    consensus: engine.name,
    parameters: engineTable(engine, given),
    application: application?.name,
    applicationParameters: application?.plugin ? tableOf('application', application.plugin, given) : {},
    finality: finality && tableOf('finality', finality, given),
    gateways: gatewaysOf(values.gateways),
  }
}

/** Who says something of finality says all of it: a chain cannot be given any later. */
function refuseHalf(values: Values, dotted: ReadonlyMap<string, string>): void {
  const ofFinality = [...dotted.keys()].filter((name) => name.startsWith('finality.'))
  const short = Object.keys(finalityFlags).filter((flag) => values[flag as keyof typeof finalityFlags] !== undefined)
  const half = [...short, ...ofFinality][0]
  if (!values.finality && half !== undefined) {
    throw usageError('half-given', `--${half}: nobody says what is final; add --finality --authorities ADDRESSES`)
  }
  if (values.finality && values.authorities === undefined && !dotted.has('finality.authorities')) {
    const advice = 'add --authorities ADDRESSES; aurex key show prints the address of a key'
    throw usageError('half-given', `--finality: nobody is named whose votes count; ${advice}`)
  }
}

/** What every operator of the chain runs with this file. */
function startText(consensus: string, application: string | undefined, out: string): string {
  const plugins = [consensus, ...(application === undefined ? [] : [application]), 'tcp', 'sqlite'].join()
  return `aurex node --plugins ${plugins} --genesis ${out}`
}

interface NamedApplication {
  readonly name: string
  /** undefined: there is none of that name here. */
  readonly plugin: LoadedPlugin | undefined
}

async function applicationOf(given: string | undefined, io: Io): Promise<NamedApplication | undefined> {
  if (given === undefined) return undefined
  const plugin = await resolvePlugin(given, io.cwd).catch((error: unknown) => {
    // The file may be meant for nodes that have it, so it is no mistake.
    const warning = paint(io, 'yellow', 'warning:')
    io.err(`${warning} --application: no node starts on this chain here: ${messageOf(error)}\n`)
  })
  if (!plugin) return { name: given, plugin: undefined }
  if (plugin.provides === 'application') return { name: plugin.name, plugin }
  throw notAn('application', '--application', plugin)
}

function needed(values: Values, flag: 'name' | 'consensus' | 'out'): string {
  const value = values[flag]
  if (value !== undefined && value !== '') return value
  throw usageError('missing-value', `aurex genesis: expected --${flag}; see: aurex genesis --help`)
}

async function engineOf(given: string, io: Io): Promise<LoadedPlugin> {
  const plugin = await resolvePlugin(given, io.cwd)
  if (plugin.provides === 'consensus') return plugin
  throw notAn('engine', '--consensus', plugin)
}

function notAn(what: 'engine' | 'application', flag: string, { name, provides }: LoadedPlugin): AurexError {
  const fills = provides === 'none' ? 'no slot' : provides
  const expected = `expected a plugin that fills ${what === 'engine' ? 'consensus' : what}`
  return usageError(`not-an-${what}`, `${flag}: ${name} fills ${fills}, ${expected}`)
}

function timestampOf(given: string | undefined, io: Io): Timestamp {
  if (given === undefined) return formatTimestamp(io.runtime.clock.now())
  if (parseTimestamp(given) !== undefined) return given
  throw usageError('bad-value', `--timestamp: expected the form 2026-11-21T00:00:00.000Z, got ${JSON.stringify(given)}`)
}

function gatewaysOf(given: string | undefined): Gateways {
  if (given === 'any') return 'any'
  return given === undefined ? [] : addressesOf('--gateways', given)
}

/** An empty list is for development, where nobody knows yet which keys there are. */
function engineTable(engine: LoadedPlugin, given: readonly Given[]): JsonObject {
  const table = tableOf('engine', engine, given)
  const { authorities } = table
  if (!Array.isArray(authorities) || authorities.length > 0) return table
  const advice = 'aurex key new --out FILE makes a key and prints its address'
  throw usageError('missing-value', `${engine.name}: nobody may make blocks; add --authorities ADDRESSES: ${advice}`)
}

function shortParameters(values: Values, dotted: ReadonlyMap<string, string>, { engine, finality }: Roles): Given[] {
  const of = (whose: Given['whose'], keys: Readonly<Record<string, string>>) =>
    Object.entries(keys).flatMap(([flag, key]) => {
      const text = values[flag as keyof typeof engineFlags | keyof typeof finalityFlags | 'authorities']
      return text === undefined ? [] : [{ whose, flag: `--${flag}`, key, text }]
    })
  const voters = finality !== undefined && !dotted.has('finality.authorities')
  const authorities = { authorities: 'authorities' }
  return [
    ...of('engine', engineFlags),
    ...of('finality', finalityFlags),
    ...(hasParameter(engine, 'authorities') || !voters ? of('engine', authorities) : []),
    ...(voters ? of('finality', authorities) : []),
  ]
}

/** `--<plugin>.<key> value`. */
function longParameters(dotted: ReadonlyMap<string, string>, roles: Roles): Given[] {
  const { engine, application, finality } = roles
  return [...dotted].map(([name, text]) => {
    const [owner, ...rest] = name.split('.')
    // As the flags of a node: dashes and underscores are the same.
    const key = rest.join('.').replaceAll('-', '_')
    const flag = `--${name}`
    if (owner === engine.name) return { whose: 'engine', flag, key, text }
    if (owner === application?.plugin?.name) return { whose: 'application', flag, key, text }
    if (owner === finality?.name) return { whose: 'finality', flag, key, text }
    const hint = owner === application?.name ? 'its plugin is not here' : `did you mean --${engine.name}.${key}?`
    throw usageError('unknown-flag', `${flag}: ${tablesText(roles)}; ${hint}`)
  })
}

const tablesText = ({ engine, application }: Roles): string =>
  `the engine is ${engine.name}${application === undefined ? '' : `, the application ${application.name}`}`

function write(path: string, shown: string, text: string, io: Io): void {
  try {
    io.runtime.files.createText(path, text, 0o644)
  } catch (cause) {
    const exists = typeof cause === 'object' && cause !== null && 'code' in cause && cause.code === 'EEXIST'
    throw new AurexError(
      exists ? 'file-exists' : 'file-failed',
      exists
        ? `${shown}: there is a file already, and a chain's genesis never changes; choose another path with --out`
        : `${shown}: cannot be written: ${messageOf(cause)}`,
      { cause, exit: exists ? exitCode.usage : exitCode.failure },
    )
  }
}
