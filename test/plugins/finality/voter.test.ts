import { describe, expect, test } from 'bun:test'
import type { Checkpoint } from '../../../core/index.ts'
import { contradiction } from '../../../plugins/finality/contradiction.ts'
import { mayCommit, mayJustify, nextStatement, type Outlook, type VoteRecord } from '../../../plugins/finality/voter.ts'
import type { Justify, Statement } from '../../../plugins/finality/votes.ts'

const at = (index: number, hash = 'a'): Checkpoint => ({ index, hash })
const link = (source: number, target: number, hash = 'a'): Justify => ({
  kind: 'justify',
  source: at(source),
  target: at(target, hash),
})
const commit = (index: number, hash = 'a'): Statement => ({ kind: 'commit', target: at(index, hash) })

const none: VoteRecord = { justify: undefined, commit: undefined }
const after = (record: VoteRecord, statement: Statement): VoteRecord =>
  statement.kind === 'justify' ? { ...record, justify: statement } : { ...record, commit: statement }
const may = (record: VoteRecord, statement: Statement): boolean =>
  statement.kind === 'justify' ? mayJustify(record, statement) : mayCommit(record, statement.target)

/** The commandments of Casper FFG, written down once more: a commit is a link from its target to its target. */
function isForbidden(a: Statement, b: Statement): boolean {
  const ends = (one: Statement) => [(one.kind === 'justify' ? one.source : one.target).index, one.target.index] as const
  const [[s1, t1], [s2, t2]] = [ends(a), ends(b)]
  const isDouble = a.kind === b.kind && t1 === t2 && a.target.hash !== b.target.hash
  return isDouble || (s1 < s2 && t2 < t1) || (s2 < s1 && t1 < t2)
}

const heights = [0, 1, 2, 3, 4, 5]
const links = heights.flatMap((s) => heights.flatMap((t) => (s < t ? [link(s, t), link(s, t, 'b')] : [])))
const commits = heights.slice(1).flatMap((index) => [commit(index), commit(index, 'b')])
const statements: readonly Statement[] = [...links, ...commits]

describe('what may be signed', () => {
  test('never contradicts anything that was signed before: all histories of up to five votes', () => {
    let histories = 0
    const extend = (history: readonly Statement[], record: VoteRecord): void => {
      for (const statement of statements) {
        if (!may(record, statement)) continue
        histories++
        const broken = history.find((before) => isForbidden(before, statement))
        if (broken !== undefined) throw new Error(JSON.stringify([...history, statement]))
        if (history.length < 4) extend([...history, statement], after(record, statement))
      }
    }
    extend([], none)
    expect(histories).toBeGreaterThan(20_000)
  })

  test('is not less than it need be: from justified to final, block after block', () => {
    let record = none
    for (let height = 1; height <= 5; height++) {
      for (const statement of [link(height - 1, height), commit(height)]) {
        expect(may(record, statement)).toBe(true)
        record = after(record, statement)
      }
    }
  })

  test.each([
    ['a second target at one height', [link(0, 2)], link(0, 2, 'b')],
    ['a second source for one target', [link(0, 2)], link(1, 2)],
    ['a vote around a vote', [link(1, 2)], link(0, 3)],
    ['a vote inside a vote', [link(0, 3)], link(1, 2)],
    ['a vote around a commit', [commit(2)], link(1, 3)],
    ['a commit inside a vote', [link(0, 3)], commit(2)],
    ['a commit inside a vote before the last', [link(0, 3), link(2, 4)], commit(2)],
    ['a second commit at one height', [commit(2)], commit(2, 'b')],
    ['a link that ends where it begins', [], link(2, 2)],
  ] as const)('is not %s', (_what, history, statement) => {
    expect(may(history.reduce(after, none), statement)).toBe(false)
  })
})

test('what contradicts is what is forbidden: all pairs', () => {
  for (const a of statements) {
    for (const b of statements) {
      expect([a, b, contradiction(a, b) !== undefined]).toEqual([a, b, isForbidden(a, b)])
      expect(contradiction(a, b)).toBe(contradiction(b, a) as string)
    }
  }
  expect(contradiction(link(0, 3), link(0, 3, 'b'))).toBe('two justify votes at height 3')
  expect(contradiction(commit(2), link(1, 3))).toBe('a vote around height 2')
})

describe('the next vote', () => {
  const outlook = (given: Partial<Outlook> = {}): Outlook => ({
    final: at(2),
    justified: at(2),
    source: at(2),
    newest: at(9),
    supported: [],
    isOnHead: () => true,
    leave: 'never',
    ...given,
  })

  test('is a commit as soon as there is something to commit', () => {
    const given = outlook({ justified: at(4), source: at(4) })
    expect(nextStatement({ justify: link(2, 4), commit: undefined }, given)).toEqual(commit(4))
    expect(nextStatement({ justify: link(2, 4), commit: commit(4) as never }, given)).toBeUndefined()
  })

  test('links the newest checkpoint to the highest justified one', () => {
    expect(nextStatement(none, outlook())).toEqual(link(2, 9))
    expect(nextStatement(none, outlook({ newest: at(2) }))).toBeUndefined()
    expect(nextStatement(none, outlook({ source: undefined }))).toBeUndefined()
  })

  test('goes on above the floor up to which nothing is signed, and does not wait for what it would not get', () => {
    const given = outlook({ justified: at(4), source: at(4), newest: at(5) })
    expect(nextStatement(none, given)).toEqual(commit(4))
    expect(nextStatement({ ...none, floor: 4 }, given)).toEqual(link(4, 5))
    expect(nextStatement({ ...none, floor: 5 }, given)).toBeUndefined()
    const supported = [
      { target: at(6), votes: 3 },
      { target: at(8), votes: 1 },
    ]
    expect(nextStatement({ ...none, floor: 6 }, outlook({ supported }))).toEqual(link(2, 8))
  })

  test('goes to the target that others voted for, of the upper half', () => {
    const supported = [
      { target: at(3), votes: 3 },
      { target: at(7), votes: 2 },
      { target: at(8), votes: 1 },
    ]
    expect(nextStatement(none, outlook({ supported }))).toEqual(link(2, 7))
    expect(nextStatement({ ...none, justify: link(0, 7) }, outlook({ supported, leave: 'to-join' }))).toEqual(
      link(2, 8),
    )
  })

  test('waits while the last target is not final, as long as it is told to', () => {
    const record = { ...none, justify: link(2, 8) }
    expect(nextStatement(record, outlook())).toBeUndefined()
    expect(nextStatement(record, outlook({ leave: 'to-join' }))).toBeUndefined()
    expect(nextStatement(record, outlook({ leave: 'freely' }))).toEqual(link(2, 9))
    expect(nextStatement(record, outlook({ isOnHead: ({ index }) => index !== 8 }))).toEqual(link(2, 9))
    expect(nextStatement(record, outlook({ final: at(8), justified: at(8), source: at(8) }))).toEqual(link(8, 9))
  })

  test('is none while the head is about to move to what is justified', () => {
    const given = outlook({ justified: at(5, 'b'), source: at(2) })
    const record = { justify: link(2, 4), commit: commit(5, 'b') as never }
    expect(nextStatement(record, given)).toBeUndefined()
    expect(nextStatement({ ...none, justify: link(0, 6) }, { ...given, leave: 'freely' })).toEqual(link(2, 9))
    // What was committed binds: never a link around it.
    expect(nextStatement(record, { ...given, leave: 'freely' })).toBeUndefined()
  })
})
