import { AurexError, exitCode, suggestion, type ExitCode } from '../errors.ts'
import { foreignVariables, variableOf, type Key, type Keys } from './keys.ts'
import { issueText, readFileValue, readText } from './value.ts'
import type { TomlFile } from './file.ts'
import type { FlagSetting } from './flags.ts'
import type * as v from 'valibot'

/** Where a value comes from. */
export type Origin =
  | { readonly from: 'default' }
  | { readonly from: 'genesis'; readonly path: string }
  | { readonly from: 'file'; readonly path: string }
  | { readonly from: 'environment'; readonly variable: string }
  | { readonly from: 'flag'; readonly flag: string }

export const originText = (origin: Origin): string => {
  switch (origin.from) {
    case 'default':
      return 'default'
    case 'environment':
      return `environment ${origin.variable}`
    case 'flag':
      return `flag --${origin.flag}`
    default:
      return `${origin.from} ${origin.path}`
  }
}

/** A mistake on the command line is one of usage, any other is one of configuration (sysexits.h). */
export const exitOf = (origin: Origin): ExitCode => (origin.from === 'flag' ? exitCode.usage : exitCode.config)

/** What was said about a key. */
export interface Setting {
  readonly key: Key
  readonly value: unknown
  readonly origin: Origin
}

/** Said of a plugin that is not loaded: not a mistake, one file or environment may serve several roles. */
export interface Unused {
  readonly name: string
  readonly origin: Origin
}

export interface Sources {
  readonly flags: readonly FlagSetting[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly file: TomlFile | undefined
  /** Plugins that may be loaded another time. */
  readonly otherPlugins: readonly string[]
}

/** By id of the key, the setting that counts: flags before environment before file. */
export function gatherSettings(keys: Keys, sources: Sources) {
  const settings = new Map<string, Setting>()
  const unused: Unused[] = []
  if (sources.file !== undefined) fromFile(keys, sources.file, sources.otherPlugins, settings, unused)
  fromEnvironment(keys, sources.env, sources.otherPlugins, settings, unused)
  for (const { key, flag, text } of sources.flags) {
    const value = typeof text === 'boolean' ? text : readText(key.entry, text)
    settings.set(key.id, { key, value, origin: { from: 'flag', flag } })
  }
  return { settings, unused }
}

function fromFile(
  keys: Keys,
  { path, table }: TomlFile,
  otherPlugins: readonly string[],
  settings: Map<string, Setting>,
  unused: Unused[],
): void {
  const origin: Origin = { from: 'file', path }
  const put = (id: string, section: string, name: string, value: unknown): void => {
    const key = keys.find(id)
    if (key === undefined || key.id === 'config') throw unknownKey(keys, path, section, name)
    const other = settings.get(key.id)
    if (other !== undefined)
      throw configError('set-twice', `${path}: ${key.id} is set twice, also as ${id}; leave one out`)
    settings.set(key.id, { key, value: readFileValue(key.entry, value), origin })
  }
  for (const [name, value] of Object.entries(table)) {
    if (!isTable(value)) put(name, '', name, value)
    else if (keys.sections.includes(name)) {
      for (const [inner, one] of Object.entries(value)) put(`${name}.${inner}`, name, inner, one)
    } else if (otherPlugins.includes(name)) unused.push({ name, origin })
    else throw unknownKey(keys, path, '', name, keys.sections)
  }
}

const isTable = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)

function unknownKey(keys: Keys, path: string, section: string, name: string, more: readonly string[] = []) {
  const right = [...keys.namesIn(section), ...more]
  const where = section === '' ? '' : ` in [${section}]`
  const advice = suggestion(name, right) || `; expected one of ${right.join(', ') || 'none'}`
  return configError('unknown-key', `${path}: unknown key ${name}${where}${advice}`)
}

function fromEnvironment(
  keys: Keys,
  env: Sources['env'],
  otherPlugins: readonly string[],
  settings: Map<string, Setting>,
  unused: Unused[],
): void {
  const put = (key: Key, variable: string, text: string) =>
    settings.set(key.id, { key, value: readText(key.entry, text), origin: { from: 'environment', variable } })
  for (const [variable, id] of Object.entries(foreignVariables)) {
    const text = env[variable]
    const key = keys.find(id)
    // Set to nothing is not set: that is how compose files and shells leave a variable out.
    if (text === undefined || text === '') continue
    if (key === undefined) unused.push({ name: id, origin: { from: 'environment', variable } })
    else put(key, variable, text)
  }
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith('AUREX_') || text === undefined || text === '') continue
    const key = keys.byVariable(variable)
    if (key !== undefined) put(key, variable, text)
    else if (otherPlugins.some((name) => variable.startsWith(`${variableOf(name)}_`))) {
      unused.push({ name: variable, origin: { from: 'environment', variable } })
    } else {
      const advice = suggestion(variable, keys.variables) || '; see: aurex config'
      throw configError('unknown-key', `unknown environment variable ${variable}${advice}`)
    }
  }
}

export const configError = (code: string, message: string, cause?: unknown): AurexError =>
  new AurexError(code, message, { cause, exit: exitCode.config })

/** Names key and origin, what was expected and what it got. `schema`: of the whole section. */
export function badValue(
  id: string,
  origin: Origin,
  issue: v.BaseIssue<unknown>,
  schema: v.GenericSchema,
  secret: boolean,
): AurexError {
  return new AurexError('bad-value', `${id} (${originText(origin)}): ${issueText(issue, schema, secret)}`, {
    exit: exitOf(origin),
  })
}
