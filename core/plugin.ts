// The contract between core and its plugins: what a plugin is and what it gets. What the slots ask for stands in slots/, a
// file each. It is a public interface: plugins/README.md teaches it, the suites under test/contract check it,
// plugins/instant is its example.
import type * as v from 'valibot'
import type { Genesis } from './chain/genesis.ts'
import type { JsonObject } from './chain/json.ts'
import type { KeyPair } from './chain/keys.ts'
import type { Verdict } from './errors.ts'
import type { CoreEvents } from './events.ts'
import type { Limits } from './limits.ts'
import type { Log } from './log.ts'
import type { Runtime } from './runtime.ts'
import type { Application } from './slots/application.ts'
import type { Chain } from './slots/chain.ts'
import type { Consensus } from './slots/consensus.ts'
import type { Contributions } from './slots/contributions.ts'
import type { Finality } from './slots/finality.ts'
import type { Answering, Channel, ChannelOptions, NetworkView, PeerView } from './slots/messages.ts'
import type { Signer } from './slots/signing.ts'
import type { Storage } from './slots/storage.ts'
import type { Transport } from './slots/transport.ts'

export type * from './slots/consensus.ts'
export type * from './slots/finality.ts'
export type * from './slots/application.ts'
export type * from './slots/storage.ts'
export type * from './slots/transport.ts'
export type * from './slots/chain.ts'
export type * from './slots/contributions.ts'
export type * from './slots/signing.ts'
export type * from './slots/messages.ts'

export interface Slots {
  storage: Storage
  consensus: Consensus
  finality: Finality
  application: Application
  transport: Transport
  chain: Chain
}
export type Slot = keyof Slots
/** How the slots look to who needs them: a transport is one of several. */
export type Filled<S extends Slot> = S extends 'transport' ? readonly Transport[] : Slots[S]

export interface NodeFacts {
  readonly name: string
  readonly dataDir: string
  readonly port: number
  readonly version: string
}

/** What a plugin gets: exactly the slots that it named, and ways to take part. */
export interface Context<N extends Slot = never, W extends Slot = never> {
  /** What it `needs`, and of what it `wants` that which is there. */
  readonly use: { readonly [S in N]: Filled<S> } & { readonly [S in W]?: Filled<S> }
  readonly node: NodeFacts
  /** This node's key. For what must never be signed twice there is `signer`. */
  readonly identity: KeyPair
  readonly signer: Signer
  /** undefined on a node without a chain. */
  readonly genesis: Genesis | undefined
  /** Empty until the node is up. */
  readonly network: NetworkView
  readonly limits: Limits
  readonly runtime: Runtime
  readonly log: Log
  /** Aborted when the node begins to stop. */
  readonly signal: AbortSignal
  /** Hears facts of core, in order, off the writer's stack. */
  on<E extends keyof CoreEvents>(event: E, hear: (fact: CoreEvents[E]) => void | Promise<void>): void
  /** Hears facts of another plugin, by their full name (`pow:progress`). */
  onPlugin(event: `${string}:${string}`, hear: (fact: unknown) => void | Promise<void>): void
  /** Tells a fact of this plugin's own: `publish('progress', ...)` in `pow` is heard as `pow:progress`. */
  publish(event: string, fact: unknown): void
  /** Hands over what others show: the names of a kind are unique. */
  contribute<K extends keyof Contributions>(kind: K, what: Contributions[K]): void
  /** What all plugins have handed over so far. */
  contributed<K extends keyof Contributions>(kind: K): readonly Contributions[K][]
  /**
   * A message of this plugin's own between nodes: `<plugin>.<name>` is its `type` on the wire. `hear` gets what `schema`
   * made of it; a refusal that is provable ends the connection, others are silent. Throws `name-taken`.
   */
  channel<S extends v.GenericSchema<unknown, object>>(
    name: string,
    schema: S,
    hear: (message: v.InferOutput<S>, from: PeerView) => Verdict | Promise<Verdict>,
    options?: ChannelOptions,
  ): Channel<v.InferInput<S>>
  /**
   * A question of clients to this plugin: `<plugin>.<name>` is its `type` on the wire, and that of the answer. Throws
   * `name-taken`.
   */
  serve<S extends v.GenericSchema<unknown, object>>(
    name: string,
    schema: S,
    answering: Answering<v.InferOutput<S>>,
  ): void
  /**
   * Hands in a proof that a key signed what no honest key signs, of a kind that was contributed: it is kept, passed on and
   * shown. Declines what `EvidenceKind.read` declines, `known`, and `storage-unavailable`.
   */
  accuse(kind: string, proof: JsonObject): Verdict
  /** Releases what was just acquired. Last in, first out, awaited one by one. */
  defer(release: () => void | Promise<void>): void
}

export type Parameters = v.GenericSchema<unknown, JsonObject>

export interface Plugin<
  C extends v.GenericSchema = v.GenericSchema,
  P extends Slot | 'none' = Slot | 'none',
  N extends Slot = Slot,
  G extends Parameters = Parameters,
  W extends Slot = Slot,
> {
  readonly name: string
  /** One line for `--help`. */
  readonly summary: string
  readonly provides: P
  readonly needs: readonly N[]
  /** Slots that it uses where they are filled. */
  readonly wants?: readonly W[]
  /** A strict valibot object: this plugin's section of the config, every key with a default. */
  readonly config: C
  /**
   * Parameters of an engine, an application or a finality, which all nodes must agree on: a strict valibot object for the
   * table of the genesis that bears the plugin's name (a finality's is called `finality`). Its defaults make the development
   * genesis.
   */
  readonly parameters?: G
  setup(
    context: Context<N, W>,
    config: v.InferOutput<C>,
    parameters: v.InferOutput<G>,
  ): Promise<P extends Slot ? Slots[P] : void> | (P extends Slot ? Slots[P] : void)
}

/** Gives a plugin its types; returns it as it is. */
export const definePlugin = <
  C extends v.GenericSchema,
  const P extends Slot | 'none',
  const N extends Slot = never,
  G extends Parameters = Parameters,
  const W extends Slot = never,
>(
  plugin: Plugin<C, P, N, G, W>,
): Plugin<C, P, N, G, W> => plugin

/** A plugin whose types are not known any more, as the loader holds it. */
// The parameters of `setup` are contravariant, so no concrete plugin is assignable to the general one.
export interface LoadedPlugin extends Omit<Plugin, 'setup'> {
  setup(context: Context<Slot>, config: never, parameters: never): unknown
}
