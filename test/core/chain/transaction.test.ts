import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { canonicalJson } from '../../../core/chain/canonical.ts'
import { readBody, readHeader, transactionsRoot } from '../../../core/chain/block.ts'
import { parseJsonText, type JsonObject } from '../../../core/chain/json.ts'
import { purposes } from '../../../core/chain/keys.ts'
import {
  readTransaction,
  signTransaction,
  transactionHash,
  transactionText,
  verifyTransaction,
  type Transaction,
} from '../../../core/chain/transaction.ts'
import { alice, bob, draft, mallory, named, nested, rules, sealed, transfer } from './made.ts'

const codeOf = (value: unknown): string => {
  const read = readTransaction(value, rules)
  if (!read.ok) return read.code
  const verdict = verifyTransaction(read.value)
  return verdict.ok ? 'ok' : verdict.code
}
const mustRead = (value: unknown) => {
  const read = readTransaction(value, rules)
  if (!read.ok) throw new Error(`${read.code}: ${read.detail}`)
  return read.value
}
const parsed = (text: string): JsonObject => JSON.parse(text) as JsonObject

const good = transfer(1)

describe('a good one', () => {
  test('by an address, with and without nonce, with and without its own key beside it', () => {
    const withoutNonce = signTransaction(alice, rules.chainId, { a: 1 })
    for (const transaction of [good, withoutNonce]) {
      expect(codeOf(transaction)).toBe('ok')
      expect(codeOf({ ...transaction, public_key_pem: alice.pem })).toBe('ok')
      expect(mustRead({ ...transaction, public_key_pem: alice.pem }).hash).toBe(mustRead(transaction).hash)
    }
  })

  test('by a name, for which a gateway of the genesis signed', () => {
    expect(codeOf(named('alice@example.com', bob))).toBe('ok')
    expect(mustRead(named('alice', bob)).signer.address).toBe(bob.address)
  })

  test('fields of the envelope are not its own, and not kept', () => {
    const read = mustRead({ type: 'NEW_TRANSACTION', ...good, tx_hash: 'rubbish', constructor: 1 })
    expect(read.transaction).toEqual(good)
    expect(read.bytes).toBe(Buffer.byteLength(canonicalJson(good)))
  })

  test('its id covers neither signature nor key', () => {
    const id = transactionHash(named('alice', bob), rules.chainId)
    expect(transactionHash(named('alice', mallory), rules.chainId)).toBe(id)
  })
})

describe('its shape', () => {
  const wrong: [unknown, string][] = [
    [null, 'a transaction is a JSON object'],
    [[], 'a transaction is a JSON object'],
    ['text', 'a transaction is a JSON object'],
    [{}, 'sender: expected a string, got nothing'],
    [{ ...good, sender: 5 }, 'sender: expected a string, got a number'],
    [{ ...good, data: null }, 'data: expected a JSON object, got null'],
    [{ ...good, data: [] }, 'data: expected a JSON object, got an array'],
    [{ ...good, data: 'text' }, 'data: expected a JSON object, got a string'],
    [{ ...good, signature: undefined }, 'signature: expected base64 of 64 bytes, got nothing'],
    [{ ...good, nonce: null }, 'nonce: expected a safe integer, got null'],
    [{ ...good, nonce: '1' }, 'nonce: expected a safe integer, got a string'],
    [{ ...good, nonce: 1.5 }, 'nonce: expected a safe integer, got a number'],
    [{ ...good, nonce: 2 ** 53 }, 'nonce: expected a safe integer, got a number'],
    [{ ...good, public_key_pem: null }, 'public_key_pem: expected a PEM string, got null'],
  ]
  test.each(wrong.map(([value, detail], i): [number, string, unknown] => [i, detail, value]))(
    '%d: %s',
    (_i, detail, value) => {
      expect(readTransaction(value, rules)).toMatchObject({
        ok: false,
        code: 'bad-transaction',
        detail,
        provable: true,
      })
    },
  )

  test('a nonce is any safe integer', () => {
    for (const nonce of [0, -1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) {
      expect(codeOf(transfer(nonce))).toBe('ok')
    }
    // -0 is 0: one id, whichever is written.
    expect(mustRead(transfer(-0)).hash).toBe(mustRead(transfer(0)).hash)
  })

  test('a name has 1 to 128 characters, counted by code points', () => {
    for (const letter of ['a', 'é', '😀']) {
      expect(codeOf(named(letter.repeat(128), bob))).toBe('ok')
      expect(codeOf(named(letter.repeat(129), bob))).toBe('bad-transaction')
    }
    expect(codeOf(named('', bob))).toBe('bad-transaction')
    expect(codeOf(named('x'.repeat(100_000), bob))).toBe('bad-transaction')
  })

  test('64 hex digits are an address in lowercase, and nothing in any other case', () => {
    expect(codeOf(named(alice.address.toUpperCase(), bob))).toBe('bad-transaction')
    expect(codeOf({ ...good, sender: alice.address.toUpperCase() })).toBe('bad-transaction')
    expect(codeOf(named(`${alice.address}0`, bob))).toBe('ok')
    expect(codeOf(named(alice.address.slice(1), bob))).toBe('ok')
  })
})

describe('limits', () => {
  /** A transaction whose canonical JSON has so many bytes. */
  const ofBytes = (bytes: number, letter = 'x'): Transaction => {
    const empty = signTransaction(alice, rules.chainId, { text: '' })
    const room = bytes - Buffer.byteLength(canonicalJson(empty))
    const width = Buffer.byteLength(letter)
    const text = letter.repeat(Math.floor(room / width)) + 'y'.repeat(room % width)
    return signTransaction(alice, rules.chainId, { text })
  }

  test.each(['x', 'é', '😀'])('64 KiB as canonical JSON, and one byte more (%s)', (letter) => {
    const largest = ofBytes(65_536, letter)
    expect(Buffer.byteLength(canonicalJson(largest))).toBe(65_536)
    expect(codeOf(largest)).toBe('ok')
    expect(mustRead(largest).bytes).toBe(65_536)
    expect(codeOf(ofBytes(65_537, letter))).toBe('too-large')
  })

  test('how it was written does not count, nor do fields that are not its own', () => {
    const largest = { ...ofBytes(65_536), type: 'NEW_TRANSACTION', more: 'x'.repeat(1000) }
    expect(codeOf(parsed(JSON.stringify(largest, null, 8)))).toBe('ok')
  })

  test('32 levels, itself among them, and one more', () => {
    expect(codeOf(signTransaction(alice, rules.chainId, nested(31)))).toBe('ok')
    expect(codeOf(signTransaction(alice, rules.chainId, nested(32)))).toBe('too-deep')
    expect(codeOf(signTransaction(alice, rules.chainId, { list: [[[nested(28)]]] }))).toBe('too-deep')
    expect(codeOf(signTransaction(alice, rules.chainId, { list: [[[nested(27)]]] }))).toBe('ok')
  })

  test('100,000 levels that no parser of ours let in are refused as well', () => {
    expect(codeOf({ ...good, data: parsed(`${'{"a":'.repeat(100_000)}{}${'}'.repeat(100_000)}`) })).toBe('too-deep')
  })
})

// Threats, row 22: what is in data is covered by the id, or refused, whatever way it came.
describe('data', () => {
  test.each(['constructor', 'toJSON', 'toString', 'hasOwnProperty', 'prototype', 'valueOf', 'then', 'length', ''])(
    'a name like any other: %j',
    (name) => {
      const data = parsed(`{"${name}":{"${name}":"kept"}}`)
      const transaction = signTransaction(alice, rules.chainId, data)
      const sent = parseJsonText(JSON.stringify(transaction))
      if (!sent.ok) throw new Error(sent.detail)
      const read = mustRead(sent.value)
      expect(codeOf(sent.value)).toBe('ok')
      expect(canonicalJson(read.transaction.data)).toBe(`{"${name}":{"${name}":"kept"}}`)
      expect(transactionText(read.transaction, rules.chainId)).toContain(`"data":{"${name}":{"${name}":"kept"}}`)
      expect(codeOf({ ...transaction, data: {} })).toBe('bad-signature')
      expect(codeOf({ ...transaction, data: parsed(`{"${name}":{"${name}":"other"}}`) })).toBe('bad-signature')
    },
  )

  test.each(['{"__proto__":1}', '{"a":[{"__proto__":{"x":1}}]}', '{"a":"\\ud800"}', '{"\\udfff":1}', '{"a":1e400}'])(
    'refused here too, or a peer would refuse the block it is in: %s',
    (text) => {
      expect(codeOf({ ...good, data: parsed(text) })).toBe('bad-json')
      expect(parseJsonText(text)).toMatchObject({ ok: false, code: 'bad-json' })
    },
  )

  test('a lone surrogate in the sender', () => expect(codeOf({ ...good, sender: '\ud800' })).toBe('bad-json'))

  test('numbers are doubles: -0 is 0, and 2^53+1 is 2^53, in the id as in the ledger', () => {
    const text = (number: string) => `{"n":${number}}`
    for (const [one, other] of [
      ['-0', '0'],
      ['9007199254740993', '9007199254740992'],
      ['1e-400', '0.0'],
      ['1E2', '100'],
    ]) {
      const transaction = { ...signTransaction(alice, rules.chainId, parsed(text(one!))), data: parsed(text(other!)) }
      expect(codeOf(transaction)).toBe('ok')
      expect(codeOf(parsed(JSON.stringify({ ...transaction, data: parsed(text(one!)) })))).toBe('ok')
    }
  })

  test('any value at all: an answer, never a throw', () => {
    const field = fc.oneof(fc.anything({ withBigInt: true }), fc.jsonValue())
    const fields = fc.record(
      { sender: field, data: field, signature: field, nonce: field, public_key_pem: field },
      {
        requiredKeys: [],
      },
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.anything(),
          fields,
          fields.map((some) => ({ ...good, ...some })),
        ),
        (value) => {
          const read = readTransaction(value, rules)
          expect(read.ok || read.code.length > 0).toBe(true)
        },
      ),
      { numRuns: 2000 },
    )
  })

  test('any JSON: the same id after a round trip, and alone as inside a block', () => {
    const anyData = fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue({ maxDepth: 3 }))
    fc.assert(
      fc.property(anyData, fc.option(fc.maxSafeInteger(), { nil: undefined }), (data, nonce) => {
        const transaction = signTransaction(alice, rules.chainId, data as JsonObject, nonce)
        const alone = readTransaction(transaction, rules)
        const again = readTransaction(parsed(JSON.stringify(transaction)), rules)
        expect(again.ok && again.value.hash).toBe(alone.ok && alone.value.hash)
        expect(insideBlock(transaction)).toBe(codeAsRead(transaction))
      }),
      { numRuns: 200 },
    )
  })
})

const codeAsRead = (value: unknown): string => {
  const read = readTransaction(value, rules)
  return read.ok ? 'ok' : read.code
}

/** What becomes of a block around one transaction. */
function insideBlock(transaction: Transaction): string {
  const tx_root = transactionsRoot([transactionHash(transaction, rules.chainId)])
  const header = readHeader(sealed({ ...draft, tx_root }, [transaction]), rules)
  if (!header.ok) throw new Error(header.detail)
  const body = readBody(header.value, rules)
  return body.ok ? 'ok' : body.code
}

test('what is refused alone is refused inside a block, and the other way round', () => {
  const cases: Transaction[] = [
    good,
    named('alice', bob),
    named('alice', mallory),
    named('a'.repeat(128), bob),
    named('a'.repeat(129), bob),
    named('', bob),
    named(alice.address.toUpperCase(), bob),
    signTransaction(alice, rules.chainId, nested(31)),
    signTransaction(alice, rules.chainId, nested(32)),
    signTransaction(alice, rules.chainId, { text: 'x'.repeat(70_000) }),
    signTransaction(alice, rules.chainId, parsed('{"__proto__":1}')),
    { ...good, public_key_pem: alice.pem },
    { ...good, public_key_pem: bob.pem },
    { ...good, signature: `${good.signature.slice(0, -3)}x==` },
    { ...good, nonce: 1.5 },
  ]
  const codes = cases.map(codeAsRead)
  expect(cases.map(insideBlock)).toEqual(codes)
  expect(codes.filter((code) => code === 'ok')).toHaveLength(5)
})

test('inside a block a transaction has its own fields only: nobody signs the others', () => {
  expect(insideBlock({ ...good, type: 'NEW_TRANSACTION' } as Transaction)).toBe('bad-block')
})

// Threats, row 2, for a transaction: whatever is changed, the signature does not hold.
describe('mutations of a signed transaction', () => {
  test.each([
    ['sender, an address', { sender: mallory.address }, 'bad-signature'],
    ['sender, a name', { sender: 'alice', public_key_pem: bob.pem }, 'bad-signature'],
    ['data', { data: { to: 'mallory', amount: '1' } }, 'bad-signature'],
    ['data, one name more', { data: { to: 'bob', amount: '1', more: null } }, 'bad-signature'],
    ['data, another type', { data: { to: 'bob', amount: 1 } }, 'bad-signature'],
    ['nonce', { nonce: 2 }, 'bad-signature'],
    ['nonce left out', { nonce: undefined }, 'bad-signature'],
    ['signature of another', { signature: transfer(2).signature }, 'bad-signature'],
    ['public_key_pem of another', { public_key_pem: mallory.pem }, 'wrong-key'],
  ])('%s', (_what, change, code) => expect(codeOf({ ...good, ...change })).toBe(code))

  test('any change of any text in data', () => {
    const change = fc.tuple(fc.constantFrom('to', 'amount'), fc.string({ unit: 'grapheme' }))
    fc.assert(
      fc.property(change, ([name, text]) => {
        fc.pre(good.data[name] !== text)
        expect(codeOf({ ...good, data: { ...good.data, [name]: text } })).toBe('bad-signature')
      }),
      { numRuns: 30 },
    )
  })
})

// Threats, rows 3 to 6.
describe('whose signature', () => {
  test('row 3: where there is an application any proper key may come as far as it, and it is told why it may sign', () => {
    const rightOf = (transaction: Transaction, more: Partial<typeof rules> = {}) => {
      const read = readTransaction(transaction, { ...rules, ...more })
      return read.ok ? read.value.right : read.code
    }
    expect(rightOf(good)).toBe('own')
    expect(rightOf(named('alice', bob))).toBe('gateway')
    expect(rightOf(named('alice', mallory))).toBe('wrong-key')
    expect(rightOf(named('alice', mallory), { gateways: 'any' })).toBe('anyone')
    const application = 'market'
    expect(rightOf(good, { application })).toBe('own')
    expect(rightOf(named('alice', bob), { application })).toBe('gateway')
    expect(rightOf(named('alice', mallory), { application })).toBe('none')
    expect(rightOf(named('alice', mallory), { application, gateways: 'any' })).toBe('anyone')
    // An address is its own key's, whatever the application thinks; a key of small order is nobody's (row 4).
    expect(rightOf({ ...good, public_key_pem: bob.pem }, { application })).toBe('wrong-key')
    const { public_key_pem: _pem, ...keyless } = named('alice', mallory)
    expect(rightOf(keyless, { application })).toBe('bad-transaction')
  })

  test('row 3: a name by a key that is no gateway; an address by a gateway', () => {
    expect(codeOf(named('alice', mallory))).toBe('wrong-key')
    const forged = { ...good, signature: named(alice.address, bob).signature }
    expect(codeOf(forged)).toBe('bad-signature')
    expect(codeOf({ ...forged, public_key_pem: bob.pem })).toBe('wrong-key')
  })

  test('row 3: a name without a key', () => {
    const { public_key_pem: _pem, ...without } = named('alice', bob)
    expect(codeOf(without)).toBe('bad-transaction')
  })

  test('row 4: a sender of small order that has signed everything', () => {
    const identity = `01${'00'.repeat(31)}`
    const signature = Buffer.from(`${identity}${'00'.repeat(32)}`, 'hex').toString('base64')
    expect(codeOf({ sender: identity, data: {}, signature })).toBe('bad-key')
    const spki = Buffer.from(`302a300506032b6570032100${identity}`, 'hex').toString('base64')
    const public_key_pem = `-----BEGIN PUBLIC KEY-----\n${spki}\n-----END PUBLIC KEY-----\n`
    expect(codeOf({ sender: 'alice', data: {}, signature, public_key_pem })).toBe('bad-key')
  })

  test('row 4: stray bits in the base64', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
    const at = good.signature.length - 3
    const stray = alphabet[alphabet.indexOf(good.signature[at]!) | 5]!
    const signature = `${good.signature.slice(0, at)}${stray}==`
    expect(Buffer.from(signature, 'base64')).toEqual(Buffer.from(good.signature, 'base64'))
    expect(codeOf({ ...good, signature })).toBe('bad-signature')
  })

  test.each([
    'SIG_node_hash',
    `SIG_${alice.nodeId}_${transactionHash(good, rules.chainId)}`,
    '',
    'AAAA',
    'A'.repeat(88),
  ])('row 5: make-believe: %j', (signature) => expect(codeOf({ ...good, signature })).toBe('bad-signature'))

  test('row 6: made for another chain', () => {
    const elsewhere = signTransaction(alice, 'd2'.repeat(32), good.data, 1)
    expect(codeOf(elsewhere)).toBe('bad-signature')
  })

  test('row 6: made for another purpose', () => {
    const text = transactionText(good, rules.chainId).slice(purposes.transaction.length + 1)
    for (const purpose of Object.values(purposes)) {
      const code = purpose === purposes.transaction ? 'ok' : 'bad-signature'
      expect(codeOf({ ...good, signature: alice.sign(purpose, text) })).toBe(code)
    }
  })
})
