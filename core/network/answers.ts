import { sealedHeaderOf, type Block, type SealedHeader } from '../chain/block.ts'
import type { JsonObject } from '../chain/json.ts'
import { formatTimestamp } from '../chain/timestamp.ts'
import { decline } from '../errors.ts'
import { whyMessage, whyOf } from '../why.ts'
import { isLoopback } from './addresses/ip.ts'
import { finalityFields } from './finalityfields.ts'
import { hostPortText } from './hostport.ts'
import { plain, requests, type Fields, type RequestType } from './messages.ts'
import type { ModuleParts, NetworkChain, NetworkModule, Sender } from './module.ts'
import { nodeStatus, type NodeStatusParts } from './nodestatus.ts'
import type { Answer } from './session.ts'
import { isLightType } from './standing.ts'

const nodesListedMax = 1_000
const responseBlocksMax = 100
const responseHeadersMax = 2_000
const responseBytesMax = 8 * 1024 * 1024

export type AnswersParts = NodeStatusParts

type Answers = {
  readonly [T in RequestType]: (fields: Fields<T>, message: JsonObject, sender: Sender) => Answer | Promise<Answer>
}

/**
 * What this node answers to each request of a client (protocol section 5). What only asks is answered when everything
 * before it on the connection is done: a block that is taken is told by silence, so who sends one and then asks for the
 * height must be told the height with it.
 */
export function answers(parts: AnswersParts): NetworkModule {
  const table = answersOf(parts)
  const types = Object.keys(requests) as RequestType[]
  return { messages: Object.fromEntries(types.map((type) => [type, { schema: requests[type], handle: table[type] }])) }
}

function answersOf(parts: AnswersParts): Answers {
  const { chain } = parts
  /**
   * Most requests need a chain, and a gateway has none. A peer that asks it for blocks by mistake asks again and again: it
   * is told that there are `none`, which ends the matter.
   */
  const withChain =
    <T extends RequestType>(
      none: JsonObject | undefined,
      answer: (chain: NetworkChain, fields: Fields<T>, message: JsonObject, sender: Sender) => ReturnType<Answers[T]>,
    ) =>
    (fields: Fields<T>, message: JsonObject, sender: Sender) =>
      chain !== undefined
        ? answer(chain, fields, message, sender)
        : none === undefined || sender.peer === undefined
          ? noChain
          : { message: none }
  return {
    ping: () => ({ make: () => pong(parts) }),
    node_discovery: () => ({ make: () => nodeList(parts) }),
    block_request: withChain<'block_request'>({ type: 'block_response', blocks: [] }, (its, fields) => {
      if ('from' in fields && fields.from > fields.to) {
        return { refusal: decline('bad-message', `from: expected at most to (${fields.to}), got ${fields.from}`) }
      }
      return { make: () => ({ type: 'block_response', blocks: blocksOf(its, fields) }) }
    }),
    header_request: withChain<'header_request'>({ type: 'header_response', headers: [] }, (its, { locator }) => ({
      make: () => ({ type: 'header_response', headers: headersAfter(its, locator) }),
    })),
    transaction_status: withChain<'transaction_status'>(undefined, (its, { tx_hash }) => ({
      make: () => transactionStatus(its, tx_hash),
    })),
    chain_info: withChain<'chain_info'>(undefined, (its) => ({ make: () => chainInfo(its, parts) })),
    genesis_request: () => {
      const { value } = parts.known
      return value === undefined ? noChain : { make: () => ({ type: 'genesis_response', genesis: value.text }) }
    },
    // Who is connected with whom is not everybody's business: it is where an attack on one node begins.
    peer_status: (_fields, _message, { connection }) =>
      isLoopback(connection.remoteHost) ? { make: () => peerStatus(parts) } : { refusal: loopbackOnly },
    node_status: (_fields, _message, { connection }) =>
      isLoopback(connection.remoteHost) ? { make: () => nodeStatus(parts) } : { refusal: loopbackOnly },
    why_request: (_fields, _message, { connection }) =>
      isLoopback(connection.remoteHost) ? { make: () => why(parts) } : { refusal: loopbackOnly },
  }
}

const loopbackOnly = decline('loopback-only', 'this is only shown on the machine of the node itself')

export const noChain: Answer = { refusal: decline('no-chain', 'this node keeps no chain; ask one that does') }

function why(parts: AnswersParts): JsonObject {
  const { catchup, chain, contributed, finality, peers, producer, runtime, settings, signing } = parts
  const entries = whyOf({
    now: runtime.clock.now(),
    producer,
    storage: chain && (() => chain.storageFailure()),
    signing: signing && (() => signing.stopped()),
    finality: finality && (() => finality.waits()),
    sync: () => catchup.progress,
    peers: () => ({ connected: peers.size, named: settings.peers }),
    contributed: contributed ?? { all: () => [] },
  })
  return whyMessage(entries)
}

function pong({ chain, finality, known, identity, runtime }: ModuleParts): JsonObject {
  const timestamp = formatTimestamp(runtime.clock.now())
  const pong = { type: 'pong', node_id: identity.nodeId, timestamp }
  if (known.value === undefined) return pong
  const onChain = { ...pong, chain_id: known.value.rules.chainId }
  if (chain === undefined) return onChain
  return { ...onChain, height: chain.head().header.index, ...finalityFields({ chain, finality }) }
}

function nodeList(parts: ModuleParts): JsonObject {
  const { storage, identity } = parts
  // Who looks for nodes looks for those that keep the chain.
  const own = parts.chain && parts.publicAddress()
  const others = (storage?.nodes() ?? [])
    .filter(({ node_id, node_type, status }) => {
      return status === 'active' && node_id !== identity.nodeId && !isLightType(node_type)
    })
    .map(({ node_id, host, port }) => ({ node_id, host, port }))
  const nodes = own === undefined ? others : [{ node_id: identity.nodeId, host: own.host, port: own.port }, ...others]
  return { type: 'node_list', nodes: nodes.slice(0, nodesListedMax) }
}

function transactionStatus(chain: NetworkChain, hash: string): JsonObject {
  const status = chain.status(hash)
  const answer = { type: 'transaction_status', tx_hash: hash, status: status.status }
  if ('blockIndex' in status) {
    const { blockIndex, blockHash, confirmations } = status
    return { ...answer, block_index: blockIndex, block_hash: blockHash, confirmations }
  }
  const refusal = 'refusal' in status ? status.refusal : undefined
  return refusal === undefined ? answer : { ...answer, code: refusal.code, error: plain(refusal.detail) }
}

function chainInfo(chain: NetworkChain, { finality }: ModuleParts): JsonObject {
  const { genesis } = chain
  const { header } = chain.head()
  return {
    type: 'chain_info',
    chain_id: genesis.rules.chainId,
    genesis_name: genesis.name,
    consensus: genesis.consensus,
    height: header.index,
    head: header.current_hash,
    pending: chain.pendingCount(),
    ...finalityFields({ chain, finality }),
  }
}

function peerStatus({ peers, runtime }: ModuleParts): JsonObject {
  const now = runtime.clock.monotonic()
  const listed = peers.all().map((peer): JsonObject => {
    const { connection, facts } = peer
    return {
      node_id: peer.nodeId,
      address: facts.key.address,
      remote: hostPortText({ host: connection.remoteHost, port: connection.remotePort }),
      outbound: peer.outbound,
      node_type: facts.nodeType,
      height: peer.height,
      clock_offset_ms: peer.clockOffset ?? null,
      round_trip_ms: peer.roundTrip === undefined ? null : Math.round(peer.roundTrip),
      connected_ms: Math.round(now - peer.since),
    }
  })
  return { type: 'peer_status', peers: listed }
}

function blocksOf(chain: NetworkChain, fields: Fields<'block_request'>): JsonObject[] {
  if ('hash' in fields) return [chain.block(fields.hash)].filter((block) => block !== undefined).map(json)
  const blockAt = (index: number): Block | undefined => {
    const stored = chain.headerAt(index)
    return stored && chain.block(stored.header.current_hash)
  }
  return fitting(fields.from, Math.min(fields.to, fields.from + responseBlocksMax - 1), blockAt)
}

/** Of the recorded chain, after the newest of these hashes that is on it; from block 1 where none of them is. */
function headersAfter(chain: NetworkChain, locator: readonly string[]): JsonObject[] {
  const known = locator.map((hash) => chain.header(hash)).filter((stored) => stored?.recorded === true)
  const from = Math.max(0, ...known.map((stored) => stored!.header.index)) + 1
  return fitting(from, from + responseHeadersMax - 1, (index) => {
    const stored = chain.headerAt(index)
    return stored && sealedHeaderOf(stored.header)
  })
}

/** Oldest first. As many as a response holds, and always one where there is one: who wants more asks from there. */
function fitting(from: number, to: number, at: (index: number) => SealedHeader | undefined): JsonObject[] {
  const parts: JsonObject[] = []
  let bytes = 0
  for (let index = from; index <= to; index++) {
    const part = at(index)
    if (part === undefined) break
    bytes += Buffer.byteLength(JSON.stringify(part))
    if (bytes > responseBytesMax && parts.length > 0) break
    parts.push(json(part))
  }
  return parts
}

// Blocks and headers are JSON by their schema; only an interface without an index signature does not show it.
const json = (part: SealedHeader): JsonObject => part as unknown as JsonObject
