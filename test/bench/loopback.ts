// Whole nodes in this process, on real sockets: everything as it is in a node of its own, but for the disk.
import { join } from 'node:path'
import { bunRuntime } from '../../core/bun.ts'
import { developmentGenesis } from '../../core/chain/genesis.ts'
import { transactionHash, type Transaction } from '../../core/chain/transaction.ts'
import type { Chain } from '../../core/index.ts'
import { defaultNodeLimits } from '../../core/limits.ts'
import type { OpenLog } from '../../core/log.ts'
import { startNode, type RunningNode } from '../../core/node.ts'
import instant from '../../plugins/instant/index.ts'
import memory from '../../plugins/memory/index.ts'
import tcp from '../../plugins/tcp/index.ts'
import { pluginEntry } from '../sim/simnode.ts'
import { makeBlock } from '../support/blocks.ts'
import { removeFolder, temporaryFolder } from '../support/process.ts'
import { Arrivals, onlooker } from './arrivals.ts'
import { neighboursOf } from './graph.ts'

const genesis = developmentGenesis('instant', {})

export class LoopbackNodes {
  readonly chainId = genesis.rules.chainId
  readonly #folder = temporaryFolder()
  readonly #runtime = bunRuntime()
  readonly #arrivals: Arrivals
  readonly #chains: Chain[] = []
  readonly #nodes: RunningNode[] = []

  private constructor(count: number) {
    this.#arrivals = new Arrivals(count, () => performance.now())
  }

  /** `dials`: whom each node dials. */
  static async start(dials: readonly (readonly number[])[]): Promise<LoopbackNodes> {
    const network = new LoopbackNodes(dials.length)
    for (const n of dials.keys()) await network.#startNode(n)
    for (const [n, others] of dials.entries()) {
      for (const other of others) {
        const dialled = await network.#nodes[n]!.network.dial(network.#nodes[other]!.address!)
        // A node that was dialled may have found the other one by itself.
        if (!dialled.ok && dialled.code !== 'duplicate') throw new Error(`a node was not reached: ${dialled.detail}`)
      }
    }
    return network
  }

  neighbours(): number[][] {
    return neighboursOf(this.#nodes)
  }

  /** Milliseconds until all have what one of them is given now. */
  async passTransaction(transaction: Transaction, source: number): Promise<number> {
    const began = performance.now()
    void this.#chains[source]!.submitTransaction(transaction, 'bench')
    return await this.#millisecondsSince(began, transactionHash(transaction, this.chainId))
  }

  async passBlock(transactions: readonly Transaction[], source: number): Promise<number> {
    const chain = this.#chains[source]!
    const block = makeBlock(chain.head().header, { transactions, work: 1, after: 1 })
    const began = performance.now()
    void chain.submitBlock(block)
    return await this.#millisecondsSince(began, block.current_hash)
  }

  async stop(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.stop('the bench is over')))
    removeFolder(this.#folder)
  }

  async #millisecondsSince(began: number, hash: string): Promise<number> {
    return (await this.#arrivals.everywhere(hash)).at(-1)! - began
  }

  async #startNode(n: number): Promise<void> {
    const seen = (chain: Chain): void => void (this.#chains[n] = chain)
    const node = await startNode({
      node: { name: `n${n}`, dataDir: join(this.#folder, `n${n}`), port: 0, version: '0' },
      keyPath: undefined,
      // Those whom the bench has them dial are enough for them.
      limits: { ...defaultNodeLimits, outbound_peers: 1 },
      genesis,
      plugins: [
        pluginEntry(instant, { produce: false }),
        pluginEntry(memory),
        pluginEntry(tcp),
        pluginEntry(onlooker(this.#arrivals, n, seen)),
      ],
      network: { peers: [], allow: [], dialNetworks: [], advertise: undefined },
      runtime: this.#runtime,
      log: silent,
      failed: (error) => {
        throw error
      },
    })
    this.#nodes.push(node)
  }
}

const nothing = (): void => undefined
const silent: OpenLog = {
  log: () => ({ debug: nothing, info: nothing, warn: nothing, error: nothing }),
  close: () => Promise.resolve(),
}
