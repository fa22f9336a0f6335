// Whole nodes on a simulated network in which every way takes the same time and work takes none.
import { developmentGenesis } from '../../core/chain/genesis.ts'
import { transactionHash, type Transaction } from '../../core/chain/transaction.ts'
import { definePlugin, type Chain, type Connection } from '../../core/index.ts'
import type { PluginEntry } from '../../core/load.ts'
import { startNode, type RunningNode } from '../../core/node.ts'
import type { LoadedPlugin, Transport } from '../../core/plugin.ts'
import instant from '../../plugins/instant/index.ts'
import tcp from '../../plugins/tcp/index.ts'
import { Dice } from '../sim/dice.ts'
import { pluginEntry, simNodeOptions, simPort } from '../sim/simnode.ts'
import { makeBlock } from '../support/blocks.ts'
import { Arrivals, onlooker } from './arrivals.ts'
import { farthest, neighboursOf, randomDials } from './graph.ts'
import { signMany } from './load.ts'
import { MeteredWorld } from './meter.ts'

export const wayMilliseconds = 10

const seed = 1
/** Whom each node dials; about as many others dial it. */
const dials = [4, 4] as const
/** After so long a node is sure that what it announced has arrived (announcements.ts). */
const settleMilliseconds = 1_000
const genesis = developmentGenesis('instant', {})

export interface Journey {
  /** Of `wayMilliseconds` each, until the last node had it. */
  readonly waysOfBlock: number
  readonly waysOfTransaction: number
  /** Hops from the first node to the farthest. */
  readonly shortest: number
  readonly shortestOfTransaction: number
  /** All that was sent for it between all nodes. */
  readonly bytesOfBlock: number
}

export class SimNetwork {
  readonly #world: MeteredWorld
  readonly #arrivals: Arrivals
  readonly #chains: Chain[] = []
  readonly #dice = new Dice(`${seed}/spread`)
  readonly #nodes: RunningNode[] = []
  #signed = 0

  private constructor(size: number) {
    // Buffers as large as a block: otherwise a large one waits for word of room, whatever the relay does.
    this.#world = new MeteredWorld({
      seed,
      latencyMilliseconds: [wayMilliseconds, wayMilliseconds],
      bufferBytesMax: 16 * 1024 * 1024,
    })
    this.#arrivals = new Arrivals(size, () => this.#world.elapsed)
  }

  static async start(size: number, shortIds: boolean): Promise<SimNetwork> {
    const network = new SimNetwork(size)
    for (let n = 0; n < size; n++) await network.#startNode(n, shortIds)
    const dialled = randomDials(size, dials, network.#dice).flatMap((others, n) =>
      others.map((other) => network.#nodes[n]!.network.dial({ host: addressOf(other), port: simPort })),
    )
    const results = await network.#world.settled(Promise.all(dialled))
    const failed = results.find(({ ok }) => !ok)
    if (failed !== undefined) throw new Error(`a node was not reached: ${JSON.stringify(failed)}`)
    await network.#world.advance(settleMilliseconds)
    return network
  }

  neighbours(): number[][] {
    return neighboursOf(this.#nodes)
  }

  /** So many transactions from random nodes, then, when everybody has them, a block of all of them from another. */
  async spread(count: number): Promise<Journey> {
    const neighbours = this.neighbours()
    const all = signMany(genesis.rules.chainId, count, this.#signed)
    this.#signed += count
    const [first, ...others] = all
    const firstSource = this.#anyNode()
    const waysOfTransaction = first === undefined ? 0 : await this.#spreadTransaction(first, firstSource)
    for (const one of others) void this.#chains[this.#anyNode()]!.submitTransaction(one, 'bench')
    while (!this.#chains.every((chain) => chain.pendingCount() === count)) await this.#world.advance(10)
    await this.#world.advance(settleMilliseconds)
    const source = this.#anyNode()
    return {
      waysOfTransaction,
      shortestOfTransaction: farthest(neighbours, firstSource),
      shortest: farthest(neighbours, source),
      ...(await this.#spreadBlock(all, source)),
    }
  }

  async stop(): Promise<void> {
    await this.#world.settled(Promise.all(this.#nodes.map((node) => node.stop('the bench is over'))))
  }

  async #startNode(n: number, shortIds: boolean): Promise<void> {
    const options = simNodeOptions(this.#world, addressOf(n), {
      genesis,
      engine: pluginEntry(instant, { produce: false }),
      plugins: [pluginEntry(onlooker(this.#arrivals, n, (chain) => void (this.#chains[n] = chain)))],
      // Nobody is dialled but whom the bench says: these addresses are private.
      network: { dialNetworks: [] },
    })
    const plugins = shortIds ? options.plugins : options.plugins.map(withoutShortIds)
    this.#nodes.push(await this.#world.settled(startNode({ ...options, plugins })))
  }

  async #spreadTransaction(transaction: Transaction, source: number): Promise<number> {
    const began = this.#world.elapsed
    void this.#chains[source]!.submitTransaction(transaction, 'bench')
    return await this.#ways(transactionHash(transaction, genesis.rules.chainId), began)
  }

  async #spreadBlock(transactions: readonly Transaction[], source: number) {
    const chain = this.#chains[source]!
    const block = makeBlock(chain.head().header, { transactions, work: 1, after: 1 })
    const began = this.#world.elapsed
    this.#world.startMeter()
    void chain.submitBlock(block)
    const waysOfBlock = await this.#ways(block.current_hash, began)
    // What was sent at the end is still on its way.
    await this.#world.advance(2 * wayMilliseconds)
    const counts = this.#world.stopMeter()
    const bytesOfBlock = blockMessages.reduce((sum, type) => sum + (counts.get(type) ?? 0), 0)
    return { waysOfBlock, bytesOfBlock }
  }

  async #ways(hash: string, began: number): Promise<number> {
    const times = await this.#world.settled(this.#arrivals.everywhere(hash))
    return (times.at(-1)! - began) / wayMilliseconds
  }

  #anyNode(): number {
    return this.#dice.between(0, this.#nodes.length - 1)
  }
}

/** Everything that a block may cause to be sent. */
const blockMessages = [
  'new_block',
  'compact_block',
  'block_transactions_request',
  'block_transactions',
  'block_request',
  'block_response',
  'header_request',
  'header_response',
]

const addressOf = (n: number): string => `10.${n >> 8}.${n & 255}.1`

/** Nodes that understand no short ids: their handshakes do not say so. */
function withoutShortIds(entry: PluginEntry): PluginEntry {
  return entry.plugin.name === 'tcp' ? { ...entry, plugin: plainTcp } : entry
}

const plainTcp: LoadedPlugin = definePlugin({
  ...tcp,
  setup: async (context, config, parameters): Promise<Transport> => {
    const transport = await tcp.setup(context, config, parameters)
    return {
      open: (inbox) => transport.open({ connected: (connection) => inbox.connected(plain(connection)) }),
      address: () => transport.address(),
      dial: (host, port, accept) => transport.dial!(host, port, (connection) => accept(plain(connection))),
    }
  },
})

function plain(connection: Connection): Connection {
  const send = connection.send.bind(connection)
  connection.send = (message) => {
    const { type, features } = message
    const isGreeting = type === 'handshake' && Array.isArray(features)
    send(isGreeting ? { ...message, features: features.filter((one) => one !== 'compact_block') } : message)
  }
  return connection
}
