import {
  AurexError,
  exitCode,
  messageOf,
  type JsonObject,
  type Listener,
  type Log,
  type Runtime,
  type Socket,
} from '../../core/index.ts'
import { GatewayConnection } from './connection.ts'
import { Quota } from './quota.ts'
import type { GatewayConfig } from './schema.ts'
import { isLoopback, sourceOf } from './source.ts'

export interface ServerParts {
  readonly config: GatewayConfig
  readonly runtime: Pick<Runtime, 'clock' | 'listen'>
  readonly log: Log
  /** The answer to one body; undefined where it is answered with nothing. Never rejects. */
  readonly serve: (body: Uint8Array) => Promise<JsonObject | undefined>
}

/** How often it is looked whether a connection took too long. */
const watchMilliseconds = 500
/** At the end, requests in work and answers on the way get so long. */
const farewellMilliseconds = 3_000
/** Connections that are told that there is no room, and are about to close. Beyond that they are not told. */
const turnedAwayMax = 64

interface Entry {
  readonly connection: GatewayConnection
  readonly source: string
  readonly admitted: boolean
}

/** Listens, counts connections, and gives each of them its turn. */
export class GatewayServer {
  readonly #parts: ServerParts
  readonly #quota: Quota
  readonly #entries = new Map<Socket, Entry>()
  readonly #perSource = new Map<string, number>()
  #admitted = 0
  #listener: Listener | undefined
  #stopped: (() => void) | undefined
  #watching = false
  /** Connections that ended otherwise than in good order, by code. */
  readonly cut = new Map<string, number>()

  constructor(parts: ServerParts) {
    const { config, runtime } = parts
    this.#parts = parts
    this.#quota = new Quota({
      clock: runtime.clock,
      perSecondMax: config.requests_per_second_max,
      inFlightMax: config.requests_in_flight_max,
    })
  }

  /** Throws `AurexError` `address-in-use` or `listen-failed`. */
  async listen(): Promise<void> {
    const { config, runtime, log } = this.#parts
    try {
      this.#listener = await runtime.listen(config.host, config.port, {
        open: (socket) => this.#admit(socket),
        data: (socket, bytes) => this.#entries.get(socket)?.connection.received(bytes),
        drain: (socket) => this.#entries.get(socket)?.connection.drained(),
        end: (socket) => this.#entries.get(socket)?.connection.otherEnded(),
        close: (socket) => this.#remove(socket),
      })
    } catch (cause) {
      throw listenError(config, cause)
    }
    log.info('listening for clients', this.address())
  }

  address() {
    return this.#listener && { host: this.#listener.host, port: this.#listener.port }
  }

  counts(): { readonly connections: number; readonly inFlight: number } {
    return { connections: this.#admitted, inFlight: this.#quota.inFlight }
  }

  /** Takes nothing new, answers what it has taken, and closes. */
  async stop(): Promise<void> {
    const { clock } = this.#parts.runtime
    this.#listener?.stop()
    this.#listener = undefined
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#stopped = resolve
    for (const { connection } of this.#entries.values()) connection.finish()
    const timer = clock.after(farewellMilliseconds, () => {
      for (const { connection } of this.#entries.values()) connection.destroy()
      resolve()
    })
    if (this.#entries.size > 0) await promise
    timer.cancel()
    this.#quota.stop()
  }

  #admit(socket: Socket): void {
    const source = sourceOf(socket.remoteHost)
    const fault = this.#roomFault(source)
    if (fault !== undefined && this.#entries.size - this.#admitted >= turnedAwayMax) return socket.destroy()
    const connection = this.#connection(socket, source)
    this.#entries.set(socket, { connection, source, admitted: fault === undefined })
    if (fault === undefined) this.#count(source, 1)
    else connection.refuse('too-many-connections', fault)
    if (this.#stopped !== undefined) connection.finish()
    this.#watch()
  }

  #connection(socket: Socket, source: string): GatewayConnection {
    const { config, runtime, serve } = this.#parts
    return new GatewayConnection({
      socket,
      source,
      clock: runtime.clock,
      quota: this.#quota,
      serve,
      cut: (code) => this.#noteCut(code, socket.remoteHost),
      limits: {
        requestsInFlightMax: config.connection_requests_in_flight_max,
        bodyMillisecondsMax: config.body_milliseconds_max,
        idleMillisecondsMax: config.idle_milliseconds_max,
        unreadMillisecondsMax: config.unread_milliseconds_max,
      },
    })
  }

  /** Why there is no room for one more, if there is none. */
  #roomFault(source: string): string | undefined {
    const { config } = this.#parts
    const most = config.connections_per_host_max
    if (!isLoopback(config.host) && (this.#perSource.get(source) ?? 0) >= most) {
      return `this gateway takes at most ${most} connections from one address`
    }
    if (this.#admitted < config.connections_max || this.#makeRoom()) return undefined
    return `this gateway takes at most ${config.connections_max} connections`
  }

  /** The oldest that never asked anything goes: a crowd that says nothing must not keep others out. */
  #makeRoom(): boolean {
    for (const [socket, { connection, admitted }] of this.#entries) {
      if (!admitted || !connection.isSilent) continue
      this.#noteCut('silent', socket.remoteHost)
      connection.destroy()
      this.#remove(socket)
      return true
    }
    return false
  }

  #remove(socket: Socket): void {
    const entry = this.#entries.get(socket)
    if (entry === undefined) return
    this.#entries.delete(socket)
    if (entry.admitted) this.#count(entry.source, -1)
    entry.connection.closed()
    if (this.#entries.size === 0) this.#stopped?.()
  }

  #count(source: string, change: 1 | -1): void {
    this.#admitted += change
    const count = (this.#perSource.get(source) ?? 0) + change
    if (count > 0) this.#perSource.set(source, count)
    else this.#perSource.delete(source)
  }

  /** One timer for all, as long as there is anybody. */
  #watch(): void {
    if (this.#watching || this.#entries.size === 0) return
    this.#watching = true
    this.#parts.runtime.clock.after(watchMilliseconds, () => {
      this.#watching = false
      for (const { connection } of this.#entries.values()) connection.watch()
      this.#watch()
    })
  }

  #noteCut(code: string, remote: string): void {
    this.cut.set(code, (this.cut.get(code) ?? 0) + 1)
    this.#parts.log.debug('a connection was cut', { code, remote })
  }
}

/** The runtime's own message names the flag of the node's port. */
function listenError({ host, port }: GatewayConfig, cause: unknown): unknown {
  if (!(cause instanceof AurexError)) return cause
  const why =
    cause.code === 'address-in-use' ? 'is in use already' : `cannot be listened on (${messageOf(cause.cause ?? cause)})`
  const message = `gateway: port ${port} on ${host} ${why}; choose another with --gateway.port or --gateway.host`
  return new AurexError(cause.code, message, { cause, exit: exitCode.unavailable })
}
