// The views over state and outbox, as the system's sqlite3 and python3 see them while the node runs; and one moment of
// them through a ledger that was opened to look.
import { afterAll, beforeAll, expect, test } from 'bun:test'
import type { StateEntry } from '../../../core/plugin.ts'
import { openLedger, type Ledger } from '../../../plugins/sqlite/index.ts'
import { adding, codeOf, genesis, storedAt } from '../../contract/storage.ts'
import { makeApplied, makeBlock, makePending, makeTransaction } from '../../support/blocks.ts'
import { run, temporaryFolder } from './folder.ts'

const folder = temporaryFolder()
let ledger: Ledger

const user = (name: string, balance: string, publicKey?: string): StateEntry => ({
  key: `user/${name}`,
  value: JSON.stringify(publicKey === undefined ? { balance } : { balance, public_key: publicKey }),
})
const asset = (id: string, name: string, owner: string): StateEntry => ({
  key: `asset/${id}`,
  value: JSON.stringify({ name, owner }),
})
const gone = (key: string): StateEntry => ({ key, value: undefined })

const one = makeBlock(genesis.block, { extra: 'one' })
const two = makeBlock(one, { extra: 'two' })
const lost = makeBlock(two, { extra: 'lost' })
const states: readonly (readonly StateEntry[])[] = [
  [
    asset('car/1', 'A red car', 'alice'),
    asset('vase', 'A vase', 'bob'),
    user('alice', '87.66', 'a1b2'),
    user('bob/0', '1'),
  ],
  [gone('asset/vase'), asset('car/1', 'A red car', 'bob'), { key: 'user/odd', value: 'no JSON' }, user('bob', '62.34')],
  [asset('car/1', 'A red car', 'eve'), user('eve', '1'), user('alice', '0')],
]
const applied = [one, two, lost].map((block, n) => ({ ...makeApplied(block, BigInt(n)), state: states[n]! }))

beforeAll(() => {
  ledger = openLedger(folder.ledger)
  ledger.begin(genesis, genesis.block, storedAt, [
    user('alice', '100'),
    user('bob', '50'),
    { key: 'user0', value: '{"balance":"9"}' },
    { key: 'usher/x', value: '{"balance":"9"}' },
  ])
  ledger.commit(adding(...applied))
  ledger.commit({ undone: [lost.current_hash], applied: [], returned: [], writtenAt: storedAt })
  ledger.report([{ index: 2, hash: two.current_hash, body: '{"n":1}' }], 'gateway', [['k', 'v']])
  const returned = { ...makePending(genesis, makeTransaction(genesis, 1, {}), storedAt), returned: true }
  ledger.keepPending([returned])
})
afterAll(() => {
  ledger.close()
  folder[Symbol.dispose]()
})

type Row = Record<string, unknown>

const python =
  'import json, sqlite3, sys\nrows = sqlite3.connect(sys.argv[1])\nrows.row_factory = sqlite3.Row\n' +
  'print(json.dumps([dict(row) for row in rows.execute(sys.argv[2])]))'

const readers: Record<string, (sql: string) => Row[]> = {
  sqlite3: (sql) => JSON.parse(run(['sqlite3', '-json', folder.ledger, sql]) || '[]') as Row[],
  python3: (sql) => JSON.parse(run(['python3', '-c', python, folder.ledger, sql])) as Row[],
}

for (const [name, rows] of Object.entries(readers)) {
  test(`${name} reads users: their newest state, since when they are here`, () => {
    expect(rows('SELECT * FROM users ORDER BY username')).toEqual([
      { username: 'alice', public_key: 'a1b2', balance: '87.66', created_at: genesis.block.timestamp },
      { username: 'bob', public_key: null, balance: '62.34', created_at: genesis.block.timestamp },
      { username: 'bob/0', public_key: null, balance: '1', created_at: one.timestamp },
      { username: 'odd', public_key: null, balance: null, created_at: two.timestamp },
    ])
    expect(rows("SELECT balance FROM users WHERE username = 'bob'")).toEqual([{ balance: '62.34' }])
  })

  test(`${name} reads assets: what was removed or undone is not there`, () => {
    const car = { asset_id: 'car/1', asset_name: 'A red car', owner: 'bob' }
    expect(rows('SELECT * FROM assets')).toEqual([{ ...car, block_hash: two.current_hash, timestamp: two.timestamp }])
    expect(rows("SELECT owner FROM assets WHERE asset_id = 'vase'")).toEqual([])
    expect(rows('SELECT username FROM users JOIN assets ON owner = username')).toEqual([{ username: 'bob' }])
  })

  test(`${name} reads the outbox, and what was returned as pending`, () => {
    expect(rows('SELECT * FROM outbox')).toEqual([
      { sequence: 1, kind: 'applied', index: 1, block_hash: one.current_hash, body: null },
      { sequence: 2, kind: 'applied', index: 2, block_hash: two.current_hash, body: null },
      { sequence: 3, kind: 'applied', index: 3, block_hash: lost.current_hash, body: null },
      { sequence: 4, kind: 'undone', index: 3, block_hash: lost.current_hash, body: null },
      { sequence: 5, kind: 'reported', index: 2, block_hash: two.current_hash, body: '{"n":1}' },
    ])
    expect(rows('SELECT status FROM transactions')).toEqual([{ status: 'pending' }])
  })
}

test.each([
  ["SELECT * FROM users WHERE username = 'alice'", 'state_rows_by_user'],
  ["SELECT * FROM assets WHERE asset_id = 'x'", 'state_rows_by_asset'],
  ['SELECT * FROM outbox WHERE sequence = 1', 'PRIMARY KEY'],
  ['SELECT * FROM outbox WHERE "index" = 1', 'outbox_rows_by_height'],
])('a lookup reads no table from end to end: %s', (sql, index) => {
  const plan = run(['sqlite3', folder.ledger, `EXPLAIN QUERY PLAN ${sql}`])
  expect(plan).toContain(`USING ${index.startsWith('PRIMARY') ? 'INTEGER ' : 'INDEX '}${index}`)
  expect(plan).not.toContain('SCAN')
})

test.each(['users', 'assets'])('listing %s reads the oldest versions, and of each key the newest', (view) => {
  const scans = run(['sqlite3', folder.ledger, `EXPLAIN QUERY PLAN SELECT * FROM ${view}`])
    .split('\n')
    .filter((line) => line.includes('SCAN'))
  expect(scans).toHaveLength(1)
  expect(scans[0]).toContain(`SCAN oldest USING INDEX state_rows_by_${view.slice(0, -1)}`)
})

test('a ledger that was opened to look answers of one moment, and writes nothing', () => {
  const reader = openLedger(folder.ledger, { readonly: true })
  const end = ledger.outboxEnd()
  const three = makeBlock(two, { extra: 'three' })
  ledger.commit(adding({ ...makeApplied(three, 3n), state: [user('bob', '0')] }))
  ledger.records('gateway').write([['k', 'later']])
  expect(reader.outboxEnd()).toBe(end)
  expect(reader.stateAt('user/bob', 9)).toBe('{"balance":"62.34"}')
  expect(reader.stateChanges(lost.current_hash)).toHaveLength(3)
  expect(reader.appliedAt(3, 99)?.hash).toBe(lost.current_hash)
  expect(reader.outbox(4, 9)[0]?.body).toBe('{"n":1}')
  expect(reader.records('gateway').list('', undefined, 9)).toEqual([['k', 'v']])
  expect(reader.integrity()).toBeUndefined()
  for (const write of [
    () => reader.records('gateway').write([['k', 'w']]),
    () => reader.report([{ index: 1, hash: one.current_hash, body: '' }], 'own', []),
  ]) {
    expect(codeOf(write)).toBe('storage-readonly')
  }
  reader.close()
  ledger.commit({ undone: [three.current_hash], applied: [], returned: [], writtenAt: storedAt })
})
