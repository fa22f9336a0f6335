import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'bun:test'
import { AurexError } from '../../../core/errors.ts'
import {
  isAddress,
  keyPairOfPem,
  nodeIdOf,
  pemOf,
  publicKeyOf,
  publicKeyOfPem,
  purposes,
  signedText,
} from '../../../core/chain/keys.ts'
import { decodeSignature, verifyByRule, verifyNatively, verifySignature } from '../../../core/chain/signature.ts'
import { alice, bob, keyOf } from './made.ts'

const seeds = Array.from({ length: 40 }, (_, i) => i + 1)

test('a node id is a UUID of version 8 and of the RFC variant, and a key has one', () => {
  for (const seed of seeds) {
    const key = keyOf(seed)
    expect(key.nodeId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(nodeIdOf(key)).toBe(key.nodeId)
  }
  expect(new Set(seeds.map((seed) => keyOf(seed).nodeId)).size).toBe(seeds.length)
})

test('key, address and PEM are one another', () => {
  for (const seed of seeds) {
    const { address, raw, pem } = keyOf(seed)
    expect(isAddress(address)).toBe(true)
    expect(publicKeyOf(address)).toEqual({ ok: true, value: { address, raw } })
    expect(publicKeyOfPem(pem)).toEqual({ ok: true, value: { address, raw } })
    expect(pemOf({ address, raw })).toBe(pem)
  }
})

test('long rubbish is refused and not remembered', () => {
  for (let i = 0; i < 100; i++) expect(publicKeyOf('f'.repeat(100_000 + i)).ok).toBe(false)
})

describe('a key file that is none', () => {
  const pemOfKind = (key: { export(options: { type: 'pkcs8'; format: 'pem' }): string | Buffer }): string =>
    String(key.export({ type: 'pkcs8', format: 'pem' }))

  test.each([
    ['ec', () => pemOfKind(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)],
    ['x25519', () => pemOfKind(generateKeyPairSync('x25519').privateKey)],
  ])('of another kind: %s', (kind, make) => {
    expect(() => keyPairOfPem(make(), 'a.pem')).toThrow(`a.pem: expected an ed25519 key, got ${kind}`)
  })

  test.each(['', 'rubbish', '-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n', bob.pem])(
    '%j',
    (text) => {
      let thrown: unknown
      try {
        keyPairOfPem(text, 'a.pem')
      } catch (error) {
        thrown = error
      }
      expect(thrown).toBeInstanceOf(AurexError)
      expect(thrown).toHaveProperty('code', 'bad-key-file')
      expect(thrown).toHaveProperty('exit', 78)
      expect(String(thrown)).toContain('a.pem: expected the PKCS#8 PEM of an Ed25519 private key')
    },
  )
})

// Threats, row 6.
describe('purposes', () => {
  test('are lines of their own, and no two of them begin alike', () => {
    const all = Object.values(purposes)
    expect(new Set(all).size).toBe(all.length)
    for (const purpose of all) {
      expect(purpose).toMatch(/^aurex\/[a-z]+\/1$/)
      expect(signedText(purpose, 'x')).toBe(`${purpose}\nx`)
    }
  })

  test('a signature for one is none for another', () => {
    const text = 'ab'.repeat(32)
    for (const signedFor of Object.values(purposes)) {
      const signature = decodeSignature(alice.sign(signedFor, text))
      if (!signature.ok) throw new Error(signature.detail)
      for (const usedFor of Object.values(purposes)) {
        const message = Buffer.from(signedText(usedFor, text))
        expect(verifySignature(alice, message, signature.value)).toBe(signedFor === usedFor)
      }
    }
  })
})

test('the native check and the rule agree on what honest keys sign, and on every change of it', () => {
  for (const seed of seeds) {
    const key = keyOf(seed)
    const message = Buffer.from(signedText(purposes.block, `text ${seed}`))
    const signature = new Uint8Array(Buffer.from(key.sign(purposes.block, `text ${seed}`), 'base64'))
    expect(verifyNatively({ publicKey: key.raw, message, signature })).toBe(true)
    expect(verifyByRule(key, message, signature)).toBe(true)
    const changed = signature.map((byte, i) => (i === seed ? byte ^ 1 : byte))
    expect(verifyNatively({ publicKey: key.raw, message, signature: changed })).toBe(false)
    expect(verifyByRule(key, message, changed)).toBe(false)
    const other = keyOf(seed + 1)
    expect(verifySignature(other, message, signature)).toBe(false)
  }
})

test.each([0, 1, 32, 63, 65, 128])('a signature of %d bytes is a no, not a crash', (length) => {
  expect(verifySignature(alice, new Uint8Array(3), new Uint8Array(length))).toBe(false)
})
