import { describe, expect, test } from 'bun:test'
import type { Records } from '../../../core/plugin.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import type { Snapshot } from '../../../plugins/poa/authorities.ts'
import { Wishes, type Wish } from '../../../plugins/poa/wishes.ts'
import { addressOf, each } from './support.ts'

const records = (): Records => new MemoryLedger().records('poa')
const wish = (target: string, more: Partial<Wish> = {}): Wish => ({
  target: addressOf(target),
  vote: 'add',
  since: 1_000,
  until: 500,
  ...more,
})
const vote = (signer: string, target: string, authorize = true) => ({
  signer: addressOf(signer),
  target: addressOf(target),
  authorize,
})
const after = (letters: string, more: Partial<Snapshot> = {}): Snapshot => ({
  index: 10,
  authorities: each(letters).map(addressOf),
  votes: [],
  recent: [],
  ...more,
})
const open = (own = records()): Wishes => new Wishes(own, addressOf('A'))

describe('what an authority votes next', () => {
  test('the oldest wish that is not so yet, for as long as its vote does not count', () => {
    const wishes = open()
    wishes.take(wish('E', { since: 7 }), 1)
    wishes.take(wish('C', { vote: 'remove' }), 2)
    expect(wishes.next(after('ABC'))).toEqual({ since: 7, ballot: { target: addressOf('E'), authorize: true } })
    // It counts: the next one.
    const said = after('ABC', { votes: [vote('A', 'E')] })
    expect(wishes.next(said)?.ballot).toEqual({ target: addressOf('C'), authorize: false })
    // Both count.
    const both = after('ABC', { votes: [vote('A', 'E'), vote('A', 'C', false)] })
    expect(wishes.next(both)).toBeUndefined()
    // Votes have expired: again.
    expect(wishes.next(after('ABC', { index: 100 }))?.ballot).toMatchObject({ target: addressOf('E') })
  })

  test('nothing when it is so, after its time, and from one who is no authority', () => {
    const wishes = open()
    wishes.take(wish('E'), 1)
    expect(wishes.next(after('ABCE'))).toBeUndefined()
    expect(wishes.next(after('ABC', { index: 500 }))).toBeUndefined()
    expect(wishes.next(after('BC'))).toBeUndefined()
    expect(wishes.next(after('ABC', { index: 499 }))).toBeDefined()
  })

  test('once more where it has become the majority and was not carried out (EIP-225, case 17)', () => {
    const wishes = open()
    wishes.take(wish('C', { vote: 'remove' }), 1)
    const votes = [vote('A', 'C', false), vote('B', 'C', false)]
    expect(wishes.next(after('ABCD', { votes }))).toBeUndefined()
    expect(wishes.next(after('ABC', { votes }))?.ballot).toEqual({ target: addressOf('C'), authorize: false })
  })

  test('a withdrawal, while the vote counts', () => {
    const wishes = open()
    wishes.take(wish('E'), 1)
    wishes.take(wish('E', { vote: 'withdraw' }), 2)
    const said = after('ABC', { votes: [vote('A', 'E'), vote('B', 'E')] })
    expect(wishes.next(said)?.ballot).toEqual({ target: addressOf('E'), withdraw: true })
    expect(wishes.next(after('ABC', { votes: [vote('B', 'E')] }))).toBeUndefined()
    expect(wishes.all()).toHaveLength(1)
  })
})

describe('a wish is kept', () => {
  test('over restarts, in its order, with the time of the last request', () => {
    const own = records()
    const wishes = open(own)
    wishes.take(wish('F', { since: 2 }), 41)
    wishes.take(wish('E', { since: 1 }), 42)
    wishes.take(wish('D', { since: 3 }), 43)
    wishes.drop(addressOf('D'), 44)
    const again = open(own)
    expect(again.all().map(({ target }) => target)).toEqual([addressOf('E'), addressOf('F')])
    expect(again.lastAsked()).toBe(44)
  })

  test('until it was so for a while: a reorganisation may undo what others voted', () => {
    const own = records()
    const wishes = open(own)
    wishes.take(wish('D'), 1)
    expect(wishes.settle(after('ABCD', { index: 20 }))).toEqual([])
    expect(wishes.settle(after('ABC', { index: 21 }))).toEqual([])
    expect(wishes.settle(after('ABCD', { index: 22 }))).toEqual([])
    expect(wishes.settle(after('ABCD', { index: 29 }))).toEqual([])
    expect(wishes.settle(after('ABCD', { index: 30 })).map(({ target }) => target)).toEqual([addressOf('D')])
    expect(open(own).all()).toEqual([])
  })

  test('or until its time is over', () => {
    const wishes = open()
    wishes.take(wish('D'), 1)
    expect(wishes.settle(after('ABC', { index: 499 }))).toEqual([])
    expect(wishes.settle(after('ABC', { index: 500 }))).toHaveLength(1)
    expect(wishes.all()).toEqual([])
  })

  test('what stands there and is none is named', () => {
    const own = records()
    own.write([['wish/x', '{"target":1}']])
    expect(() => open(own)).toThrow(/the record wish\/x of poa cannot be read.*aurex verify/)
  })
})
