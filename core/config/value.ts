import * as v from 'valibot'

export type Kind = 'number' | 'boolean' | 'list' | 'text'

/** What the inside of any valibot schema may have. */
interface Inside {
  readonly type: string
  readonly wrapped?: v.GenericSchema
  readonly item?: v.GenericSchema
  readonly options?: readonly (v.GenericSchema | string | number)[]
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
    default:
      return [text]
  }
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

/** `expected a number, got "abc"`. */
export function issueText(issue: v.BaseIssue<unknown>, secret = false): string {
  if (issue.expected === null) return secret ? 'is not of the right form' : issue.message
  const expected = issue.type === 'strict_object' && issue.expected === 'never' ? 'no such key' : issue.expected
  return `expected ${expected}, got ${secret ? '***' : issue.received === 'undefined' ? 'nothing' : issue.received}`
}
