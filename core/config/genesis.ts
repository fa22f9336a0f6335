import * as v from 'valibot'
import { builtinNames } from '../builtin.ts'
import { canonicalJson } from '../chain/canonical.ts'
import { developmentGenesis, readGenesis, type Genesis } from '../chain/genesis.ts'
import type { JsonObject } from '../chain/json.ts'
import { AurexError } from '../errors.ts'
import type { LoadedPlugin } from '../plugin.ts'
import { readGenesisFile, type ReadText } from './file.ts'
import { configError, exitOf, originText, type Setting } from './settings.ts'
import { issueText, valueText } from './value.ts'

export interface ChainChoice {
  readonly genesis: Genesis | undefined
  /** The engine's, parsed by its own schema. */
  readonly parameters: unknown
  /** The application's, likewise; undefined where there is none. */
  readonly applicationParameters: unknown
}

/** The plugins that the genesis has tables for. */
interface Roles {
  readonly engine: LoadedPlugin | undefined
  readonly application: LoadedPlugin | undefined
}

/**
 * The chain that a node is on: that of the file, or the development chain of the engine and the application; none without
 * either. `settings`: what was said about their parameters. Throws `bad-genesis`, `genesis-fixes-it`, `wrong-engine`,
 * `wrong-application`, `missing-application`, and what reading the file throws.
 */
export function chooseChain(
  path: string | undefined,
  plugins: readonly LoadedPlugin[],
  settings: readonly Setting[],
  parseParameters: (plugin: LoadedPlugin) => unknown,
  readText: ReadText,
): ChainChoice {
  const engine = plugins.find(({ provides }) => provides === 'consensus')
  const application = plugins.find(({ provides }) => provides === 'application')
  if (path !== undefined) return fromFile(path, { engine, application }, plugins, settings, readText)
  const parameters = engine && parseParameters(engine)
  const applicationParameters = application && parseParameters(application)
  if (engine === undefined) return { genesis: undefined, parameters, applicationParameters }
  const named = application && { name: application.name, parameters: (applicationParameters ?? {}) as JsonObject }
  const genesis = developmentGenesis(engine.name, (parameters ?? {}) as JsonObject, named)
  return { genesis, parameters, applicationParameters }
}

function fromFile(
  path: string,
  { engine, application }: Roles,
  plugins: readonly LoadedPlugin[],
  settings: readonly Setting[],
  readText: ReadText,
): ChainChoice {
  const genesis = readGenesis(readGenesisFile(path, readText), path)
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
  const parameters = engine && parametersOf(engine, genesis.parameters, path)
  const applicationParameters = application && parametersOf(application, genesis.applicationParameters, path)
  for (const setting of settings) {
    const { section } = setting.key
    const table = section === genesis.consensus ? parameters : section === genesis.application && applicationParameters
    refuseOther(setting, table || undefined, path)
  }
  return { genesis, parameters, applicationParameters }
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
