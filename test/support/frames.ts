// A plain client of a gateway: frames, answers in the order of the questions. For tests and benches.
import { connect, type Socket } from 'node:net'
import type { Answer } from './lines.ts'

interface Waiting {
  readonly resolve: (answer: Answer) => void
  readonly reject: (reason: Error) => void
}

export class FrameClient {
  readonly #socket: Socket
  readonly #waiting: Waiting[] = []
  #received: Buffer = Buffer.alloc(0)
  closed = false

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (bytes: Buffer) => this.#take(bytes))
    socket.on('error', () => undefined) // followed by `close`
    socket.on('close', () => {
      this.closed = true
      for (const { reject } of this.#waiting.splice(0)) reject(new Error('the connection ended before the answer'))
    })
  }

  static open(port: number): Promise<FrameClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => {
        socket.removeListener('error', reject)
        resolve(new FrameClient(socket))
      })
      socket.once('error', reject)
    })
  }

  ask(request: object): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.closed) return reject(new Error('the connection is closed'))
      this.#waiting.push({ resolve, reject })
      this.tell(request)
    })
  }

  /** Says what is taken in silence. */
  tell(request: object): void {
    const body = Buffer.from(JSON.stringify(request))
    const prefix = Buffer.alloc(2)
    prefix.writeUInt16BE(body.length)
    this.#socket.write(Buffer.concat([prefix, body]))
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes])
    while (this.#received.length >= 2) {
      const end = 2 + this.#received.readUInt16BE()
      if (this.#received.length < end) return
      const answer = JSON.parse(this.#received.subarray(2, end).toString()) as Answer
      this.#received = this.#received.subarray(end)
      this.#waiting.shift()?.resolve(answer)
    }
  }
}
