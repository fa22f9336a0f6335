import {
  frameOf,
  signConfirmation,
  transactionHash,
  type Confirmation,
  type Genesis,
  type Hash,
  type JsonObject,
  type KeyPair,
  type OutboxEntry,
  type Storage,
} from '../../core/index.ts'
import { noteOf } from './notes.ts'
import type { Saying } from './projection.ts'

/** One message, as every target of every kind gets it. */
export interface News {
  /** The same for the same news: for `webhook-id`, and to drop doubles by. */
  readonly id: string
  /** The block's own, ISO 8601. */
  readonly timestamp: string
  /** One line of JSON, without its end. */
  readonly line: string
  /** The message as a frame of protocol section 6, cut down by whole fields where it is too long for one. */
  frame(): Uint8Array
}

export interface NewsParts {
  readonly storage: Storage
  readonly identity: KeyPair
  /** undefined on a node without a chain, which makes no news of its own. */
  readonly genesis: Genesis | undefined
}

/** What was said is made into a message. The same arguments give the same bytes, as long as the block is still here. */
export const newsOf = (parts: NewsParts, saying: Saying): News =>
  saying.type === 'forward' ? forwarded(parts, saying.entry) : ownNews(parts, saying)

// ---- of this node's own chain ----

function ownNews(parts: NewsParts, saying: Exclude<Saying, { type: 'forward' }>): News {
  const { identity, genesis } = parts
  const { type, entry } = saying
  const final = saying.type === 'block_confirmation' && saying.final
  const plain = {
    type,
    ...factsOf(parts, entry),
    node_id: identity.nodeId,
    final,
    id: idOf(parts, entry, final),
    sequence: entry.sequence,
  }
  const facts: Confirmation = genesis === undefined ? plain : { ...plain, chain_id: genesis.rules.chainId }
  const transactions = type === 'block_orphaned' ? undefined : transactionsOf(parts, entry.hash)
  const whole = signed(identity, transactions === undefined ? facts : { ...facts, transactions })
  return {
    id: plain.id,
    timestamp: facts.timestamp,
    line: JSON.stringify(whole),
    frame: () => frameOf(whole) ?? shorterFrame(identity, facts, transactions ?? []),
  }
}

const signed = (identity: KeyPair, facts: Confirmation): JsonObject =>
  signConfirmation(identity, facts) as unknown as JsonObject

/** About 65,535 bytes fit: hashes alone of some 970 transactions, and of more only how many they are. */
function shorterFrame(identity: KeyPair, facts: Confirmation, transactions: readonly JsonObject[]): Uint8Array {
  const counted = { ...facts, transactions_count: transactions.length }
  const hashes = { ...counted, transaction_hashes: transactions.map(({ tx_hash }) => tx_hash!) }
  return frameOf(signed(identity, hashes)) ?? frameOf(signed(identity, counted))!
}

/**
 * A ledger that was made anew counts its outbox from 1 again: the block tells its news from those of the old one. What is
 * final has the same id whether it was told before or not.
 */
const idOf = ({ identity }: NewsParts, { sequence, hash, kind }: OutboxEntry, final: boolean): string =>
  `${identity.nodeId}:${sequence}:${final ? 'final' : kind}:${hash.slice(0, 16)}`

function factsOf({ storage }: NewsParts, { index, hash }: OutboxEntry) {
  const { miner_id, timestamp } = storage.header(hash)?.header ?? noteOf(storage, hash)
  return { block_index: index, block_hash: hash, miner_id, timestamp }
}

/** undefined where the block was undone and dropped since. */
function transactionsOf({ storage, genesis }: NewsParts, hash: Hash): JsonObject[] | undefined {
  const chainId = genesis?.rules.chainId ?? ''
  return storage.block(hash)?.transactions.map((transaction) => ({
    ...(transaction as unknown as JsonObject),
    tx_hash: transactionHash(transaction, chainId),
  }))
}

// ---- of other nodes ----

/** As it stands: another node's signature covers it. */
function forwarded({ identity }: NewsParts, { sequence, body = '{}' }: OutboxEntry): News {
  const message = JSON.parse(body) as JsonObject
  const { id, timestamp } = message
  return {
    id: typeof id === 'string' && headerSafe.test(id) ? id : `${identity.nodeId}:${sequence}:reported`,
    timestamp: typeof timestamp === 'string' ? timestamp : '',
    line: body.includes('\n') ? JSON.stringify(message) : body,
    frame: () => frameOf(message) ?? barest(message),
  }
}

/** What can stand in a header. Standard Webhooks joins id and time with a full stop. */
const headerSafe = /^[\x21-\x2d\x2f-\x7e]{1,128}$/

/** What came in a frame fits into one; this is for what came in another way: what every confirmation must have. */
function barest(message: JsonObject): Uint8Array {
  const required = ['type', 'block_index', 'block_hash', 'miner_id', 'node_id', 'timestamp']
  return frameOf(Object.fromEntries(required.map((name) => [name, message[name] ?? ''])))!
}
