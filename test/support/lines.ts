// A plain client of the node's wire: JSON lines, answers in the order of the questions. For tests and benches, so that
// they do not lean on the program's own client.
import { connect, type Socket } from 'node:net'

export type Answer = Record<string, unknown>

interface Waiting {
  readonly resolve: (answer: Answer) => void
  readonly reject: (reason: Error) => void
}

export class LineClient {
  readonly #socket: Socket
  readonly #waiting: Waiting[] = []
  #received = ''
  #outgoing = ''
  /** Rejected questions: the connection ended first. */
  closed = false

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setEncoding('utf8')
    socket.setNoDelay(true)
    socket.on('data', (text: string) => this.#take(text))
    socket.on('error', () => undefined) // followed by `close`, which is where it is dealt with
    socket.on('close', () => {
      this.closed = true
      for (const { reject } of this.#waiting.splice(0)) reject(new Error('the connection ended before the answer'))
    })
  }

  static open(port: number): Promise<LineClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => {
        socket.removeListener('error', reject)
        resolve(new LineClient(socket))
      })
      socket.once('error', reject)
    })
  }

  /** How many questions wait for their answer. */
  get unanswered(): number {
    return this.#waiting.length
  }

  ask(message: object): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.closed) return reject(new Error('the connection is closed'))
      this.#waiting.push({ resolve, reject })
      this.#socket.write(`${JSON.stringify(message)}\n`)
    })
  }

  /** Says what is taken in silence. */
  tell(message: object): void {
    this.#socket.write(`${JSON.stringify(message)}\n`)
  }

  /** Asks with a line that was made before. The lines of one turn of the event loop leave in one write. */
  askLine(line: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.closed) return reject(new Error('the connection is closed'))
      this.#waiting.push({ resolve, reject })
      if (this.#outgoing === '') setImmediate(() => this.#flush())
      this.#outgoing += line
    })
  }

  #flush(): void {
    const lines = this.#outgoing
    this.#outgoing = ''
    this.#socket.write(lines)
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(text: string): void {
    const lines = (this.#received + text).split('\n')
    this.#received = lines.pop()!
    for (const line of lines) this.#waiting.shift()?.resolve(JSON.parse(line) as Answer)
  }
}
