import type * as v from 'valibot'
import type { Chain } from '../chain/chain.ts'
import type { SealedHeader } from '../chain/block.ts'
import type { Genesis } from '../chain/genesis.ts'
import type { JsonObject } from '../chain/json.ts'
import type { KeyPair } from '../chain/keys.ts'
import type { Result } from '../errors.ts'
import type { CoreEvents } from '../events.ts'
import type { Limits } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Connection, Finality, NodeFacts, Storage, Transport } from '../plugin.ts'
import type { Runtime } from '../runtime.ts'
import type { Contributed } from '../contributions.ts'
import type { EvidenceBook } from '../evidence/book.ts'
import type { Signing } from '../signing/signing.ts'
import type { WhyParts } from '../why.ts'
import type { Bans } from './bans.ts'
import type { KnownGenesis } from './genesis/known.ts'
import type { GenesisMemory } from './genesis/memory.ts'
import type { HostPort } from './hostport.ts'
import type { Peer, PeerFacts } from './peer.ts'
import type { Peers } from './peers.ts'
import type { PluginMessages } from './pluginmessages.ts'
import type { Answer } from './session.ts'

/** Who sent a message: a client, or a peer. */
export interface Sender {
  readonly connection: Connection
  /** undefined: a client, or a handshake that is not done. */
  readonly peer: Peer | undefined
}

/** One type of message: what it must look like and what is done with it. */
export interface MessageType {
  readonly schema: v.GenericSchema
  /** It is of a plugin's channel: such messages of a peer are counted by themselves (`Peer.channelRate`). */
  readonly isChannel?: boolean
  /** `fields` is what the schema made of the message; `message` is all of it, as it came. */
  handle(fields: never, message: JsonObject, sender: Sender): Answer | Promise<Answer>
}

/** What an older program said, in today's words, or what it is answered without them. */
export type Translation = ({ readonly message: JsonObject } | { readonly answer: Answer }) & {
  /** Today's answer, or `ERROR`, in the words of who asked. */
  readonly word: (answer: JsonObject) => JsonObject
}

/** One part of the network: the messages that it understands, and what it hears of peers. */
export interface NetworkModule {
  readonly messages: Readonly<Record<string, MessageType>>
  /** Looked at before `messages`; undefined where the message is not in an older dialect. */
  translate?(message: JsonObject): Translation | undefined
  /** A handshake was completed. */
  joined?(peer: Peer): void
  /** `reason`: the code that ended it, or `disconnected`. */
  left?(peer: Peer, reason: string): void
  /** A connection is closed, a client's or a peer's. */
  closed?(connection: Connection): void
  /** Everything is up and listens. */
  start?(): void
  stop?(): void | Promise<void>
}

/** What an operator decided about the network. */
export interface NetworkSettings {
  /** Dialled first, always kept, and allowed wherever they are. */
  readonly peers: readonly HostPort[]
  /** Node ids or addresses (public keys): if any are given, nobody else may be a peer. */
  readonly allow: readonly string[]
  /** Networks in CIDR form that may be dialled although they are private, e.g. `10.0.0.0/8`. */
  readonly dialNetworks: readonly string[]
  /** What others are told to dial; undefined: where this node listens. */
  readonly advertise: HostPort | undefined
}

/** The part of the chain that the network calls. */
export type NetworkChain = Pick<
  Chain,
  | 'genesis'
  | 'head'
  | 'headerAt'
  | 'header'
  | 'block'
  | 'transaction'
  | 'status'
  | 'pendingCount'
  | 'pending'
  | 'pendingHashes'
  | 'pendingByPrefix'
  | 'pendingSince'
  | 'pendingOlderThan'
  | 'due'
  | 'submitTransaction'
  | 'submitBlock'
  | 'prepareBranch'
  | 'submitBranch'
  | 'trail'
  | 'watch'
  | 'wanted'
  | 'finalHeight'
  | 'storageFailure'
  | 'forget'
>

/** What every part of the network is made of. */
export interface NetworkParts {
  /** undefined on a node without a chain. */
  readonly chain: NetworkChain | undefined
  readonly storage: Pick<Storage, 'nodes' | 'saveNode' | 'dropNode'> | undefined
  /** Of this node's chain, or of a genesis file. */
  readonly genesis: Genesis | undefined
  /** Where a node without a chain remembers which one its network is on. */
  readonly memory?: GenesisMemory | undefined
  /** What plugins contribute, for `node_status`. */
  readonly contributed?: Contributed | undefined
  /** What plugins say to each other. */
  readonly messages?: PluginMessages | undefined
  /** Proofs against keys, to be passed on. */
  readonly evidence?: EvidenceBook | undefined
  /** Where the genesis asks for one. */
  readonly finality?: Pick<Finality, 'justified' | 'waits'> | undefined
  /** What this node's own next block waits for, for `why_request`. */
  readonly producer?: WhyParts['producer']
  /** Told where another process is met that has this node's key. */
  readonly signing?: Pick<Signing, 'metKey' | 'stopped'> | undefined
  readonly identity: KeyPair
  readonly node: NodeFacts
  readonly runtime: Runtime
  readonly limits: Limits
  readonly log: Log
  readonly settings: NetworkSettings
  readonly transports: readonly Transport[]
  readonly emit: <E extends keyof CoreEvents>(event: E, fact: CoreEvents[E]) => void
  /** Told when this node begins to fetch a chain that is far ahead of its own, and when that is over. */
  readonly behind?: (behind: boolean) => void
  /** Where others can reach this node; undefined while it does not listen. */
  readonly publicAddress: () => HostPort | undefined
}

export interface ModuleParts extends NetworkParts {
  readonly peers: Peers
  /** Who is kept out: asked before a handshake is completed, and before a node is dialled. */
  readonly bans: Bans
  /** The chain that the network is on. */
  readonly known: KnownGenesis
}

/** The door to who fetches what is missing. */
export interface Catchup {
  /** Whether this node is far behind and fetching: blocks that come by themselves are then not passed on. */
  readonly active: boolean
  /** Whether it is fetching anything now. */
  readonly running: boolean
  /** How far this node is with that, and the height that it leads to. */
  readonly progress: { readonly height: number; readonly target: number } | undefined
  /** A peer was heard to have a block of this height. */
  heardOf(peer: Peer, height: number): void
  /** A peer sent a block whose parent is not here; it is kept as an orphan. */
  orphaned(peer: Peer, block: SealedHeader): void
}

/** Opens a connection to a node and shakes hands. */
export interface Dialling {
  /**
   * Resolves when the other side has proven who it is and is a peer, or to why not: `connect-failed`, `connect-slow`,
   * `handshake-slow`, `disconnected`, a code of protocol section 5, `not-allowed`, or `duplicate`: it is a node that we are
   * connected with already. Never rejects.
   */
  dial(to: HostPort): Promise<Result<PeerFacts>>
}
