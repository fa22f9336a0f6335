import * as v from 'valibot'
import { developmentGenesis, readGenesis, type Genesis } from '../chain/genesis.ts'
import { AurexError } from '../errors.ts'
import type { LoadedPlugin } from '../plugin.ts'
import { readGenesisFile, type ReadText } from './file.ts'
import { configError, exitOf, originText, type Setting } from './settings.ts'
import { issueText } from './value.ts'

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
  const [fixed] = settings
  if (fixed !== undefined) {
    const message = `${fixed.key.id} (${originText(fixed.origin)}): the genesis ${path} decides it; leave it out`
    throw new AurexError('genesis-fixes-it', message, { exit: exitOf(fixed.origin) })
  }
  if (engine !== undefined && engine.name !== genesis.consensus) {
    const message = `${path}: its consensus is ${genesis.consensus}, but ${engine.name} is loaded`
    throw configError('wrong-engine', `${message}; load ${genesis.consensus} in its place (--plugins)`)
  }
  const { application } = genesis
  if (application !== undefined && !plugins.some(({ name }) => name === application)) {
    const message = `${path}: its application is ${application}, which is not loaded; add it to --plugins`
    throw configError('missing-application', message)
  }
  return { genesis, parameters: engine && parametersOf(genesis, engine, path) }
}

/** As they stand in the file, by the engine's own schema. */
function parametersOf(genesis: Genesis, engine: LoadedPlugin, path: string): unknown {
  const result = v.safeParse(engine.parameters ?? v.strictObject({}), genesis.parameters)
  if (result.success) return result.output
  const issue = result.issues[0]
  const key = v.getDotPath(issue)
  const what = key === null ? engine.name : `${engine.name}.${key}`
  throw configError('bad-genesis', `${path}: ${what}: ${issueText(issue)}`)
}
