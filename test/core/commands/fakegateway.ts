// A gateway as `aurex status` sees it: the real framing over real sockets, and the answer that the test says.
import { isObject, parseJson, type JsonObject } from '../../../core/chain/json.ts'
import { frameOf, FrameReader } from '../../../core/frames.ts'
import type { Listener, Runtime, Socket } from '../../../core/runtime.ts'

export class FakeGateway {
  readonly received: JsonObject[] = []
  /** undefined: the connection is closed instead. */
  answer: JsonObject | undefined = { status: 'ok' }
  /** Runs before a request is answered; false closes the connection instead. */
  before: () => boolean = () => true
  #listener!: Listener

  static async start(runtime: Runtime): Promise<FakeGateway> {
    const gateway = new FakeGateway()
    const frames = new Map<Socket, FrameReader>()
    gateway.#listener = await runtime.listen('127.0.0.1', 0, {
      open: (socket) => void frames.set(socket, new FrameReader()),
      data: (socket, bytes) => {
        const reader = frames.get(socket)!
        reader.push(bytes)
        for (let body = reader.next(); body !== undefined; body = reader.next()) gateway.#take(socket, body)
      },
      end: (socket) => socket.destroy(),
      close: (socket) => void frames.delete(socket),
    })
    return gateway
  }

  get address(): string {
    return `127.0.0.1:${this.#listener.port}`
  }

  stop(): void {
    this.#listener.stop()
  }

  #take(socket: Socket, body: Uint8Array): void {
    const message = parseJson(body)
    if (!message.ok || !isObject(message.value)) throw new Error('not a message')
    this.received.push(message.value)
    if (this.before() && this.answer !== undefined) socket.write(frameOf(this.answer)!)
    else socket.end()
  }
}
