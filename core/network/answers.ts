import type { Block } from '../chain/block.ts'
import type { JsonObject } from '../chain/json.ts'
import { formatTimestamp } from '../chain/timestamp.ts'
import { decline } from '../errors.ts'
import type { Admission, Chain, Connection } from '../plugin.ts'
import type { InboxParts } from './inbox.ts'
import type { Fields, RequestType } from './messages.ts'
import type { Answer } from './session.ts'

const nodesListedMax = 1_000
const responseBlocksMax = 100
const responseBytesMax = 8 * 1024 * 1024

type Answers = {
  readonly [T in RequestType]: (
    fields: Fields<T>,
    message: JsonObject,
    connection: Connection,
  ) => Answer | Promise<Answer>
}

/** What this node answers to each request of a client (protocol section 5). */
export function answersOf(parts: InboxParts): Answers {
  const { chain } = parts
  /** Most requests need a chain, and a gateway has none. */
  const withChain =
    <T extends RequestType>(
      answer: (chain: Chain, fields: Fields<T>, message: JsonObject, connection: Connection) => ReturnType<Answers[T]>,
    ) =>
    (fields: Fields<T>, message: JsonObject, connection: Connection) =>
      chain === undefined ? noChain : answer(chain, fields, message, connection)
  return {
    ping: () => ({ message: pong(parts) }),
    node_discovery: () => ({ message: nodeList(parts) }),
    NEW_TRANSACTION: withChain<'NEW_TRANSACTION'>(async (its, _fields, message) => {
      const result = await its.submitTransaction(message)
      if (!result.ok) return { refusal: result }
      const { hash } = result.value
      const said = whatBecameOf(its, result.value)
      return { message: { type: 'MINING_STARTED', miner: parts.identity.nodeId, message: said, tx_hash: hash } }
    }),
    new_block: withChain<'new_block'>(async (its, { data }, _message, connection) => {
      const verdict = await its.submitBlock(data, connection.id)
      return verdict.ok ? undefined : { refusal: verdict, close: verdict.provable }
    }),
    block_request: withChain<'block_request'>((its, fields) => {
      if ('from' in fields && fields.from > fields.to) {
        return { refusal: decline('bad-message', `from: expected at most to (${fields.to}), got ${fields.from}`) }
      }
      return { make: () => ({ type: 'block_response', blocks: blocksOf(its, fields) }) }
    }),
    transaction_status: withChain<'transaction_status'>((its, { tx_hash }) => ({
      message: transactionStatus(its, tx_hash),
    })),
    chain_info: withChain<'chain_info'>((its) => ({ message: chainInfo(its) })),
  }
}

const noChain: Answer = { refusal: decline('no-chain', 'this node keeps no chain; ask one that does') }

function pong({ chain, identity, runtime }: InboxParts): JsonObject {
  const timestamp = formatTimestamp(runtime.clock.now())
  const pong = { type: 'pong', node_id: identity.nodeId, timestamp }
  if (chain === undefined) return pong
  return { ...pong, chain_id: chain.genesis.rules.chainId, height: chain.head().header.index }
}

function nodeList(parts: InboxParts): JsonObject {
  const { storage, identity } = parts
  const own = parts.publicAddress()
  const others = (storage?.nodes() ?? [])
    .filter(({ node_id, status }) => status === 'active' && node_id !== identity.nodeId)
    .map(({ node_id, host, port }) => ({ node_id, host, port }))
  const nodes = own === undefined ? others : [{ node_id: identity.nodeId, host: own.host, port: own.port }, ...others]
  return { type: 'node_list', nodes: nodes.slice(0, nodesListedMax) }
}

function whatBecameOf(chain: Chain, { status, hash }: Admission): string {
  if (status === 'admitted') return 'Mining started'
  const now = chain.status(hash)
  return now.status === 'included' ? `already in block ${now.blockIndex}` : 'already pending'
}

function transactionStatus(chain: Chain, hash: string): JsonObject {
  const status = chain.status(hash)
  const answer = { type: 'transaction_status', tx_hash: hash, status: status.status }
  if (status.status !== 'included') return answer
  const { blockIndex, blockHash, confirmations } = status
  return { ...answer, block_index: blockIndex, block_hash: blockHash, confirmations }
}

function chainInfo(chain: Chain): JsonObject {
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
  }
}

/** Oldest first. As many as a response holds, and always one where there is one: who wants more asks from there. */
function blocksOf(chain: Chain, fields: Fields<'block_request'>): JsonObject[] {
  if ('hash' in fields) return [chain.block(fields.hash)].filter((block) => block !== undefined).map(blockJson)
  const blocks: JsonObject[] = []
  let bytes = 0
  for (let index = fields.from; index <= fields.to && blocks.length < responseBlocksMax; index++) {
    const stored = chain.headerAt(index)
    const block = stored && chain.block(stored.header.current_hash)
    if (block === undefined) break
    bytes += Buffer.byteLength(JSON.stringify(block))
    if (bytes > responseBytesMax && blocks.length > 0) break
    blocks.push(blockJson(block))
  }
  return blocks
}

// A block is JSON by its schema; only an interface without an index signature does not show it.
const blockJson = (block: Block): JsonObject => block as unknown as JsonObject
