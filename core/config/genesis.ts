import * as v from 'valibot'
import { builtinNames } from '../builtin.ts'
import { canonicalJson } from '../chain/canonical.ts'
import { developmentGenesis, readGenesis, type Genesis } from '../chain/genesis.ts'
import type { JsonObject } from '../chain/json.ts'
import { AurexError } from '../errors.ts'
import type { LoadedPlugin } from '../plugin.ts'
import { readGenesisFile, type ReadText } from './file.ts'
import { wrongFinality } from './finality.ts'
import { configError, exitOf, originText, type Setting } from './settings.ts'
import { issueText, valueText } from './value.ts'

/** The slots whose plugins the genesis has tables for. */
type Role = 'consensus' | 'application' | 'finality'

export const hasTable = (slot: LoadedPlugin['provides']): slot is Role =>
  slot === 'consensus' || slot === 'application' || slot === 'finality'

export interface ChainChoice {
  readonly genesis: Genesis | undefined
  /** By slot: what the plugin's own schema made of its table. */
  readonly parameters: Readonly<Partial<Record<Role, unknown>>>
}

type Roles = Readonly<Record<Role, LoadedPlugin | undefined>>

/**
 * The chain that a node is on: that of the file, or the development chain of the engine and the application; none without
 * either. `settings`: what was said about their parameters. Throws `bad-genesis`, `genesis-fixes-it`, `wrong-engine`,
 * `wrong-application`, `missing-application`, `wrong-finality`, `missing-finality`, and what reading the file throws.
 */
export function chooseChain(
  path: string | undefined,
  plugins: readonly LoadedPlugin[],
  settings: readonly Setting[],
  parseParameters: (plugin: LoadedPlugin) => unknown,
  readText: ReadText,
): ChainChoice {
  const of = (role: Role) => plugins.find(({ provides }) => provides === role)
  const roles = { consensus: of('consensus'), application: of('application'), finality: of('finality') }
  if (path !== undefined) return fromFile(path, roles, plugins, settings, readText)
  if (roles.finality !== undefined) throw wrongFinality('the development genesis')
  const { consensus: engine, application } = roles
  const parameters = {
    consensus: engine && parseParameters(engine),
    application: application && parseParameters(application),
  }
  if (engine === undefined) return { genesis: undefined, parameters }
  const named = application && { name: application.name, parameters: (parameters.application ?? {}) as JsonObject }
  return { genesis: developmentGenesis(engine.name, (parameters.consensus ?? {}) as JsonObject, named), parameters }
}

function fromFile(
  path: string,
  roles: Roles,
  plugins: readonly LoadedPlugin[],
  settings: readonly Setting[],
  readText: ReadText,
): ChainChoice {
  const genesis = readGenesis(readGenesisFile(path, readText), path)
  refuseOthers(genesis, roles, path, plugins)
  const { consensus: engine, application, finality } = roles
  const parameters = {
    consensus: engine && namedIn(parametersOf(engine, genesis.parameters, path), engine, path),
    application: application && parametersOf(application, genesis.applicationParameters, path),
    finality: finality && parametersOf(finality, genesis.finality ?? {}, path),
  }
  const tables = new Map<string | undefined, JsonObject | undefined>([
    [genesis.consensus, parameters.consensus],
    [genesis.application, parameters.application],
    ['finality', parameters.finality],
  ])
  for (const setting of settings) refuseOther(setting, tables.get(setting.key.section), path)
  return { genesis, parameters }
}

/** The plugins of a chain are those that its genesis names. */
function refuseOthers(
  genesis: Genesis,
  { consensus: engine, application, finality }: Roles,
  path: string,
  plugins: readonly LoadedPlugin[],
): void {
  if (engine !== undefined && engine.name !== genesis.consensus) {
    throw wrongPlugin('engine', engine, genesis.consensus, path, plugins)
  }
  if (application !== undefined && application.name !== genesis.application) {
    throw wrongPlugin('application', application, genesis.application, path, plugins)
  }
  // A node without an engine has no chain of its own, and nothing to execute.
  if (genesis.application !== undefined && application === undefined && engine !== undefined) {
    const message = `${path}: its application is ${genesis.application}, which is not loaded; add it to --plugins`
    throw configError('missing-application', message)
  }
  if (finality !== undefined && genesis.finality === undefined) throw wrongFinality(path)
  // It is loaded unasked; whoever reads the genesis only now must not take headers that nobody judges.
  if (finality === undefined && genesis.finality !== undefined && engine !== undefined) {
    throw configError('missing-finality', `${path}: it has a table [finality]; add finality to --plugins`)
  }
}

function wrongPlugin(
  what: 'engine' | 'application',
  loaded: LoadedPlugin,
  expected: string | undefined,
  path: string,
  plugins: readonly LoadedPlugin[],
): AurexError {
  const key = what === 'engine' ? 'consensus' : 'application'
  if (expected === undefined) {
    const message = `${path}: it names no application, but ${loaded.name} is loaded; leave it out of --plugins`
    return configError('wrong-application', message)
  }
  const name = builtinNames.includes(expected) ? expected : `./${expected}.ts`
  const list = plugins.map((plugin) => (plugin === loaded ? name : plugin.name)).join()
  const message = `${path}: its ${key} is ${expected}, but ${loaded.name} is loaded`
  return configError(`wrong-${what}`, `${message}; load ${expected} in its place, as in: --plugins ${list}`)
}

/** To say once more what the genesis says is no mistake: scripts and service files do. To say something else is. */
function refuseOther({ key, value, origin }: Setting, table: JsonObject | undefined, path: string): void {
  const said = table?.[key.name]
  if (said !== undefined && canonicalJson({ it: said }) === canonicalJson({ it: value as typeof said })) return
  const message = `the genesis ${path} says ${valueText(said) || 'nothing'}, which decides it; got ${valueText(value)}`
  throw new AurexError('genesis-fixes-it', `${key.id} (${originText(origin)}): ${message}; leave it out`, {
    exit: exitOf(origin),
  })
}

/** Nobody is for development, where whoever comes first is the one authority: on a chain of one's own that is anybody. */
function namedIn(parameters: JsonObject, engine: LoadedPlugin, path: string): JsonObject {
  const { authorities } = parameters
  if (!Array.isArray(authorities) || authorities.length > 0) return parameters
  const expected = 'expected addresses, as aurex key show prints them'
  throw configError('bad-genesis', `${path}: ${engine.name}.authorities: it names nobody; ${expected}`)
}

/** As they stand in the file, by the plugin's own schema. */
function parametersOf(plugin: LoadedPlugin, table: JsonObject, path: string): JsonObject {
  const schema = plugin.parameters ?? v.strictObject({})
  const result = v.safeParse(schema, table)
  if (result.success) return result.output
  const issue = result.issues[0]
  const key = v.getDotPath(issue)
  const what = key === null ? plugin.name : `${plugin.name}.${key}`
  throw configError('bad-genesis', `${path}: ${what}: ${issueText(issue, schema)}`)
}
