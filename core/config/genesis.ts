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
}

/**
 * The chain that a node is on: that of the file, or the engine's development chain; none without either. `settings`:
 * what was said about the engine's parameters. Throws `bad-genesis`, `genesis-fixes-it`, `wrong-engine`,
 * `missing-application`, and what reading the file throws.
 */
export function chooseChain(
  path: string | undefined,
  plugins: readonly LoadedPlugin[],
  settings: readonly Setting[],
  parseParameters: (engine: LoadedPlugin) => unknown,
  readText: ReadText,
): ChainChoice {
  const engine = plugins.find(({ provides }) => provides === 'consensus')
  if (path !== undefined) return fromFile(path, engine, plugins, settings, readText)
  if (engine === undefined) return { genesis: undefined, parameters: undefined }
  const parameters = parseParameters(engine)
  const written = (parameters ?? {}) as Parameters<typeof developmentGenesis>[1]
  return { genesis: developmentGenesis(engine.name, written), parameters }
}

function fromFile(
  path: string,
  engine: LoadedPlugin | undefined,
  plugins: readonly LoadedPlugin[],
  settings: readonly Setting[],
  readText: ReadText,
): ChainChoice {
  const genesis = readGenesis(readGenesisFile(path, readText), path)
  const { consensus } = genesis
  if (engine !== undefined && engine.name !== consensus) {
    const name = builtinNames.includes(consensus) ? consensus : `./${consensus}.ts`
    const list = plugins.map((plugin) => (plugin === engine ? name : plugin.name)).join()
    const message = `${path}: its consensus is ${consensus}, but ${engine.name} is loaded`
    throw configError('wrong-engine', `${message}; load ${consensus} in its place, as in: --plugins ${list}`)
  }
  const parameters = engine && parametersOf(genesis, engine, path)
  for (const setting of settings) refuseOther(setting, consensus, parameters, path)
  const { application } = genesis
  if (application !== undefined && !plugins.some(({ name }) => name === application)) {
    const message = `${path}: its application is ${application}, which is not loaded; add it to --plugins`
    throw configError('missing-application', message)
  }
  return { genesis, parameters }
}

/** To say once more what the genesis says is no mistake: scripts and service files do. To say something else is. */
function refuseOther({ key, value, origin }: Setting, consensus: string, parameters: unknown, path: string): void {
  const said = key.section === consensus ? ((parameters ?? {}) as JsonObject)[key.name] : undefined
  if (said !== undefined && canonicalJson({ it: said }) === canonicalJson({ it: value as typeof said })) return
  const message = `the genesis ${path} says ${valueText(said) || 'nothing'}, which decides it; got ${valueText(value)}`
  throw new AurexError('genesis-fixes-it', `${key.id} (${originText(origin)}): ${message}; leave it out`, {
    exit: exitOf(origin),
  })
}

/** As they stand in the file, by the engine's own schema. */
function parametersOf(genesis: Genesis, engine: LoadedPlugin, path: string): JsonObject {
  const schema = engine.parameters ?? v.strictObject({})
  const result = v.safeParse(schema, genesis.parameters)
  if (result.success) return result.output
  const issue = result.issues[0]
  const key = v.getDotPath(issue)
  const what = key === null ? engine.name : `${engine.name}.${key}`
  throw configError('bad-genesis', `${path}: ${what}: ${issueText(issue, schema)}`)
}
