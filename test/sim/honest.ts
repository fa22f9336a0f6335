import * as v from 'valibot'
import type { Chain } from '../../core/chain/chain.ts'
import type { SealedHeader } from '../../core/chain/block.ts'
import type { Hash } from '../../core/chain/canonical.ts'
import type { Genesis } from '../../core/chain/genesis.ts'
import type { Address } from '../../core/chain/keys.ts'
import {
  definePlugin,
  type Application,
  type Consensus,
  type Context,
  type CoreEvents,
  type Finality,
  type Storage,
} from '../../core/index.ts'
import type { Limits } from '../../core/limits.ts'
import type { PluginEntry } from '../../core/load.ts'
import type { HostPort } from '../../core/network/hostport.ts'
import { startNode, type NodeOptions, type RunningNode } from '../../core/node.ts'
import type { LoadedPlugin } from '../../core/plugin.ts'
import type { DiskFile } from './disk.ts'
import type { NodeKey } from './keys.ts'
import type { SimHost } from './host.ts'
import { JournalLedger } from './journal.ts'
import { OutboxWatch } from './outboxwatch.ts'
import type { World } from './runtime.ts'
import { pluginEntry, simNodeOptions, simPort } from './simnode.ts'

/** What is heard of the honest nodes of a world. */
export interface Witness {
  /** With its ledger read and everything that was pending taken up again. */
  started(node: HonestNode): void
  accepted(node: HonestNode, header: SealedHeader): void
  moved(node: HonestNode, move: CoreEvents['head:moved']): void
  finalized(node: HonestNode): void
  /** It is about to undo so many blocks. */
  undoing?(node: HonestNode, blocks: number): void
  banned(node: HonestNode, ban: CoreEvents['peer:banned']): void
  /** It is about to drop pending transactions. */
  dropping(node: HonestNode, hashes: readonly Hash[]): void
  logged(node: HonestNode, level: string, message: string, fields: Record<string, unknown> | undefined): void
  /** It could not be started, or found that it must not go on. */
  failed(node: HonestNode, error: unknown): void
}

export interface HonestParts {
  readonly world: World
  readonly address: string
  readonly peers: readonly HostPort[]
  readonly genesis: Genesis
  readonly engine: PluginEntry
  /** Where the genesis names keys; otherwise it makes one itself. */
  readonly key: NodeKey | undefined
  /** Beside the engine: an application, if the world has one, and whoever says what is final. */
  readonly plugins: readonly PluginEntry[]
  readonly limits: Limits
  readonly witness: Witness
  /** Opens the ledger that a file of the disk holds; tests put a faulty one in. */
  readonly openLedger: (file: DiskFile) => Storage
}

export const openJournal = (file: DiskFile): Storage => new JournalLedger(file)

/** Where a node looks for its key. */
const keyPath = `/data/node_${simPort}.pem`

/** What a node lets its plugins see while it runs. */
interface Inside {
  readonly chain: Chain
  readonly consensus: Consensus
  readonly application: Application | undefined
  readonly finality: Finality | undefined
  readonly storage: Storage
  readonly contributed: Context['contributed']
}

/** A node that follows the rules: started, crashed and started again on its own disk. */
export class HonestNode {
  readonly address: string
  /** Every id it had; a key is made once, unless its file was lost. */
  nodeId: string | undefined
  inside: Inside | undefined
  running: RunningNode | undefined
  /** Hashes of the blocks that it took. */
  readonly accepted = new Set<Hash>()
  /** Of the heaviest head that it ever had, added up from its headers. */
  workSeen = 0n
  readonly #works = new Map<Hash, bigint>()
  starts = 0
  /** Pending transactions that it dropped and has not again, with the start after which it did. */
  readonly dropped = new Map<Hash, number>()
  readonly outbox: OutboxWatch
  /** The highest block that it ever called final. */
  finalSeen = 0
  /** When it goes down the next time it stays away for so long. */
  absentMilliseconds: number | undefined
  /** Its operator has stopped it for good. */
  isRetired = false
  readonly #parts: HonestParts
  #cutAtReorganisation: number | undefined
  #host: SimHost | undefined

  constructor(parts: HonestParts) {
    this.#parts = parts
    this.address = parts.address
    this.outbox = new OutboxWatch(parts.genesis.rules.chainId)
  }

  /** Address of its key, where the genesis names keys. */
  get keyAddress(): Address | undefined {
    return this.#parts.key?.key.address
  }

  get isUp(): boolean {
    return this.inside !== undefined
  }

  /** How many peers its operator named. */
  get named(): number {
    return this.#parts.peers.length
  }

  get head(): Hash | undefined {
    return this.inside?.storage.head().header.current_hash
  }

  get height(): number {
    return this.inside?.storage.head().header.index ?? -1
  }

  /** Total work up to a header of its ledger. */
  workOf(header: SealedHeader): bigint {
    const { storage } = this.inside!
    const above: SealedHeader[] = []
    let at: SealedHeader | undefined = header
    while (at !== undefined && at.index > 0 && !this.#works.has(at.current_hash)) {
      above.push(at)
      at = storage.header(at.prev_hash)?.header
    }
    let work = (at && this.#works.get(at.current_hash)) ?? 0n
    for (const one of above.toReversed()) this.#works.set(one.current_hash, (work += BigInt(one.work)))
    return work
  }

  /** Does nothing while its process runs, or is on its way up. */
  start(): void {
    if (this.#host?.alive === true) return
    const { world, address, peers, genesis, engine, plugins, limits, witness, key } = this.#parts
    const host = (this.#host = world.boot(address))
    this.starts++
    if (key !== undefined && host.files.readText(keyPath) === undefined) host.files.createText(keyPath, key.pem, 0o600)
    const options = simNodeOptions(world, address, {
      genesis,
      engine,
      peers,
      limits,
      // Every honest node has a public address of its own, as on the internet.
      network: { dialNetworks: [] },
      storage: pluginEntry(this.#ledger()),
      plugins: [...plugins, pluginEntry(this.#observer())],
      log: (level, message, fields) => {
        if (host.alive) witness.logged(this, level, message, fields)
      },
      failed: (error) => witness.failed(this, error),
    })
    void this.#run(options, host)
  }

  async #run(options: NodeOptions, host: SimHost): Promise<void> {
    try {
      const node = await startNode(options)
      if (!host.alive) return
      this.running = node
      this.#parts.witness.started(this)
    } catch (error) {
      if (host.alive) this.#parts.witness.failed(this, error)
    }
  }

  /** `write`: the power goes in the middle of one of the next writes; `reorganisation`: of the next reorganisation. */
  crash(how: 'process' | 'power' | 'write' | 'reorganisation', operations = 1): void {
    const { world, address } = this.#parts
    if (how === 'write') world.host(address).machine.disk.cutPowerIn(operations)
    else if (how === 'reorganisation') this.#cutAtReorganisation = operations
    else world.crash(address, how)
  }

  /** Its operator stops it, and starts it no more: its key is another's. */
  retire(): void {
    this.isRetired = true
    const { world, address } = this.#parts
    world.crash(address, 'process')
    this.died()
  }

  /** What was to befall it does not. */
  spare(): void {
    this.#cutAtReorganisation = undefined
    this.#parts.world.host(this.address).machine.disk.keepPower()
  }

  /** Its process ended, whatever the way. */
  died(): void {
    this.inside = undefined
    this.running = undefined
    this.#cutAtReorganisation = undefined
  }

  #ledger(): LoadedPlugin {
    return definePlugin({
      name: 'journal',
      summary: 'a ledger on a virtual disk',
      provides: 'storage',
      needs: [],
      config: v.strictObject({}),
      setup: () => {
        const { world, address, openLedger, witness } = this.#parts
        const host = world.host(address)
        const { disk } = host.machine
        const ledger = openLedger(disk.open('/data/ledger'))
        const commit = ledger.commit.bind(ledger)
        ledger.commit = (change) => {
          if (this.#cutAtReorganisation !== undefined && change.undone.length > 0) {
            disk.cutPowerIn(this.#cutAtReorganisation)
          }
          if (host.alive && change.undone.length > 0) witness.undoing?.(this, change.undone.length)
          commit(change)
        }
        const dropPending = ledger.dropPending.bind(ledger)
        ledger.dropPending = (hashes) => {
          if (host.alive) witness.dropping(this, hashes)
          dropPending(hashes)
        }
        return ledger
      },
    })
  }

  #observer(): LoadedPlugin {
    return definePlugin({
      name: 'observer',
      summary: 'tells the simulator what happens',
      provides: 'none',
      needs: ['chain', 'consensus', 'storage'],
      wants: ['application', 'finality'],
      config: v.strictObject({}),
      setup: (context) => {
        const { witness } = this.#parts
        const { chain, consensus, application, finality, storage } = context.use
        this.nodeId = context.identity.nodeId
        // Core fills the slot itself: it is no other chain than its own.
        this.inside = {
          chain: chain as Chain,
          consensus,
          application,
          finality,
          storage,
          contributed: (kind) => context.contributed(kind),
        }
        context.on('block:accepted', ({ header }) => {
          this.accepted.add(header.current_hash)
          witness.accepted(this, header)
        })
        context.on('head:moved', (move) => witness.moved(this, move))
        context.on('chain:finalized', () => witness.finalized(this))
        context.on('peer:banned', (ban) => witness.banned(this, ban))
      },
    })
  }
}
