// What a block looks like on the wire, whole and in short. The model is BIP 152: a header, and short ids from which a
// node that holds the transactions puts the block together. What differs:
// - A short id is the first 64 bits of the transaction's id, where BIP 152 has 48 bits of a SipHash keyed with the
//   header. The key is there so that nobody can make two transactions that collide at every node; 64 bits of SHA-256
//   cost some 2^32 hashes to make collide, and then nothing worse happens than that blocks with such a pair travel whole.
//   Without a key every node keeps one index of what is pending, instead of hashing all of it again for each block.
// - `tx_root` judges the result: it covers the ids, not their beginnings, so that a wrong guess is always found out.
// - A block is passed on after it was found valid (BIP 152's high-bandwidth mode is faster by that check), so that who
//   sends a header that does not hold is to blame. The body that was put together here is nobody's fault.
import { sealedHeaderOf, type Block } from '../../chain/block.ts'
import type { Hash } from '../../chain/canonical.ts'
import type { JsonObject } from '../../chain/json.ts'
import type { NodeId } from '../../chain/keys.ts'
import { shortIdDigits } from './messages.ts'

export const shortIdOf = (hash: Hash): string => hash.slice(0, shortIdDigits)

export const shortIdsIn = (text: string): string[] =>
  Array.from({ length: text.length / shortIdDigits }, (_, i) => text.slice(i * shortIdDigits, (i + 1) * shortIdDigits))

// Blocks are JSON by their schema; only an interface without an index signature does not show it.

export const wholeMessage = (nodeId: NodeId, block: Block): JsonObject =>
  ({ type: 'new_block', node_id: nodeId, data: block }) as unknown as JsonObject

/** `hashes`: ids of the block's transactions, in their order. */
export const compactMessage = (nodeId: NodeId, block: Block, hashes: readonly Hash[]): JsonObject =>
  ({
    type: 'compact_block',
    node_id: nodeId,
    data: sealedHeaderOf(block),
    short_ids: hashes.map(shortIdOf).join(''),
  }) as unknown as JsonObject

/** `positions`: of transactions that the block holds, from 0. */
export const blockTransactionsMessage = (
  { current_hash, transactions }: Block,
  positions: readonly number[],
): JsonObject =>
  ({
    type: 'block_transactions',
    hash: current_hash,
    transactions: positions.map((position) => transactions[position]!),
  }) as unknown as JsonObject
