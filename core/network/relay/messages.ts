import * as v from 'valibot'
import { isHash, type Hash } from '../../chain/canonical.ts'
import { isObject, type JsonObject } from '../../chain/json.ts'

/** Hashes in one `tx_announce` or `tx_request` that this node sends. */
export const hashesPerMessageMax = 1_000
/** Hashes that it reads of one: a program that knows of no limit sends all that it has. Beyond them none is looked at. */
const hashesReadMax = 10_000

/** Hex digits of a transaction's id by which a compact block names it. */
export const shortIdDigits = 16

const hash = v.custom<Hash>(isHash, 'expected 64 lowercase hex digits')
const object = v.custom<JsonObject>(isObject, 'expected a JSON object')
const position = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

// Longer lists are nobody's fault: they are cut, not refused.
const hashes = v.pipe(
  v.array(v.unknown(), 'expected a list of hashes'),
  v.transform((all) => all.slice(0, hashesReadMax)),
  v.array(hash),
)

/** What the relay understands. Where `data` is the chain's to read, it is passed on as it came. */
export const schemas = {
  NEW_TRANSACTION: v.object({}),
  MINING_STARTED: v.object({}),
  new_block: v.object({ data: v.custom<JsonObject>(isObject, 'expected a block, a JSON object') }),
  tx_announce: v.object({ hashes }),
  tx_request: v.object({ hashes }),
  compact_block: v.object({
    data: v.custom<JsonObject & { readonly current_hash: Hash; readonly prev_hash: Hash }>(
      (value) => isObject(value) && isHash(value['current_hash']) && isHash(value['prev_hash']),
      'expected a header, a JSON object with current_hash and prev_hash',
    ),
    short_ids: v.pipe(
      v.string(),
      v.regex(/^(?:[0-9a-f]{16})*$/, `expected ${shortIdDigits} lowercase hex digits a transaction`),
    ),
  }),
  block_transactions_request: v.object({ hash, positions: v.array(position) }),
  block_transactions: v.object({}),
} as const

export type RelayType = keyof typeof schemas
export type RelayFields<T extends RelayType> = v.InferOutput<(typeof schemas)[T]>

/** The answer to a `block_transactions_request`. */
export const blockTransactions = v.object({ transactions: v.array(object) })
