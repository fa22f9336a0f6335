import { dirname } from 'node:path'
import * as v from 'valibot'
import { builtinNames } from './builtin.ts'
import type { Genesis } from './chain/genesis.ts'
import { readToml, type ReadText } from './config/file.ts'
import { peekFlags, readKeyFlags, type OwnFlags, type OwnValues } from './config/flags.ts'
import { wantsFinality } from './config/finality.ts'
import { chooseChain, hasTable } from './config/genesis.ts'
import { coreSchema, foreignVariables, isSecret, Keys, type Key } from './config/keys.ts'
import { absolute, defaultDataDir, nonEmpty } from './config/paths.ts'
import { badValue, configError, gatherSettings, originText, type Origin, type Setting } from './config/settings.ts'
import type { Unused } from './config/settings.ts'
import { readText as readValue, typeText, unwrapped, valueText } from './config/value.ts'
import { AurexError, exitCode } from './errors.ts'
import { limitsSchema, type Limits } from './limits.ts'
import { refuseTwice, resolvePlugin, type PluginEntry } from './load.ts'
import type { LogLevel } from './log.ts'
import type { LoadedPlugin } from './plugin.ts'

export { originText, type Origin } from './config/settings.ts'

export interface ConfigInput {
  /** Without the program and the command. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly readText: ReadText
  /** Flags of the command itself. */
  readonly ownFlags?: OwnFlags
  /** Finds plugins; `resolvePlugin` if not given. */
  readonly resolve?: (name: string, cwd: string) => Promise<LoadedPlugin>
}

export interface CoreConfig {
  readonly name: string
  /** Paths are absolute. */
  readonly dataDir: string
  readonly genesisPath: string | undefined
  readonly keyPath: string | undefined
  readonly port: number
  /** `host:port` each. */
  readonly peers: readonly string[]
  readonly allowPeers: readonly string[]
  readonly dialNetworks: readonly string[]
  readonly advertise: string | undefined
  readonly logLevel: LogLevel
  readonly logFile: string | undefined
}

/** A key, its effective value and where that comes from. */
export interface EffectiveValue {
  readonly key: Key
  readonly value: unknown
  readonly origin: Origin
}

export interface ResolvedConfig {
  readonly core: CoreConfig
  readonly limits: Limits
  /** In the order in which they were named, and then those that the genesis demands. */
  readonly plugins: readonly PluginEntry[]
  /** Names of those that nobody named and the genesis demands. */
  readonly demanded: readonly string[]
  /** undefined without an engine and without a genesis file. */
  readonly genesis: Genesis | undefined
  readonly values: readonly EffectiveValue[]
  /** What was said to plugins that are not loaded. */
  readonly unused: readonly Unused[]
  readonly own: OwnValues
}

/**
 * Everything a node needs to know, from flags, environment and file, in this order of precedence, and where each value
 * comes from. Throws `AurexError`, exit code 64 for a mistake on the command line and 78 for any other: `unknown-flag`,
 * `missing-value`, `unexpected-argument`, `unknown-key`, `bad-value`, `set-twice`, `no-such-file`, `bad-toml`,
 * `no-data-dir`, what `resolvePlugin` throws for the plugins named, and what `chooseChain` throws for the genesis.
 */
export async function resolveConfig(input: ConfigInput): Promise<ResolvedConfig> {
  const { argv, env, cwd, readText } = input
  const early = peekFlags(argv, ['config', 'plugins', 'genesis'])
  const configPath = early.get('config') ?? nonEmpty(env['AUREX_CONFIG'])
  const file = configPath === undefined ? undefined : readToml(absolute(configPath, cwd, env), readText)
  const resolve = input.resolve ?? resolvePlugin
  const named = await loadPlugins(pluginNames(early.get('plugins'), env, file, cwd), resolve)
  const isFinal = wantsFinality(named, { flag: early.get('genesis'), env, file, cwd }, readText)
  const demanded = isFinal ? [await resolve('finality', cwd)] : []
  const loaded = [...named, ...demanded]
  const keys = new Keys(loaded)
  const otherPlugins = knownPlugins.filter((name) => !loaded.some((plugin) => plugin.name === name))
  const { flags, own } = readKeyFlags(argv, keys, input.ownFlags ?? {}, otherPlugins)
  const { settings, unused } = gatherSettings(keys, { flags, env, file, otherPlugins })
  const values = new Map<string, EffectiveValue>()
  const parse = (section: string, schema: v.GenericSchema, parameter = false): unknown =>
    parseSection(sectionKeys(keys, section, parameter), schema, settings, values)

  const core = coreConfig(parse('', coreSchema) as v.InferOutput<typeof coreSchema>, values, cwd, env)
  const limits = parse('limits', limitsSchema) as Limits
  const configs = loaded.map((plugin) => parse(plugin.name, plugin.config))
  const ofGenesis = [...settings.values()].filter(({ key }) => key.parameter)
  const parseParameters = (plugin: LoadedPlugin) => plugin.parameters && parse(plugin.name, plugin.parameters, true)
  const chain = chooseChain(core.genesisPath, loaded, ofGenesis, parseParameters, readText)
  const { genesis } = chain
  const parametersOf = (plugin: LoadedPlugin): unknown =>
    hasTable(plugin.provides) ? chain.parameters[plugin.provides] : parseParameters(plugin)
  const plugins = loaded.map((plugin, at) => ({ plugin, config: configs[at], parameters: parametersOf(plugin) }))
  if (genesis !== undefined && core.genesisPath !== undefined) {
    for (const { plugin, parameters } of plugins) noteParameters(keys, plugin, parameters, core.genesisPath, values)
  }
  const inOrder = keys.all.flatMap(({ id }) => values.get(id) ?? [])
  return { core, limits, plugins, demanded: demanded.map(({ name }) => name), genesis, values: inOrder, unused, own }
}

/** What can be set, for help and for `aurex config`. */
export function describeKeys(plugins: readonly LoadedPlugin[]): readonly {
  readonly flag: string
  readonly variable: string
  readonly key: string
  readonly type: string
  /** As text; empty where there is none. */
  readonly default: string
  readonly summary: string | undefined
}[] {
  return new Keys(plugins).all.map((key) => ({
    flag: `--${key.flag}`,
    variable: key.variable,
    key: key.id,
    type: typeText(key.entry),
    default: valueText(v.getDefault(key.entry)),
    summary: v.getDescription(key.entry) ?? v.getDescription(unwrapped(key.entry)),
  }))
}

/** Every key with its effective value and where that comes from. Secrets are not shown. */
export function explain(resolved: Pick<ResolvedConfig, 'values'>): { key: string; value: string; origin: string }[] {
  return resolved.values.map(({ key, value, origin }) => ({
    key: key.id,
    value: isSecret(key) && value !== undefined ? '***' : withoutCredentials(valueText(value)),
    origin: originText(origin),
  }))
}

/** RFC 3986, 3.2.1: who looks at a URL has no business with the user and password in it; nor with a token in its query. */
const withoutCredentials = (text: string): string =>
  text.replace(/(:\/\/)[^/@\s]+@/g, '$1***@').replace(/(:\/\/[^\s?,]+)\?[^\s,"]+/g, '$1?***')

// ---- plugins ----

/** Those that an environment or a file may speak to even when they are not loaded. */
const knownPlugins = [...new Set([...builtinNames, ...Object.values(foreignVariables).map((id) => id.split('.')[0]!)])]

interface Named {
  readonly names: readonly string[]
  /** Files and packages are looked for from here. */
  readonly from: string
  readonly origin: Origin
}

function pluginNames(
  flag: string | undefined,
  env: ConfigInput['env'],
  file: ReturnType<typeof readToml> | undefined,
  cwd: string,
): Named {
  const entry = coreSchema.entries.plugins
  const variable = nonEmpty(env['AUREX_PLUGINS'])
  const [value, origin, from]: readonly [unknown, Origin, string] =
    flag !== undefined
      ? [readValue(entry, flag), { from: 'flag', flag: 'plugins' }, cwd]
      : variable !== undefined
        ? [readValue(entry, variable), { from: 'environment', variable: 'AUREX_PLUGINS' }, cwd]
        : file?.table['plugins'] !== undefined
          ? [fileList(file.table['plugins']), { from: 'file', path: file.path }, dirname(file.path)]
          : [undefined, { from: 'default' }, cwd]
  const names = v.safeParse(entry, value)
  if (!names.success) throw badValue('plugins', origin, names.issues[0], entry, false)
  return { names: names.output, from, origin }
}

const fileList = (value: unknown): unknown =>
  typeof value === 'string' ? readValue(coreSchema.entries.plugins, value) : value

async function loadPlugins(
  { names, from, origin }: Named,
  resolve: NonNullable<ConfigInput['resolve']>,
): Promise<readonly LoadedPlugin[]> {
  try {
    const plugins = await Promise.all(names.map((name) => resolve(name, from)))
    refuseTwice(plugins)
    return plugins
  } catch (error) {
    // The same mistake, on the command line, is one of usage.
    if (!(error instanceof AurexError) || origin.from !== 'flag' || error.code !== 'unknown-plugin') throw error
    throw new AurexError(error.code, error.message, { cause: error, exit: exitCode.usage })
  }
}

// ---- values ----

const sectionKeys = (keys: Keys, section: string, parameter: boolean): readonly Key[] =>
  keys.all.filter((key) => key.section === section && key.parameter === parameter)

/** Parses what was said about the keys of one schema, and notes the value of each. */
function parseSection(
  keys: readonly Key[],
  schema: v.GenericSchema,
  settings: ReadonlyMap<string, Setting>,
  values: Map<string, EffectiveValue>,
): unknown {
  const said = keys.flatMap((key) => settings.get(key.id) ?? [])
  const result = v.safeParse(schema, Object.fromEntries(said.map(({ key, value }) => [key.name, value])))
  if (!result.success) throw sectionError(keys, schema, said, result.issues[0])
  const output = result.output as Readonly<Record<string, unknown>>
  for (const key of keys) {
    const origin = settings.get(key.id)?.origin ?? { from: 'default' }
    values.set(key.id, { key, value: output[key.name], origin })
  }
  return result.output
}

function sectionError(
  keys: readonly Key[],
  schema: v.GenericSchema,
  said: readonly Setting[],
  issue: v.BaseIssue<unknown>,
): AurexError {
  const name = issue.path?.[0]?.key
  const key = keys.find((one) => one.name === name)
  const setting = said.find((one) => one.key === key)
  if (key !== undefined && (setting !== undefined || issue.input !== undefined)) {
    return badValue(key.id, setting?.origin ?? { from: 'default' }, issue, schema, isSecret(key))
  }
  if (key !== undefined) {
    const table = key.section === '' ? '' : ` in [${key.section}]`
    const ways = `--${key.flag}, ${key.variable}, or ${key.name}${table} of the config file`
    return configError('bad-value', `${key.id}: must be set, and has no default; set it by ${ways}`)
  }
  // About several keys at once.
  const which = said.map((one) => `${one.key.id} (${originText(one.origin)})`).join(', ')
  return configError('bad-value', `${keys[0]?.section || 'core'}: ${issue.message}; given were ${which || 'none'}`)
}

/** What the genesis file decided is shown like everything else. */
function noteParameters(
  keys: Keys,
  { name, provides }: LoadedPlugin,
  parameters: unknown,
  path: string,
  values: Map<string, EffectiveValue>,
): void {
  if (!hasTable(provides)) return
  const output = (parameters ?? {}) as Readonly<Record<string, unknown>>
  for (const key of sectionKeys(keys, name, true)) {
    values.set(key.id, { key, value: output[key.name], origin: { from: 'genesis', path } })
  }
}

function coreConfig(
  core: v.InferOutput<typeof coreSchema>,
  values: Map<string, EffectiveValue>,
  cwd: string,
  env: ConfigInput['env'],
): CoreConfig {
  const pathOf = (id: 'config' | 'data_dir' | 'genesis' | 'key' | 'log_file'): string | undefined => {
    const effective = values.get(id)!
    const given = core[id] ?? (id === 'data_dir' ? defaultDataDir(env) : undefined)
    if (given === undefined) return undefined
    const base = effective.origin.from === 'file' ? dirname(effective.origin.path) : cwd
    const value = absolute(given, base, env)
    values.set(id, { ...effective, value })
    return value
  }
  pathOf('config')
  return {
    name: core.name,
    dataDir: pathOf('data_dir')!,
    genesisPath: pathOf('genesis'),
    keyPath: pathOf('key'),
    port: core.port,
    peers: core.peers,
    allowPeers: core.allow_peers,
    dialNetworks: core.dial_networks,
    advertise: core.advertise,
    logLevel: core.log_level,
    logFile: pathOf('log_file'),
  }
}
