import * as v from 'valibot'
import type { Hash } from './chain/canonical.ts'
import { isObject, type JsonObject } from './chain/json.ts'
import { decline } from './errors.ts'
import type { TransactionStatus } from './plugin.ts'

// What a node answers, as a client reads it. Fields that are not named here are not looked at: a later node has more.

export type Pong = v.InferOutput<typeof pong>
/** What a signer needs to know. `pending`: how many transactions wait to be recorded. */
export type ChainInfo = v.InferOutput<typeof chainInfo>
/** What a node said to a transaction that it took. */
export type Receipt = v.InferOutput<typeof receipt>
/** A node that the asked one is connected with; milliseconds. */
export type PeerStatus = v.InferOutput<typeof peerStatus>
/** What a part of a node waits for; `since`: as timestamps are written. */
export type WhyWait = v.InferOutput<typeof whyWait>
/** A proof that a key signed what no honest key signs. `proof`: null where the list would have become too long with it. */
export type ListedEvidence = v.InferOutput<typeof listedEvidence>
export type ListedNode = v.InferOutput<typeof listedNode>
/** What a node says of itself. A node without a chain has no `chain_id`, `height`, `head`, `pending`. */
export type NodeStatus = v.InferOutput<typeof nodeStatus>

const hash = v.custom<Hash>((text) => typeof text === 'string' && /^[0-9a-f]{64}$/.test(text), 'expected a hash')
const count = v.pipe(v.number(), v.safeInteger())

const checkpoint = v.object({ index: count, hash })
/** Up to `final` nothing is ever undone. Absent: nothing says what is final. `justified`: where the genesis asks for it. */
const finalityFields = { final: v.optional(checkpoint), justified: v.optional(checkpoint) }

export const pong = v.object({
  type: v.literal('pong'),
  node_id: v.string(),
  chain_id: v.optional(hash),
  height: v.optional(count),
  ...finalityFields,
})

export const chainInfo = v.object({
  type: v.literal('chain_info'),
  chain_id: hash,
  genesis_name: v.string(),
  consensus: v.string(),
  height: count,
  head: hash,
  pending: count,
  ...finalityFields,
})

export const receipt = v.object({
  type: v.literal('MINING_STARTED'),
  miner: v.string(),
  message: v.string(),
  tx_hash: v.optional(hash),
})

const statusFields = { type: v.literal('transaction_status'), tx_hash: hash }
const refusalFields = { code: v.optional(v.string()), error: v.optional(v.string()) }
const blockFields = { block_index: count, block_hash: hash, confirmations: count }
export const transactionStatus = v.variant('status', [
  v.object({ ...statusFields, status: v.literal('pending') }),
  v.object({ ...statusFields, status: v.literal('unknown'), ...refusalFields }),
  v.object({ ...statusFields, status: v.literal('orphaned'), ...refusalFields }),
  v.object({ ...statusFields, status: v.literal('included'), ...blockFields }),
  v.object({ ...statusFields, status: v.literal('final'), ...blockFields }),
])

/** The answer as core speaks of it. */
export function statusOf(answer: v.InferOutput<typeof transactionStatus>): TransactionStatus {
  if (answer.status === 'pending') return { status: 'pending' }
  if ('block_index' in answer) {
    const { status, block_index: blockIndex, block_hash: blockHash, confirmations } = answer
    return { status, blockIndex, blockHash, confirmations }
  }
  const { status, code, error } = answer
  return code === undefined ? { status } : { status, refusal: decline(code, error ?? '') }
}

export const genesisResponse = v.object({ type: v.literal('genesis_response'), genesis: v.string() })

const metric = v.object({
  name: v.string(),
  labels: v.optional(v.record(v.string(), v.string()), {}),
  value: v.number(),
})
const health = v.object({
  name: v.string(),
  status: v.picklist(['pass', 'warn', 'fail']),
  output: v.nullish(v.string()),
})
export const nodeStatus = v.object({
  type: v.literal('node_status'),
  node_id: v.string(),
  node_type: v.string(),
  version: v.string(),
  name: v.string(),
  chain_id: v.optional(hash),
  height: v.optional(count),
  head: v.optional(hash),
  pending: v.optional(count),
  ...finalityFields,
  peers: count,
  syncing: v.boolean(),
  metrics: v.optional(v.array(metric), []),
  health: v.optional(v.array(health), []),
})

const peerStatus = v.object({
  node_id: v.string(),
  address: v.string(),
  remote: v.string(),
  outbound: v.boolean(),
  node_type: v.string(),
  height: count,
  clock_offset_ms: v.nullable(v.number()),
  round_trip_ms: v.nullable(v.number()),
  connected_ms: v.number(),
})
export const peerStatuses = v.object({ type: v.literal('peer_status'), peers: v.array(peerStatus) })

const listedNode = v.object({ node_id: v.string(), host: v.string(), port: count })
export const nodeList = v.object({ type: v.literal('node_list'), nodes: v.array(listedNode) })

const whyWait = v.object({
  who: v.string(),
  waits_for: v.string(),
  since: v.optional(v.string()),
  help: v.optional(v.string()),
})
export const why = v.object({ type: v.literal('why'), waits: v.array(whyWait) })

const listedEvidence = v.object({
  kind: v.string(),
  address: hash,
  what: v.string(),
  found_at: v.string(),
  proof: v.nullish(v.custom<JsonObject>(isObject), null),
})
export const evidenceList = v.object({ type: v.literal('evidence_list'), evidence: v.array(listedEvidence) })

export const refusal = v.object({ type: v.literal('ERROR'), code: v.string(), error: v.string() })
