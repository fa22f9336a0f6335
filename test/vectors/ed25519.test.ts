import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'bun:test'
import { ed25519 } from '@noble/curves/ed25519.js'
import { AurexError } from '../../core/errors.ts'
import { keyPairOfPem, pemOf, privatePemOf, publicKeyOf, publicKeyOfPem, purposes } from '../../core/chain/keys.ts'
import { decodeSignature, verifyByRule, verifyNatively, verifySignature } from '../../core/chain/signature.ts'

const readText = (...path: string[]): string => readFileSync(join(import.meta.dir, ...path), 'utf8')
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))
const keyOf = (address: string) => {
  const key = publicKeyOf(address)
  if (!key.ok) throw new Error(key.detail)
  return key.value
}
/** Order of the base point's group: RFC 8032, 5.1. */
const groupOrder = 2n ** 252n + 27742317777372353535851937790883648493n

describe('RFC 8032, 7.1', () => {
  interface Case {
    readonly test: string
    readonly seed: string
    readonly pk: string
    readonly m: string
    readonly sig: string
  }
  const cases = JSON.parse(readText('rfc8032', 'rfc8032-7.1.json')) as Case[]
  const named = cases.map((row): [string, Case] => [row.test, row])

  test('all five are there', () => expect(cases).toHaveLength(5))

  test.each(named)('%s: the key of the seed, and the signature', (_name, row) => {
    const pair = keyPairOfPem(privatePemOf(bytes(row.seed)), row.test)
    expect(pair.address).toBe(row.pk)
    expect(verifySignature(keyOf(row.pk), bytes(row.m), bytes(row.sig))).toBe(true)
    expect(verifyByRule(keyOf(row.pk), bytes(row.m), bytes(row.sig))).toBe(true)
    expect(verifySignature(keyOf(row.pk), bytes(`${row.m}00`), bytes(row.sig))).toBe(false)
    // A key pair signs nothing without a purpose; what it signs is what the reference would.
    const signed = pair.sign(purposes.transaction, row.m)
    const reference = ed25519.sign(Buffer.from(`aurex/tx/1\n${row.m}`), bytes(row.seed))
    expect(signed).toBe(Buffer.from(reference).toString('base64'))
  })

  // Threats, row 4.
  test.each(named)('%s: S + L, the same signature a second time, is refused', (_name, row) => {
    const s = BigInt(`0x${Buffer.from(bytes(row.sig).slice(32).toReversed()).toString('hex')}`)
    for (const times of [1n, 2n, 7n]) {
      const hex = (s + times * groupOrder).toString(16).padStart(64, '0')
      const malleated = Uint8Array.from([...bytes(row.sig).slice(0, 32), ...Buffer.from(hex, 'hex').toReversed()])
      expect(malleated).toHaveLength(64)
      expect(verifySignature(keyOf(row.pk), bytes(row.m), malleated)).toBe(false)
      expect(verifyByRule(keyOf(row.pk), bytes(row.m), malleated)).toBe(false)
    }
  })

  test('every bit of a signature counts', () => {
    const { pk, m, sig } = cases[1]!
    for (let bit = 0; bit < 512; bit++) {
      const changed = bytes(sig)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      expect(verifyByRule(keyOf(pk), bytes(m), changed)).toBe(false)
    }
  })
})

describe('ed25519-speccheck: where libraries differ', () => {
  interface Case {
    readonly message: string
    readonly pub_key: string
    readonly signature: string
  }
  interface Golden {
    readonly case: number
    /** Whether the key is taken where it enters. */
    readonly key: boolean
    /** ZIP 215 on the signature alone. */
    readonly zip215: boolean
    /** Both: the network's rule. */
    readonly accepted: boolean
  }
  const cases = JSON.parse(readText('ed25519-speccheck', 'cases.json')) as Case[]
  const { verdicts } = JSON.parse(readText('..', 'golden', 'ed25519.json')) as { verdicts: Golden[] }

  const judge = ({ message, pub_key, signature }: Case, number: number): Golden => {
    const key = publicKeyOf(pub_key)
    const zip215 = verifyByRule({ address: pub_key, raw: bytes(pub_key) }, bytes(message), bytes(signature))
    const accepted = key.ok && verifySignature(key.value, bytes(message), bytes(signature))
    return { case: number, key: key.ok, zip215, accepted }
  }

  test('the golden file of what is accepted', () => {
    expect(cases).toHaveLength(12)
    expect(cases.map(judge)).toEqual(verdicts)
  })

  test('the rule is that of Zebra, where ZIP 215 comes from', () => {
    const row = readText('ed25519-speccheck', 'results.md')
      .split('\n')
      .find((line) => line.startsWith('|Zebra'))!
    const zebra = row
      .split('|')
      .slice(2, 14)
      .map((cell) => cell.trim() === 'V')
    expect(zebra).toEqual(verdicts.map(({ zip215 }) => zip215))
  })

  test.each(cases.map((row, i): [number, Case] => [i, row]))('case %d: a native yes is a yes of the rule', (i, row) => {
    const check = { publicKey: bytes(row.pub_key), message: bytes(row.message), signature: bytes(row.signature) }
    // The fast path may only be stricter.
    if (verifyNatively(check)) expect(verdicts[i]!.zip215).toBe(true)
    expect(verdicts[i]!.accepted).toBe(verdicts[i]!.key && verdicts[i]!.zip215)
  })
})

// Threats, row 4. The eight points of small order, each in every encoding that some library takes: y and y + p where
// that fits into 255 bits, with either sign (ZIP 215 lists the 14 of them).
describe('keys of small order and odd encoding', () => {
  const p = 2n ** 255n - 19n
  const yOfOrder8 = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n
  const ys = [0n, 1n, p - 1n, yOfOrder8, p - yOfOrder8]
  const encode = (y: bigint, sign: bigint): string => {
    const bigEndian = Buffer.from((y | (sign << 255n)).toString(16).padStart(64, '0'), 'hex')
    return Buffer.from(bigEndian.toReversed()).toString('hex')
  }
  const smallOrder = ys.flatMap((y) => [0n, 1n].map((sign) => encode(y, sign)))
  const oddSmallOrder = [0n, 1n].flatMap((y) => [0n, 1n].map((sign) => encode(y + p, sign)))

  test.each([...smallOrder, ...oddSmallOrder])('%s', (address) => {
    // It is what it is said to be.
    expect(ed25519.Point.fromBytes(bytes(address), true).isSmallOrder()).toBe(true)
    expect(publicKeyOf(address)).toMatchObject({ ok: false, code: 'bad-key' })
    expect(publicKeyOfPem(pemOf({ address, raw: bytes(address) }))).toMatchObject({ ok: false, code: 'bad-key' })
  })

  test('all eight are among them', () => {
    const distinct = new Set(smallOrder.map((hex) => ed25519.Point.fromBytes(bytes(hex), true).toHex()))
    expect(distinct.size).toBe(8)
  })

  test('y from p to 2^255 - 1 is refused, whatever point it means', () => {
    for (let y = p; y < 2n ** 255n; y++) {
      for (const sign of [0n, 1n]) expect(publicKeyOf(encode(y, sign)).ok).toBe(false)
    }
  })

  test.each([
    '',
    '00',
    'zz'.repeat(32),
    'D75A980182B10AB7D54BFED3C964073A0EE172F3DAA62325AF021A68F707511A',
    'd7'.repeat(33),
  ])('no address: %s', (text) => expect(publicKeyOf(text)).toMatchObject({ ok: false, code: 'bad-key' }))
})

// Threats, row 4.
describe('base64 of a signature', () => {
  const good = Buffer.alloc(64, 0xa5).toString('base64')

  test('64 bytes in canonical form', () => {
    const read = decodeSignature(good)
    expect(read.ok && Buffer.from(read.value).toString('base64')).toBe(good)
  })

  const last = good.at(-3)!
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
  const stray = [1, 2, 15].map((bits) => `${good.slice(0, 85)}${alphabet[alphabet.indexOf(last) + bits]}==`)
  const urlSafe = Buffer.alloc(64, 0xff).toString('base64').replaceAll('/', '_')
  test.each([
    ...stray,
    '',
    good.slice(0, -1),
    good.slice(0, -2),
    `${good}=`,
    `${good}\n`,
    ` ${good}`,
    good.replace(last, ' '),
    urlSafe,
    Buffer.alloc(63).toString('base64'),
    Buffer.alloc(65).toString('base64'),
    'SIG_node_hash',
  ])('refused: %j', (text) => expect(decodeSignature(text)).toMatchObject({ ok: false, code: 'bad-signature' }))
})

describe('key files', () => {
  const pem = (name: string): string => readText('ed25519-pem', name)
  const der = (name: string): Buffer => readFileSync(join(import.meta.dir, 'ed25519-pem', name))

  test('the private and the public PEM are of one key, and are written back as they were', () => {
    const pair = keyPairOfPem(pem('ed25519-pkcs8.pem'), 'ed25519-pkcs8.pem')
    const read = publicKeyOfPem(pem('ed25519-pub.pem'))
    expect(read.ok && read.value.address).toBe(pair.address)
    expect(pair.pem).toBe(pem('ed25519-pub.pem'))
    expect(der('ed25519-pub.der').subarray(12).toString('hex')).toBe(pair.address)
    expect(privatePemOf(der('ed25519-pkcs8.der').subarray(16))).toBe(pem('ed25519-pkcs8.pem'))
  })

  test('an encrypted key: the message says how to decrypt it', () => {
    const read = () => keyPairOfPem(pem('ed25519-pkcs8-enc.pem'), '/var/lib/key.pem')
    expect(read).toThrow(AurexError)
    expect(read).toThrow('/var/lib/key.pem: the key is encrypted; decrypt it first: openssl pkey -in /var/lib/key.pem')
  })

  test.each(['ed25519-rfc8410.pem', 'ed25519-pub.pem'])('%s is no private key: the message says what to do', (name) => {
    expect(() => keyPairOfPem(pem(name), name)).toThrow(`${name}: expected the PKCS#8 PEM of an Ed25519 private key`)
  })

  test.each(['ed25519-rfc8410.pem', 'ed25519-pkcs8.pem', 'ed25519-pkcs8-enc.pem'])('%s is no public key', (name) => {
    expect(publicKeyOfPem(pem(name))).toMatchObject({ ok: false, code: 'bad-key' })
  })

  const good = pem('ed25519-pub.pem')
  test('PEM without the last line end, or with those of Windows, is read', () => {
    const address = keyPairOfPem(pem('ed25519-pkcs8.pem'), 'key').address
    for (const text of [good.trimEnd(), good.replaceAll('\n', '\r\n'), `${good}\n`]) {
      const read = publicKeyOfPem(text)
      expect(read.ok && read.value.address).toBe(address)
    }
  })

  test.each([
    `x${good}`,
    `${good}x`,
    `${good}${' '.repeat(1000)}`,
    good.repeat(2),
    good.replace('PUBLIC', 'EC PUBLIC'),
    good.replace('MCowBQYDK2Vw', 'MCowBQYDK2Vu'), // X25519
    good.replace(/=\n-----END/, '\n-----END'),
    good.replace(/(.{10})\n-----END/, '\n$1\n-----END'),
  ])('other text around or inside is refused (%#)', (text) => {
    expect(publicKeyOfPem(text)).toMatchObject({ ok: false, code: 'bad-key' })
  })
})
