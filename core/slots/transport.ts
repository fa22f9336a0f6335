import type { JsonObject } from '../chain/json.ts'
import type { Result } from '../errors.ts'

/** A connection, as the network sees it: whole messages in, whole messages out. */
export interface Connection {
  /** Unique in this process; for logs. */
  readonly id: string
  readonly remoteHost: string
  readonly remotePort: number
  /** Whether this node opened it. */
  readonly outbound: boolean
  /** It is a peer's from now on: the limits of peers hold for its messages, and no longer those of clients. */
  promote(): void
  /** The other side is slow to take what is sent: its answers had better not be made before `roomy`. Absent: never. */
  readonly full?: boolean
  /** Queues one message; a reader that never reads is dropped when its queue is full. */
  send(message: JsonObject): void
  /** Sends what is queued, then closes. The reason is for the log: a coded `ERROR` was sent before where one is due. */
  close(reason: string): void
  /** Stops and restarts the reading of messages. */
  pause(): void
  resume(): void
}

/** What the network wants to hear of one connection. */
export interface ConnectionHandlers {
  /** The bytes of one whole message, without its framing. */
  message(bytes: Uint8Array): void
  /** The framing was broken: too long, too slow, no end. The network answers and closes. */
  broken(code: string, detail: string): void
  /** There is room again on a connection that was `full`. */
  roomy?(): void
  /** The other side will send nothing more; what it asked is still answered. */
  finished(): void
  closed(): void
}

/** The only door into the network. Refuses `too-many-connections`; the transport says so to the other side and closes. */
export interface Inbox {
  connected(connection: Connection): Result<ConnectionHandlers>
}

export interface Transport {
  /** Starts to carry messages. Called once, when every plugin is set up. */
  open(inbox: Inbox): Promise<void>
  /** Where it listens; undefined while it does not. Of a transport that can `dial`: where other nodes reach this one. */
  address(): { readonly host: string; readonly port: number } | undefined
  /**
   * Opens a connection to another node; `host` is an IP address. `accept` is called once, as soon as it is open, and says
   * who hears of it. Rejects with `AurexError` `connect-failed` or `connect-slow`. A transport that serves clients only
   * has no such method.
   */
  dial?(host: string, port: number, accept: (connection: Connection) => ConnectionHandlers): Promise<void>
}
