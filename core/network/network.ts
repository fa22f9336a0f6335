import type { Genesis } from '../chain/genesis.ts'
import type { Inbox } from '../plugin.ts'
import { addresses } from './addresses/addresses.ts'
import { answers } from './answers.ts'
import { Bans, bansPath } from './bans.ts'
import { dialects } from './dialects.ts'
import { evidence } from './evidence.ts'
import { Farewells } from './farewells.ts'
import { KnownGenesis } from './genesis/known.ts'
import { learner } from './genesis/learner.ts'
import { recall } from './genesis/memory.ts'
import { handshakes } from './handshake.ts'
import { createInbox } from './inbox.ts'
import { keepalive } from './keepalive.ts'
import type { Dialling, ModuleParts, NetworkModule, NetworkParts } from './module.ts'
import type { Peer } from './peer.ts'
import { Peers } from './peers.ts'
import { relay } from './relay/relay.ts'
import { sync } from './sync/sync.ts'

/** What a node does with messages, whatever carries them. */
export interface Network extends Dialling {
  /** The door for what transports carry. */
  readonly inbox: Inbox
  readonly peers: Peers
  readonly bans: Bans
  /** Of the chain that the network is on; undefined as long as this node, without one of its own, does not know. */
  genesis(): Genesis | undefined
  /** Everything is up: looks for peers from now on. */
  start(): void
  stop(): Promise<void>
}

/** Throws as `recall`. */
export function createNetwork(parts: NetworkParts): Network {
  const modules: NetworkModule[] = []
  const peers = new Peers({
    joined: (peer: Peer) => modules.forEach((module) => module.joined?.(peer)),
    left: (peer: Peer, reason: string) => modules.forEach((module) => module.left?.(peer, reason)),
  })
  const known = new KnownGenesis(parts.chain?.genesis ?? recall(parts.genesis, parts.memory))
  const shared: ModuleParts = { ...parts, peers, bans: openBans(parts), known }
  const catchup = sync(shared)
  const farewells = new Farewells()
  const handshake = handshakes({ ...shared, farewells, attend: (connection) => door.attend(connection) })
  modules.push(
    answers({ ...shared, catchup }),
    learner(shared),
    handshake,
    keepalive(shared),
    relay({ ...shared, catchup }),
    evidence({ ...shared, catchup }),
    catchup,
    addresses({ ...shared, dial: (to) => handshake.dial(to) }),
    dialects(shared),
    ...(parts.messages === undefined ? [] : [parts.messages.module(shared)]),
  )
  const door = createInbox({ ...shared, farewells, modules })
  return {
    inbox: door,
    peers,
    bans: shared.bans,
    genesis: () => known.value,
    dial: (to) => handshake.dial(to),
    start: () => modules.forEach((module) => module.start?.()),
    async stop() {
      for (const module of modules.toReversed()) await module.stop?.()
    },
  }
}

const openBans = ({ runtime, limits, log, node }: NetworkParts): Bans =>
  new Bans({
    runtime,
    log,
    path: bansPath(node),
    bansMax: limits.bans_max,
    fileBytesMax: limits.bans_file_bytes_max,
  })
