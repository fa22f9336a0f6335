import * as v from 'valibot'
import type { Hash } from '../../core/chain/canonical.ts'
import { definePlugin, type Storage } from '../../core/index.ts'
import type { Limits } from '../../core/limits.ts'
import type { HostPort } from '../../core/network/hostport.ts'
import { startNode, type NodeOptions, type RunningNode } from '../../core/node.ts'
import tcp from '../../plugins/tcp/index.ts'
import type { DiskFile } from './disk.ts'
import type { SimHost } from './host.ts'
import type { World } from './runtime.ts'
import { pluginEntry, simNodeOptions } from './simnode.ts'

/** What is heard of the light peers of a world. */
export interface LightWitness {
  lightStarted(peer: LightPeer): void
  lightLogged(peer: LightPeer, level: string, message: string, fields: Record<string, unknown> | undefined): void
  lightFailed(peer: LightPeer, error: unknown): void
}

export interface LightParts {
  readonly world: World
  readonly address: string
  /** Those that its operator named: it knows nobody else. */
  readonly peers: readonly HostPort[]
  readonly limits: Limits
  readonly witness: LightWitness
  readonly openLedger: (file: DiskFile) => Storage
}

/** A node without an engine, so without a chain: it learns from its peers which chain they are on, and takes part. */
export class LightPeer {
  readonly address: string
  nodeId: string | undefined
  running: RunningNode | undefined
  /** The chain that it once learnt that its network is on. */
  learnt: Hash | undefined
  readonly #parts: LightParts
  #isUp = false

  constructor(parts: LightParts) {
    this.#parts = parts
    this.address = parts.address
  }

  get isUp(): boolean {
    return this.#isUp
  }

  /** The chain that it believes its network is on. */
  get chainId(): Hash | undefined {
    return this.running?.network.genesis()?.rules.chainId
  }

  /** It knows its chain and has a peer that keeps it. */
  get takesPart(): boolean {
    const peers = this.running?.network.peers.all() ?? []
    return this.chainId !== undefined && peers.some(({ isLight }) => !isLight)
  }

  start(): void {
    const { world, address } = this.#parts
    this.#isUp = true
    const host = world.boot(address)
    void this.#run(this.#options(host), host)
  }

  crash(how: 'process' | 'power'): void {
    this.#parts.world.crash(this.address, how)
  }

  died(): void {
    this.#isUp = false
    this.running = undefined
  }

  async #run(options: NodeOptions, host: SimHost): Promise<void> {
    const { witness } = this.#parts
    try {
      const node = await startNode(options)
      if (!host.alive) return
      this.running = node
      this.nodeId = node.identity.nodeId
      witness.lightStarted(this)
    } catch (error) {
      if (host.alive) witness.lightFailed(this, error)
    }
  }

  #options(host: SimHost): NodeOptions {
    const { world, address, peers, limits, witness } = this.#parts
    const options = simNodeOptions(world, address, {
      peers,
      limits,
      network: { dialNetworks: [] },
      log: (level, message, fields) => {
        if (host.alive) witness.lightLogged(this, level, message, fields)
      },
      failed: (error) => witness.lightFailed(this, error),
    })
    const plugins = [pluginEntry(this.#ledger()), pluginEntry(tcp, { host: address })]
    return { ...options, genesis: undefined, plugins }
  }

  #ledger() {
    return definePlugin({
      name: 'journal',
      summary: 'a ledger on a virtual disk',
      provides: 'storage',
      needs: [],
      config: v.strictObject({}),
      setup: () => {
        const { world, address, openLedger } = this.#parts
        return openLedger(world.host(address).machine.disk.open('/data/ledger'))
      },
    })
  }
}
