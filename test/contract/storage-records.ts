// What every storage must do with plugins' records and reports. Part of the suite in storage.ts.
import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { RecordChange } from '../../core/plugin.ts'
import { adding, codeOf, genesis, makeChain, storedAt } from './storage.ts'
import { told, type Ledgers } from './storage-state.ts'

/** Texts whose order by UTF-16, by UTF-8 and by language are not the same. */
const keys = ['', 'A', 'a', 'a/', 'a/1', 'a/10', 'a/2', 'a\u0000', 'aa', 'b', 'é', '\ud7ff', '\ue000', '\uffff', '😀']
const text = fc.oneof(fc.constantFrom(...keys), fc.string({ unit: 'binary', maxLength: 4 }))

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

export function storageRecords({ empty, begun, restarted }: Ledgers): void {
  describe('records', () => {
    test('need no begin, are each owner’s own, and outlive a restart', () => {
      const storage = empty()
      const mine = storage.records('gateway')
      mine.write([
        ['tx/1', 'one'],
        ['tx/2', ''],
      ])
      storage.records('notifier').write([['tx/1', 'theirs']])
      mine.write([
        ['tx/1', undefined],
        ['tx/3', 'three'],
        ['never', undefined],
      ])
      mine.write([['tx/3', 'third']])
      mine.write([])
      const after = restarted(storage)
      expect(after.records('gateway').list('', undefined, 10)).toEqual([
        ['tx/2', ''],
        ['tx/3', 'third'],
      ])
      expect(after.records('gateway').get('tx/1')).toBeUndefined()
      expect(after.records('notifier').get('tx/1')).toBe('theirs')
      expect(after.records('nobody').get('tx/1')).toBeUndefined()
      expect(after.records('').count('')).toBe(0)
      expect(after.genesis()).toBeUndefined()
      expect(after.integrity()).toBeUndefined()
    })

    test('are listed by the UTF-8 bytes of their keys, under a prefix, after a key, so many', () => {
      const storage = begun()
      const records = storage.records('own')
      records.write(keys.toReversed().map((key) => [key, `value of ${key}`]))
      const after = restarted(storage).records('own')
      expect(after.list('', undefined, 100).map(([key]) => key)).toEqual(keys.toSorted(byBytes))
      const under = (prefix: string, from?: string, max = 100) => after.list(prefix, from, max).map(([key]) => key)
      expect(under('a/')).toEqual(['a/', 'a/1', 'a/10', 'a/2'])
      expect(under('a/', 'a/1')).toEqual(['a/10', 'a/2'])
      expect(under('a/', 'a/1', 1)).toEqual(['a/10'])
      expect(under('a/', 'a/11')).toEqual(['a/2'])
      expect(under('a/', '')).toEqual(['a/', 'a/1', 'a/10', 'a/2'])
      expect(under('a/', 'b')).toEqual([])
      expect(under('a/', undefined, 0)).toEqual([])
      expect(under('\uffff')).toEqual(['\uffff'])
      expect([after.count('a/'), after.count('😀'), after.count('zz'), after.count('')]).toEqual([4, 1, 0, keys.length])
    })

    test('a random row of writes leaves what a plain map leaves', () => {
      const change = fc.tuple(text, fc.option(fc.string({ unit: 'binary', maxLength: 3 }), { nil: undefined }))
      const storage = empty()
      let owner = 0
      fc.assert(
        fc.property(fc.array(fc.array(change, { maxLength: 8 }), { maxLength: 5 }), text, text, (writes, a, b) => {
          const name = `owner ${(owner += 1)}`
          const model = new Map<string, string>()
          for (const changes of writes) {
            storage.records(name).write(changes)
            for (const [key, value] of changes) {
              if (value === undefined) model.delete(key)
              else model.set(key, value)
            }
          }
          const all = [...model].sort(([x], [y]) => byBytes(x, y))
          const under = all.filter(([key]) => key.startsWith(a))
          const records = storage.records(name)
          expect(records.list('', undefined, 1_000)).toEqual(all)
          expect(records.list(a, undefined, 2)).toEqual(under.slice(0, 2))
          expect(records.list(a, b, 1_000)).toEqual(under.filter(([key]) => byBytes(key, b) > 0))
          expect(records.count(a)).toBe(under.length)
          expect(records.get(b)).toBe(model.get(b))
        }),
        { numRuns: 40 },
      )
    })

    test('all of them or none', () => {
      const storage = empty()
      const records = storage.records('own')
      records.write([['kept', 'as it was']])
      for (const bad of [
        ['lone', '\ud800'],
        ['\udc00', 'lone'],
      ] satisfies RecordChange[]) {
        expect(codeOf(() => records.write([['kept', 'changed'], ['new', '1'], bad]))).toBe('storage-failed')
        expect(records.list('', undefined, 10)).toEqual([['kept', 'as it was']])
      }
    })
  })

  describe('reports', () => {
    const hash = (digit: string) => digit.repeat(64)

    test('stand in the outbox, and their records with them, in one step', () => {
      const storage = empty()
      storage.report(
        [
          { index: 7, hash: hash('a'), body: '{"n":1}' },
          { index: 7, hash: hash('b'), body: '{"n":2}' },
        ],
        'gateway',
        [['block/a', 'forwarded']],
      )
      storage.report([], 'gateway', [['block/b', 'forwarded']])
      const after = restarted(storage)
      expect(told(after.outbox(0, 10))).toEqual([`reported 7 ${hash('a')} {"n":1}`, `reported 7 ${hash('b')} {"n":2}`])
      expect(after.outboxEnd()).toBe(after.outbox(0, 10)[1]!.sequence)
      expect(after.appliedAt(7, after.outboxEnd())).toBeUndefined()
      expect(after.records('gateway').count('block/')).toBe(2)
      expect(after.integrity()).toBeUndefined()
    })

    test('one that cannot be kept takes everything with it', () => {
      const storage = empty()
      const good = { index: 1, hash: hash('a'), body: '{}' }
      for (const bad of [
        { ...good, hash: 'no hash' },
        { ...good, hash: '' },
        { ...good, index: 0.5 },
        { ...good, body: '\ud800' },
      ]) {
        expect(codeOf(() => storage.report([good, bad], 'own', [['k', 'v']]))).toBe('storage-failed')
      }
      expect(codeOf(() => storage.report([good], 'own', [['k', '\ud800']]))).toBe('storage-failed')
      expect(storage.outboxEnd()).toBe(0)
      expect(storage.records('own').count('')).toBe(0)
    })

    test('are forgotten when nobody wants them, and what comes later still has a higher sequence', () => {
      const storage = empty()
      const add = (n: number) => storage.report([{ index: n, hash: hash('a'), body: `{"n":${n}}` }], 'own', [])
      for (let n = 1; n <= 5; n++) add(n)
      const sequences = storage.outbox(0, 10).map(({ sequence }) => sequence)
      storage.forgetReports(sequences[2]!)
      expect(storage.outbox(0, 10).map(({ index }) => index)).toEqual([4, 5])
      expect(storage.outbox(sequences[3]!, 10).map(({ index }) => index)).toEqual([5])
      // The last one stays, and with it the end.
      storage.forgetReports(sequences[4]!)
      expect(storage.outbox(0, 10).map(({ index }) => index)).toEqual([5])
      expect(storage.outboxEnd()).toBe(sequences[4]!)
      add(6)
      expect(storage.outbox(sequences[4]!, 10).map(({ index }) => index)).toEqual([6])
      expect(storage.outboxEnd()).toBeGreaterThan(sequences[4]!)
      expect(storage.integrity()).toBeUndefined()
    })

    test('to forget them takes nothing of what became of the chain', () => {
      const storage = begun()
      const [one] = makeChain(genesis.block, 1, 0n)
      storage.commit(adding(one!))
      storage.report([{ index: 1, hash: one!.block.current_hash, body: '[]' }], 'own', [])
      storage.commit({ undone: [one!.block.current_hash], applied: [], returned: [], writtenAt: storedAt })
      storage.forgetReports(storage.outboxEnd())
      const kinds = storage.outbox(0, 10).map(({ kind }) => kind)
      expect(kinds.filter((kind) => kind !== 'reported')).toEqual(['applied', 'undone'])
      expect(storage.appliedAt(1, storage.outboxEnd())?.sequence).toBe(1)
    })

    test('take their place among what becomes of the chain', () => {
      const storage = begun()
      const [one] = makeChain(genesis.block, 1, 0n)
      storage.commit(adding(one!))
      storage.report([{ index: 1, hash: one!.block.current_hash, body: '[]' }], 'own', [])
      storage.commit({ undone: [one!.block.current_hash], applied: [], returned: [], writtenAt: storedAt })
      const after = restarted(storage)
      expect(after.outbox(0, 10).map(({ kind }) => kind)).toEqual(['applied', 'reported', 'undone'])
      expect(after.appliedAt(1, 2)?.kind).toBe('applied')
      expect(after.integrity()).toBeUndefined()
    })
  })
}
