// A proxy in front of a node that counts what its clients submit; what peers say to each other is passed on uncounted.
import { connect, createServer, type Server, type Socket } from 'node:net'

export class SubmissionCounter {
  /** `NEW_TRANSACTION`s of clients. */
  count = 0
  /** Where the node listens. */
  target = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor() {
    this.#server = createServer({ noDelay: true }, (opener) => this.#join(opener))
  }

  static async open(): Promise<SubmissionCounter> {
    const counter = new SubmissionCounter()
    await new Promise<void>((resolve) => counter.#server.listen(0, '127.0.0.1', resolve))
    return counter
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #join(opener: Socket): void {
    const node = connect({ port: this.target, host: '127.0.0.1', noDelay: true })
    for (const [from, to] of [[opener, node] as const, [node, opener] as const]) {
      this.#sockets.add(from)
      from.on('error', () => undefined) // Followed by `close`.
      from.on('close', () => {
        this.#sockets.delete(from)
        to.destroy()
      })
      from.pipe(to)
    }
    let rest = ''
    let isPeer: boolean | undefined
    opener.on('data', (bytes: Buffer) => {
      if (isPeer === true) return
      const lines = (rest + bytes.toString('latin1')).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        isPeer ??= line.includes('"type":"handshake"')
        if (line.includes('"type":"NEW_TRANSACTION"')) this.count++
      }
    })
  }
}
