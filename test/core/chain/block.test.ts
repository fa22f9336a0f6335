import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import {
  blockText,
  headerHash,
  headerText,
  readBody,
  readHeader,
  transactionsRoot,
  verifyBlockSignature,
  type Block,
  type Header,
} from '../../../core/chain/block.ts'
import { canonicalJson, sha256Hex, zeroHash } from '../../../core/chain/canonical.ts'
import { parseJsonText, type JsonObject } from '../../../core/chain/json.ts'
import { purposes } from '../../../core/chain/keys.ts'
import type { ChainRules } from '../../../core/chain/rules.ts'
import { readTransaction, signTransaction, verifyTransaction } from '../../../core/chain/transaction.ts'
import { alice, blockOf, bob, draft, idOf, mallory, miner, named, nested, rules, sealed, transfer } from './made.ts'

/** What becomes of a block by everything that its own bytes can tell. */
function codeOf(value: unknown, by: ChainRules = rules): string {
  const header = readHeader(value, by)
  if (!header.ok) return header.code
  const signature = verifyBlockSignature(header.value)
  if (!signature.ok) return signature.code
  const body = readBody(header.value, by)
  if (!body.ok) return body.code
  const bad = body.value.transactions.map(verifyTransaction).find((verdict) => !verdict.ok)
  return bad === undefined || bad.ok ? 'ok' : bad.code
}
const detailOf = (value: unknown): string => {
  const header = readHeader(value, rules)
  return header.ok ? 'ok' : header.detail
}

const transactions = [transfer(1), transfer(2), named('alice', bob)]
const good = blockOf(transactions)

describe('a good block', () => {
  test('is read, and again after a round trip', () => {
    expect(codeOf(good)).toBe('ok')
    const sent = parseJsonText(JSON.stringify(good))
    expect(codeOf(sent.ok && sent.value)).toBe('ok')
    const header = readHeader(good, rules)
    const body = header.ok && readBody(header.value, rules)
    if (body === false || !body.ok) throw new Error('refused')
    expect(body.value.transactions.map(({ hash }) => hash)).toEqual(transactions.map(idOf))
    expect(body.value.bytes).toBe(Buffer.byteLength(canonicalJson(good)))
  })

  test('made here, its transactions are not read again; a copy, or one in another place, is', () => {
    const reads = transactions.map((transaction) => {
      const read = readTransaction(transaction, rules)
      if (!read.ok) throw new Error(read.detail)
      return read.value
    })
    const bodyOf = (block: Block) => {
      const header = readHeader(block, rules)
      if (!header.ok) throw new Error(header.detail)
      const body = readBody(header.value, rules, reads)
      return body.ok ? body.value.transactions : body.code
    }
    const own = blockOf(reads.map(({ transaction }) => transaction))
    expect(bodyOf(own)).toEqual(reads)
    const body = bodyOf(own)
    for (const [i, read] of reads.entries()) expect(body[i]).toBe(read)
    const [first, ...rest] = own.transactions
    expect(bodyOf({ ...own, transactions: [{ ...first!, data: { to: 'mallory' } }, ...rest] })).toBe('bad-tx-root')
    expect(bodyOf({ ...own, transactions: [...rest, first!] })).toBe('bad-tx-root')
    expect(bodyOf({ ...own, transactions: [...rest, { ...first!, nonce: 1.5 }] })).toBe('bad-transaction')
  })

  test('empty, with every optional field, and with a certificate, which nothing covers', () => {
    const full = { ...draft, signer_id: miner.nodeId, seal: { round: 1 }, finality: { source: 1 }, extra: '' }
    expect(codeOf(sealed(full))).toBe('ok')
    for (const certificate of [{ votes: [] }, [], 'text', 1, null]) expect(codeOf({ ...good, certificate })).toBe('ok')
  })

  test('its hash is of the canonical header and the decimal nonce, and of nothing else', () => {
    const names = ['current_hash', 'nonce', 'signature', 'certificate', 'transactions']
    const header = Object.fromEntries(Object.entries(good).filter(([name]) => !names.includes(name)))
    expect(headerText(good)).toBe(canonicalJson(header))
    expect(good.current_hash).toBe(sha256Hex(`${canonicalJson(header)}42`))
    expect(headerHash(draft, -0)).toBe(headerHash(draft, 0))
  })
})

// Threats, row 1.
describe('row 1: an invented hash', () => {
  test.each([zeroHash, 'f'.repeat(64), sha256Hex('other'), good.prev_hash])('%s', (current_hash) => {
    expect(codeOf({ ...good, current_hash })).toBe('bad-hash')
    const signature = miner.sign(purposes.block, current_hash)
    expect(codeOf({ ...good, current_hash, signature })).toBe('bad-hash')
  })

  test.each(['', good.current_hash.toUpperCase(), good.current_hash.slice(1), `0x${good.current_hash.slice(2)}`])(
    'not even a hash: %j',
    (current_hash) => expect(codeOf({ ...good, current_hash })).toBe('bad-block'),
  )
})

// Threats, row 2.
describe('row 2: any field of a signed block changed', () => {
  const other: Header = {
    ...draft,
    chain_id: 'd2'.repeat(32),
    consensus: 'poa',
    index: 8,
    timestamp: '2026-11-21T01:02:03.457Z',
    prev_hash: 'ba'.repeat(32),
    miner_id: mallory.nodeId,
    public_key_pem: mallory.pem,
    work: 255,
    tx_root: zeroHash,
    state_root: 'ff'.repeat(32),
    extra: 'tog',
    signer_id: miner.nodeId,
    seal: { round: 2 },
    finality: {},
  }
  const fields = Object.keys(other).filter((name) => name !== 'version')

  test.each(fields)('%s: the hash does not match', (name) => {
    const changed = { ...good, [name]: other[name as keyof Header] }
    const early: Record<string, string> = { chain_id: 'wrong-chain', consensus: 'wrong-engine' }
    expect(codeOf(changed)).toBe(early[name] ?? 'bad-hash')
  })

  test.each(fields.filter((name) => name !== 'chain_id' && name !== 'consensus'))(
    '%s, and hashed again: the signature does not hold',
    (name) => {
      const changed = { ...good, [name]: other[name as keyof Header] }
      const again = { ...changed, current_hash: headerHash(changed, changed.nonce) }
      expect(codeOf(again)).toBe(name === 'miner_id' || name === 'public_key_pem' ? 'wrong-key' : 'bad-signature')
    },
  )

  test('nonce and signature', () => {
    expect(codeOf({ ...good, nonce: 43 })).toBe('bad-hash')
    expect(codeOf({ ...good, nonce: 43, current_hash: headerHash(good, 43) })).toBe('bad-signature')
    expect(codeOf({ ...good, signature: mallory.sign(purposes.block, good.current_hash) })).toBe('bad-signature')
  })

  test('another miner put in whole: it is another block, with its own hash', () => {
    const stolen = { ...draft, tx_root: good.tx_root, miner_id: mallory.nodeId, public_key_pem: mallory.pem }
    expect(codeOf({ ...good, miner_id: mallory.nodeId, public_key_pem: mallory.pem })).toBe('bad-hash')
    expect(sealed(stolen, transactions, mallory).current_hash).not.toBe(good.current_hash)
    expect(codeOf(sealed({ ...stolen, miner_id: miner.nodeId }, transactions, mallory))).toBe('wrong-key')
    expect(codeOf(sealed({ ...stolen, public_key_pem: miner.pem }, transactions, mallory))).toBe('wrong-key')
  })

  test('any field left out, or set to any other JSON', () => {
    const names = Object.keys(good)
    for (const name of names) {
      const { [name as keyof Block]: _left, ...rest } = good
      expect(codeOf(rest)).toBe('bad-block')
    }
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.jsonValue(), (name, value) => {
        fc.pre(canonicalJson(value) !== canonicalJson(good[name as keyof Block]))
        expect(codeOf({ ...good, [name]: value })).not.toBe('ok')
      }),
      { numRuns: 500 },
    )
  })

  test.each(['more', 'constructor', 'toString', 'toJSON', 'hash', ''])('a field that no block has: %j', (name) => {
    const changed = JSON.parse(JSON.stringify(good).replace(/\}$/, `,${JSON.stringify(name)}:1}`)) as Block
    expect(Object.keys(changed)).toContain(name)
    expect(codeOf({ ...changed, current_hash: headerHash(changed, changed.nonce) })).toBe('bad-block')
  })

  test('names in the engine’s fields are covered by the hash, whatever they are', () => {
    for (const name of ['constructor', 'toJSON', 'hasOwnProperty']) {
      const seal = JSON.parse(`{"${name}":{"${name}":1}}`) as JsonObject
      const block = sealed({ ...draft, seal })
      expect(codeOf(block)).toBe('ok')
      expect(headerText(block)).toContain(`"seal":{"${name}":{"${name}":1}}`)
      expect(codeOf({ ...block, seal: {} })).toBe('bad-hash')
    }
  })
})

// Threats, rows 4 to 6.
describe('keys and signatures', () => {
  test('row 4: a key of small order, with the signature that fits every message', () => {
    const identity = `01${'00'.repeat(31)}`
    const spki = Buffer.from(`302a300506032b6570032100${identity}`, 'hex').toString('base64')
    const public_key_pem = `-----BEGIN PUBLIC KEY-----\n${spki}\n-----END PUBLIC KEY-----\n`
    const block = sealed({ ...draft, public_key_pem })
    const signature = Buffer.from(`${identity}${'00'.repeat(32)}`, 'hex').toString('base64')
    expect(codeOf({ ...block, signature })).toBe('bad-key')
  })

  test.each([
    `SIG_${miner.nodeId}_${good.current_hash}`,
    'SIG',
    '',
    'A'.repeat(88),
    `${good.signature.slice(0, 85)}B==`,
  ])('row 5: make-believe: %j', (signature) => expect(codeOf({ ...good, signature })).toBe('bad-signature'))

  test('row 6: made for another purpose, or on another chain', () => {
    for (const purpose of Object.values(purposes)) {
      const signature = miner.sign(purpose, good.current_hash)
      expect(codeOf({ ...good, signature })).toBe(purpose === purposes.block ? 'ok' : 'bad-signature')
    }
    const elsewhere = { ...rules, chainId: 'd2'.repeat(32) }
    expect(codeOf(good, elsewhere)).toBe('wrong-chain')
    const moved = { ...good, chain_id: elsewhere.chainId }
    const again = { ...moved, current_hash: headerHash(moved, moved.nonce) }
    expect(codeOf(again, elsewhere)).toBe('bad-signature')
    expect(codeOf(good, { ...rules, consensus: 'poa' })).toBe('wrong-engine')
  })

  test('row 6: transactions of another chain', () => {
    const foreign = signTransaction(alice, 'd2'.repeat(32), { to: 'bob' })
    expect(codeOf(blockOf([foreign]))).toBe('bad-signature')
  })

  test('the signed text is the purpose and the hash', () => {
    expect(blockText(good.current_hash)).toBe(`aurex/block/1\n${good.current_hash}`)
  })
})

// Threats, row 8.
describe('row 8: the body', () => {
  const bodyCode = (body: readonly unknown[]) => codeOf({ ...good, transactions: body })

  test('the same transaction twice', () => {
    const one = transfer(1)
    expect(codeOf(blockOf([one, one]))).toBe('duplicate-transaction')
    expect(codeOf(blockOf([one, transfer(2), { ...one, public_key_pem: alice.pem }]))).toBe('duplicate-transaction')
  })

  test('repeated last ones under the same header, as in CVE-2012-2459', () => {
    expect(bodyCode([...transactions, transactions[2]])).toBe('duplicate-transaction')
    expect(bodyCode([...transactions, transactions[1], transactions[2]])).toBe('duplicate-transaction')
  })

  test('one more, one fewer, another order', () => {
    const [first, second, third] = transactions
    for (const body of [[], [first], [first, second], [second, first, third], [...transactions, transfer(9)]]) {
      expect(bodyCode(body)).toBe('bad-tx-root')
    }
  })

  test('a header whose root is a node of its own tree', () => {
    const [first, second] = transactions
    const inner = transactionsRoot([idOf(first!), idOf(second!)])
    expect(codeOf(sealed({ ...draft, tx_root: inner }, transactions))).toBe('bad-tx-root')
    expect(codeOf(sealed({ ...draft, tx_root: idOf(first!) }, [first]))).toBe('bad-tx-root')
  })

  test('elements that are no transactions', () => {
    for (const value of [null, 1, 'text', [], {}, { sender: 'alice' }]) {
      expect(bodyCode([value])).toBe('bad-transaction')
    }
    expect(bodyCode([{ ...transactions[0], tx_hash: 'x' }])).toBe('bad-block')
    expect(bodyCode([{ ...transactions[0], ['x'.repeat(1_000_000)]: 1 }])).toBe('bad-block')
  })

  test('a good body for the same header is still accepted after a bad one', () => {
    expect(bodyCode([transfer(9)])).toBe('bad-tx-root')
    expect(bodyCode([...transactions, ...transactions])).toBe('duplicate-transaction')
    expect(bodyCode(transactions)).toBe('ok')
  })

  test('a forged signature inside: the root does not cover it, the check does', () => {
    const forged = { ...transactions[0]!, signature: transactions[1]!.signature }
    expect(bodyCode([forged, ...transactions.slice(1)])).toBe('bad-signature')
  })
})

// Threats, row 10 (that time goes forward is the chain's to judge).
describe('row 10: timestamps', () => {
  test.each([
    '2026-11-21T01:02:03.456',
    '2026-11-21T01:02:03.456+00:00',
    '2026-11-21T01:02:03Z',
    '2026-02-30T00:00:00.000Z',
    '2026-13-01T00:00:00.000Z',
    '2026-01-01T24:00:00.000Z',
    '',
  ])('%j', (timestamp) => expect(codeOf(sealed({ ...draft, timestamp }))).toBe('bad-timestamp'))

  test('a number is none', () => expect(codeOf({ ...good, timestamp: 1_795_222_923_456 })).toBe('bad-block'))
})

describe('ranges', () => {
  test.each([
    ['index', 0],
    ['index', -1],
    ['index', 1.5],
    ['index', 2 ** 53],
    ['work', 0],
    ['work', -1],
    ['work', 0.5],
    ['work', 2 ** 53],
    ['version', 2],
    ['version', '1'],
    ['tx_root', 'x'],
    ['prev_hash', 'AB'.repeat(32)],
    ['state_root', ''],
    ['extra', 'x'.repeat(65)],
    ['extra', 'é'],
    ['extra', 'a\n'],
    ['signer_id', mallory.nodeId],
    ['seal', []],
    ['seal', null],
    ['finality', 'text'],
  ])('%s: %j', (name, value) => {
    const header = { ...draft, [name]: value } as unknown as Header
    expect(codeOf(sealed(header))).toBe('bad-block')
    expect(detailOf(sealed(header))).toContain(name)
  })

  test.each([-1, 0.5, 2 ** 53, -(2 ** 53)])('nonce %d', (nonce) => {
    expect(codeOf(sealed(draft, [], miner, nonce))).toBe('bad-block')
  })

  test('the edges are taken', () => {
    const edge = { ...draft, index: Number.MAX_SAFE_INTEGER, work: Number.MAX_SAFE_INTEGER, extra: '~ '.repeat(32) }
    expect(codeOf(sealed(edge, [], miner, Number.MAX_SAFE_INTEGER))).toBe('ok')
    expect(codeOf(sealed({ ...draft, index: 1, work: 1 }, [], miner, 0))).toBe('ok')
  })
})

// Threats, row 22.
describe('row 22: limits and odd values', () => {
  const within = (limits: Partial<ChainRules['limits']>): ChainRules => ({
    ...rules,
    limits: { ...rules.limits, ...limits },
  })

  test('so many transactions, and one more', () => {
    expect(codeOf(good, within({ blockTransactionsMax: 3 }))).toBe('ok')
    expect(codeOf(good, within({ blockTransactionsMax: 2 }))).toBe('too-large')
  })

  test('so many bytes as canonical JSON, and one more', () => {
    const bytes = Buffer.byteLength(canonicalJson(good))
    expect(codeOf(good, within({ blockBytesMax: bytes }))).toBe('ok')
    expect(codeOf(good, within({ blockBytesMax: bytes - 1 }))).toBe('too-large')
    const [transaction] = transactions
    const padded = blockOf([{ ...transaction!, public_key_pem: alice.pem }])
    const paddedBytes = Buffer.byteLength(canonicalJson(padded))
    expect(codeOf(padded, within({ blockBytesMax: paddedBytes }))).toBe('ok')
    expect(codeOf(padded, within({ blockBytesMax: paddedBytes - 1 }))).toBe('too-large')
  })

  test('a block without transactions has a size too: its seal or certificate', () => {
    const text = 'x'.repeat(rules.limits.blockBytesMax)
    expect(codeOf(sealed({ ...draft, seal: { text } }))).toBe('too-large')
    expect(codeOf({ ...blockOf([]), certificate: text })).toBe('too-large')
  })

  test('the engine’s fields nest no deeper than the envelopes allow: 32 with the block', () => {
    expect(codeOf(sealed({ ...draft, seal: nested(31) }))).toBe('ok')
    expect(codeOf(sealed({ ...draft, seal: nested(32) }))).toBe('too-deep')
    expect(codeOf(sealed({ ...draft, finality: nested(32) }))).toBe('too-deep')
    expect(codeOf({ ...good, certificate: nested(31) })).toBe('ok')
    expect(codeOf({ ...good, certificate: nested(32) })).toBe('too-deep')
    // The deepest envelope: a list of blocks in an answer.
    const answer = { type: 'block_response', blocks: [sealed({ ...draft, seal: nested(31) })] }
    expect(parseJsonText(JSON.stringify(answer))).toMatchObject({ ok: true })
    const largest = blockOf([signTransaction(alice, rules.chainId, nested(31))])
    expect(codeOf(largest)).toBe('ok')
    expect(parseJsonText(JSON.stringify({ type: 'block_response', blocks: [largest] }))).toMatchObject({ ok: true })
  })

  test.each(['{"a":"\\ud800"}', '{"\\ud800":1}', '{"a":1e400}', '{"__proto__":1}'])(
    'in seal or certificate: %s',
    (text) => {
      const value = JSON.parse(text) as JsonObject
      expect(codeOf({ ...good, seal: value })).toBe('bad-json')
      expect(codeOf({ ...good, certificate: value })).toBe('bad-json')
    },
  )

  test('numbers that are written otherwise are the same block', () => {
    const text = JSON.stringify(good).replace('"work":256', '"work":2.56e2').replace('"nonce":42', '"nonce":42.0')
    expect(codeOf(JSON.parse(text))).toBe('ok')
  })

  test('a refusal never repeats more than a line of what came', () => {
    const long = 'x\n'.repeat(1_000_000)
    const values = [
      { ...good, version: long },
      { ...good, [long]: 1 },
      { ...good, index: long },
      { ...good, seal: long },
    ]
    for (const value of values) {
      const detail = detailOf(value)
      expect(detail.length).toBeLessThan(500)
      expect(detail).not.toContain('\n')
    }
  })

  test('any value at all: an answer, never a throw', () => {
    const anything = fc.anything({ withBigInt: true, withNullPrototype: true })
    const names = fc.constantFrom(...Object.keys(good), 'seal', 'finality', 'certificate', 'signer_id')
    const changed = fc.dictionary(names, anything).map((some) => ({ ...good, ...some }))
    fc.assert(
      fc.property(fc.oneof(anything, changed), (value) => {
        expect(codeOf(value)).toBeString()
      }),
      { numRuns: 2000 },
    )
  })
})
