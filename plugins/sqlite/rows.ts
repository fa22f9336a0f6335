import type { Block, Hash, JsonObject, OutboxEntry, SealedHeader, StateEntry, Transaction } from '../../core/index.ts'
import { canonicalJson, isObject } from '../../core/index.ts'
import { damaged } from './failure.ts'
import { placesPerBlock } from './schema.ts'

export interface BlockRow {
  readonly height: number
  readonly current_hash: Hash
  readonly header: string
  readonly difficulty: number
  readonly total_work: string
  readonly transactions_count: number
  readonly transactions_total: number
}

export interface SideHeaderRow {
  readonly current_hash: Hash
  readonly height: number
  readonly header: string
  readonly total_work: string
}

export interface SideRow extends SideHeaderRow {
  readonly transactions: string
  readonly state: string
}

export interface TransactionRow {
  readonly tx_hash: Hash
  readonly sender: string
  readonly data: string
  readonly signature: string
  readonly nonce: number | null
  readonly public_key_pem: string | null
  readonly received_at: number
}

export interface StateRow {
  readonly key: string
  readonly value: string | null
}

export interface OutboxRow {
  readonly sequence: number
  readonly kind: string
  readonly height: number
  readonly block_hash: Hash
  readonly body: string | null
}

/** Where a row stands, for the error that names it. */
export interface Place {
  readonly location: string
  readonly table: string
  readonly row: string
}

export const blockPlace = (location: string, height: number): Place => ({
  location,
  table: 'block_rows',
  row: `height ${height}`,
})
export const sidePlace = (location: string, hash: Hash): Place => ({
  location,
  table: 'side_rows',
  row: `current_hash ${hash}`,
})
export const transactionPlace = (location: string, id: number): Place => ({
  location,
  table: 'transaction_rows',
  row: `id ${id} (block ${Math.floor(id / placesPerBlock)}, position ${id % placesPerBlock})`,
})
export const pendingPlace = (location: string, place: number): Place => ({
  location,
  table: 'pending_rows',
  row: `place ${place}`,
})

export const outboxPlace = (location: string, sequence: number): Place => ({
  location,
  table: 'outbox_rows',
  row: `sequence ${sequence}`,
})

export const statePlace = (location: string, key: string, height: number): Place => ({
  location,
  table: 'state_rows',
  row: `height ${height}, key ${key}`,
})

/** The header in a row. Throws `ledger-damaged` unless it is the header that the row says it is. */
export function headerOfRow(row: BlockRow | SideHeaderRow, place: Place): SealedHeader {
  const header = parseObject(row.header, 'header', place) as Partial<SealedHeader>
  if (header.index !== row.height) throw wrong(place, `header.index: expected ${row.height}, got ${header.index}`)
  if (header.current_hash !== row.current_hash) {
    throw wrong(place, `header.current_hash: expected ${row.current_hash}, got ${header.current_hash}`)
  }
  return header as SealedHeader
}

export function totalWorkOfRow(row: Pick<BlockRow, 'total_work'>, place: Place): bigint {
  if (!/^\d+$/.test(row.total_work)) throw wrong(place, 'total_work: expected decimal digits')
  return BigInt(row.total_work)
}

export function sideBlockOfRow(row: SideRow, place: Place): Block {
  const transactions = parse(row.transactions, 'transactions', place)
  if (!Array.isArray(transactions)) throw wrong(place, 'transactions: expected an array')
  return { ...headerOfRow(row, place), transactions: transactions as readonly Transaction[] }
}

export function transactionOfRow(row: TransactionRow, place: Place): Transaction {
  const { tx_hash, sender, signature, nonce, public_key_pem } = row
  if (tx_hash.length !== 64) throw wrong(place, `hash: expected 32 bytes, got ${tx_hash.length / 2}`)
  if (typeof sender !== 'string' || typeof signature !== 'string')
    throw wrong(place, 'sender, signature: expected text')
  if (nonce !== null && !Number.isSafeInteger(nonce)) throw wrong(place, 'nonce: expected a safe integer')
  return {
    sender,
    data: parseObject(row.data, 'data', place),
    signature,
    ...(nonce === null ? {} : { nonce }),
    ...(public_key_pem === null ? {} : { public_key_pem }),
  }
}

/** The columns `hash, sender, data, signature, nonce, public_key_pem, received_at`. */
export type TransactionColumns = readonly [Buffer, string, string, string, number | null, string | null, number]

export function columnsOf(hash: Hash, transaction: Transaction, receivedAt: number): TransactionColumns {
  const { sender, data, signature, nonce, public_key_pem } = transaction
  return [blob(hash), sender, canonicalJson(data), signature, nonce ?? null, public_key_pem ?? null, receivedAt]
}

/** In the order of keys as UTF-16 has them, which is not the one of the file. */
export const stateOfRows = (rows: readonly StateRow[]): readonly StateEntry[] =>
  rows.map(({ key, value }) => ({ key, value: value ?? undefined })).sort(byKey)

/** What a side block would change, as it stands in its row: pairs of key and value, null where it was removed. */
export const stateText = (state: readonly StateEntry[]): string =>
  canonicalJson(state.map(({ key, value }) => [key, value ?? null]))

export function stateOfSide(row: SideRow, place: Place): readonly StateEntry[] {
  const pairs = parse(row.state, 'state', place)
  if (!Array.isArray(pairs) || !pairs.every(isStatePair)) throw wrong(place, 'state: expected pairs of key and value')
  return stateOfRows(pairs.map(([key, value]) => ({ key, value })))
}

export function entryOfRow(row: OutboxRow, place: Place): OutboxEntry {
  const { sequence, kind, height, block_hash, body } = row
  if (kind !== 'applied' && kind !== 'undone' && kind !== 'final' && kind !== 'reported') {
    throw wrong(place, `kind: expected applied, undone, final or reported, got ${kind}`)
  }
  if (block_hash.length !== 64) throw wrong(place, `hash: expected 32 bytes, got ${block_hash.length / 2}`)
  if ((kind === 'reported') !== (body !== null)) throw wrong(place, 'body: expected with what was reported, only there')
  return { sequence, kind, index: height, hash: block_hash, body: body ?? undefined }
}

/** The 32 bytes of a hash. A text that is no hash gives fewer, which the table refuses. */
export const blob = (hash: Hash): Buffer => Buffer.from(hash, 'hex')

/** Leading zero hex digits that a work stands for: its logarithm to base 16. */
export const difficultyOf = (work: number): number => (work > 0 ? Math.log2(work) / 4 : 0)

export const wrong = ({ location, table, row }: Place, what: string) => damaged(location, table, row, what)

const byKey = (a: StateEntry, b: StateEntry): number => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)

const isStatePair = (pair: unknown): pair is readonly [string, string | null] =>
  Array.isArray(pair) && typeof pair[0] === 'string' && (pair[1] === null || typeof pair[1] === 'string')

function parseObject(text: string, column: string, place: Place): JsonObject {
  const value = parse(text, column, place)
  if (!isObject(value)) throw wrong(place, `${column}: expected a JSON object`)
  return value
}

function parse(text: unknown, column: string, place: Place): unknown {
  try {
    if (typeof text === 'string') return JSON.parse(text) as unknown
  } catch {
    // Said below: the row matters, not where in its text the parser stopped.
  }
  throw wrong(place, `${column}: not JSON`)
}
