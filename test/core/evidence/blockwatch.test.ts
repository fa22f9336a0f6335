import { beforeEach, describe, expect, test } from 'bun:test'
import type { Block, SealedHeader } from '../../../core/chain/block.ts'
import { sealedHeaderOf } from '../../../core/chain/block.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import { BlockWatch, blockEvidence } from '../../../core/evidence/blockwatch.ts'
import { accepted, type Address } from '../../../core/index.ts'
import { makeBlock, makeGenesis, makeKey, type BlockOptions } from '../../support/blocks.ts'

const genesis = makeGenesis()
const consensus = { turn: ({ index }: { readonly index: number }) => [index] }
const authorities = [makeKey(1).address, makeKey(2).address]
const block = (options: BlockOptions = {}, parent: SealedHeader = genesis.block): SealedHeader =>
  sealedHeaderOf(makeBlock(parent, options))

let accused: { kind: string; proof: JsonObject }[] = []
beforeEach(() => {
  accused = []
})
const book = {
  accuse: (kind: string, proof: JsonObject) => {
    accused.push({ kind, proof })
    return accepted
  },
}
const watchOf = (ledger: readonly SealedHeader[] = [], now: () => readonly Address[] = () => authorities): BlockWatch =>
  new BlockWatch({
    consensus,
    book,
    authoritiesNow: now,
    headersAt: (height) => ledger.filter(({ index }) => index === height),
    ledgerHeight: Math.max(0, ...ledger.map(({ index }) => index)),
  })
const hashes = ({ proof }: { proof: JsonObject }): unknown[] =>
  [proof['first'], proof['second']].map((header) => (header as JsonObject)['current_hash'])
const saw = (watch: BlockWatch, header: SealedHeader, n = 1): void => watch.saw(header, makeKey(n).address)

describe('the watch', () => {
  test('finds two blocks of one key and turn, whichever comes first, with a proof that holds', () => {
    const [one, other] = [block({ extra: 'a' }), block({ extra: 'b' })]
    const kind = blockEvidence({ consensus, rules: genesis.rules, wasAuthority: () => true })
    const proofs = [
      [one, other],
      [other, one],
    ].map((order) => {
      const watch = watchOf()
      for (const header of order) saw(watch, header)
      return accused.splice(0)
    })
    expect(proofs[0]).toHaveLength(1)
    expect(proofs[0]).toEqual(proofs[1])
    expect(hashes(proofs[0]![0]!)).toEqual([one.current_hash, other.current_hash].toSorted())
    expect(kind.read(proofs[0]![0]!.proof)).toEqual({
      ok: true,
      value: { address: makeKey(1).address, what: 'height 1' },
    })
  })

  test('lets pass the same block again, other turns, and the same turn of another key', () => {
    const watch = watchOf()
    const first = block()
    for (const header of [first, first, block({}, first)]) saw(watch, header)
    saw(watch, block({ miner: 2 }), 2)
    expect(accused).toEqual([])
    expect(watch.size).toBe(3)
  })

  test('heeds no key that is no authority, and none where engines have no turns', () => {
    const watch = watchOf()
    for (const extra of ['a', 'b']) saw(watch, block({ miner: 9, extra }), 9)
    const free = new BlockWatch({ ...parts(), consensus: {} })
    for (const extra of ['a', 'b']) saw(free, block({ extra }))
    expect([accused.length, watch.size, free.size]).toEqual([0, 0, 0])
  })

  test('heeds a key that was an authority and was voted out meanwhile', () => {
    let now: readonly Address[] = authorities
    const watch = watchOf([], () => now)
    saw(watch, block({ extra: 'a' }))
    now = [makeKey(2).address]
    saw(watch, block({ extra: 'b' }))
    expect(accused).toHaveLength(1)
  })

  test('finds one across a restart, in what the ledger has, recorded or beside', () => {
    const [before, after, others] = [block({ extra: 'a' }), block({ extra: 'b' }), block({ miner: 2 })]
    const watch = watchOf([others, before])
    saw(watch, after)
    saw(watch, after)
    expect(accused.map(hashes)).toEqual([
      [before.current_hash, after.current_hash].toSorted(),
      [before.current_hash, after.current_hash].toSorted(),
    ])
    saw(watch, before)
    expect(accused).toHaveLength(2)
  })

  test('asks the ledger for nothing above what it held at the start, nor twice', () => {
    const asked: number[] = []
    const header = block()
    const watch = new BlockWatch({ ...parts(), headersAt: (height) => (asked.push(height), [header]), ledgerHeight: 1 })
    saw(watch, header)
    saw(watch, header)
    saw(watch, block({}, header))
    expect(asked).toEqual([1])
    expect(accused).toEqual([])
  })

  test('remembers so many turns of a key, the latest, and as many of another meanwhile', () => {
    const watch = watchOf()
    const made = headers(1_500)
    for (const header of made) saw(watch, header)
    for (const header of headers(20)) saw(watch, { ...header, miner_id: makeKey(2).nodeId }, 2)
    expect(watch.size).toBe(1_020)
    saw(watch, { ...made[1_499]!, current_hash: 'other' })
    saw(watch, { ...made[500]!, current_hash: 'other' })
    expect(accused).toHaveLength(2)
    saw(watch, { ...made[499]!, current_hash: 'other' })
    expect(accused).toHaveLength(2)
  })

  test('is bounded in bytes: who signs large headers loses its own first', () => {
    const watch = watchOf()
    saw(watch, block({ miner: 2 }), 2)
    const seal = { junk: 'x'.repeat(1024 * 1024) }
    for (const header of headers(100)) saw(watch, { ...header, seal })
    expect(watch.size).toBeLessThan(34)
    saw(watch, block({ miner: 2, extra: 'b' }), 2)
    expect(accused).toHaveLength(1)
  })

  test('is bounded in keys', () => {
    let now: string[] = []
    const watch = watchOf([], () => now)
    for (let n = 0; n < 1_200; n++) {
      now = [`key ${n}`]
      watch.saw({ ...block(), miner_id: `node ${n}` }, `key ${n}`)
    }
    expect(watch.size).toBe(1_000)
  })

  const parts = () => ({ consensus, book, authoritiesNow: () => authorities, headersAt: () => [], ledgerHeight: 0 })
  const headers = (count: number): SealedHeader[] => {
    const header = block()
    return Array.from({ length: count }, (_, n) => ({ ...header, index: n + 1, current_hash: `hash ${n}` }))
  }
})

describe('the proof', () => {
  const kind = blockEvidence({
    consensus,
    rules: genesis.rules,
    wasAuthority: (address) => authorities.includes(address),
  })
  const read = (proof: object) => kind.read(proof as JsonObject)
  const [first, second] = [block({ extra: 'a' }), block({ extra: 'b' })]

  test('holds in either order', () => {
    expect(read({ first: second, second: first })).toMatchObject({ ok: true, value: { what: 'height 1' } })
  })

  test('of an engine whose turns have more numbers names them all', () => {
    const rounds = blockEvidence({
      consensus: { turn: ({ index }) => [index, 0] },
      rules: genesis.rules,
      wasAuthority: () => true,
    })
    expect(rounds.read({ first, second } as object as JsonObject)).toMatchObject({ value: { what: 'turn 1.0' } })
  })

  const spoilt = (change: Partial<Block>) => ({ first, second: { ...second, ...change } })
  test.each<[string, object, string, boolean]>([
    ['nothing', {}, 'bad-evidence', true],
    ['one header', { first }, 'bad-evidence', true],
    ['more than two headers', { first, second, third: first }, 'bad-evidence', true],
    ['one block twice', { first, second: first }, 'bad-evidence', true],
    ['two keys', { first, second: block({ miner: 2, extra: 'b' }) }, 'bad-evidence', true],
    ['two turns', { first, second: block({ extra: 'b' }, first) }, 'bad-evidence', true],
    ['a header with transactions', { first, second: makeBlock(genesis.block, { extra: 'b' }) }, 'bad-block', true],
    ['a hash that is not the header’s', spoilt({ extra: 'c' }), 'bad-hash', true],
    ['a signature that is another’s', spoilt({ signature: first.signature }), 'bad-signature', true],
    ['no signature', spoilt({ signature: '' }), 'bad-signature', true],
    ['another chain', spoilt({ chain_id: 'f'.repeat(64) }), 'wrong-chain', true],
    ['no object', { first, second: 7 }, 'bad-block', true],
    [
      'a key that is no authority',
      { first: block({ miner: 9, extra: 'a' }), second: block({ miner: 9, extra: 'b' }) },
      'no-authority',
      false,
    ],
  ])('%s: no evidence', (_what, proof, code, provable) => {
    expect(read(proof)).toMatchObject({ ok: false, code, provable })
  })

  test('is no evidence where the engine makes nothing of a header', () => {
    const strict = blockEvidence({
      consensus: {
        turn: () => {
          throw new Error('no seal')
        },
      },
      rules: genesis.rules,
      wasAuthority: () => true,
    })
    expect(strict.read({ first, second } as object as JsonObject)).toMatchObject({ ok: false, code: 'bad-evidence' })
  })
})
