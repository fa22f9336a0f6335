import type { Database } from 'bun:sqlite'
import type { NodeRecord } from '../../core/index.ts'
import { lastToldCheck, strayFinalCheck, strayStateCheck, strayTransactionCheck } from './integrity.ts'
import type {
  BlockRow,
  OutboxRow,
  SideHeaderRow,
  SideRow,
  StateRow,
  TransactionColumns,
  TransactionRow,
} from './rows.ts'

const blockColumns = 'height, current_hash, header, difficulty, total_work, transactions_count, transactions_total'
const sideColumns = 'current_hash, height, header, transactions, total_work, state'
const transactionColumns = 'tx_hash, sender, data, signature, nonce, public_key_pem, received_at'
const transactionValues = 'hash, sender, data, signature, nonce, public_key_pem, received_at'
const finalHeight = "SELECT coalesce((SELECT max(height) FROM outbox_rows WHERE kind = 'final'), 0)"
const outboxColumns = 'sequence, kind, height, lower(hex(hash)) AS block_hash, body'

export type Statements = ReturnType<typeof prepareStatements>

/** Every statement that a ledger runs, prepared once. */
export function prepareStatements(database: Database) {
  const get = <Row, P extends (string | number | Uint8Array)[]>(sql: string) => database.prepare<Row, P>(sql)
  const run = <P extends (string | number | null | Uint8Array)[]>(sql: string) => database.prepare<unknown, P>(sql)
  return {
    begin: run<[]>('BEGIN IMMEDIATE'),
    commit: run<[]>('COMMIT'),
    rollback: run<[]>('ROLLBACK'),

    meta: get<{ value: string }, [string]>('SELECT value FROM meta WHERE key = ?'),
    setMeta: run<[string, string]>('INSERT INTO meta (key, value) VALUES (?, ?)'),

    headBlock: get<BlockRow, []>(`SELECT ${blockColumns} FROM block_rows ORDER BY height DESC LIMIT 1`),
    blockAt: get<BlockRow, [number]>(`SELECT ${blockColumns} FROM block_rows WHERE height = ?`),
    blockOf: get<BlockRow, [string]>(`SELECT ${blockColumns} FROM block_rows WHERE current_hash = ?`),
    addBlock: run<[number, Uint8Array, string, number, string, number, number, number]>(
      'INSERT INTO block_rows (height, hash, header, difficulty, total_work, transactions_count, transactions_total,' +
        ' written_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    ),
    strayTransaction: get<{ id: number }, []>(strayTransactionCheck),
    strayState: get<{ key: string; height: number }, []>(strayStateCheck),
    strayFinal: get<{ sequence: number; height: number }, []>(strayFinalCheck),
    lastTold: get<{ sequence: number; height: number }, []>(lastToldCheck),
    dropBlock: run<[number]>('DELETE FROM block_rows WHERE height = ?'),

    transactionsIn: get<TransactionRow & { id: number }, [number, number]>(
      `SELECT id, ${transactionColumns} FROM transaction_rows WHERE id >= ? AND id < ? ORDER BY id`,
    ),
    transactionOf: get<TransactionRow & { id: number }, [string]>(
      `SELECT id, ${transactionColumns} FROM transaction_rows WHERE tx_hash = ?`,
    ),
    idOf: get<{ id: number }, [string]>('SELECT id FROM transaction_rows WHERE tx_hash = ?'),
    addTransaction: run<[number, ...TransactionColumns]>(
      `INSERT INTO transaction_rows (id, ${transactionValues}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    dropTransactions: run<[number, number]>('DELETE FROM transaction_rows WHERE id >= ? AND id < ?'),

    anyPending: get<{ found: number }, []>('SELECT EXISTS (SELECT 1 FROM pending_rows) AS found'),
    pendingAfter: get<TransactionRow & { place: number; returned: number }, [number, number]>(
      `SELECT place, returned, ${transactionColumns} FROM pending_rows WHERE place > ? ORDER BY place LIMIT ?`,
    ),
    addPending: run<[...TransactionColumns, number]>(
      `INSERT INTO pending_rows (${transactionValues}, returned) VALUES (?, ?, ?, ?, ?, ?, ?, ?)` +
        ' ON CONFLICT (tx_hash) DO NOTHING',
    ),
    dropPending: run<[string]>('DELETE FROM pending_rows WHERE tx_hash = ?'),

    sideOf: get<SideRow, [string]>(`SELECT ${sideColumns} FROM side_rows WHERE current_hash = ?`),
    addSide: run<[string, number, string, string, string, string, number]>(
      `INSERT INTO side_rows (${sideColumns}, bytes) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (current_hash) DO NOTHING`,
    ),
    dropSide: run<[string]>('DELETE FROM side_rows WHERE current_hash = ?'),
    countSide: get<{ blocks: number; bytes: number; lowest: number }, []>(
      'SELECT count(*) AS blocks, coalesce(sum(bytes), 0) AS bytes, coalesce(min(height), 0) AS lowest FROM side_rows',
    ),
    sides: get<{ hash: string; prevHash: string; index: number; totalWork: string; bytes: number }, []>(
      `SELECT current_hash AS hash, json_extract(header, '$.prev_hash') AS prevHash, height AS "index",` +
        ' total_work AS totalWork, bytes FROM side_rows',
    ),
    // Without their bodies, which may be large.
    sideTips: get<SideHeaderRow, []>(
      `SELECT current_hash, height, header, total_work FROM side_rows WHERE current_hash IN (SELECT current_hash FROM side_rows` +
        " EXCEPT SELECT CASE WHEN json_valid(header) THEN json_extract(header, '$.prev_hash') END FROM side_rows)",
    ),

    // What was first is asked of the tree into which the row goes anyway.
    addState: run<[string, number, string | null]>(
      'INSERT INTO state_rows (key, height, value, is_first)' +
        ' VALUES (?1, ?2, ?3, NOT EXISTS (SELECT 1 FROM state_rows WHERE key = ?1))',
    ),
    stateAt: get<{ value: string | null }, [string, number]>(
      'SELECT value FROM state_rows WHERE key = ? AND height <= ? ORDER BY height DESC LIMIT 1',
    ),
    stateIn: get<StateRow, [number]>('SELECT key, value FROM state_rows WHERE height = ?'),
    dropState: run<[number]>('DELETE FROM state_rows WHERE height = ?'),

    tell: run<[string, number, Uint8Array, string | null]>(
      'INSERT INTO outbox_rows (kind, height, hash, body) VALUES (?, ?, ?, ?)',
    ),
    tellFinal: run<[number]>(
      "INSERT INTO outbox_rows (kind, height, hash) SELECT 'final', height, hash FROM block_rows" +
        ` WHERE height = ? AND height > (${finalHeight})`,
    ),
    finalHeight: get<{ height: number }, []>(`${finalHeight} AS height`),
    outboxAfter: get<OutboxRow, [number, number]>(
      `SELECT ${outboxColumns} FROM outbox_rows WHERE sequence > ? ORDER BY sequence LIMIT ?`,
    ),
    appliedAt: get<OutboxRow, [number, number]>(
      `SELECT ${outboxColumns} FROM outbox_rows WHERE height = ? AND sequence <= ? AND kind = 'applied'` +
        ' ORDER BY sequence DESC LIMIT 1',
    ),
    outboxEnd: get<{ sequence: number }, []>('SELECT coalesce(max(sequence), 0) AS sequence FROM outbox_rows'),

    forgetReports: run<[number]>(
      'DELETE FROM outbox_rows WHERE sequence IN (SELECT sequence FROM outbox_rows WHERE sequence <= ?' +
        " AND kind = 'reported' AND sequence < (SELECT max(sequence) FROM outbox_rows) ORDER BY sequence LIMIT 1000)",
    ),

    record: get<{ value: string }, [string, string]>('SELECT value FROM record_rows WHERE owner = ? AND key = ?'),
    setRecord: run<[string, string, string]>(
      'INSERT INTO record_rows (owner, key, value) VALUES (?, ?, ?)' +
        ' ON CONFLICT (owner, key) DO UPDATE SET value = excluded.value',
    ),
    dropRecord: run<[string, string]>('DELETE FROM record_rows WHERE owner = ? AND key = ?'),
    // The end is bytes that no UTF-8 text reaches: right behind the last key with the prefix.
    recordsFrom: get<{ key: string; value: string }, [string, string, Uint8Array, number]>(
      'SELECT key, value FROM record_rows WHERE owner = ? AND key >= ? AND key < CAST(? AS TEXT) ORDER BY key LIMIT ?',
    ),
    recordsAfter: get<{ key: string; value: string }, [string, string, Uint8Array, number]>(
      'SELECT key, value FROM record_rows WHERE owner = ? AND key > ? AND key < CAST(? AS TEXT) ORDER BY key LIMIT ?',
    ),
    countRecords: get<{ count: number }, [string, string, Uint8Array]>(
      'SELECT count(*) AS count FROM record_rows WHERE owner = ? AND key >= ? AND key < CAST(? AS TEXT)',
    ),

    saveNode: run<[string, string, number, string, string, number]>(
      'INSERT INTO node_rows (node_id, host, port, node_type, status, last_seen) VALUES (?, ?, ?, ?, ?, ?)' +
        ' ON CONFLICT (node_id) DO UPDATE SET host = excluded.host, port = excluded.port,' +
        ' node_type = excluded.node_type, status = excluded.status, last_seen = excluded.last_seen',
    ),
    dropNode: run<[string]>('DELETE FROM node_rows WHERE node_id = ?'),
    nodes: get<NodeRecord, []>(
      'SELECT node_id, host, port, node_type, status, last_seen FROM node_rows ORDER BY rowid',
    ),

    openRange: run<[string, number, number, number]>(
      'INSERT INTO range_rows (worker, nonce_start, nonce_end, opened_at) VALUES (?, ?, ?, ?)',
    ),
    closeRange: run<[number, number | null, number]>(
      'UPDATE range_rows SET completed = ?, solution_nonce = ? WHERE id = ?',
    ),
    dropRangesUpTo: run<[number]>('DELETE FROM range_rows WHERE id <= ?'),
  }
}
