import { createPublicKey, verify as nativeVerify, type KeyObject } from 'node:crypto'
import { ed25519 } from '@noble/curves/ed25519.js'
import { LRUCache } from 'lru-cache'
import { found, refuse, type Result } from '../errors.ts'
import type { SignatureCheck } from '../runtime.ts'
import { pemOf, type PublicKey } from './keys.ts'

const base64Pattern = /^[A-Za-z0-9+/]{86}==$/

/** Signature bytes from base64 of exactly 64 bytes in canonical form (`QQ==`, never `QR==`). Refuses `bad-signature`. */
export function decodeSignature(base64: string): Result<Uint8Array> {
  if (base64Pattern.test(base64)) {
    const bytes = Buffer.from(base64, 'base64')
    if (bytes.toString('base64') === base64) return found(new Uint8Array(bytes))
  }
  return refuse('bad-signature', 'a signature is the canonical base64 of 64 bytes')
}

/**
 * The one rule (protocol section 2): ZIP 215, as @noble/curves implements it. The runtime's native check is the fast
 * way to a yes, since what it accepts ZIP 215 accepts; its no is decided here by the rule. The key has been through
 * `publicKeyOf`, which is where keys of small order and odd encodings are refused.
 */
export function verifySignature(key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  return verifyNatively({ publicKey: key.raw, message, signature }) || verifyByRule(key, message, signature)
}

export function verifyByRule(key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    return ed25519.verify(signature, message, key.raw, { zip215: true })
  } catch {
    return false // noble throws where S or R cannot be decoded
  }
}

export function verifyNatively(check: SignatureCheck): boolean {
  return nativeVerify(null, check.message, keyObjectOf(check.publicKey), check.signature)
}

const keyObjects = new LRUCache<string, KeyObject>({ max: 10_000 })

/** node:crypto's form of a key, remembered: making one costs as much as a third of a verification. */
export function keyObjectOf(raw: Uint8Array): KeyObject {
  const address = Buffer.from(raw).toString('hex')
  let key = keyObjects.get(address)
  if (key === undefined) {
    key = createPublicKey(pemOf({ address, raw }))
    keyObjects.set(address, key)
  }
  return key
}
