import { describe, expect, test } from 'bun:test'
import { readConfirmation, signConfirmation, type Confirmation } from '../../../core/chain/confirmation.ts'
import { canonicalJson } from '../../../core/chain/canonical.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import { keyPairOfPem, privatePemOf, purposes } from '../../../core/chain/keys.ts'
import { decline } from '../../../core/errors.ts'

const key = keyPairOfPem(privatePemOf(new Uint8Array(32).fill(1)), 'a test')
const other = keyPairOfPem(privatePemOf(new Uint8Array(32).fill(2)), 'a test')

const unsigned: Confirmation = {
  type: 'block_confirmation',
  block_index: 3,
  block_hash: 'ab'.repeat(32),
  miner_id: other.nodeId,
  node_id: key.nodeId,
  timestamp: '2026-11-21T01:02:03.456Z',
}
const json = (confirmation: Confirmation): JsonObject => confirmation as unknown as JsonObject
const signed = json(signConfirmation(key, unsigned))
const codeOf = (value: JsonObject): string => {
  const read = readConfirmation(value)
  return read.ok ? 'ok' : read.code
}

describe('a signed confirmation', () => {
  test('is read as it came, and says whose it is', () => {
    const read = readConfirmation(json(signConfirmation(key, { ...unsigned, sequence: 4, final: true, id: 'x' })))
    expect(read).toMatchObject({ ok: true, value: { signer: { address: key.address }, confirmation: { sequence: 4 } } })
  })

  test('covers fields that this program does not know', () => {
    const extra = json(signConfirmation(key, { ...unsigned, shop: 'a' } as Confirmation))
    expect(codeOf(extra)).toBe('ok')
    expect(codeOf({ ...extra, shop: 'b' })).toBe('bad-signature')
    expect(codeOf({ ...signed, shop: 'b' })).toBe('bad-signature')
  })

  test('is signed as the protocol says: purpose, newline, canonical JSON of the rest', () => {
    const named = { ...unsigned, public_key_pem: key.pem }
    expect(signed['signature']).toBe(key.sign(purposes.confirmation, canonicalJson(named)))
  })

  test('threats row 6: a signature made for something else does not serve', () => {
    const named = { ...unsigned, public_key_pem: key.pem }
    const misused = { ...named, signature: key.sign(purposes.block, canonicalJson(named)) }
    expect(codeOf(json(misused))).toBe('bad-signature')
  })

  test('threats row 3: somebody else’s key, or none beside the signature', () => {
    expect(codeOf(json(signConfirmation(other, unsigned)))).toBe('wrong-key')
    expect(codeOf({ ...signed, public_key_pem: 'PEM' })).toBe('bad-key')
    const { public_key_pem: _pem, ...bare } = signed
    expect(codeOf(bare)).toBe('bad-confirmation')
  })

  test('who is not trusted is declined before the signature is looked at', () => {
    const asked: string[] = []
    const spoilt = { ...signed, signature: 'nothing of the kind' }
    const read = readConfirmation(spoilt, ({ address }) => {
      asked.push(address)
      return decline('unknown-signer', 'no')
    })
    expect(read).toMatchObject({ ok: false, code: 'unknown-signer' })
    expect(asked).toEqual([key.address])
  })
})

test('one without a signature is read, and has no signer', () => {
  expect(readConfirmation(json(unsigned))).toEqual({ ok: true, value: { confirmation: unsigned, signer: undefined } })
})

describe('a field that is not what it must be is named', () => {
  const cases: readonly [field: string, value: unknown][] = [
    ['type', 'block_found'],
    ['block_index', -1],
    ['block_index', 1.5],
    ['block_index', '3'],
    ['block_hash', 'AB'.repeat(32)],
    ['block_hash', undefined],
    ['miner_id', 7],
    ['node_id', 'node-1'],
    ['timestamp', '2026-11-21'],
    ['timestamp', '2026-11-21T01:02:03.456+00:00'],
    ['chain_id', 'x'],
    ['final', 'yes'],
    ['sequence', 0],
    ['transactions', {}],
    ['transactions', [7]],
    ['signature', null],
  ]
  for (const [field, value] of cases) {
    test(`${field}: ${JSON.stringify(value) ?? 'missing'}`, () => {
      const read = readConfirmation(JSON.parse(JSON.stringify({ ...signed, [field]: value })) as JsonObject)
      expect(read).toMatchObject({ ok: false, code: 'bad-confirmation' })
      expect(read.ok ? '' : read.detail).toStartWith(field)
    })
  }
})
