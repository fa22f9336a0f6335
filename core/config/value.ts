import * as v from 'valibot'
import { suggestion } from '../errors.ts'

export type Kind = 'number' | 'boolean' | 'list' | 'text'

/** What the inside of any valibot schema may have. */
interface Inside {
  readonly type: string
  readonly wrapped?: v.GenericSchema
  readonly item?: v.GenericSchema
  readonly options?: readonly (v.GenericSchema | string | number)[]
  readonly entries?: Readonly<Record<string, v.GenericSchema>>
  readonly pipe?: readonly { readonly type: string; readonly requirement?: unknown }[]
}
const inside = (schema: v.GenericSchema): Inside => schema

/** A schema without the `optional` or `nullable` around it. */
export function unwrapped(schema: v.GenericSchema): v.GenericSchema {
  const { wrapped } = inside(schema)
  return wrapped === undefined ? schema : unwrapped(wrapped)
}

/** What a person has to write for a value. */
export function kindOf(schema: v.GenericSchema): Kind {
  const { type } = inside(unwrapped(schema))
  if (type === 'number' || type === 'boolean') return type
  return type === 'array' ? 'list' : 'text'
}

/** For help: `number`, `list`, `debug|info|warning|error`. */
export function typeText(schema: v.GenericSchema): string {
  const { type, options } = inside(unwrapped(schema))
  if (type === 'picklist' && options !== undefined) return options.map(String).join('|')
  return kindOf(schema)
}

/**
 * Text of a flag or a variable as the value that the schema wants. What cannot be read stays text: the schema's own
 * error then says what was expected and what it got.
 */
export function readText(schema: v.GenericSchema, text: string): unknown {
  const readings = readingsOf(unwrapped(schema), text)
  return readings.find((reading) => v.is(schema, reading)) ?? readings[0]
}

/** What a file says, with the same freedom: a list of one or more may be written as text with commas. */
export const readFileValue = (schema: v.GenericSchema, value: unknown): unknown =>
  kindOf(schema) === 'list' && typeof value === 'string' ? readText(schema, value) : value

function readingsOf(schema: v.GenericSchema, text: string): unknown[] {
  const { type, item, options } = inside(schema)
  switch (type) {
    case 'number':
      return [/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) ? Number(text) : text]
    case 'boolean':
      return [booleans[text] ?? text]
    case 'array':
      return [itemsOf(text).map((one) => (item === undefined ? one : readText(item, one)))]
    case 'union':
      return (options as readonly v.GenericSchema[]).flatMap((option) => readingsOf(unwrapped(option), text))
    case 'string':
    case 'picklist':
      return [text]
    default:
      return [...tablesOf(text), text]
  }
}

/** `alice=10.50,bob=3` as a table of texts; nothing where it is none. */
export function tablesOf(text: string): Readonly<Record<string, string>>[] {
  const items = itemsOf(text).map((item) => item.split('='))
  const names = new Set(items.map(([name]) => name!.trim()))
  // One that is named twice is no table: it would say two things.
  const isTable = items.length > 0 && names.size === items.length && items.every(({ length }) => length === 2)
  return isTable ? [Object.fromEntries(items.map(([name, value]) => [name!.trim(), value!.trim()]))] : []
}

const booleans: Readonly<Record<string, boolean>> = Object.assign(Object.create(null), {
  true: true,
  false: false,
  '1': true,
  '0': false,
})

const itemsOf = (text: string): string[] =>
  text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '')

/** A value for people. */
export function valueText(value: unknown): string {
  if (value === undefined) return ''
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return value.map(valueText).join(',')
  return JSON.stringify(value) ?? ''
}

/**
 * What is wrong with a value, and what it should be: `expected a whole number from 0 to 65535, got 99999`. `schema` is
 * the one that found the issue; without it the text is as good as the issue itself.
 */
export function issueText(issue: v.BaseIssue<unknown>, schema?: v.GenericSchema, secret = false): string {
  const got = secret ? '***' : issue.received === 'undefined' ? 'nothing' : issue.received
  const within = schema === undefined ? undefined : schemaAt(schema, issue)
  if (issue.type === 'strict_object' && issue.expected === 'never') {
    const names = Object.keys((within && inside(within).entries) ?? {})
    const name = String(issue.path?.at(-1)?.key)
    const advice = suggestion(name, names) || (names.length > 0 ? `; expected one of ${names.join(', ')}` : '')
    return `there is no such key${advice}`
  }
  if (issue.type.endsWith('_object') && issue.received === 'undefined') return 'it is missing'
  // A message of the schema's own says it best; the library's all begin so.
  const own = !issue.message.startsWith('Invalid ')
  const tellsGot = issue.message.includes(', got ') || typeof issue.input === 'object'
  if (own && !secret) return tellsGot ? issue.message : `${issue.message}, got ${got}`
  const expected = expectedText(issue, within)
  if (expected === undefined) return secret ? 'is not of the right form' : issue.message
  const options = (within && inside(unwrapped(within)).options) ?? []
  const near = issue.type === 'picklist' && !secret ? suggestion(String(issue.input), options.map(String)) : ''
  return `expected ${expected}, got ${got}${near}`
}

function expectedText(issue: v.BaseIssue<unknown>, schema: v.GenericSchema | undefined): string | undefined {
  const { type, requirement } = issue
  if (type === 'picklist' && schema !== undefined) return `one of ${typeText(schema).replaceAll('|', ', ')}`
  if (type === 'boolean') return 'true or false'
  if (type === 'string') return 'text'
  if (type === 'min_length' || type === 'max_length') {
    const letters = Number(requirement) === 1 ? 'character' : 'characters'
    const what = Array.isArray(issue.input) ? 'in the list' : letters
    return `at ${type === 'min_length' ? 'least' : 'most'} ${Number(requirement)} ${what}`
  }
  if (schema !== undefined && kindOf(schema) === 'number') return numberText(schema)
  if (type === 'number') return 'a number'
  return issue.expected ?? undefined
}

/** `a whole number from 0 to 65535`, as the schema's pipe has it. */
function numberText(schema: v.GenericSchema): string {
  const pipe = inside(unwrapped(schema)).pipe ?? []
  const bound = (type: string) => pipe.find((item) => item.type === type)?.requirement as number | undefined
  const number = pipe.some(({ type }) => type === 'integer' || type === 'safe_integer') ? 'a whole number' : 'a number'
  const [min, max] = [bound('min_value'), bound('max_value')]
  if (min !== undefined && max !== undefined) return `${number} from ${min} to ${max}`
  if (min !== undefined) return `${number} from ${min} up`
  return max === undefined ? number : `${number} up to ${max}`
}

/** The schema of the value that an issue is about; that of the object for a key that there is not. */
function schemaAt(schema: v.GenericSchema, issue: v.BaseIssue<unknown>): v.GenericSchema | undefined {
  let at: v.GenericSchema | undefined = schema
  for (const { key } of issue.path ?? []) {
    if (at === undefined) return undefined
    const { entries, item } = inside(unwrapped(at))
    if (entries !== undefined && !Object.hasOwn(entries, String(key))) return unwrapped(at)
    at = entries?.[String(key)] ?? item
  }
  return at
}
