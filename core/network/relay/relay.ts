import type { Hash } from '../../chain/canonical.ts'
import type { HeadMove } from '../../chain/chain.ts'
import type { JsonObject } from '../../chain/json.ts'
import { decline, type Verdict } from '../../errors.ts'
import type { Connection } from '../../plugin.ts'
import { noChain } from '../answers.ts'
import { requestIdOf } from '../messages.ts'
import type { Catchup, ModuleParts, NetworkChain, NetworkModule, Sender } from '../module.ts'
import type { Peer } from '../peer.ts'
import type { Answer } from '../session.ts'
import { Arrivals } from './arrivals.ts'
import { BlockRelay } from './blocks.ts'
import { CompactBlocks } from './compact.ts'
import { schemas, type RelayFields, type RelayType } from './messages.ts'
import { Recent } from './recent.ts'
import { blockTransactionsMessage } from './shortids.ts'
import { TransactionRelay } from './transactions.ts'

type RelayParts = ModuleParts & { readonly catchup: Catchup }

type Handlers = {
  readonly [T in RelayType]: (fields: RelayFields<T>, message: JsonObject, sender: Sender) => Answer | Promise<Answer>
}

/** Transactions and blocks: takes those of clients, and spreads them among peers. */
export function relay(parts: RelayParts): NetworkModule {
  const { chain } = parts
  return chain === undefined ? { messages: messagesOf(withoutChain) } : new Relay({ ...parts, chain })
}

/** What a peer sends of itself by mistake is not for this node; to say so each time would only double the mistake. */
const withoutChain = (type: RelayType) => {
  const asks = type === 'block_transactions_request'
  return (_fields: unknown, message: JsonObject, { peer }: Sender): Answer =>
    peer === undefined || asks || requestIdOf(message) !== undefined ? noChain : undefined
}

class Relay implements NetworkModule {
  readonly messages: NetworkModule['messages']
  readonly #recent = new Recent()
  readonly #transactions: TransactionRelay
  readonly #blocks: BlockRelay

  constructor(parts: RelayParts & { readonly chain: NetworkChain }) {
    const transactions = new TransactionRelay({ ...parts, recent: this.#recent })
    const arrived = (peer: Peer, hash: Hash): boolean => transactions.arrived(peer, hash)
    const blocks = new BlockRelay({ ...parts, arrived })
    const arrivals = new Arrivals(parts)
    const submitted = (): Promise<void> => transactions.submitted()
    const compact = new CompactBlocks({ ...parts, recent: this.#recent, arrivals, submitted })
    this.#transactions = transactions
    this.#blocks = blocks
    const handlers = handlersOf({ chain: parts.chain, transactions, blocks, arrivals, compact })
    this.messages = messagesOf((type) => handlers[type])
    parts.chain.watch({
      admitted: (entries) => transactions.admitted(entries),
      moved: (move) => this.#moved(move),
      beside: (block, from) => blocks.beside(block, from),
      sayAgain: (block) => blocks.sayAgain(block),
    })
  }

  joined(peer: Peer): void {
    if (!peer.isLight) this.#transactions.joined(peer)
  }

  left(peer: Peer): void {
    this.#transactions.left(peer)
  }

  closed(connection: Connection): void {
    this.#transactions.closed(connection)
  }

  start(): void {
    this.#transactions.start()
  }

  stop(): void {
    this.#transactions.stop()
    this.#blocks.stop()
  }

  #moved(move: HeadMove): void {
    for (const { hashes } of move.applied) {
      for (const hash of hashes) {
        this.#recent.add(hash)
        this.#transactions.recorded(hash)
      }
    }
    this.#transactions.admitted(move.returned)
    this.#blocks.moved(move)
  }
}

interface HandlersParts {
  readonly chain: NetworkChain
  readonly transactions: TransactionRelay
  readonly blocks: BlockRelay
  readonly arrivals: Arrivals
  readonly compact: CompactBlocks
}

function handlersOf({ chain, transactions, blocks, arrivals, compact }: HandlersParts): Handlers {
  return {
    NEW_TRANSACTION: (_fields, message, sender) => transactions.take(message, sender),
    // What some programs say to each transaction that they are sent.
    MINING_STARTED: () => undefined,
    async new_block({ data }, _message, { connection, peer }) {
      if (peer !== undefined) return blameOnly(await arrivals.takeFromPeer(data, peer))
      const verdict = await arrivals.takeFromClient(data, connection)
      // A block that is here already is what was wanted: blocks reach a node from many sides.
      if (verdict.ok || verdict.code === 'known') return undefined
      return { refusal: verdict, close: verdict.provable }
    },
    tx_announce({ hashes }, _message, { peer }) {
      if (peer === undefined) return peersOnly
      transactions.announced(peer, hashes)
      return undefined
    },
    tx_request({ hashes }, _message, sender) {
      transactions.asked(sender, hashes)
      return undefined
    },
    compact_block: (fields, _message, { peer }) =>
      peer === undefined ? peersOnly : blameOnly(compact.take(fields, peer)),
    block_transactions_request({ hash, positions }) {
      const block = blocks.latest(hash) ?? chain.block(hash)
      if (block === undefined) return { refusal: decline('unknown-block', `hash: no block ${hash} is here`) }
      const { transactions: all } = block
      if (positions.length > all.length || positions.some((position) => position >= all.length)) {
        return { refusal: decline('bad-message', `positions: the block holds ${all.length} transactions`) }
      }
      return { make: () => blockTransactionsMessage(block, positions) }
    },
    // One that comes too late for its question.
    block_transactions: () => undefined,
  }
}

const peersOnly: Answer = { refusal: decline('peers-only', 'shake hands first') }

/** What is nobody's fault is not told to a peer: it would not do anything else for it. */
const blameOnly = (verdict: Verdict): Answer => (verdict.ok || !verdict.provable ? undefined : { refusal: verdict })

const messagesOf = (handlerOf: (type: RelayType) => Handlers[RelayType]): NetworkModule['messages'] =>
  Object.fromEntries(
    (Object.keys(schemas) as RelayType[]).map((type) => [type, { schema: schemas[type], handle: handlerOf(type) }]),
  )
