import { expect, test } from 'bun:test'
import { Contributed } from '../../core/contributions.ts'
import type { Wait } from '../../core/index.ts'
import { whyMessage, whyOf, type WhyParts } from '../../core/why.ts'

const now = Date.UTC(2026, 10, 21)
const shelf = (...waits: readonly Wait[]): Contributed => {
  const contributed = new Contributed()
  for (const wait of waits) contributed.add('wait', wait)
  return contributed
}
const parts = (more: Partial<WhyParts> = {}): WhyParts => ({ now, contributed: shelf(), ...more })
const why = (more: Partial<WhyParts>) => whyOf(parts(more))

test('a node without parts, and one whose parts all work, wait for nothing', () => {
  expect(why({})).toEqual([])
  const nothing = () => undefined
  expect(
    why({
      producer: { engine: 'pow', due: () => ({ when: now }) },
      signing: nothing,
      finality: nothing,
      storage: nothing,
      sync: nothing,
      peers: () => ({ connected: 0, named: [] }),
      contributed: shelf({ name: 'notifier:backlog', read: nothing }),
    }),
  ).toEqual([])
})

test('the engine is named, with whom it waits for, since when, and what to do', () => {
  const due = { waitsFor: 'a block of 3f2a..91, whose turn it is', since: now - 4_000, help: 'start that node' }
  expect(why({ producer: { engine: 'poa', due: () => due } })).toEqual([{ who: 'poa', ...due }])
  const transaction = { waitsFor: 'a transaction' }
  expect(why({ producer: { engine: 'pow', due: () => transaction } })).toEqual([{ who: 'pow', ...transaction }])
})

test.each([
  [50, '0.1 s'],
  [4_000, '4.0 s'],
  [90_000, '90 s'],
])('a block that is due in %d ms waits for its time, %s', (milliseconds, text) => {
  expect(why({ producer: { engine: 'poa', due: () => ({ when: now + milliseconds }) } })).toEqual([
    { who: 'poa', waitsFor: `the time of its next block, in ${text}` },
  ])
})

test('a disk that is full, signing that was stopped, a sync and finality are told, what holds up the rest first', () => {
  const entries = why({
    finality: () => ({ waitsFor: 'votes of 2 more authorities' }),
    signing: () => ({ waitsFor: 'the operator', since: now, help: 'aurex signing --resume' }),
    sync: () => ({ height: 120, target: 500 }),
    storage: () => ({ why: 'the disk is full', since: now - 1 }),
    peers: () => ({ connected: 2, named: [{ host: '192.0.2.1', port: 1 }] }),
  })
  expect(entries.map(({ who, waitsFor }) => `${who} waits for ${waitsFor}`)).toEqual([
    'storage waits for a ledger that can be written: the disk is full',
    'sync waits for the blocks up to height 500 that its peers have; it is at height 120',
    'signing waits for the operator',
    'finality waits for votes of 2 more authorities',
  ])
  expect(entries[0]).toMatchObject({ since: now - 1, help: expect.stringContaining('room on the disk') as unknown })
  expect(why({ sync: () => ({ height: 0, target: undefined }) })[0]?.waitsFor).toStartWith('the blocks that its peers')
})

test('no peers is worth a word only where some are named', () => {
  const named = [1, 2, 3, 4, 5].map((n) => ({ host: n === 1 ? '2001:db8::1' : `192.0.2.${n}`, port: 13_245 }))
  expect(why({ peers: () => ({ connected: 0, named }) })).toMatchObject([
    {
      who: 'network',
      waitsFor:
        'a peer: it is connected with none of those that --peers names ' +
        '([2001:db8::1]:13245, 192.0.2.2:13245, 192.0.2.3:13245 and 2 more)',
    },
  ])
  expect(why({ peers: () => ({ connected: 1, named }) })).toEqual([])
})

test('whoever cannot say what it waits for is named, and keeps nobody else from being shown', () => {
  const failing = (message: string) => (): never => {
    throw new Error(message)
  }
  const entries = why({
    producer: { engine: 'mine', due: failing('a \u001b fault') },
    contributed: shelf(
      { name: 'a:throws', read: failing('another') },
      { name: 'a:untyped', read: () => ({ waits: 'x' }) as never },
      { name: 'a:text', read: () => 'x' as never },
      { name: 'a:odd', read: () => ({ waitsFor: 'Godot', since: Number.NaN }) },
      { name: 'a:fine', read: () => ({ waitsFor: 'Estragon', since: 8e15 }) },
    ),
  })
  expect(entries.map(({ who, waitsFor, since }) => [who, waitsFor.split(':')[0], since])).toEqual([
    ['mine', 'something that it cannot say', undefined],
    ['a:throws', 'something that it cannot say', undefined],
    ['a:untyped', 'something that it cannot say', undefined],
    ['a:text', 'something that it cannot say', undefined],
    ['a:odd', 'Godot', undefined],
    ['a:fine', 'Estragon', undefined],
  ])
  expect(entries[0]?.waitsFor).toEndWith('a \\u001b fault')
})

test('what two parts wait for is told once, of the one whose own it is', () => {
  const stopped = { waitsFor: 'the operator', since: now }
  const due = () => ({ ...stopped, since: now - 1 })
  expect(why({ signing: () => stopped, producer: { engine: 'poa', due } })).toEqual([{ who: 'signing', ...stopped }])
})

test('texts and their number are bounded', () => {
  const long = (n: number) => ({ waitsFor: `${n}${'x'.repeat(10_000)}`, help: 'y'.repeat(10_000) })
  const waits = Array.from({ length: 300 }, (_, n) => ({ name: `a:${n}`, read: () => long(n) }))
  const entries = why({ contributed: shelf(...waits) })
  expect(entries).toHaveLength(100)
  expect(JSON.stringify(whyMessage(entries)).length).toBeLessThan(100_000)
})

test('as it goes over the wire', () => {
  const entries = [
    { who: 'poa', waitsFor: 'a turn', since: now, help: 'wait' },
    { who: 'pow', waitsFor: 'a transaction' },
  ]
  expect(whyMessage(entries)).toEqual({
    type: 'why',
    waits: [
      { who: 'poa', waits_for: 'a turn', since: '2026-11-21T00:00:00.000Z', help: 'wait' },
      { who: 'pow', waits_for: 'a transaction' },
    ],
  })
})
