import { parseArgs, type ParseArgsConfig } from 'node:util'
import { usageError } from '../commands/flags.ts'
import { suggestion } from '../errors.ts'
import { isSwitch, type Key, type Keys } from './keys.ts'
import { kindOf } from './value.ts'

export interface FlagSetting {
  readonly key: Key
  /** As it was written, without the dashes. */
  readonly flag: string
  /** A switch has no text. */
  readonly text: string | boolean
}

/** Flags of the command itself, beside those that are keys: `{ json: 'boolean' }`. */
export type OwnFlags = Readonly<Record<string, 'boolean' | 'string'>>
export type OwnValues = Readonly<Record<string, string | boolean>>

export interface ReadFlags {
  readonly flags: readonly FlagSetting[]
  readonly own: OwnValues
}

/**
 * Reads a command line by the keys there are. `-` and `_` in names are the same. Throws with exit code 64:
 * `unknown-flag`, `missing-value`, `bad-value`, `unexpected-argument`.
 */
export function readKeyFlags(
  argv: readonly string[],
  keys: Keys,
  ownFlags: OwnFlags,
  otherPlugins: readonly string[],
): ReadFlags {
  const flags: FlagSetting[] = []
  const own: Record<string, string | boolean> = {}
  const types: Record<string, 'boolean' | 'string'> = { ...ownFlags }
  for (const flag of keys.flags) types[flag] ??= isSwitch(keys.byFlag(flag)!) ? 'boolean' : 'string'
  for (const token of tokensOf(argv, types)) {
    if (token.kind === 'positional') throw unexpected(token.value, argv[token.index - 1])
    if (token.kind !== 'option') continue
    // Non-strict parsing keeps names that it does not know, and `--no-x` as a name.
    const flag = token.name
    const negated = flag.startsWith('no-') && types[flag] === undefined ? flag.slice(3) : undefined
    const type = types[negated ?? flag]
    if (type === undefined || (negated !== undefined && type !== 'boolean'))
      throw unknownFlag(token.rawName, types, otherPlugins)
    const value = type === 'boolean' ? switchValue(token, negated !== undefined) : textValue(token)
    const key = keys.byFlag(negated ?? flag)
    if (Object.hasOwn(ownFlags, negated ?? flag) || key === undefined) own[negated ?? flag] = value
    else flags.push({ key, flag, text: joined(flags, key, value) })
  }
  return { flags, own }
}

/** The texts of a few string flags, when it is not known yet what others there are. */
export function peekFlags(argv: readonly string[], names: readonly string[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  const types = Object.fromEntries(names.map((name) => [name, 'string' as const]))
  for (const token of tokensOf(argv, types)) {
    if (token.kind === 'option' && names.includes(token.name)) found.set(token.name, textValue(token))
  }
  return found
}

function tokensOf(argv: readonly string[], types: Readonly<Record<string, 'boolean' | 'string'>>) {
  const end = argv.indexOf('--')
  const args = argv.map((argument, at) => (end >= 0 && at > end ? argument : withDashes(argument)))
  const options: NonNullable<ParseArgsConfig['options']> = Object.fromEntries(
    Object.entries(types).map(([name, type]) => [name, { type }]),
  )
  if (types['help'] !== undefined) options['help'] = { type: types['help'], short: 'h' }
  // Not strict: its own errors name no right flag.
  return parseArgs({ args, options, strict: false, allowPositionals: true, tokens: true }).tokens
}

/** `--data_dir=a_b` is `--data-dir=a_b`. */
const withDashes = (argument: string): string => argument.replace(/^--[^=]+/, (name) => name.replaceAll('_', '-'))

interface OptionToken {
  readonly name: string
  readonly rawName: string
  readonly value?: string | undefined
  readonly inlineValue?: boolean | undefined
}

function switchValue({ rawName, value }: OptionToken, negated: boolean): boolean {
  if (value === undefined) return !negated
  if (!negated && (value === 'true' || value === '1')) return true
  if (!negated && (value === 'false' || value === '0')) return false
  const expected = negated ? 'no value' : 'nothing, =true or =false'
  throw usageError('bad-value', `${rawName}: expected ${expected}, got ${JSON.stringify(value)}`)
}

function textValue({ rawName, value, inlineValue }: OptionToken): string {
  // `--name --port 1`: the next flag is not a value. A value that starts with a dash is written `--name=-x`.
  if (value === undefined || (inlineValue !== true && /^-(?!\d)./.test(value))) {
    throw usageError('missing-value', `${rawName}: expected a value: ${rawName} VALUE or ${rawName}=VALUE`)
  }
  return value
}

/** A list that is given twice is one longer list; of anything else the last counts. */
function joined(flags: FlagSetting[], key: Key, value: string | boolean): string | boolean {
  const before = flags.findLast((one) => one.key.id === key.id)?.text
  return kindOf(key.entry) === 'list' && before !== undefined ? `${before},${value}` : value
}

function unknownFlag(rawName: string, types: OwnFlags, otherPlugins: readonly string[]) {
  const plugin = rawName.replace(/^--(no-)?/, '').split('.')[0]!
  if (rawName.includes('.') && otherPlugins.includes(plugin)) {
    return usageError('unknown-flag', `${rawName}: the plugin ${plugin} is not loaded; add it to --plugins`)
  }
  const right = Object.keys(types).map((name) => `--${name}`)
  return usageError('unknown-flag', `unknown flag ${rawName}${suggestion(rawName, right) || '; see: --help'}`)
}

function unexpected(value: string, before: string | undefined) {
  const isBoolean = (value === 'true' || value === 'false') && before?.startsWith('--') === true
  const advice = isBoolean ? `write ${before}=${value}` : 'everything is said by flags; see: --help'
  return usageError('unexpected-argument', `unexpected argument ${JSON.stringify(value)}; ${advice}`)
}
