import { found, refuse, type Refusal, type Result } from '../errors.ts'

export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [key: string]: Json
}

/** Protocol section 1: how deep a transaction may nest. */
export const nestingMax = 32
/** What a message may nest: a block's transactions stand four levels deep in their envelope. */
export const messageNestingMax = nestingMax + 4

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads one JSON value from bytes so that every program that accepts it reads the same value (RFC 8259, and RFC 7493
 * where that is silent). Numbers are IEEE 754 doubles. Refused: bad UTF-8, nesting beyond `depthMax`, a name twice in
 * one object, the name `__proto__`, numbers too large for a double, lone surrogates.
 */
export function parseJson(bytes: Uint8Array, depthMax: number = messageNestingMax): Result<Json> {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return refuse('bad-utf8', 'the message is not valid UTF-8')
  }
  return parseJsonText(text, depthMax)
}

/** `parseJson` for text that is already decoded. */
export function parseJsonText(text: string, depthMax: number = messageNestingMax): Result<Json> {
  // Depth is measured on the text: JSON.parse itself would follow half a million brackets.
  const shape = scan(text)
  if (shape.depth > depthMax) return refuse('too-deep', `nesting of ${shape.depth}; at most ${depthMax} is read`)
  let value: Json
  try {
    value = JSON.parse(text) as Json
  } catch (error) {
    return refuse('bad-json', `not JSON: ${excerpt((error as Error).message)}`)
  }
  const walk: Walk = { names: 0, depthMax }
  const fault = inspect(value, 0, walk)
  if (fault !== undefined) return fault
  // JSON.parse keeps the last of two equal names, others keep the first: fewer names than colons means a double.
  if (walk.names !== shape.colons) return refuse('bad-json', 'an object has the same name twice')
  return found(value)
}

/**
 * What `parseJson` would not have let through, in a value that may have come another way: `too-deep` (nesting beyond
 * `depthMax`; a scalar has none) or `bad-json`. A value without a fault has a canonical form.
 */
export const jsonFault = (value: unknown, depthMax: number): Refusal | undefined =>
  inspect(value, 0, { names: 0, depthMax })

/** Text from outside, as it may stand in a message or a log: cut, its control characters and line breaks escaped. */
export function excerpt(text: string): string {
  const cut = text.length > excerptCharactersMax ? `${text.slice(0, excerptCharactersMax)}…` : text
  return cut.toWellFormed().replace(unprintable, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

const unprintable = /[\p{Cc}\p{Zl}\p{Zp}]/gu
const excerptCharactersMax = 64

/** Brackets and colons outside strings. Says nothing about validity: that is JSON.parse's to judge. */
function scan(text: string): { depth: number; colons: number } {
  let depth = 0
  let deepest = 0
  let colons = 0
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x22: // "
        i = endOfString(text, i + 1)
        break
      case 0x3a: // :
        colons++
        break
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > deepest) deepest = depth
        break
      case 0x5d: // ]
      case 0x7d: // }
        depth--
        break
    }
  }
  return { depth: deepest, colons }
}

function endOfString(text: string, start: number): number {
  for (let i = start; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x22) return i
    if (code === 0x5c) i++ // the character after a backslash cannot end the string
  }
  return text.length
}

interface Walk {
  /** Names of all objects, counted. */
  names: number
  readonly depthMax: number
}

/** The first fault of a value. `depth`: how many objects and arrays stand around it. */
function inspect(value: unknown, depth: number, walk: Walk): Refusal | undefined {
  switch (typeof value) {
    case 'boolean':
      return undefined
    case 'number':
      return Number.isFinite(value) ? undefined : refuse('bad-json', 'a number is too large for a double')
    case 'string':
      return value.isWellFormed() ? undefined : refuse('bad-json', 'a string has a lone surrogate')
    case 'object':
      if (value === null) return undefined
      if (depth === walk.depthMax) return refuse('too-deep', `nesting of over ${depth}; at most that is read`)
      return Array.isArray(value) ? inspectItems(value, depth, walk) : inspectMembers(value, depth, walk)
    default:
      return refuse('bad-json', `a ${typeof value} has no JSON form`)
  }
}

function inspectItems(items: readonly unknown[], depth: number, walk: Walk): Refusal | undefined {
  for (const item of items) {
    const fault = inspect(item, depth + 1, walk)
    if (fault !== undefined) return fault
  }
  return undefined
}

function inspectMembers(members: object, depth: number, walk: Walk): Refusal | undefined {
  for (const name of Object.keys(members)) {
    walk.names++
    if (name === '__proto__') return refuse('bad-json', 'the name __proto__ is not taken')
    if (!name.isWellFormed()) return refuse('bad-json', 'a name has a lone surrogate')
    const member = (members as Record<string, unknown>)[name]
    // As JSON.stringify has it, a member that is undefined is not there.
    const fault = member === undefined ? undefined : inspect(member, depth + 1, walk)
    if (fault !== undefined) return fault
  }
  return undefined
}
