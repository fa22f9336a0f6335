// Whole nodes with an engine in a world of the simulator, for what the suite of engines asks of a network.
import * as v from 'valibot'
import type { SealedHeader } from '../../core/chain/block.ts'
import type { Hash } from '../../core/chain/canonical.ts'
import { developmentGenesis, type Genesis } from '../../core/chain/genesis.ts'
import type { Address } from '../../core/chain/keys.ts'
import type { JsonObject } from '../../core/chain/json.ts'
import { signTransaction } from '../../core/chain/transaction.ts'
import { defaultNodeLimits } from '../../core/limits.ts'
import type { CoreEvents } from '../../core/events.ts'
import type { LoadedPlugin } from '../../core/plugin.ts'
import { HonestNode, openJournal, type Witness } from '../sim/honest.ts'
import { nodeKey } from '../sim/keys.ts'
import { World } from '../sim/runtime.ts'
import { pluginEntry, simPort } from '../sim/simnode.ts'
import { testKey } from '../support/headers.ts'

export interface EngineWorldOptions {
  readonly plugin: LoadedPlugin
  readonly seed: number
  readonly nodes: number
  readonly parameters?: ((authorities: readonly Address[]) => JsonObject) | undefined
  readonly config?: ((node: number) => JsonObject) | undefined
}

/** Everything that ever happened at the nodes is kept, and what no engine may let happen fails at once. */
export class EngineWorld implements Witness {
  readonly world: World
  readonly genesis: Genesis
  readonly nodes: readonly HonestNode[]
  /** What must not have happened, in words. */
  readonly faults: string[] = []
  /** Of engines whose blocks are final at once: the only block of each height. */
  readonly #decided = new Map<number, Hash>()
  #made = 0

  constructor({ plugin, seed, nodes, parameters, config }: EngineWorldOptions) {
    this.world = new World({ seed, latencyMilliseconds: [2, 30] })
    const keys = Array.from({ length: nodes }, (_, n) => nodeKey(seed, n))
    const table = parameters?.(keys.map(({ key }) => key.address)) ?? {}
    const parsed = plugin.parameters === undefined ? {} : v.parse(plugin.parameters, table)
    this.genesis = developmentGenesis(plugin.name, parsed)
    this.nodes = keys.map(
      (key, n) =>
        new HonestNode({
          world: this.world,
          address: addressOf(n),
          peers: keys.slice(0, n).map((_, i) => ({ host: addressOf(i), port: simPort })),
          genesis: this.genesis,
          engine: pluginEntry(plugin, config?.(n) ?? {}, parsed),
          key,
          plugins: [],
          limits: defaultNodeLimits,
          witness: this,
          openLedger: openJournal,
        }),
    )
    this.world.crashed = (address) => this.nodes.find((node) => node.address === address)?.died()
  }

  /** Starts all, and waits until they know each other. */
  async begin(): Promise<void> {
    for (const node of this.nodes) node.start()
    await this.world.runUntil(() =>
      this.nodes.every(({ running }) => running?.network.peers.size === this.nodes.length - 1),
    )
  }

  /** A transaction at a node that is up. */
  submit(node: HonestNode): void {
    const transaction = signTransaction(testKey(200), this.genesis.rules.chainId, { n: this.#made }, this.#made++)
    void node.inside?.chain.submitTransaction(transaction)
  }

  /** A transaction a second at one node after the other, for so many seconds. */
  async busy(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      const up = this.nodes.filter(({ isUp }) => isUp)
      this.submit(up[second % up.length]!)
      await this.world.advance(1_000)
    }
  }

  get heights(): readonly number[] {
    return this.nodes.map(({ height }) => height)
  }

  get lowest(): number {
    return Math.min(...this.heights)
  }

  /** All are up, on one head, with nothing left to record. */
  get isSettled(): boolean {
    const [first] = this.nodes
    return this.nodes.every(({ head, inside }) => head === first!.head && inside?.chain.pendingCount() === 0)
  }

  // ---- Witness ----

  started(): void {}
  accepted(): void {}
  finalized(): void {}
  dropping(): void {}

  moved(node: HonestNode, { head, undone }: CoreEvents['head:moved']): void {
    if (node.inside?.consensus.finalAtOnce !== true) return
    if (undone.length > 0) this.faults.push(`${node.address} undid ${undone.length} blocks that were final`)
    for (let at: SealedHeader | undefined = head; at !== undefined && at.index > 0;) {
      const known = this.#decided.get(at.index)
      if (known === at.current_hash) break
      if (known !== undefined)
        this.faults.push(`two blocks are final at height ${at.index}: ${known}, ${at.current_hash}`)
      this.#decided.set(at.index, at.current_hash)
      at = node.inside.chain.header(at.prev_hash)?.header
    }
  }

  banned(node: HonestNode, { target, reason }: CoreEvents['peer:banned']): void {
    this.faults.push(`${node.address} banned ${target}: ${reason}`)
  }

  logged(node: HonestNode, level: string, message: string, fields: Record<string, unknown> | undefined): void {
    if (level === 'error')
      this.faults.push(`${node.address} logged an error: ${message} ${JSON.stringify(fields ?? {})}`)
  }

  failed(node: HonestNode, error: unknown): void {
    this.faults.push(`${node.address} failed: ${error instanceof Error ? error.stack : String(error)}`)
  }
}

const addressOf = (n: number): string => `${20 + n}.0.0.1`
