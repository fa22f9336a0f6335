// Networks with real chains on connections that a test can see into, and peers that are the test.
import { Chain } from '../../../../core/chain/chain.ts'
import type { Block } from '../../../../core/chain/block.ts'
import type { Hash } from '../../../../core/chain/canonical.ts'
import type { JsonObject } from '../../../../core/chain/json.ts'
import { transactionHash, type Transaction } from '../../../../core/chain/transaction.ts'
import { accepted } from '../../../../core/errors.ts'
import { defaultNodeLimits, type Limits } from '../../../../core/limits.ts'
import type { Checkpoint, Consensus, Finality } from '../../../../core/plugin.ts'
import { MemoryLedger } from '../../../../plugins/memory/ledger.ts'
import { makeBlock, makeGenesis, makeTransaction } from '../../../support/blocks.ts'
import { ackOf, handshakeOf, keyOf, Town, type Stranger, type TownNode } from '../town.ts'

export const genesis = makeGenesis('instant', {})

export const hashOf = (transaction: Transaction): Hash => transactionHash(transaction, genesis.rules.chainId)

let made = 0

/** Transactions that differ from all others of this run. */
export const some = (count: number, data: JsonObject = {}): Transaction[] =>
  Array.from({ length: count }, () => makeTransaction(genesis, 1 + (made % 200), data, made++))

export const newTransaction = (transaction: Transaction): JsonObject => ({ type: 'NEW_TRANSACTION', ...transaction })

export const blockOn = (parent: Block, transactions: readonly Transaction[] = [], extra = ''): Block =>
  makeBlock(parent, { work: 1, transactions, extra })

/** Messages that a relay sends of itself. */
export const relayTypes = [
  'NEW_TRANSACTION',
  'tx_announce',
  'tx_request',
  'new_block',
  'compact_block',
  'block_transactions_request',
  'block_transactions',
]

/** So many blocks, each on the one before. */
export function blocksOn(parent: Block, count: number, extra = ''): Block[] {
  const blocks: Block[] = []
  for (let i = 0; i < count; i++) blocks.push(blockOn(blocks.at(-1) ?? parent, [], extra))
  return blocks
}

export const isOneOf = ({ type }: JsonObject, ...types: readonly string[]): boolean =>
  typeof type === 'string' && types.includes(type)

/** A message that was sent, and between whom. */
export interface Sent {
  readonly message: JsonObject
  readonly from: string
  readonly to: string
}

export interface RelayNode extends TownNode {
  readonly chain: Chain
}

export class RelayTown extends Town {
  readonly sent: Sent[] = []

  constructor(seed = 1) {
    super(seed)
    this.watch()
  }

  /** Notes what is sent. `fate`: see `Post`. */
  watch(fate: Town['post'] = (message) => [{ message, after: 5 }]): void {
    this.post = (message, from, to) => {
      this.sent.push({ message, from, to })
      return fate(message, from, to)
    }
  }

  of(type: string): Sent[] {
    return this.sent.filter(({ message }) => message['type'] === type)
  }

  /** `n`: the last number of its address. */
  relayNode(n: number, limits: Partial<Limits> = {}, more: RelayNodeOptions = {}): RelayNode {
    const host = `10.0.0.${n}`
    const storage = new MemoryLedger()
    storage.begin(genesis, genesis.block, 0)
    const nothing = (): void => undefined
    const chain = new Chain({
      genesis,
      consensus: more.consensus ?? anything,
      finality: more.finality,
      storage,
      runtime: this.world.host(host),
      limits: { ...defaultNodeLimits, ...limits },
      log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
      emit: nothing,
      changed: nothing,
    })
    // Nodes find no others by themselves: who knows whom is the test's affair.
    const node = this.node(host, { chain, limits, finality: more.finality, settings: { dialNetworks: [] } })
    node.network.start()
    return Object.assign(node, { chain })
  }

  async join(a: TownNode, b: TownNode): Promise<void> {
    const result = await this.dial(a, b)
    if (!result.ok) throw new Error(`${result.code}: ${result.detail}`)
  }

  /** Nodes that each know the next. */
  async line(count: number): Promise<RelayNode[]> {
    const nodes = Array.from({ length: count }, (_, i) => this.relayNode(i + 1))
    for (let i = 1; i < count; i++) await this.join(nodes[i - 1]!, nodes[i]!)
    return nodes
  }

  /** A peer that is the test. It answers the first questions after the handshake as a node without blocks would. */
  async peer(to: RelayNode, name = 'stranger', features: string[] = ['compact_block']): Promise<Stranger> {
    const stranger = this.stranger(to, `10.9.9.${name.length}`)
    const key = keyOf(name)
    const own = handshakeOf(key, to.chain, { features })
    stranger.say(own)
    await this.world.runUntil(() => stranger.heard.length > 0)
    stranger.say(ackOf(key, own, stranger.last('handshake')!))
    await this.world.runUntil(() => to.network.peers.get(key.nodeId) !== undefined)
    const repeat = ({ request_id }: JsonObject): JsonObject => (request_id === undefined ? {} : { request_id })
    stranger.answer('ping', (question) =>
      stranger.say({ type: 'pong', node_id: key.nodeId, height: 0, ...repeat(question) }),
    )
    stranger.answer('header_request', (question) =>
      stranger.say({ type: 'header_response', headers: [], ...repeat(question) }),
    )
    stranger.replay()
    await this.world.advance(50)
    return stranger
  }
}

export interface RelayNodeOptions {
  readonly consensus?: Consensus
  readonly finality?: SaidFinal
}

/** What is justified and final is what the test says. */
export class SaidFinal implements Finality {
  justifiedPoint: Checkpoint = { index: 0, hash: genesis.block.current_hash }
  finalPoint: Checkpoint = this.justifiedPoint

  justified(): Checkpoint {
    return this.justifiedPoint
  }

  final(): Checkpoint {
    return this.finalPoint
  }

  certificate(): undefined {}

  verify() {
    return accepted
  }

  halted(): undefined {}

  wantsBlock(): boolean {
    return false
  }

  waits(): undefined {}

  open(): void {}
}

export const checkpointOf = ({ index, current_hash: hash }: Block): Checkpoint => ({ index, hash })

/** Every block is good and weighs the same. */
export const anything: Consensus = {
  id: 'instant',
  futureMillisecondsMax: 15_000,
  prepare: (draft) => draft,
  verify: () => accepted,
  weight: () => 1n,
  due: () => ({ waitsFor: 'the test' }),
  seal: () => Promise.resolve(undefined),
}

/** What a stranger heard of one type. */
export const heard = (stranger: Stranger, type: string): JsonObject[] =>
  stranger.heard.filter((message) => message['type'] === type)
