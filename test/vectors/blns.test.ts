import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'bun:test'
import { canonicalJson } from '../../core/chain/canonical.ts'
import { parseJson } from '../../core/chain/json.ts'
import { keyPairOfPem, privatePemOf } from '../../core/chain/keys.ts'
import { defaultLimits, type ChainRules } from '../../core/chain/rules.ts'
import { readTransaction, signTransaction, transactionText, verifyTransaction } from '../../core/chain/transaction.ts'

// Threats, row 22: text is kept byte for byte.

const strings = JSON.parse(readFileSync(join(import.meta.dir, 'blns', 'blns.json'), 'utf8')) as string[]
const key = keyPairOfPem(privatePemOf(new Uint8Array(32).fill(7)), 'test key')
const rules: ChainRules = { chainId: 'ab'.repeat(32), consensus: 'pow', gateways: 'any', limits: defaultLimits }

const mustRead = (value: unknown) => {
  const read = readTransaction(value, rules)
  if (!read.ok) throw new Error(`${read.code}: ${read.detail}`)
  return read.value
}

/** Through the text of every way that a transaction goes: as sent, as stored, as canonical JSON. */
const roundTrips = (value: unknown): unknown[] =>
  [JSON.stringify(value), JSON.stringify(value, null, 2), canonicalJson(value)].map((text) => {
    const parsed = parseJson(Buffer.from(text))
    if (!parsed.ok) throw new Error(parsed.detail)
    return parsed.value
  })

test('all 515 are there', () => expect(strings).toHaveLength(515))

test('as values, as names and together in data: the same id and signature after every round trip', () => {
  const all = Object.fromEntries(strings.map((text, i) => [String(i), text]))
  const datas = [...strings.flatMap((text) => [{ text }, { [text]: [text] }]), all]
  for (const data of datas) {
    const transaction = signTransaction(key, rules.chainId, data)
    const { hash } = mustRead(transaction)
    for (const again of roundTrips(transaction)) {
      const read = mustRead(again)
      expect(read.hash).toBe(hash)
      expect(read.transaction.data).toEqual(data)
    }
  }
})

test('a sample of each hundred verifies after a round trip', () => {
  for (let i = 0; i < strings.length; i += 20) {
    const transaction = signTransaction(key, rules.chainId, { text: strings[i]! })
    expect(verifyTransaction(mustRead(roundTrips(transaction)[0]))).toEqual({ ok: true })
  }
})

test('as the name of a sender: read as it is, or refused for its length', () => {
  const data = { action: 'greet' }
  const outcomes = strings.map((sender) => {
    const unsigned = { sender, data, public_key_pem: key.pem }
    const text = transactionText(unsigned, rules.chainId).slice('aurex/tx/1\n'.length)
    const read = readTransaction({ ...unsigned, signature: key.sign('aurex/tx/1', text) }, rules)
    const characters = Array.from(sender).length
    expect(read.ok).toBe(characters >= 1 && characters <= 128)
    if (read.ok) expect(read.value.transaction.sender).toBe(sender)
    else expect(read.code).toBe('bad-transaction')
    return read.ok
  })
  expect(new Set(outcomes).size).toBe(2)
})
