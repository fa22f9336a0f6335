import { dirname } from 'node:path'
import type { LoadedPlugin } from '../plugin.ts'
import { readGenesisFile, type ReadText, type TomlFile } from './file.ts'
import { absolute, nonEmpty } from './paths.ts'
import { configError } from './settings.ts'

/** Where the genesis is said to be, before it is known what else can be said. */
export interface GenesisPlace {
  /** What `--genesis` says. */
  readonly flag: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  readonly file: TomlFile | undefined
  readonly cwd: string
}

/**
 * Whether the genesis demands a plugin for finality that nobody named. Every node with an engine needs it to judge headers,
 * and there is no choice in it, so it is loaded unasked. A genesis that cannot be read is for `chooseChain` to complain of.
 */
export function wantsFinality(plugins: readonly LoadedPlugin[], place: GenesisPlace, readText: ReadText): boolean {
  const has = (slot: LoadedPlugin['provides']): boolean => plugins.some(({ provides }) => provides === slot)
  const path = pathOf(place)
  if (path === undefined || !has('consensus') || has('finality')) return false
  try {
    return readGenesisFile(path, readText)['finality'] !== undefined
  } catch {
    return false
  }
}

function pathOf({ flag, env, file, cwd }: GenesisPlace): string | undefined {
  const said = flag ?? nonEmpty(env['AUREX_GENESIS'])
  if (said !== undefined) return absolute(said, cwd, env)
  const inFile = file?.table['genesis']
  return file !== undefined && typeof inFile === 'string' ? absolute(inFile, dirname(file.path), env) : undefined
}

/** `where`: the genesis that does not ask for the plugin that is loaded. */
export const wrongFinality = (where: string) =>
  configError(
    'wrong-finality',
    `${where}: it has no table [finality], but the plugin finality is loaded; leave it out of --plugins, or make a chain ` +
      'that has one: aurex genesis --name NAME --consensus ENGINE --finality --authorities ADDRESSES --out FILE',
  )
