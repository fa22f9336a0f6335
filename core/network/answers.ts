import type { Block } from '../chain/block.ts'
import type { JsonObject } from '../chain/json.ts'
import { formatTimestamp } from '../chain/timestamp.ts'
import { accepted, decline, type Verdict } from '../errors.ts'
import type { Admission, Connection } from '../plugin.ts'
import { requests, type Fields, type RequestType } from './messages.ts'
import type { ModuleParts, NetworkChain, NetworkModule, Sender } from './module.ts'
import type { Answer } from './session.ts'

const nodesListedMax = 1_000
const responseBlocksMax = 100
const responseBytesMax = 8 * 1024 * 1024

type Answers = {
  readonly [T in RequestType]: (fields: Fields<T>, message: JsonObject, sender: Sender) => Answer | Promise<Answer>
}

/**
 * What this node answers to each request of a client (protocol section 5). What only asks is answered when everything
 * before it on the connection is done: a block that is taken is told by silence, so who sends one and then asks for the
 * height must be told the height with it.
 */
export function answers(parts: ModuleParts): NetworkModule {
  const table = answersOf(parts)
  const types = Object.keys(requests) as RequestType[]
  return { messages: Object.fromEntries(types.map((type) => [type, { schema: requests[type], handle: table[type] }])) }
}

function answersOf(parts: ModuleParts): Answers {
  const { chain } = parts
  const blocks = new BlockTurns()
  /** Most requests need a chain, and a gateway has none. */
  const withChain =
    <T extends RequestType>(
      answer: (chain: NetworkChain, fields: Fields<T>, message: JsonObject, sender: Sender) => ReturnType<Answers[T]>,
    ) =>
    (fields: Fields<T>, message: JsonObject, sender: Sender) =>
      chain === undefined ? noChain : answer(chain, fields, message, sender)
  return {
    ping: () => ({ make: () => pong(parts) }),
    node_discovery: () => ({ make: () => nodeList(parts) }),
    NEW_TRANSACTION: withChain<'NEW_TRANSACTION'>(async (its, _fields, message, { connection }) => {
      const result = await its.submitTransaction(message, connection.id)
      if (!result.ok) return { refusal: result }
      const { hash } = result.value
      const said = whatBecameOf(its, result.value)
      return { message: { type: 'MINING_STARTED', miner: parts.identity.nodeId, message: said, tx_hash: hash } }
    }),
    new_block: withChain<'new_block'>(async (its, { data }, _message, { connection }) => {
      const verdict = await blocks.take(connection, () => its.submitBlock(data, connection.id))
      // A block that is here already is what was wanted: blocks reach a node from many sides.
      if (verdict.ok || verdict.code === 'known') return undefined
      return { refusal: verdict, close: verdict.provable }
    }),
    block_request: withChain<'block_request'>((its, fields) => {
      if ('from' in fields && fields.from > fields.to) {
        return { refusal: decline('bad-message', `from: expected at most to (${fields.to}), got ${fields.from}`) }
      }
      return { make: () => ({ type: 'block_response', blocks: blocksOf(its, fields) }) }
    }),
    transaction_status: withChain<'transaction_status'>((its, { tx_hash }) => ({
      make: () => transactionStatus(its, tx_hash),
    })),
    chain_info: withChain<'chain_info'>((its) => ({ make: () => chainInfo(its) })),
  }
}

/**
 * Blocks of one connection are taken one after the other: the second often stands on the first. After one that no honest
 * program sends, those behind it are not looked at, since the connection is about to end.
 */
class BlockTurns {
  readonly #last = new WeakMap<Connection, Promise<Verdict>>()

  take(connection: Connection, submit: () => Promise<Verdict>): Promise<Verdict> {
    const before = this.#last.get(connection)
    const next = before === undefined ? submit() : this.#after(before, submit)
    this.#last.set(connection, next)
    return next
  }

  async #after(before: Promise<Verdict>, submit: () => Promise<Verdict>): Promise<Verdict> {
    // Ours was the fault where it failed, and that is told in its own place.
    const verdict = await before.catch(() => accepted)
    return verdict.ok || !verdict.provable ? await submit() : verdict
  }
}

const noChain: Answer = { refusal: decline('no-chain', 'this node keeps no chain; ask one that does') }

function pong({ chain, identity, runtime }: ModuleParts): JsonObject {
  const timestamp = formatTimestamp(runtime.clock.now())
  const pong = { type: 'pong', node_id: identity.nodeId, timestamp }
  if (chain === undefined) return pong
  return { ...pong, chain_id: chain.genesis.rules.chainId, height: chain.head().header.index }
}

function nodeList(parts: ModuleParts): JsonObject {
  const { storage, identity } = parts
  const own = parts.publicAddress()
  const others = (storage?.nodes() ?? [])
    .filter(({ node_id, status }) => status === 'active' && node_id !== identity.nodeId)
    .map(({ node_id, host, port }) => ({ node_id, host, port }))
  const nodes = own === undefined ? others : [{ node_id: identity.nodeId, host: own.host, port: own.port }, ...others]
  return { type: 'node_list', nodes: nodes.slice(0, nodesListedMax) }
}

function whatBecameOf(chain: NetworkChain, { status, hash }: Admission): string {
  const now = chain.status(hash)
  if (status !== 'admitted') return now.status === 'included' ? `already in block ${now.blockIndex}` : 'already pending'
  const due = chain.due()
  if ('when' in due || now.status === 'included') return 'Mining started'
  return `Kept until a block records it; this node waits for ${due.waitsFor}`
}

function transactionStatus(chain: NetworkChain, hash: string): JsonObject {
  const status = chain.status(hash)
  const answer = { type: 'transaction_status', tx_hash: hash, status: status.status }
  if (status.status !== 'included') return answer
  const { blockIndex, blockHash, confirmations } = status
  return { ...answer, block_index: blockIndex, block_hash: blockHash, confirmations }
}

function chainInfo(chain: NetworkChain): JsonObject {
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
function blocksOf(chain: NetworkChain, fields: Fields<'block_request'>): JsonObject[] {
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
