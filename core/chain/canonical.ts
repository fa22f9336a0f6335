import { hash } from 'node:crypto'
import canonicalizeValue from 'canonicalize'

/** 64 lowercase hex digits. */
export type Hash = string

export const zeroHash: Hash = '0'.repeat(64)

const encoder = new TextEncoder()
export const utf8Bytes = (text: string): Uint8Array => encoder.encode(text)

/** Canonical JSON (RFC 8785). Throws on what JSON cannot say: a lone surrogate, NaN, Infinity. */
export function canonicalJson(value: unknown): string {
  const text = canonicalizeValue(value)
  if (text === undefined) throw new TypeError('canonicalJson: the value has no JSON form')
  return text
}

/** SHA-256 (FIPS 180-4) of bytes or of a text's UTF-8. 32 bytes. */
export const sha256 = (input: Uint8Array | string): Uint8Array => hash('sha256', input, 'buffer')

export const sha256Hex = (input: Uint8Array | string): Hash => hash('sha256', input, 'hex')

export const isHash = (value: unknown): value is Hash => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)
