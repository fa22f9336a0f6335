import { parseArgs } from 'node:util'
import { AurexError, exitCode, suggestion } from '../errors.ts'

interface FlagTypes {
  /** True when it is there; `--json=false` takes it back. */
  readonly boolean: boolean
  readonly string: string
  /** A safe integer, in decimal. */
  readonly integer: number
}

export interface Flag<T extends keyof FlagTypes = keyof FlagTypes> {
  readonly type: T
  /** Of an integer. */
  readonly min?: number
  readonly max?: number
}

export interface FlagSpec<F extends Record<string, Flag> = Record<string, Flag>> {
  /** How the command is called, for messages: `aurex tx`. */
  readonly command: string
  /** By their long names, without dashes. `help` (`-h`) is always there. */
  readonly flags: F
  /** What stands without a flag, in order, by name: `['file']`. Each may be missing; one too many is an error. */
  readonly positionals?: readonly string[]
  /** Whether `--<plugin>.<key> value` is taken; such flags are returned in `dotted`. */
  readonly dotted?: boolean
}

export interface Flags<F extends Record<string, Flag>> {
  readonly help: boolean
  /** A boolean that was not given is false. Of a flag given twice, the last counts. */
  readonly values: {
    readonly [K in keyof F]: F[K]['type'] extends 'boolean' ? boolean : FlagTypes[F[K]['type']] | undefined
  }
  readonly positionals: readonly string[]
  /** By their names without dashes, as `pow.difficulty`. */
  readonly dotted: ReadonlyMap<string, string>
}

/**
 * Reads a command line. Throws `AurexError` with exit code 64: `unknown-flag` (names the nearest right one),
 * `missing-value`, `bad-value`, `unexpected-argument`.
 */
export function readFlags<const F extends Record<string, Flag>>(argv: readonly string[], spec: FlagSpec<F>): Flags<F> {
  const types: Record<string, Flag> = { ...spec.flags, help: { type: 'boolean' } }
  const dottedNames = spec.dotted === true ? argv.flatMap(dottedNameOf) : []
  const { tokens } = parseArgs({
    args: [...argv],
    options: {
      ...Object.fromEntries(Object.entries(types).map(([name, { type }]) => [name, { type: parsedAs(type) }])),
      ...Object.fromEntries(dottedNames.map((name) => [name, { type: 'string' as const }])),
      help: { type: 'boolean', short: 'h' },
    },
    // Not strict: its errors name no right flag, and it would stop at the first of two kinds of mistake.
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const values: Record<string, FlagTypes[keyof FlagTypes] | undefined> = {}
  for (const [name, { type }] of Object.entries(types)) values[name] = type === 'boolean' ? false : undefined
  const positionals: string[] = []
  const dotted = new Map<string, string>()
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue
    if (token.kind === 'positional') {
      positionals.push(token.value)
      continue
    }
    const flag = Object.hasOwn(types, token.name) ? types[token.name] : undefined
    if (flag !== undefined) values[token.name] = valueOf(flag, token, spec)
    else if (dottedNames.includes(token.name)) dotted.set(token.name, textOf(token, spec))
    else throw unknownFlag(token.rawName, Object.keys(types), spec)
  }
  checkPositionals(positionals, spec)
  return { help: values['help'] === true, values: values as Flags<F>['values'], positionals, dotted }
}

/** The error for a mistake on the command line. */
export const usageError = (code: string, message: string): AurexError =>
  new AurexError(code, message, { exit: exitCode.usage })

interface OptionToken {
  readonly rawName: string
  readonly value?: string | undefined
  readonly inlineValue?: boolean | undefined
}

const parsedAs = (type: keyof FlagTypes) => (type === 'boolean' ? ('boolean' as const) : ('string' as const))

function dottedNameOf(argument: string): string[] {
  const name = /^--([a-z][a-z0-9-]*\.[A-Za-z0-9_.-]+)(?:=|$)/.exec(argument)?.[1]
  return name === undefined ? [] : [name]
}

function valueOf(flag: Flag, token: OptionToken, spec: FlagSpec): string | number | boolean {
  if (flag.type === 'boolean') {
    if (token.value === undefined || token.value === 'true') return true
    if (token.value === 'false') return false
    throw badValue(token, 'nothing, true or false', spec)
  }
  const text = textOf(token, spec)
  if (flag.type === 'string') return text
  const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = flag
  const number = Number(text)
  if (/^-?\d+$/.test(text) && Number.isSafeInteger(number) && number >= min && number <= max) return number + 0
  throw badValue(token, rangeText(flag), spec)
}

function rangeText({ min, max }: Flag): string {
  if (min !== undefined && max !== undefined) return `a whole number from ${min} to ${max}`
  if (min !== undefined) return `a whole number from ${min} up`
  return 'a whole number'
}

function textOf(token: OptionToken, spec: FlagSpec): string {
  const { value, inlineValue, rawName } = token
  // `--out --json`: the next flag is not a value. A value that starts with a dash is written `--out=-x`.
  if (value === undefined || (inlineValue !== true && /^-(?!\d)./.test(value))) {
    throw usageError('missing-value', `${rawName}: expected a value; see: ${spec.command} --help`)
  }
  return value
}

const badValue = (token: OptionToken, expected: string, spec: FlagSpec): AurexError =>
  usageError(
    'bad-value',
    `${token.rawName}: expected ${expected}, got ${JSON.stringify(token.value)}; see: ${spec.command} --help`,
  )

function unknownFlag(rawName: string, right: readonly string[], { command, dotted }: FlagSpec): AurexError {
  const hint = suggestion(
    rawName,
    right.map((name) => `--${name}`),
  )
  const long = dotted === true ? `; a plugin's own is written --<plugin>.${rawName.replace(/^-+/, '')}` : ''
  return usageError('unknown-flag', `${command}: unknown flag ${rawName}${hint || `${long}; see: ${command} --help`}`)
}

function checkPositionals(positionals: readonly string[], spec: FlagSpec): void {
  const names = spec.positionals ?? []
  const extra = positionals[names.length]
  if (extra === undefined) return
  const expected = names.length === 0 ? 'it takes only flags' : `it takes ${names.join(' ')}`
  throw usageError(
    'unexpected-argument',
    `${spec.command}: unexpected argument ${JSON.stringify(extra)}; ${expected}; see: ${spec.command} --help`,
  )
}
