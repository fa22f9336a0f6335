// What sockets alone cost: a line goes over the same graph to all, in this process, looked at by nobody.
import { Arrivals } from './arrivals.ts'

type Line = Bun.Socket<{ begun: string }>

/** Sockets and nothing else, connected as the nodes of a bench are. */
export class BareFlood {
  readonly #nodes: readonly BareNode[]
  readonly #arrivals: Arrivals
  readonly #bytes: number
  #sent = 0

  private constructor(count: number, bytes: number) {
    this.#bytes = bytes
    this.#arrivals = new Arrivals(count, () => performance.now())
    this.#nodes = Array.from({ length: count }, (_, n) => new BareNode((id) => this.#arrivals.note(id, n)))
  }

  /** `neighbours`: of each node, those of either side. `bytes`: how long a line is. */
  static async start(neighbours: readonly (readonly number[])[], bytes: number): Promise<BareFlood> {
    const flood = new BareFlood(neighbours.length, bytes)
    for (const [n, others] of neighbours.entries()) {
      for (const other of others) if (other > n) await flood.#nodes[n]!.dial(flood.#nodes[other]!.port)
    }
    return flood
  }

  /** Milliseconds until a new line of this node has reached all. */
  async pass(source: number): Promise<number> {
    const id = String(this.#sent++)
    const began = performance.now()
    this.#nodes[source]!.take(`${id.padEnd(this.#bytes - 1, ' ')}\n`, undefined)
    return (await this.#arrivals.everywhere(id)).at(-1)! - began
  }

  stop(): void {
    for (const node of this.#nodes) node.stop()
  }
}

class BareNode {
  readonly #arrived: (id: string) => void
  readonly #lines = new Set<Line>()
  readonly #seen = new Set<string>()
  readonly #server: Bun.TCPSocketListener<{ begun: string }>

  constructor(arrived: (id: string) => void) {
    this.#arrived = arrived
    this.#server = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: this.#handlers() })
  }

  get port(): number {
    return this.#server.port
  }

  async dial(port: number): Promise<void> {
    await Bun.connect({ hostname: '127.0.0.1', port, socket: this.#handlers() })
  }

  /** Passes a new line on to all but the one that it came by. */
  take(line: string, from: Line | undefined): void {
    const id = line.trimEnd()
    if (this.#seen.has(id)) return
    this.#seen.add(id)
    this.#arrived(id)
    for (const other of this.#lines) if (other !== from) other.write(line)
  }

  stop(): void {
    for (const line of this.#lines) line.terminate()
    this.#server.stop(true)
  }

  #handlers(): Bun.SocketHandler<{ begun: string }> {
    return {
      open: (line) => {
        line.data = { begun: '' }
        this.#lines.add(line)
      },
      data: (line, bytes) => {
        const lines = (line.data.begun + bytes.toString('latin1')).split('\n')
        line.data.begun = lines.pop()!
        for (const one of lines) this.take(`${one}\n`, line)
      },
      close: (line) => void this.#lines.delete(line),
    }
  }
}
