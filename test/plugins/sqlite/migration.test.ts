// Files that an older version of the program left.
import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import { sha256Hex } from '../../../core/chain/canonical.ts'
import { openLedger } from '../../../plugins/sqlite/index.ts'
import { migrations } from '../../../plugins/sqlite/schema.ts'
import { adding, answersOf, codeOf, genesis, makeChain, pay, storedAt } from '../../contract/storage.ts'
import { told } from '../../contract/storage-state.ts'
import { makePending } from '../../support/blocks.ts'
import { temporaryFolder } from './folder.ts'

const chain = makeChain(genesis.block, 3, 0n)
const side = makeChain(genesis.block, 1, 0n, 9)[0]!
const blocks = [genesis.block, side.block, ...chain.map(({ block }) => block)]

/** A file of an older schema, made by its own steps, with what a ledger holds. */
function makeOld(path: string, version: number, begun: boolean): void {
  const from = `${path}.new`
  const ledger = openLedger(from)
  if (begun) {
    ledger.begin(genesis, genesis.block, storedAt)
    ledger.commit(adding(...chain))
    ledger.keepSide(side.block, 16n)
    ledger.keepPending([makePending(genesis, pay(20, 1), storedAt)])
  }
  ledger.close()
  const old = new Database(path, { create: true })
  for (const step of migrations.slice(0, version)) old.run(step)
  old.run(`PRAGMA user_version = ${version}`)
  old.run(`ATTACH '${from}' AS newer`)
  const tables = old.query<{ name: string }, []>("SELECT name FROM main.sqlite_schema WHERE type = 'table'").all()
  for (const { name } of tables.filter((table) => !table.name.startsWith('sqlite_'))) {
    const columns = old.query<{ name: string }, []>(`PRAGMA main.table_info(${name})`).all()
    const names = columns.map((column) => column.name).join(', ')
    old.run(`INSERT INTO main.${name} (${names}) SELECT ${names} FROM newer.${name}`)
  }
  old.close()
}

test('the steps of the schema that were released are as they were', () => {
  expect(migrations.slice(0, 2).map(sha256Hex)).toEqual([
    'a45f031861058d92b67923816b7f94071fbb795d1b02aedcce2582269a246f8d',
    'ae91efb8420d78526d6eeb45c1555e6cb5119e7465862f0ce88a6a5d487b66d6',
  ])
})

test('a file of the first schema is brought up to date: its blocks are in the outbox, and all else is as it was', () => {
  using folder = temporaryFolder()
  makeOld(folder.ledger, 1, true)
  expect(codeOf(() => openLedger(folder.ledger, { readonly: true }))).toBe('ledger-older')
  const ledger = openLedger(folder.ledger)
  ledger.begin(genesis, genesis.block, storedAt)
  expect(ledger.outbox(0, 10)).toEqual(
    chain.map(({ block }, n) => ({
      sequence: n + 1,
      kind: 'applied',
      index: block.index,
      hash: block.current_hash,
      body: undefined,
    })),
  )
  const never = openLedger(`${folder.ledger}.new`)
  expect(answersOf(ledger, blocks)).toBe(answersOf(never, blocks))
  never.close()
  expect(ledger.integrity()).toBeUndefined()
  const next = makeChain(chain[2]!.block, 1, 48n)[0]!
  ledger.commit(adding({ ...next, state: [{ key: 'k', value: 'v' }] }))
  ledger.commit({ undone: [next.block.current_hash], applied: [], returned: [], writtenAt: storedAt })
  ledger.close()
  const again = openLedger(folder.ledger, { readonly: true })
  expect(again.outbox(3, 10).map(({ sequence, kind }) => [sequence, kind])).toEqual([
    [4, 'applied'],
    [5, 'undone'],
  ])
  expect(again.stateChanges(next.block.current_hash)).toEqual([{ key: 'k', value: 'v' }])
  again.close()
})

test('a file of the first schema that was never begun gets an empty outbox', () => {
  using folder = temporaryFolder()
  makeOld(folder.ledger, 1, false)
  const ledger = openLedger(folder.ledger)
  expect(ledger.outboxEnd()).toBe(0)
  ledger.records('own').write([['k', 'v']])
  expect(ledger.records('own').get('k')).toBe('v')
  ledger.close()
})

/** What became of a file of the second schema: reports that were forgotten, and a sequence that nobody has any more. */
function makeSecond(path: string): void {
  makeOld(path, 2, true)
  const old = new Database(path)
  const report = 'INSERT INTO outbox_rows (kind, height, hash, body) VALUES'
  for (const n of [4, 5, 6, 7]) old.run(`${report} ('reported', 2, x'${chain[1]!.block.current_hash}', '{"n":${n}}')`)
  old.run('DELETE FROM outbox_rows WHERE sequence IN (4, 5, 7)')
  old.run("INSERT INTO record_rows VALUES ('gateway', 'k', 'v')")
  old.run(`INSERT INTO state_rows VALUES ('user/a', 2, '{"balance":"1"}', 1)`)
  old.close()
}

test('a file of the second schema keeps its outbox, sequence by sequence, and the count of those given out', () => {
  using folder = temporaryFolder()
  makeSecond(folder.ledger)
  const old = new Database(folder.ledger)
  const rows = old.query('SELECT * FROM outbox_rows ORDER BY sequence').all()
  expect(rows).toHaveLength(4)
  expect(() => old.run("INSERT INTO outbox_rows (kind, height, hash) VALUES ('final', 1, zeroblob(32))")).toThrow()
  old.close()
  expect(codeOf(() => openLedger(folder.ledger, { readonly: true }))).toBe('ledger-older')
  const ledger = openLedger(folder.ledger)
  ledger.begin(genesis, genesis.block, storedAt)
  const reader = new Database(folder.ledger, { readonly: true })
  expect(reader.query('SELECT * FROM outbox_rows ORDER BY sequence').all()).toEqual(rows)
  expect(ledger.integrity()).toBeUndefined()
  expect([ledger.finalHeight(), ledger.outboxEnd(), ledger.appliedAt(2, 9)?.sequence]).toEqual([0, 6, 2])
  expect(ledger.records('gateway').get('k')).toBe('v')
  expect(ledger.stateAt('user/a', 2)).toBe('{"balance":"1"}')
  expect(reader.query('SELECT count(*) FROM users').values()).toEqual([[1]])
  // Sequence 7 was given out once, and is not given out again.
  ledger.finalize(2)
  expect(ledger.outbox(6, 9).map(({ sequence, kind, index }) => [sequence, kind, index])).toEqual([[8, 'final', 2]])
  expect(ledger.integrity()).toBeUndefined()
  const names = 'SELECT name FROM sqlite_schema ORDER BY name'
  const fresh = openLedger(`${folder.path}/fresh.sqlite3`)
  const newer = new Database(`${folder.path}/fresh.sqlite3`, { readonly: true })
  expect(reader.query(names).all()).toEqual(newer.query(names).all())
  for (const each of [reader, newer, ledger, fresh]) each.close()
})

test.each([1, 2])('a file of schema %d that cannot be brought up to date stays as it is, whole', (version) => {
  using folder = temporaryFolder()
  makeOld(folder.ledger, version, true)
  const before = new Database(folder.ledger)
  const old = before.query('SELECT name, sql FROM sqlite_schema').all()
  before.run(`CREATE VIEW new_outbox_rows AS SELECT 1`)
  before.close()
  expect(codeOf(() => openLedger(folder.ledger))).toBe('storage-failed')
  const after = new Database(folder.ledger)
  after.run('DROP VIEW new_outbox_rows')
  expect(after.query('SELECT name, sql FROM sqlite_schema').all()).toEqual(old)
  expect(after.query('PRAGMA user_version').values()).toEqual([[version]])
  after.close()
  const ledger = openLedger(folder.ledger)
  ledger.begin(genesis, genesis.block, storedAt)
  expect(told(ledger.outbox(0, 9))).toEqual(chain.map(({ block }) => `applied ${block.index} ${block.current_hash}`))
  ledger.close()
})
