// What people see of what is final, through the sqlite3 and python3 of the system, while the node runs.
import { expect, test } from 'bun:test'
import { openLedger, type Ledger } from '../../../plugins/sqlite/index.ts'
import { adding, codeOf, genesis, makeChain, pay, storedAt } from '../../contract/storage.ts'
import { makePending } from '../../support/blocks.ts'
import { run, temporaryFolder } from './folder.ts'

const chain = makeChain(genesis.block, 3, 0n)
const python = 'import sqlite3, sys\nprint(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchall())'

function begun(path: string): Ledger {
  const ledger = openLedger(path)
  ledger.begin(genesis, genesis.block, storedAt)
  ledger.commit(adding(...chain))
  ledger.keepPending([makePending(genesis, pay(30, 1), storedAt)])
  return ledger
}

test('the views say what is final, at once', () => {
  using folder = temporaryFolder()
  const ledger = begun(folder.ledger)
  const seen = (sql: string) => run(['sqlite3', folder.ledger, sql]).trim().split('\n')
  const statuses = 'SELECT block_index, status FROM transactions GROUP BY block_index ORDER BY min(id)'
  expect(seen('SELECT "index", final FROM blocks ORDER BY "index"')).toEqual(['0|1', '1|0', '2|0', '3|0'])
  expect(seen(statuses)).toEqual(['1|committed', '2|committed', '3|committed', '|pending'])
  ledger.finalize(2)
  expect(seen('SELECT "index", final FROM blocks ORDER BY "index"')).toEqual(['0|1', '1|1', '2|1', '3|0'])
  expect(seen(statuses)).toEqual(['1|final', '2|final', '3|committed', '|pending'])
  expect(seen("SELECT count(*) FROM transactions WHERE status = 'final'")).toEqual(['4'])
  expect(seen(`SELECT status FROM transactions WHERE tx_hash = '${chain[2]!.hashes[0]}'`)).toEqual(['committed'])
  expect(seen('SELECT sequence, kind, "index", block_hash FROM outbox WHERE kind = \'final\'')).toEqual([
    `4|final|2|${chain[1]!.block.current_hash}`,
  ])
  expect(run(['python3', '-c', python, folder.ledger, 'SELECT "index" FROM blocks WHERE final'])).toBe(
    '[(0,), (1,), (2,)]\n',
  )
  ledger.close()
})

test('a ledger that was opened to look has the finals of one moment, and writes none', () => {
  using folder = temporaryFolder()
  const ledger = begun(folder.ledger)
  ledger.finalize(1)
  const reader = openLedger(folder.ledger, { readonly: true })
  ledger.finalize(3)
  expect([reader.finalHeight(), ledger.finalHeight()]).toEqual([1, 3])
  reader.finalize(1)
  expect(codeOf(() => reader.finalize(2))).toBe('storage-readonly')
  reader.close()
  ledger.close()
})

test('only the node can say it twice of one height, and it does not', () => {
  using folder = temporaryFolder()
  const ledger = begun(folder.ledger)
  ledger.finalize(2)
  expect(() =>
    ledger['database'].run(
      "INSERT INTO outbox_rows (kind, height, hash) SELECT 'final', height, hash FROM block_rows WHERE height = 2",
    ),
  ).toThrow('UNIQUE constraint failed')
  ledger.close()
})
