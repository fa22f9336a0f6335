import { createPublicKey, verify as nativeVerify, type KeyObject } from 'node:crypto'
import { ed25519 } from '@noble/curves/ed25519.js'
import { found, refuse, type Result } from '../errors.ts'
import type { SignatureCheck } from '../runtime.ts'
import { utf8Bytes } from './canonical.ts'
import { pemOf, publicKeyOf, signedText, type Address, type PublicKey, type Purpose } from './keys.ts'

// RFC 4648, 3.5: the last character carries two bits, and those that it has left over are zero in canonical form.
const base64Pattern = /^[A-Za-z0-9+/]{85}[AQgw]==$/

/** Signature bytes from base64 of exactly 64 bytes in canonical form (`QQ==`, never `QR==`). Refuses `bad-signature`. */
export function decodeSignature(base64: string): Result<Uint8Array> {
  if (base64Pattern.test(base64)) return found(Uint8Array.fromBase64(base64))
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

/**
 * Whether `signature` (base64) is by the key of this address over `purpose` + newline + `text`. Whatever is no proper key
 * or no proper signature is not.
 */
export function isSignedBy(address: Address, purpose: Purpose, text: string, signature: string): boolean {
  const key = publicKeyOf(address)
  const bytes = decodeSignature(signature)
  return key.ok && bytes.ok && verifySignature(key.value, utf8Bytes(signedText(purpose, text)), bytes.value)
}

export const verifyByRule = (key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean =>
  checkByRule({ publicKey: key.raw, message, signature })

export function checkByRule({ publicKey, message, signature }: SignatureCheck): boolean {
  try {
    return ed25519.verify(signature, message, publicKey, { zip215: true })
  } catch {
    return false // noble throws where S or R cannot be decoded
  }
}

export function verifyNatively(check: SignatureCheck): boolean {
  return nativeVerify(null, check.message, keyObjectOf(check.publicKey), check.signature)
}

const keyObjects = new WeakMap<Uint8Array, KeyObject>()

/**
 * node:crypto's form of a key, remembered for as long as `publicKeyOf` remembers the key: making one costs as much as a
 * third of a verification.
 */
export function keyObjectOf(raw: Uint8Array): KeyObject {
  let key = keyObjects.get(raw)
  if (key === undefined) {
    key = createPublicKey(pemOf({ address: Buffer.from(raw).toString('hex'), raw }))
    keyObjects.set(raw, key)
  }
  return key
}
