// Engines of one chain, each set up as core sets it up, on one branch of headers that they share: what an engine sees of the
// world, without nodes around it.
import * as v from 'valibot'
import { bunRuntime } from '../../core/bun.ts'
import type { Block, Header, SealedHeader } from '../../core/chain/block.ts'
import { developmentGenesis, type Genesis } from '../../core/chain/genesis.ts'
import type { JsonObject } from '../../core/chain/json.ts'
import type { Address, KeyPair } from '../../core/chain/keys.ts'
import { entriesOf } from '../../core/config/keys.ts'
import { Contributed } from '../../core/contributions.ts'
import { accepted, decline, found } from '../../core/errors.ts'
import { defaultNodeLimits } from '../../core/limits.ts'
import type { Ancestry, ChainDoor, Consensus, Context, LoadedPlugin, PeerView, Slot } from '../../core/plugin.ts'
import { openServices, servicesOf } from '../../core/services.ts'
import { MemoryLedger } from '../../plugins/memory/ledger.ts'
import { eventually } from '../support/eventually.ts'
import { ancestryOf, draftAfter, genesisHeader, signedHeader, testKey, timeOf } from '../support/headers.ts'

/** What the suite needs to know of an engine. All of it may be left out. */
export interface ConsensusOptions {
  /** Told apart in the names of tests, where an engine is run more than once. */
  readonly name?: string
  /**
   * The engine's table of the genesis, on a chain of these authorities. Default: its defaults, with `authorities` where the
   * engine has such a parameter. `block_time`s and the like should be short: real time passes.
   */
  readonly parameters?: (authorities: readonly Address[]) => JsonObject
  /** The config of each node, from 0. */
  readonly config?: (node: number) => JsonObject
  /** How many keys are authorities. Default, where the engine names any: 3, and all four nodes in a network. */
  readonly producers?: number
  /** Of four nodes, how many may be away while the others go on recording. Default: none. */
  readonly mayBeAway?: 0 | 1
  /** false: not in the simulator, since the engine computes in threads, whose time is not the simulator's. */
  readonly network?: false
}

interface Member {
  readonly key: KeyPair
  readonly engine: Consensus
  readonly view: PeerView
}

/** Who makes the block after a branch, and when. */
interface Turn {
  readonly member: Member
  readonly at: number
}

type Hear = (message: JsonObject, from: PeerView) => unknown

const firstKey = 7
const wakeMilliseconds = 20_000
const silent = (): void => {}
const quiet = { debug: silent, info: silent, warn: silent, error: silent }

/** Whether the engine lets only those make blocks that its genesis names. */
export const namesAuthorities = ({ parameters }: LoadedPlugin): boolean =>
  Object.hasOwn(entriesOf(parameters), 'authorities')

/** A plugin's table of a genesis with these authorities. */
export function tableOf(
  plugin: LoadedPlugin,
  { parameters }: ConsensusOptions,
  authorities: readonly Address[],
): JsonObject {
  const named = namesAuthorities(plugin) ? { authorities: [...authorities] } : {}
  return plugin.parameters === undefined ? {} : v.parse(plugin.parameters, parameters?.(authorities) ?? named)
}

export class Crew {
  readonly genesis: Genesis
  readonly keys: readonly KeyPair[]
  /** From the genesis to the head that all of them share. */
  readonly branch: SealedHeader[]
  members: readonly Member[] = []
  /** What they say to each other gets lost. */
  isMute = false
  readonly #plugin: LoadedPlugin
  readonly #options: ConsensusOptions
  readonly #table: JsonObject
  readonly #releases: (() => void | Promise<void>)[] = []
  readonly #hearers: ((head: SealedHeader) => void)[] = []
  readonly #channels = new Map<string, Map<PeerView, { readonly schema: v.GenericSchema; readonly hear: Hear }>>()
  readonly #stopping = new AbortController()
  #pending = 0

  private constructor(plugin: LoadedPlugin, options: ConsensusOptions, below: readonly SealedHeader[]) {
    const count = options.producers ?? (namesAuthorities(plugin) ? 3 : 1)
    this.#plugin = plugin
    this.#options = options
    this.keys = Array.from({ length: count }, (_, n) => testKey(firstKey + n))
    this.#table = tableOf(
      plugin,
      options,
      this.keys.map(({ address }) => address),
    )
    this.genesis = developmentGenesis(plugin.name, this.#table)
    this.branch = below.length === 0 ? [genesisHeader(this.genesis)] : [...below]
  }

  /** `below`: a branch that is there already. None of its own engines knows anything of it but what it says. */
  static async of(plugin: LoadedPlugin, options: ConsensusOptions, below: readonly SealedHeader[] = []): Promise<Crew> {
    const crew = new Crew(plugin, options, below)
    const members: Member[] = []
    for (const [n, key] of crew.keys.entries()) members.push(await crew.#join(key, n))
    crew.members = members
    for (const { engine } of members) engine.open?.(crew.#door())
    return crew
  }

  get engine(): Consensus {
    return this.members[0]!.engine
  }

  get head(): SealedHeader {
    return this.branch.at(-1)!
  }

  get ancestry(): Ancestry {
    return ancestryOf(this.branch)
  }

  /** The same engine at a node that has another key, beside the others. */
  async stranger(key: KeyPair): Promise<Consensus> {
    const { engine } = await this.#join(key, this.members.length)
    engine.open?.(this.#door())
    return engine
  }

  /** Waits until an engine would make a block, given a transaction since `at`. */
  async turn(at = timeOf(this.head) + 1_000): Promise<Turn> {
    this.#pending = 1
    await eventually(() => this.#due(at) !== undefined, this.#waiting(), wakeMilliseconds)
    return this.#due(at)!
  }

  #due(at: number): Turn | undefined {
    const turns = this.members.flatMap((member): Turn[] => {
      const due = member.engine.due(this.ancestry, 1, at, at)
      return 'when' in due ? [{ member, at: Math.max(at, due.when) }] : []
    })
    return turns.sort((a, b) => a.at - b.at)[0]
  }

  #waiting = (): string => `an engine of ${this.#plugin.name} makes a block when a transaction waits`

  /** What this engine would make of an empty block at this time. */
  prepared({ member, at }: Turn): Header {
    return member.engine.prepare(draftAfter(this.branch, member.key, at), this.ancestry)
  }

  /** Has a header sealed and signed by its maker; undefined: `signal` came first, or others made another. */
  async sealed({ member }: Turn, header: Header, signal?: AbortSignal): Promise<SealedHeader | undefined> {
    const propose = (): Block => ({ ...signedHeader(header, 0, member.key), transactions: [] })
    const seal = await member.engine.seal(header, signal ?? new AbortController().signal, propose)
    return seal && signedHeader(header, seal.nonce, member.key, seal.certificate)
  }

  /** One more block, by whose turn it is. `at`: not before. */
  async sealNext(at = timeOf(this.head) + 1_000): Promise<SealedHeader> {
    const height = this.head.index + 1
    this.#pending = 1
    while (this.head.index < height) {
      let turn: Turn | undefined
      const isOver = () => this.head.index >= height || (turn = this.#due(at)) !== undefined
      await eventually(isOver, this.#waiting(), wakeMilliseconds)
      const sealed = turn && (await this.sealed(turn, this.prepared(turn)))
      if (sealed !== undefined) this.take(sealed)
    }
    return this.branch[height]!
  }

  /** Makes a sealed header the head of all. */
  take(header: SealedHeader): boolean {
    if (header.prev_hash !== this.head.current_hash) return false
    this.branch.push(header)
    this.#pending = 0
    for (const hear of this.#hearers) hear(header)
    return true
  }

  async dispose(): Promise<void> {
    this.#stopping.abort()
    for (const release of this.#releases.splice(0).toReversed()) await release()
  }

  #door(): ChainDoor {
    const stored = () => ({ header: this.head, totalWork: 0n, recorded: true })
    return {
      head: stored,
      ancestry: () => this.ancestry,
      pendingCount: () => this.#pending,
      examine: async (block) => {
        const given = block as Block
        return given.prev_hash === this.head.current_hash ? found(given) : decline('stale-proposal', 'another head')
      },
      submit: async (block) => {
        const { transactions: _none, ...header } = block as Block
        return this.take(header) ? accepted : decline('known', 'the head is another')
      },
      changed: silent,
      onHead: (hear) => void this.#hearers.push(hear),
    }
  }

  async #join(key: KeyPair, node: number): Promise<Member> {
    const view: PeerView = { nodeId: key.nodeId, address: key.address, nodeType: 'full', listens: undefined }
    const config = v.parse(this.#plugin.config, this.#options.config?.(node) ?? {})
    const context = this.#contextOf(key, view)
    const engine = (await this.#plugin.setup(context, config as never, this.#table as never)) as Consensus
    return { key, engine, view }
  }

  #contextOf(identity: KeyPair, view: PeerView): Context<Slot> {
    const storage = new MemoryLedger()
    storage.begin(this.genesis, this.genesis.block, 0)
    const contributed = new Contributed()
    const runtime = bunRuntime()
    const defer = (release: () => void | Promise<void>): void => void this.#releases.push(release)
    const services = openServices({ identity, contributed, clock: runtime.clock, logFor: () => quiet, emit: silent })
    services.signing.attach(storage)
    services.evidence.attach(storage)
    return {
      use: { storage } as unknown as Context<Slot>['use'],
      node: { name: 'test', dataDir: '/none', port: 0, version: '0.0.0' },
      identity,
      genesis: this.genesis,
      network: { genesis: () => this.genesis, peers: () => this.#peersOf(view) },
      limits: defaultNodeLimits,
      runtime,
      log: quiet,
      signal: this.#stopping.signal,
      on: silent,
      onPlugin: silent,
      publish: silent,
      contribute: (kind, what) => defer(contributed.add(kind, what)),
      contributed: (kind) => contributed.all(kind),
      ...servicesOf(this.#plugin.name, services, defer),
      channel: (name, schema, hear) => this.#channel(view, name, schema, hear),
      defer,
    }
  }

  #peersOf = (view: PeerView): PeerView[] => this.members.map((one) => one.view).filter((one) => one !== view)

  /** Messages go through their JSON text, each in a later turn, as over a wire. */
  #channel(from: PeerView, name: string, schema: v.GenericSchema, hear: Hear) {
    const channel = this.#channels.get(name) ?? new Map()
    this.#channels.set(name, channel.set(from, { schema, hear }))
    const send = (to: PeerView, message: object): void => {
      const text = JSON.stringify(message)
      const there = channel.get(to)
      if (this.isMute) return
      setImmediate(() => {
        if (there === undefined || this.#stopping.signal.aborted) return
        void there.hear(v.parse(there.schema, JSON.parse(text)) as JsonObject, from)
      })
    }
    return {
      broadcast: (message: object) => this.#peersOf(from).forEach((peer) => send(peer, message)),
      send: (to: string, message: object) => {
        for (const peer of this.#peersOf(from)) if (peer.nodeId === to) send(peer, message)
      },
    }
  }
}
