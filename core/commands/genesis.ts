import { resolve } from 'node:path'
import * as v from 'valibot'
import { isAddress } from '../chain/keys.ts'
import { isObject, type Json, type JsonObject } from '../chain/json.ts'
import type { Gateways } from '../chain/rules.ts'
import { formatTimestamp, parseTimestamp, type Timestamp } from '../chain/timestamp.ts'
import { issueText, tablesOf, typeText, unwrapped } from '../config/value.ts'
import { AurexError, exitCode, messageOf, suggestion } from '../errors.ts'
import { resolvePlugin } from '../load.ts'
import type { LoadedPlugin } from '../plugin.ts'
import type { Command, Io } from './command.ts'
import { readFlags, usageError, type Flags } from './flags.ts'
import { genesisFile } from './genesisfile.ts'
import { paint } from './terminal.ts'

const help = `Writes the genesis of a new chain: what its nodes must agree on.

  aurex genesis --name shop --consensus pow --difficulty 4 --out genesis.toml
  aurex genesis --name ring --consensus poa --authorities <address>,<address> \\
      --block-time 5 --gateways <address> --out genesis.toml
  aurex genesis --name lab --consensus ./my-consensus.ts --out genesis.toml
  aurex genesis --name bazaar --consensus pow --application market \\
      --market.money strict --market.balances alice=10.50,bob=3 --out g.toml

Usage: aurex genesis --name <name> --consensus <engine> --out <file> [flags]

  --name <name>            what people call the chain
  --consensus <engine>     a plugin's name, or the path of its .ts file
  --out <file>             where it goes; a file that is there is kept
  --application <name>     what transactions mean: a plugin's name, or the path
                           of its .ts file (none: any data)
  --gateways <addresses>   who may sign for names, with commas; or any
  --timestamp <time>       as 2026-11-21T00:00:00.000Z (now)
  --json                   prints JSON: chain_id, path, name

The engine's own parameters; those left out get the engine's defaults:

  --difficulty <n>  --block-time <n>  --half-life <n>
  --authorities <addresses>
  --<engine>.<key> <value>  any other, as --pow.difficulty 4

The application's own: --<application>.<key> <value>. A list has commas, a table
is written a=1,b=2. Whatever is long is written into the file by hand, before
the first node starts: from then on the file never changes.
`

const engineFlags = {
  difficulty: 'difficulty',
  'block-time': 'block_time',
  'half-life': 'half_life',
  authorities: 'authorities',
} as const

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
} as const

type Values = Flags<typeof flags>['values']

export const command: Command = { name: 'genesis', summary: 'write the genesis of a new chain', help, run }

async function run(argv: readonly string[], io: Io): Promise<number> {
  const { help: asked, values, dotted } = readFlags(argv, { command: 'aurex genesis', flags, dotted: true })
  if (asked) {
    io.out(help)
    return exitCode.ok
  }
  const name = needed(values, 'name')
  const out = needed(values, 'out')
  const consensus = needed(values, 'consensus')
  const engine = await engineOf(consensus, io)
  const application = await applicationOf(values.application, io)
  const given = [...shortParameters(values), ...longParameters(dotted, engine, application)]
  refuseGivenTwice(given)
  const settings = {
    name,
    timestamp: timestampOf(values.timestamp, io),
    consensus: engine.name,
    parameters: parametersOf('engine', engine, given),
    application: application?.name,
    applicationParameters: application?.plugin ? parametersOf('application', application.plugin, given) : {},
    gateways: gatewaysOf(values.gateways),
  }
  const { text, genesis } = genesisFile(settings, 'aurex genesis')
  const path = resolve(io.cwd, out)
  write(path, out, text, io)
  const chainId = genesis.rules.chainId
  if (values.json) io.out(`${JSON.stringify({ chain_id: chainId, path, name })}\n`)
  else io.out(`chain_id: ${chainId}\nwritten:  ${out}\nstart:    ${startText(consensus, values.application, out)}\n`)
  return exitCode.ok
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

function addressesOf(flag: string, text: string): string[] {
  const addresses = listOf(text)
  const wrong = addresses.find((address) => !isAddress(address))
  if (wrong === undefined && addresses.length > 0) return addresses
  const got = JSON.stringify(wrong ?? text)
  throw usageError('bad-value', `${flag}: expected addresses (64 hex digits) with commas between, got ${got}`)
}

interface Given {
  /** undefined: a short flag, which is the engine's. */
  readonly owner: string | undefined
  readonly flag: string
  readonly key: string
  readonly text: string
}

const shortParameters = (values: Values): Given[] =>
  Object.entries(engineFlags).flatMap(([flag, key]) => {
    const text = values[flag as keyof typeof engineFlags]
    return text === undefined ? [] : [{ owner: undefined, flag: `--${flag}`, key, text }]
  })

/** `--<plugin>.<key> value`. */
function longParameters(
  dotted: ReadonlyMap<string, string>,
  engine: LoadedPlugin,
  application: NamedApplication | undefined,
): Given[] {
  return [...dotted].map(([name, text]) => {
    const [owner, ...rest] = name.split('.')
    const key = rest.join('.')
    if (owner === engine.name) return { owner: undefined, flag: `--${name}`, key, text }
    if (owner === application?.plugin?.name) return { owner, flag: `--${name}`, key, text }
    const hint = owner === application?.name ? 'its plugin is not here' : `did you mean --${engine.name}.${key}?`
    throw usageError('unknown-flag', `--${name}: ${tablesText(engine, application)}; ${hint}`)
  })
}

const tablesText = (engine: LoadedPlugin, application: NamedApplication | undefined): string =>
  `the engine is ${engine.name}${application === undefined ? '' : `, the application ${application.name}`}`

function refuseGivenTwice(given: readonly Given[]): void {
  const twice = given.find(
    ({ owner, key }, at) => given.findIndex((other) => other.owner === owner && other.key === key) !== at,
  )
  if (twice !== undefined) throw usageError('bad-value', `${twice.flag}: ${twice.key} is given twice`)
}

/** A plugin's whole table: what was given, checked by its schema, and its defaults for the rest. */
function parametersOf(what: 'engine' | 'application', plugin: LoadedPlugin, all: readonly Given[]): JsonObject {
  const given = all.filter(({ owner }) => owner === (what === 'engine' ? undefined : plugin.name))
  const schema = plugin.parameters
  const entries = entriesOf(schema)
  const table: Record<string, Json> = {}
  for (const { flag, key, text } of given) {
    const entry = Object.hasOwn(entries, key) ? entries[key] : undefined
    if (entry === undefined) throw noParameter(flag, key, `${what} ${plugin.name}`, Object.keys(entries))
    if (key === 'authorities') table[key] = addressesOf(flag, text)
    else table[key] = valueFor(entry, text)
  }
  if (schema === undefined) return {}
  const shaped = v.safeParse(schema, table)
  if (shaped.success) return shaped.output
  const issue = shaped.issues[0]
  const path = v.getDotPath(issue)
  // A fault inside a table or a list is one of the flag that gave it.
  const key = issue.path?.[0]?.key
  const flag =
    given.find((one) => one.key === key)?.flag ?? (path === null ? 'aurex genesis' : `--${plugin.name}.${path}`)
  throw usageError('bad-value', `${flag}: ${issueText(issue, schema)}`)
}

function noParameter(flag: string, key: string, whose: string, keys: readonly string[]): AurexError {
  const has = keys.length === 0 ? 'it takes none' : `it takes ${keys.join(', ')}`
  const hint = suggestion(key, keys)
  return usageError('unknown-flag', `${flag}: the ${whose} has no parameter ${key}; ${has}${hint}`)
}

/** The schemas of an object schema's fields. */
function entriesOf(schema: LoadedPlugin['parameters']): Record<string, v.GenericSchema> {
  if (schema === undefined || !('entries' in schema) || !isObject(schema.entries)) return {}
  return schema.entries as object as Record<string, v.GenericSchema>
}

/** What a flag's text means to a field: the first reading that the field's schema takes, or else the most natural. */
function valueFor(entry: v.GenericSchema, text: string): Json {
  const number = /^-?\d+(\.\d+)?$/.test(text) ? [Number(text)] : []
  const truth = text === 'true' || text === 'false' ? [text === 'true'] : []
  const list = listOf(text)
  const numbers = list.every((item) => /^-?\d+(\.\d+)?$/.test(item)) ? [list.map(Number)] : []
  const tables = typeText(entry) === 'text' && unwrapped(entry).type !== 'string' ? tablesOf(text) : []
  const readings: Json[] = [text, ...number, ...truth, list, ...numbers, ...tables]
  return readings.find((reading) => v.is(entry, reading)) ?? number[0] ?? truth[0] ?? tables[0] ?? text
}

const listOf = (text: string): string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')

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
