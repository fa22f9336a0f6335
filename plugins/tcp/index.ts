import * as v from 'valibot'
import {
  accepted,
  decline,
  definePlugin,
  type Context,
  type Inbox,
  type Listener,
  type Socket,
  type SocketHandlers,
  type Transport,
  type Verdict,
} from '../../core/index.ts'
import { TcpConnection } from './connection.ts'

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

class TcpTransport implements Transport {
  readonly #context: Context
  readonly #host: string
  readonly #connections = new Map<Socket, { readonly connection: TcpConnection; readonly counted: boolean }>()
  /** Of the connections that were let in. */
  #counted = 0
  readonly #perHost = new Map<string, number>()
  #listener: Listener | undefined
  #opened = 0
  #stopped: (() => void) | undefined

  constructor(context: Context, host: string) {
    this.#context = context
    this.#host = host
  }

  async open(inbox: Inbox): Promise<void> {
    const { runtime, node, log } = this.#context
    this.#listener = await runtime.listen(this.#host, node.port, this.#handlers(inbox))
    log.info('listening', this.address())
  }

  address() {
    return this.#listener && { host: this.#listener.host, port: this.#listener.port }
  }

  /** Takes no new connections, sends what is queued on those that are open, and closes them. */
  async stop(): Promise<void> {
    this.#listener?.stop()
    this.#listener = undefined
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

  #handlers(inbox: Inbox): SocketHandlers {
    return {
      open: (socket) => this.#admit(socket, inbox),
      data: (socket, bytes) => this.#connections.get(socket)?.connection.received(bytes),
      drain: (socket) => this.#connections.get(socket)?.connection.drained(),
      end: (socket) => this.#connections.get(socket)?.connection.otherEnded(),
      close: (socket) => this.#remove(socket),
    }
  }

  #admit(socket: Socket, inbox: Inbox): void {
    const { runtime, limits, log } = this.#context
    const room = this.#room(socket.remoteHost)
    if (!room.ok && this.#connections.size - this.#counted >= turnedAwayMax) {
      socket.destroy()
      return
    }
    const connection = new TcpConnection({ id: `tcp-${++this.#opened}`, outbound: false, socket, runtime, limits, log })
    this.#connections.set(socket, { connection, counted: room.ok })
    if (room.ok) this.#count(socket.remoteHost, 1)
    connection.start(room.ok ? inbox.connected(connection) : room)
  }

  #room(remoteHost: string): Verdict {
    const { limits } = this.#context
    if (this.#counted >= limits.connections_max) {
      return decline('too-many-connections', `this node takes at most ${limits.connections_max} connections`)
    }
    const most = limits.connections_per_host_max
    if (isLoopback(this.#host) || (this.#perHost.get(remoteHost) ?? 0) < most) return accepted
    return decline('too-many-connections', `this node takes at most ${most} connections from one address`)
  }

  #count(remoteHost: string, change: 1 | -1): void {
    this.#counted += change
    const count = (this.#perHost.get(remoteHost) ?? 0) + change
    if (count > 0) this.#perHost.set(remoteHost, count)
    else this.#perHost.delete(remoteHost)
  }

  #remove(socket: Socket): void {
    const entry = this.#connections.get(socket)
    if (entry === undefined) return
    this.#connections.delete(socket)
    if (entry.counted) this.#count(socket.remoteHost, -1)
    entry.connection.closed()
    if (this.#connections.size === 0) this.#stopped?.()
  }
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || host.startsWith('127.')
