import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { zeroHash } from '../../../core/chain/canonical.ts'
import { applyTransaction, executeBlock, Overlay, stateRootAfter } from '../../../core/chain/execution.ts'
import { readTransaction, type ReadTransaction } from '../../../core/chain/transaction.ts'
import { AurexError } from '../../../core/errors.ts'
import { found, refuse, type Application, type JsonObject, type StateEntry } from '../../../core/index.ts'
import { someTransaction } from '../../support/chainworld.ts'
import { countersApplication, countersGenesis, CountersModel } from '../../support/counters.ts'

const { rules } = countersGenesis()

function readOf(data: JsonObject): ReadTransaction {
  const read = readTransaction(someTransaction(undefined, data, rules.chainId), rules)
  if (!read.ok) throw new Error(read.detail)
  return read.value
}

const viewOf = (entries: readonly StateEntry[]) => {
  const map = new Map(entries.map(({ key, value }) => [key, value]))
  return { get: (key: string) => map.get(key) }
}

describe('state_root', () => {
  // Computed with python3: hashlib.sha256, the names sorted by their bytes in UTF-16 (big end first).
  const golden: [string, string, Record<string, string | null>, string][] = [
    [
      'two counters on a fresh chain',
      zeroHash,
      { bank: '60', alice: '40' },
      'ea39c7553c7e8bacc7fcf2049345339cb4bf762bc29d746704709a5c3e108601',
    ],
    [
      'names that look like numbers, quotes, what UTF-16 and UTF-8 sort differently, and one that is gone',
      'ab'.repeat(32),
      JSON.parse(
        '{"～":"wide","😀":"astral","ä":"","a\\"b":"line\\nbreak","__proto__":"p","9":null,"10":"ten"}',
      ) as Record<string, string | null>,
      '54c9450918b401feeb4d8ef6489e5211304243bd201ebeec91e9bcb0841ee253',
    ],
  ]
  test.each(golden)('golden: %s', (_what, parent, changes, root) => {
    const state = new Overlay({ get: (key) => (key === '9' ? 'nine' : undefined) })
    state.put(Object.entries(changes).map(([key, value]) => ({ key, value: value ?? undefined })))
    expect(stateRootAfter(parent, state.changes())).toBe(root)
  })

  test('no changes: the parent’s', () => {
    expect(stateRootAfter('ab'.repeat(32), [])).toBe('ab'.repeat(32))
  })
})

test('what ends as it began is no change, and each key stands once, with its last value', () => {
  const state = new Overlay(viewOf([{ key: 'a', value: '1' }]))
  state.put([
    { key: 'b', value: '1' },
    { key: 'a', value: '2' },
    { key: 'c', value: 'x' },
  ])
  state.put([
    { key: 'a', value: '1' },
    { key: 'c', value: undefined },
    { key: 'b', value: '3' },
    { key: 'b', value: '2' },
  ])
  expect(state.changes()).toEqual([{ key: 'b', value: '2' }])
  expect([state.get('a'), state.get('b'), state.get('c'), state.get('d')]).toEqual(['1', '2', undefined, undefined])
})

test('blocks of random transactions: changes and roots are the model’s', () => {
  const add = fc.record({ counter: fc.constantFrom('a', 'b', 'bank'), add: fc.integer({ min: -3, max: 5 }) })
  fc.assert(
    fc.property(fc.array(fc.array(add, { maxLength: 6 }), { maxLength: 5 }), (blocks) => {
      let model = CountersModel.opening()
      let root = model.root
      for (const data of blocks) {
        const below = viewOf(Array.from(model.counters, ([key, value]) => ({ key, value: String(value) })))
        const result = executeBlock(countersApplication(), data.map(readOf), below)
        const after = model.after(data.map((one) => ({ data: one })))
        expect(result.ok).toBe(after !== undefined)
        if (!result.ok || after === undefined) return
        expect(result.value).toEqual([...after.changes])
        root = stateRootAfter(root, result.value)
        expect(root).toBe(after.root)
        model = after
      }
    }),
    { numRuns: 200 },
  )
})

describe('a transaction that is not taken', () => {
  const state = viewOf([{ key: 'bank', value: '5' }])

  test('in a block it is provable, and named with the application’s code', () => {
    const [good, bad] = [readOf({ counter: 'bank', add: -5 }), readOf({ counter: 'bank', add: -1 })]
    expect(executeBlock(countersApplication(), [good, bad], state)).toEqual({
      ok: false,
      code: 'bad-transaction',
      detail: `transaction ${bad.hash} of the block: below-zero: bank has 0, got -1`,
      provable: true,
    })
  })

  test('at the door nobody is to blame, whatever the application calls it', () => {
    const application: Application = { ...countersApplication(), apply: () => refuse('odd', 'no') }
    const result = applyTransaction(application, readOf({}), state)
    expect(result).toEqual({ ok: false, code: 'odd', detail: 'no', provable: false })
  })

  test.each([
    ['throws', () => { throw new Error('oh') }, 'oh'], // prettier-ignore
    ['makes a key that is no Unicode', () => found([{ key: '\ud800', value: '1' }]), 'Unicode'],
    ['makes a value that is no Unicode', () => found([{ key: 'a', value: '\udc00' }]), 'Unicode'],
  ])('an application that %s: named, and nobody else is to blame', (_what, apply, says) => {
    const application: Application = { ...countersApplication(), apply }
    for (const result of [
      applyTransaction(application, readOf({}), state),
      executeBlock(application, [readOf({})], state),
    ]) {
      expect(result).toMatchObject({ ok: false, code: 'application-failed', provable: false })
      expect(result.ok ? '' : result.detail).toContain(`the application counters cannot judge this transaction`)
      expect(result.ok ? '' : result.detail).toContain(says)
    }
  })

  test('a ledger that cannot be read is no fault of the application', () => {
    const unreadable = { get: () => { throw new AurexError('storage-failed', 'the disk') } } // prettier-ignore
    expect(() => applyTransaction(countersApplication(), readOf({ counter: 'bank', add: 1 }), unreadable)).toThrow(
      'the disk',
    )
  })
})
