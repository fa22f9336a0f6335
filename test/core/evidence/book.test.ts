import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { Contributed } from '../../../core/contributions.ts'
import { EvidenceBook } from '../../../core/evidence/book.ts'
import { AurexError, decline, found, type JsonObject, type Records } from '../../../core/index.ts'
import { openLedger, type Ledger } from '../../../plugins/sqlite/index.ts'
import { temporaryFolder } from '../../plugins/sqlite/folder.ts'

const foundAt = Date.UTC(2026, 10, 21)
const key = (n: number): string => n.toString(16).padStart(64, '0')

let folder: ReturnType<typeof temporaryFolder>
let ledger: Ledger
beforeEach(() => {
  folder = temporaryFolder()
  ledger = openLedger(folder.ledger)
})
afterEach(() => {
  ledger.close()
  folder[Symbol.dispose]()
})

interface Opened {
  readonly book: EvidenceBook
  readonly contributed: Contributed
  readonly events: unknown[]
  readonly logged: string[]
  readonly told: (readonly [what: string, from: string | undefined])[]
}

/** With a kind `test`, whose proofs say themselves whom they accuse, and of what. */
function open(records: Records = ledger.records('evidence')): Opened {
  const [events, logged, contributed]: [unknown[], string[], Contributed] = [[], [], new Contributed()]
  const told: [string, string | undefined][] = []
  const silent = (): void => undefined
  const say = (message: string): void => void logged.push(message)
  contributed.add('evidence', {
    name: 'test',
    read: ({ address, what, throws }) => {
      if (throws === true) throw new Error('a fault of the plugin')
      if (typeof address !== 'string' || typeof what !== 'string') return decline('no-authority', 'nobody')
      return found({ address, what })
    },
  })
  const book = new EvidenceBook({
    contributed,
    clock: { now: () => foundAt, monotonic: () => 0, after: () => ({ cancel: silent }), soon: silent },
    log: { debug: silent, info: silent, warn: say, error: say },
    emit: (event, fact) => void events.push([event, fact]),
  })
  book.attach({ records: () => records })
  book.onNew(({ what }, from) => void told.push([what, from]))
  return { book, contributed, events, logged, told }
}
const proof = (n: number, what = 'height 1', more: JsonObject = {}): JsonObject => ({ address: key(n), what, ...more })

test('what proves something is kept, told once to everybody, and outlives a restart', () => {
  const { book, events, logged, told } = open()
  expect(book.accuse('test', proof(1), 'connection 7')).toEqual({ ok: true })
  expect(book.accuse('test', proof(1, 'height 1', { other: 'proof' }))).toMatchObject({
    code: 'known',
    provable: false,
  })
  expect(book.accuse('test', proof(1, 'height 2'))).toEqual({ ok: true })
  expect(told).toEqual([
    ['height 1', 'connection 7'],
    ['height 2', undefined],
  ])
  expect(events[0]).toEqual(['evidence:found', { address: key(1), kind: 'test', what: 'height 1' }])
  expect(logged).toEqual(Array(2).fill(expect.stringContaining('aurex evidence')))
  const again = open()
  expect(again.book.all()).toEqual([
    { kind: 'test', address: key(1), what: 'height 1', foundAt, proof: proof(1) },
    { kind: 'test', address: key(1), what: 'height 2', foundAt, proof: proof(1, 'height 2') },
  ])
  expect(again.book.accuse('test', proof(1))).toMatchObject({ code: 'known' })
  expect([again.told, again.events]).toEqual([[], []])
})

test.each<[string, string, JsonObject, string]>([
  ['a kind that nobody contributed', 'other', proof(1), 'unknown-evidence'],
  ['what the kind itself declines', 'test', {}, 'no-authority'],
  ['what the kind throws at', 'test', proof(1, 'x', { throws: true }), 'evidence-failed'],
  ['what accuses no key', 'test', { address: 'bob', what: 'x' }, 'evidence-failed'],
  ['an empty word for what it was', 'test', proof(1, ''), 'evidence-failed'],
  ['a long word for what it was', 'test', proof(1, 'x'.repeat(101)), 'evidence-failed'],
  ['a proof that is too long', 'test', proof(1, 'x', { junk: 'x'.repeat(256 * 1024) }), 'too-large'],
])('%s is declined, and nothing is kept', (_what, kind, given, code) => {
  const { book, told } = open()
  expect(book.accuse(kind, given)).toMatchObject({ ok: false, code, provable: false })
  expect([book.size, told.length, ledger.records('evidence').count('')]).toEqual([0, 0, 0])
})

describe('bounds', () => {
  test('sixteen of one key, and still some of another', () => {
    const { book } = open()
    for (let n = 0; n < 16; n++) expect(book.accuse('test', proof(1, `height ${n}`)).ok).toBe(true)
    expect(book.accuse('test', proof(1, 'height 16'))).toMatchObject({ code: 'evidence-full', provable: false })
    expect(open().book.accuse('test', proof(1, 'height 16'))).toMatchObject({ code: 'evidence-full' })
    expect(book.accuse('test', proof(2)).ok).toBe(true)
  })

  test('half a mebibyte of one key: who accuses itself with large proofs keeps no other from being accused', () => {
    const { book } = open()
    const junk = 'x'.repeat(200 * 1024)
    const codes = [0, 1, 2].map((n) => book.accuse('test', proof(1, `height ${n}`, { junk })))
    expect(codes.map(({ ok }) => ok)).toEqual([true, true, false])
    expect(book.accuse('test', proof(2, 'height 1', { junk })).ok).toBe(true)
  })

  test('a thousand in all', () => {
    const { book } = open()
    ledger.records('evidence').write(
      Array.from({ length: 999 }, (_, n) => {
        const evidence = { kind: 'test', address: key(n), what: 'height 1', foundAt, proof: {} }
        return [`${key(n)}/test/height 1`, JSON.stringify(evidence)] as const
      }),
    )
    const full = open()
    expect([book.size, full.book.size, full.book.all().length]).toEqual([0, 999, 999])
    expect(full.book.accuse('test', proof(2_000)).ok).toBe(true)
    expect(full.book.accuse('test', proof(2_001))).toMatchObject({ code: 'evidence-full' })
  })
})

test('damaged records are named and left alone', () => {
  const { book } = open()
  book.accuse('test', proof(1))
  const text = ledger.records('evidence').get(`${key(1)}/test/height 1`)!
  ledger.records('evidence').write([
    ['', 'null'],
    ['broken', '{'],
    [`${key(2)}/test/height 1`, text],
    [`${key(3)}/test/x`, '{"kind":"test"}'],
  ])
  const after = open()
  expect([after.book.size, after.logged.length]).toEqual([1, 4])
  expect(after.book.all().map(({ address }) => address)).toEqual([key(1)])
  expect(after.book.accuse('test', proof(3)).ok).toBe(true)
})

test('where the ledger cannot be written, or is not there, it is declined, and can come again', () => {
  const own = ledger.records('evidence')
  let full = true
  const { book, told } = open({
    get: (name) => own.get(name),
    count: (prefix) => own.count(prefix),
    list: (...page) => own.list(...page),
    write: (changes) => {
      if (full) throw new AurexError('storage-full', 'no room')
      own.write(changes)
    },
  })
  expect(book.accuse('test', proof(1))).toMatchObject({ code: 'storage-unavailable', provable: false })
  expect([book.size, told.length]).toEqual([0, 0])
  full = false
  expect(book.accuse('test', proof(1)).ok).toBe(true)
  const { contributed } = open()
  const silent = (): void => undefined
  const none = new EvidenceBook({
    contributed,
    clock: { now: () => 0, monotonic: () => 0, after: () => ({ cancel: silent }), soon: silent },
    log: { debug: silent, info: silent, warn: silent, error: silent },
    emit: silent,
  })
  expect(none.accuse('test', proof(1))).toMatchObject({ code: 'storage-unavailable' })
  expect(none.all()).toEqual([])
})

test('figures and health tell of it', () => {
  const { book, contributed } = open()
  const figure = () => contributed.figures().metrics
  expect(figure()).toEqual([{ name: 'evidence_total', labels: { kind: 'test' }, value: 0 }])
  expect(contributed.findings()).toEqual([{ name: 'evidence', status: 'pass', output: '' }])
  book.accuse('test', proof(1))
  book.accuse('test', proof(1, 'height 2'))
  expect(figure()).toEqual([{ name: 'evidence_total', labels: { kind: 'test' }, value: 2 }])
  expect(contributed.findings()[0]).toMatchObject({
    status: 'warn',
    output: expect.stringContaining('a key') as unknown,
  })
  book.accuse('test', proof(2))
  expect(contributed.findings()[0]?.output).toContain('2 keys')
})
