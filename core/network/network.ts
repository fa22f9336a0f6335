import type { Inbox } from '../plugin.ts'
import { addresses } from './addresses/addresses.ts'
import { answers } from './answers.ts'
import { dialects } from './dialects.ts'
import { handshakes } from './handshake.ts'
import { createInbox } from './inbox.ts'
import type { ModuleParts, NetworkModule, NetworkParts } from './module.ts'
import type { Peer } from './peer.ts'
import { Peers } from './peers.ts'
import { relay } from './relay/relay.ts'
import { sync } from './sync/sync.ts'

/** What a node does with messages, whatever carries them. */
export interface Network {
  /** The door for what transports carry. */
  readonly inbox: Inbox
  readonly peers: Peers
  /** Everything is up: looks for peers from now on. */
  start(): void
  stop(): Promise<void>
}

export function createNetwork(parts: NetworkParts): Network {
  const modules: NetworkModule[] = []
  const peers = new Peers({
    joined: (peer: Peer) => modules.forEach((module) => module.joined?.(peer)),
    left: (peer: Peer) => modules.forEach((module) => module.left?.(peer)),
  })
  const shared: ModuleParts = { ...parts, peers }
  const catchup = sync(shared)
  const handshake = handshakes(shared)
  modules.push(
    answers(shared),
    handshake,
    relay({ ...shared, catchup }),
    catchup,
    addresses({ ...shared, dial: (to) => handshake.dial(to) }),
    dialects(shared),
  )
  return {
    inbox: createInbox({ ...shared, modules }),
    peers,
    start: () => modules.forEach((module) => module.start?.()),
    async stop() {
      for (const module of modules.toReversed()) await module.stop?.()
    },
  }
}
