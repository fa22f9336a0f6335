import * as v from 'valibot'
import {
  accepted,
  AurexError,
  decline,
  definePlugin,
  exitCode,
  found,
  type Connection,
  type ConnectionHandlers,
  type Context,
  type Inbox,
  type Listener,
  type Socket,
  type SocketHandlers,
  type Transport,
  type Verdict,
} from '../../core/index.ts'
import { TcpConnection } from './connection.ts'
import { Crowd } from './crowd.ts'
import { sourceOf } from './source.ts'

/** At the end of the node, open connections get so long to take what was sent to them. */
const farewellMilliseconds = 250
/** Connections that are told that there is no room, and are about to close. Beyond that they are not told. */
const turnedAwayMax = 64

export default definePlugin({
  name: 'tcp',
  summary: 'JSON lines over TCP, for clients and peers',
  provides: 'transport',
  needs: [],
  config: v.strictObject({
    // The port is the node's.
    host: v.optional(
      v.pipe(v.string(), v.minLength(1), v.description('the address to listen on; 0.0.0.0 or :: for all')),
      '127.0.0.1',
    ),
  }),
  setup(context, { host }) {
    const transport = new TcpTransport(context, host)
    context.defer(() => transport.stop())
    return transport
  },
})

/** Whether others opened it, and were let in or told that there is no room; or this node did. */
type Kind = 'admitted' | 'turned-away' | 'dialled'

interface Entry {
  readonly connection: TcpConnection
  readonly kind: Kind
}

class TcpTransport implements Transport {
  readonly #context: Context
  readonly #host: string
  readonly #connections = new Map<Socket, Entry>()
  /** Connections that others opened and that were let in; that are told that there is no room. */
  #admitted = 0
  #turnedAway = 0
  readonly #perSource = new Map<string, number>()
  readonly #crowd: Crowd
  #listener: Listener | undefined
  #opened = 0
  #stopping = false
  #stopped: (() => void) | undefined

  readonly #handlers: SocketHandlers = {
    data: (socket, bytes) => this.#connections.get(socket)?.connection.received(bytes),
    drain: (socket) => this.#connections.get(socket)?.connection.drained(),
    end: (socket) => this.#connections.get(socket)?.connection.otherEnded(),
    close: (socket) => this.#remove(socket),
  }

  constructor(context: Context, host: string) {
    const { runtime, limits } = context
    this.#context = context
    this.#host = host
    this.#crowd = new Crowd({
      clock: runtime.clock,
      silentMax: limits.silent_connections_max,
      millisecondsMax: limits.handshake_milliseconds_max,
    })
  }

  async open(inbox: Inbox): Promise<void> {
    const { runtime, node, log } = this.#context
    const open = (socket: Socket): void => this.#admit(socket, inbox)
    this.#listener = await runtime.listen(this.#host, node.port, { ...this.#handlers, open })
    log.info('listening', this.address())
  }

  address() {
    return this.#listener && { host: this.#listener.host, port: this.#listener.port }
  }

  async dial(host: string, port: number, accept: (connection: Connection) => ConnectionHandlers): Promise<void> {
    const { runtime, limits } = this.#context
    let fault: { readonly error: unknown } | undefined
    const open = (socket: Socket): void => {
      try {
        this.#refuseAtTheEnd(host, port)
        const connection = this.#enter(socket, 'dialled')
        connection.start(found(accept(connection)))
      } catch (error) {
        fault = { error }
        socket.destroy()
      }
    }
    this.#refuseAtTheEnd(host, port)
    await runtime.connect(host, port, { ...this.#handlers, open }, limits.handshake_milliseconds_max)
    if (fault !== undefined) throw fault.error
  }

  /** Takes no new connections, sends what is queued on those that are open, and closes them. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#listener?.stop()
    this.#listener = undefined
    this.#crowd.stop()
    if (this.#connections.size === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#stopped = resolve
    for (const { connection } of this.#connections.values()) connection.close('stopping')
    const timer = this.#context.runtime.clock.after(farewellMilliseconds, () => {
      for (const { connection } of this.#connections.values()) connection.destroy()
      resolve()
    })
    await promise
    timer.cancel()
  }

  #refuseAtTheEnd(host: string, port: number): void {
    if (!this.#stopping) return
    const message = `cannot connect to ${host} port ${port}: this node is stopping`
    throw new AurexError('connect-failed', message, { exit: exitCode.unavailable })
  }

  #admit(socket: Socket, inbox: Inbox): void {
    const room = this.#room(socket.remoteHost)
    if (!room.ok && this.#turnedAway >= turnedAwayMax) {
      socket.destroy()
      return
    }
    const connection = this.#enter(socket, room.ok ? 'admitted' : 'turned-away')
    if (room.ok) this.#crowd.enter(connection)
    connection.start(room.ok ? inbox.connected(connection) : room)
  }

  #room(remoteHost: string): Verdict {
    const { limits } = this.#context
    if (this.#admitted >= limits.connections_max) {
      return decline('too-many-connections', `this node takes at most ${limits.connections_max} connections`)
    }
    const most = limits.connections_per_host_max
    if (isLoopback(this.#host) || (this.#perSource.get(sourceOf(remoteHost)) ?? 0) < most) return accepted
    return decline('too-many-connections', `this node takes at most ${most} connections from one address`)
  }

  #enter(socket: Socket, kind: Kind): TcpConnection {
    const { runtime, limits, log } = this.#context
    const outbound = kind === 'dialled'
    const id = `tcp-${++this.#opened}`
    const spoke = (): void => this.#crowd.leave(connection)
    const connection = new TcpConnection({ id, outbound, socket, runtime, limits, log, spoke })
    this.#connections.set(socket, { connection, kind })
    this.#count(socket.remoteHost, kind, 1)
    return connection
  }

  #remove(socket: Socket): void {
    const entry = this.#connections.get(socket)
    if (entry === undefined) return
    this.#connections.delete(socket)
    this.#count(socket.remoteHost, entry.kind, -1)
    this.#crowd.leave(entry.connection)
    entry.connection.closed()
    if (this.#connections.size === 0) this.#stopped?.()
  }

  #count(remoteHost: string, kind: Kind, change: 1 | -1): void {
    if (kind === 'turned-away') this.#turnedAway += change
    if (kind !== 'admitted') return
    this.#admitted += change
    const source = sourceOf(remoteHost)
    const count = (this.#perSource.get(source) ?? 0) + change
    if (count > 0) this.#perSource.set(source, count)
    else this.#perSource.delete(source)
  }
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || host.startsWith('127.')
