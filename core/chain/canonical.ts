import { hash } from 'node:crypto'
import canonicalizeValue from 'canonicalize'

/** 64 lowercase hex digits. */
export type Hash = string

export const zeroHash: Hash = '0'.repeat(64)

const encoder = new TextEncoder()
export const utf8Bytes = (text: string): Uint8Array => encoder.encode(text)

/** Canonical JSON (RFC 8785). Throws on what JSON cannot say: a lone surrogate, NaN, Infinity. */
export function canonicalJson(value: unknown): string {
  const plain = inOrder(value, 0)
  if (plain !== undefined) {
    const text = JSON.stringify(plain)
    // JSON.stringify is RFC 8785's own definition of strings and numbers; only a lone surrogate it escapes and lets pass.
    if (!text.includes(loneSurrogate)) return text
  }
  const text = canonicalizeValue(value)
  if (text === undefined) throw new TypeError('canonicalJson: the value has no JSON form')
  return text
}

/** How its escape begins. Text may have it too, behind a backslash of its own: that takes the slow way. */
const loneSurrogate = '\\ud'

/** Beyond that the slow way is taken, which does not recurse. */
const orderedNestingMax = 64

/**
 * A value that JSON.stringify writes in canonical form: the same one where its names are in order already, or a copy.
 * undefined for everything that is not plain, which the reference implementation then decides on.
 */
function inOrder(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      return Number.isFinite(value) ? value : undefined
    case 'object':
      if (value === null) return null
      if (depth === orderedNestingMax) return undefined
      return Array.isArray(value) ? itemsInOrder(value, depth) : membersInOrder(value, depth)
    default:
      return undefined
  }
}

function itemsInOrder(items: readonly unknown[], depth: number): readonly unknown[] | undefined {
  if ('toJSON' in items) return undefined
  let copy: unknown[] | undefined
  for (let i = 0; i < items.length; i++) {
    const item = items[i]
    const ordered = inOrder(item, depth + 1)
    if (ordered === undefined) return undefined
    if (ordered !== item) copy ??= items.slice(0, i)
    copy?.push(ordered)
  }
  return copy ?? items
}

function membersInOrder(members: object, depth: number): object | undefined {
  const prototype: unknown = Object.getPrototypeOf(members)
  if ((prototype !== Object.prototype && prototype !== null) || 'toJSON' in members) return undefined
  const names = Object.keys(members)
  const sorted = isSorted(names)
  // An object puts names that are integers first, wherever they belong: no copy could be in order.
  if (!sorted && (/^\d/.test(names[0]!) || names.includes('__proto__'))) return undefined
  let copy: Record<string, unknown> | undefined = sorted ? undefined : {}
  for (const name of sorted ? names : names.sort()) {
    const member = (members as Record<string, unknown>)[name]
    const ordered = inOrder(member, depth + 1)
    if (ordered === undefined) return undefined
    if (ordered !== member && copy === undefined) {
      if (names.includes('__proto__')) return undefined
      copy = { ...members }
    }
    if (copy !== undefined) copy[name] = ordered
  }
  return copy ?? members
}

/** By UTF-16 code units, as `<` compares texts. */
function isSorted(names: readonly string[]): boolean {
  for (let i = 1; i < names.length; i++) if (names[i - 1]! > names[i]!) return false
  return true
}

/** SHA-256 (FIPS 180-4) of bytes or of a text's UTF-8. 32 bytes. */
export const sha256 = (input: Uint8Array | string): Uint8Array => hash('sha256', input, 'buffer')

export const sha256Hex = (input: Uint8Array | string): Hash => hash('sha256', input, 'hex')

export const isHash = (value: unknown): value is Hash => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)
