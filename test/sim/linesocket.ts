import type { JsonObject } from '../../core/chain/json.ts'
import type { Socket, SocketHandlers } from '../../core/index.ts'
import type { SimHost } from './host.ts'

const utf8 = new TextDecoder()

/** JSON lines over a simulated socket, without any of the node's own code: for clients and hostile peers. */
export class LineSocket {
  readonly handlers: SocketHandlers = {
    open: (socket) => this.#opened(socket),
    data: (_socket, bytes) => this.#received(bytes),
    drain: () => this.#flush(),
    end: (socket) => socket.end(),
    close: () => this.#closed(),
  }
  readonly #heard: (message: JsonObject) => void
  readonly #ended: () => void
  #state: 'connecting' | 'open' | 'closed' = 'connecting'
  #socket: Socket | undefined
  #begun = ''
  #queue: Uint8Array[] = []

  constructor(heard: (message: JsonObject) => void, ended: () => void = () => {}) {
    this.#heard = heard
    this.#ended = ended
  }

  /** Or on its way to be. */
  get isOpen(): boolean {
    return this.#state !== 'closed'
  }

  get remoteHost(): string {
    return this.#socket?.remoteHost ?? ''
  }

  connect(host: SimHost, address: string, port: number): void {
    host.connect(address, port, this.handlers, 10_000).catch(() => this.#closed())
  }

  send(message: JsonObject): void {
    this.sendRaw(`${JSON.stringify(message)}\n`)
  }

  /** Whatever it is. Beyond some megabytes that nobody takes it is dropped. */
  sendRaw(text: string): void {
    if (this.#state === 'closed' || this.#queue.length > 1_000) return
    this.#queue.push(Buffer.from(text))
    if (this.#state === 'open') this.#flush()
  }

  /** Reads nothing more. */
  pause(): void {
    this.#socket?.pause()
  }

  destroy(): void {
    this.#socket?.destroy()
    this.#closed()
  }

  #opened(socket: Socket): void {
    this.#socket = socket
    this.#state = 'open'
    this.#flush()
  }

  #flush(): void {
    while (this.#queue.length > 0) {
      const [bytes] = this.#queue
      const taken = this.#socket?.write(bytes!) ?? 0
      if (taken < bytes!.length) {
        this.#queue[0] = bytes!.subarray(taken)
        return
      }
      this.#queue.shift()
    }
  }

  #received(bytes: Uint8Array): void {
    const lines = (this.#begun + utf8.decode(bytes)).split('\n')
    this.#begun = lines.pop()!
    for (const line of lines) if (this.#state === 'open') this.#heard(JSON.parse(line) as JsonObject)
  }

  #closed(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#queue = []
    this.#ended()
  }
}
