import { createPrivateKey, createPublicKey, sign as nativeSign, type KeyObject } from 'node:crypto'
import { ed25519 } from '@noble/curves/ed25519.js'
import { LRUCache } from 'lru-cache'
import { AurexError, exitCode, found, refuse, type Result } from '../errors.ts'
import { sha256, utf8Bytes } from './canonical.ts'

/** The 64 lowercase hex digits of a raw Ed25519 public key. */
export type Address = string
/** A UUID version 8 (RFC 9562) made of the first 16 bytes of SHA-256(raw public key). */
export type NodeId = string

export interface PublicKey {
  readonly address: Address
  /** 32 bytes. */
  readonly raw: Uint8Array
}

/** An Ed25519 key pair. The secret stays inside: there is only a way to sign with it. */
export interface KeyPair extends PublicKey {
  readonly pem: string
  readonly nodeId: NodeId
  /** Base64 of the 64 signature bytes over `purpose` + newline + `text` (protocol section 2). */
  sign(purpose: Purpose, text: string): string
}

export const purposes = {
  transaction: 'aurex/tx/1',
  block: 'aurex/block/1',
  handshake: 'aurex/handshake/1',
  finality: 'aurex/finality/1',
  confirmation: 'aurex/confirmation/1',
} as const
/** A plugin's own is `aurex/<plugin>/1`. */
export type Purpose = (typeof purposes)[keyof typeof purposes] | `aurex/${string}/1`

/** What is signed: the purpose on a line of its own, so that a signature serves for one thing only. */
export const signedText = (purpose: Purpose, text: string): string => `${purpose}\n${text}`

const addressPattern = /^[0-9a-f]{64}$/
export const isAddress = (text: string): boolean => addressPattern.test(text)

const nodeIdPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
export const isNodeId = (text: string): boolean => nodeIdPattern.test(text)

const known = new LRUCache<string, Result<PublicKey>>({ max: 10_000 })

/**
 * The public key behind an address. Refuses `bad-key`: not 64 hex digits, an encoding that is not canonical, not on
 * the curve, or of small order (such a key signs every message: RFC 8032 leaves it open, protocol section 2 does not).
 */
export function publicKeyOf(address: string): Result<PublicKey> {
  // Before the cache, which is bounded by count: its names must not be of any length.
  if (!isAddress(address)) return refuse('bad-key', 'a public key is 64 lowercase hex digits')
  const seen = known.get(address)
  if (seen !== undefined) return seen
  const result = decodeKey(address)
  known.set(address, result)
  return result
}

function decodeKey(address: string): Result<PublicKey> {
  const raw = new Uint8Array(Buffer.from(address, 'hex'))
  try {
    if (ed25519.Point.fromBytes(raw).isSmallOrder()) return refuse('bad-key', 'the public key is of small order')
  } catch {
    return refuse('bad-key', 'the public key is not a canonical point of edwards25519')
  }
  return found({ address, raw })
}

// RFC 8410: the DER before the 32 bytes of an Ed25519 SubjectPublicKeyInfo never varies.
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex')
// White space at the end is bounded: neither a transaction's id nor its signature covers the PEM beside it.
const publicPem = /^-----BEGIN PUBLIC KEY-----\r?\n([A-Za-z0-9+/]{59}=)\r?\n-----END PUBLIC KEY-----[ \t\r\n]{0,4}$/

/** PEM (RFC 7468, RFC 8410) of a public key, ended by a newline. */
export const pemOf = (key: PublicKey): string =>
  `-----BEGIN PUBLIC KEY-----\n${Buffer.concat([spkiPrefix, key.raw]).toString('base64')}\n-----END PUBLIC KEY-----\n`

/** Reads an Ed25519 public key from PEM. Refuses `bad-key` as `publicKeyOf` does, and every other kind of key. */
export function publicKeyOfPem(pem: string): Result<PublicKey> {
  const base64 = publicPem.exec(pem)?.[1]
  const der = base64 === undefined ? undefined : Buffer.from(base64, 'base64')
  if (der?.length !== 44 || der.toString('base64') !== base64 || !der.subarray(0, 12).equals(spkiPrefix)) {
    return refuse('bad-key', 'public_key_pem is not the PEM of an Ed25519 public key')
  }
  return publicKeyOf(der.subarray(12).toString('hex'))
}

export function nodeIdOf(key: PublicKey): NodeId {
  const bytes = sha256(key.raw).slice(0, 16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x80 // version 8
  bytes[8] = (bytes[8]! & 0x3f) | 0x80 // the RFC's variant
  const hex = Buffer.from(bytes).toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/** PKCS#8 PEM of the private key made of a 32-byte seed. */
export function privatePemOf(seed: Uint8Array): string {
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
  return `-----BEGIN PRIVATE KEY-----\n${der.toString('base64')}\n-----END PRIVATE KEY-----\n`
}

/** Reads any unencrypted Ed25519 PKCS#8 PEM. Throws `bad-key-file`; `where` is named in the message. */
export function keyPairOfPem(pem: string, where: string): KeyPair {
  let secret: KeyObject
  try {
    secret = createPrivateKey(pem)
  } catch (cause) {
    const encrypted = pem.includes('ENCRYPTED')
    throw new AurexError(
      'bad-key-file',
      encrypted
        ? `${where}: the key is encrypted; decrypt it first: openssl pkey -in ${where} -out plain.pem`
        : `${where}: expected the PKCS#8 PEM of an Ed25519 private key, which this is not; aurex key new --out FILE makes one`,
      { cause, exit: exitCode.config },
    )
  }
  if (secret.asymmetricKeyType !== 'ed25519') {
    throw new AurexError(
      'bad-key-file',
      `${where}: expected an ed25519 key, got ${secret.asymmetricKeyType ?? 'an unknown kind'}; ` +
        'make one with: openssl genpkey -algorithm ed25519',
      { exit: exitCode.config },
    )
  }
  const raw = new Uint8Array(createPublicKey(secret).export({ type: 'spki', format: 'der' }).subarray(12))
  const key: PublicKey = { raw, address: Buffer.from(raw).toString('hex') }
  return {
    ...key,
    pem: pemOf(key),
    nodeId: nodeIdOf(key),
    sign: (purpose, text) => nativeSign(null, utf8Bytes(signedText(purpose, text)), secret).toString('base64'),
  }
}
