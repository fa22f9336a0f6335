// Files that an older version of the program left.
import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import { sha256Hex } from '../../../core/chain/canonical.ts'
import { openLedger } from '../../../plugins/sqlite/index.ts'
import { migrations } from '../../../plugins/sqlite/schema.ts'
import { adding, answersOf, codeOf, genesis, makeChain, pay, storedAt } from '../../contract/storage.ts'
import { makePending } from '../../support/blocks.ts'
import { temporaryFolder } from './folder.ts'

const chain = makeChain(genesis.block, 3, 0n)
const side = makeChain(genesis.block, 1, 0n, 9)[0]!
const blocks = [genesis.block, side.block, ...chain.map(({ block }) => block)]

/** A file of the first schema with what a ledger holds. */
function makeOld(path: string, begun: boolean): void {
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
  old.run(migrations[0]!)
  old.run('PRAGMA user_version = 1')
  old.run(`ATTACH '${from}' AS newer`)
  const tables = old.query<{ name: string }, []>("SELECT name FROM main.sqlite_schema WHERE type = 'table'").all()
  for (const { name } of tables.filter((table) => !table.name.startsWith('sqlite_'))) {
    const columns = old.query<{ name: string }, []>(`PRAGMA main.table_info(${name})`).all()
    const names = columns.map((column) => column.name).join(', ')
    old.run(`INSERT INTO main.${name} (${names}) SELECT ${names} FROM newer.${name}`)
  }
  old.close()
}

test('the first step of the schema is the one that was released', () => {
  expect(sha256Hex(migrations[0]!)).toBe('a45f031861058d92b67923816b7f94071fbb795d1b02aedcce2582269a246f8d')
})

test('a file of the first schema is brought up to date: its blocks are in the outbox, and all else is as it was', () => {
  using folder = temporaryFolder()
  makeOld(folder.ledger, true)
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
  makeOld(folder.ledger, false)
  const ledger = openLedger(folder.ledger)
  expect(ledger.outboxEnd()).toBe(0)
  ledger.records('own').write([['k', 'v']])
  expect(ledger.records('own').get('k')).toBe('v')
  ledger.close()
})
