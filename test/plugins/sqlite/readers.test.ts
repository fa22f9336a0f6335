// What people see: section 8 of the protocol, through the sqlite3 and python3 of the system, while the node runs.
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { openLedger, type Ledger } from '../../../plugins/sqlite/index.ts'
import { adding, genesis, pay, storedAt } from '../../contract/storage.ts'
import { makeApplied, makeBlock, makeKey, makePending, makeTransaction } from '../../support/blocks.ts'
import { run, temporaryFolder } from './folder.ts'

const folder = temporaryFolder()
let ledger: Ledger

const named = {
  ...makeTransaction(genesis, 4, { from: 'alice', to: 'bob', amount: '12.34', deep: { from: 'x' } }, 7),
  sender: 'alice@example.com',
  public_key_pem: makeKey(4).pem,
}
const odd = makeTransaction(genesis, 5, { from: 3, to: ['bob'], amount: 12.5 })
const block = makeBlock(genesis.block, { transactions: [named, odd], work: 16 ** 5, nonce: 2 ** 53 - 1, extra: 'tag' })
const half = makeBlock(block, { work: 4, seal: { round: 1 } })
const waiting = makePending(genesis, pay(6, 1), storedAt + 1)
const applied = makeApplied(block, 16n ** 5n, storedAt - 500)

beforeAll(() => {
  ledger = openLedger(folder.ledger)
  ledger.begin(genesis, genesis.block, storedAt - 2_000)
  ledger.commit(adding(applied, makeApplied(half, 2n ** 70n)))
  ledger.keepPending([waiting])
  ledger.saveNode({
    node_id: makeKey(1).nodeId,
    host: '127.0.0.1',
    port: 13_245,
    node_type: 'peer',
    status: 'active',
    last_seen: storedAt,
  })
  ledger.openRange({ worker: 'w1', start: 0, end: 1_000 }, storedAt)
})
afterAll(() => {
  ledger.close()
  folder[Symbol.dispose]()
})

type Row = Record<string, unknown>

const readers: Record<string, (sql: string) => Row[]> = {
  sqlite3: (sql) => JSON.parse(run(['sqlite3', '-json', folder.ledger, sql]) || '[]') as Row[],
  python3: (sql) => {
    const script =
      'import json, sqlite3, sys\nrows = sqlite3.connect(sys.argv[1])\nrows.row_factory = sqlite3.Row\n' +
      'print(json.dumps([dict(row) for row in rows.execute(sys.argv[2])]))'
    return JSON.parse(run(['python3', '-c', script, folder.ledger, sql])) as Row[]
  },
}

for (const [name, rows] of Object.entries(readers)) {
  test(`${name} reads blocks`, () => {
    const [zero, one, two] = rows('SELECT * FROM blocks ORDER BY "index"')
    expect(zero).toMatchObject({ index: 0, current_hash: genesis.rules.chainId, difficulty: 0, transactions_count: 0 })
    expect(one).toMatchObject({
      index: 1,
      timestamp: block.timestamp,
      prev_hash: genesis.rules.chainId,
      current_hash: block.current_hash,
      nonce: 2 ** 53 - 1,
      miner_id: block.miner_id,
      signature: block.signature,
      difficulty: 5,
      transactions_count: 2,
      work: 16 ** 5,
      total_work: String(16 ** 5),
      consensus: 'pow',
      extra: 'tag',
      seal: null,
      tx_root: block.tx_root,
      public_key_pem: block.public_key_pem,
      written_at: '2026-11-21T01:02:03.456Z',
    })
    expect(two).toMatchObject({ difficulty: 0.5, total_work: String(2n ** 70n), seal: '{"round":1}' })
  })

  test(`${name} reads transactions, recorded and pending`, () => {
    const [first, second, third] = rows('SELECT * FROM transactions ORDER BY id')
    expect(first).toEqual({
      id: 131_072,
      tx_hash: applied.hashes[0],
      block_hash: block.current_hash,
      sender: 'alice@example.com',
      data: '{"amount":"12.34","deep":{"from":"x"},"from":"alice","to":"bob"}',
      signature: named.signature,
      from_user: 'alice',
      to_user: 'bob',
      amount: '12.34',
      status: 'committed',
      start_timestamp: '2026-11-21T01:02:02.956Z',
      end_timestamp: '2026-11-21T01:02:03.456Z',
      block_index: 1,
      nonce: 7,
      public_key_pem: named.public_key_pem,
    })
    expect(second).toMatchObject({ id: 131_073, from_user: odd.sender, to_user: null, amount: '12.5', nonce: null })
    expect(third).toMatchObject({
      tx_hash: waiting.hash,
      block_hash: null,
      status: 'pending',
      amount: '1.50',
      start_timestamp: '2026-11-21T01:02:03.457Z',
      end_timestamp: null,
      block_index: null,
    })
    expect(rows(`SELECT count(*) AS n FROM transactions WHERE status = 'committed'`)).toEqual([{ n: 2 }])
    expect(rows(`SELECT id FROM transactions WHERE tx_hash IN ('${waiting.hash}')`)).toEqual([{ id: third!['id'] }])
  })

  test(`${name} reads nodes and the mining pool`, () => {
    expect(rows('SELECT * FROM nodes WHERE status = "active"')).toEqual([
      {
        node_id: makeKey(1).nodeId,
        host: '127.0.0.1',
        port: 13_245,
        node_type: 'peer',
        status: 'active',
        last_seen: '2026-11-21T01:02:03.456Z',
      },
    ])
    expect(rows('SELECT * FROM mining_pool')).toEqual([
      {
        worker_id: 'w1',
        nonce_start: 0,
        nonce_end: 1_000,
        completed: 0,
        solution_nonce: null,
        timestamp: '2026-11-21T01:02:03.456Z',
      },
    ])
  })
}

test.each([
  ["SELECT * FROM blocks WHERE current_hash = 'x'"],
  ['SELECT * FROM blocks WHERE "index" = 1'],
  ["SELECT * FROM transactions WHERE tx_hash = 'x'"],
  ["SELECT * FROM transactions WHERE tx_hash = 'x' AND status = 'committed'"],
  ["SELECT * FROM transactions WHERE tx_hash IN ('x', 'y')"],
  ["SELECT * FROM transactions WHERE block_hash = 'x' AND status = 'committed'"],
  ['SELECT * FROM transactions WHERE block_index = 1'],
])('a lookup by hash or height reads no table from end to end: %s', (sql) => {
  const plan = run(['sqlite3', folder.ledger, `EXPLAIN QUERY PLAN ${sql}`])
  expect(plan).toContain('SEARCH')
  // Pending transactions have no block: the mempool's limit keeps that table small.
  expect(plan.replace('SCAN pending_rows', '')).not.toContain('SCAN')
})

test.each([
  [{ action: 'purchase', price: '5.50' }, '5.50'],
  [{ action: 'purchase', price: '5.50', amount: '6' }, '6'],
  [{ action: 'data', price: '5.50' }, null],
  [{ price: '5.50' }, null],
])('the amount of %p is %p: a purchase may call it price', (data, shown) => {
  const other = temporaryFolder()
  const one = openLedger(other.ledger)
  one.begin(genesis, genesis.block, storedAt)
  one.keepPending([makePending(genesis, makeTransaction(genesis, 1, data), storedAt)])
  const seen = run(['sqlite3', '-json', other.ledger, 'SELECT amount FROM transactions'])
  one.close()
  other[Symbol.dispose]()
  expect(JSON.parse(seen)).toEqual([{ amount: shown }])
})

test.each([
  ['12', '12'],
  ['0.00000001', '0.00000001'],
  ['1.', null],
  ['.5', null],
  ['1.2.3', null],
  ['-1', null],
  ['1e5', null],
  ['', null],
  ['12 ', null],
])('amount %p is shown as %p', (amount, shown) => {
  const other = temporaryFolder()
  const one = openLedger(other.ledger)
  one.begin(genesis, genesis.block, storedAt)
  one.keepPending([makePending(genesis, makeTransaction(genesis, 1, { amount }), storedAt)])
  const seen = run(['sqlite3', '-json', other.ledger, 'SELECT amount FROM transactions'])
  one.close()
  other[Symbol.dispose]()
  expect(JSON.parse(seen)).toEqual([{ amount: shown }])
})
