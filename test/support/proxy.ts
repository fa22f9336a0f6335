// A loopback wire between nodes that can be cut and healed, one way too. Every node is told to others by the port of a
// proxy in front of it, so that nothing gets past; who opened a connection is read in its first line, the handshake.
import { createServer, connect, type Server, type Socket } from 'node:net'

/** `held`: what is sent is lost for now, and nobody is told, as between cities. `cut`: the connection is gone. */
export type Wire = 'open' | 'held' | 'cut'

/** What the wire from one node to another is like. Nodes are called by their names; clients are `undefined`. */
export type Rule = (from: string | undefined, to: string) => Wire

const openToAll: Rule = () => 'open'
const firstLineBytesMax = 64 * 1024

export class Wires {
  readonly #servers: Server[] = []
  readonly #links = new Set<Link>()
  readonly #names = new Map<string, string>()
  #rule: Rule = openToAll

  /** Puts a proxy in front of a node that listens on `port`; returns the proxy's port. */
  front(name: string, port: number): Promise<number> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (opener) => this.#join(opener, name, port))
    this.#servers.push(server)
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port))
    })
  }

  /** A node id belongs to the node of this name. */
  know(nodeId: string, name: string): void {
    this.#names.set(nodeId, name)
  }

  /** From now on. Two nodes between whom a direction is cut have no connection at all. */
  set(rule: Rule): void {
    this.#rule = rule
    for (const link of this.#links) link.look()
  }

  heal(): void {
    this.set(openToAll)
  }

  close(): void {
    for (const server of this.#servers) server.close()
    for (const link of this.#links) link.end()
  }

  #join(opener: Socket, to: string, port: number): void {
    const link = new Link({
      opener,
      target: connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true }),
      wires: (nodeId) => {
        const from = nodeId === undefined ? undefined : this.#names.get(nodeId)
        return { there: this.#rule(from, to), back: from === undefined ? 'open' : this.#rule(to, from) }
      },
      ended: () => void this.#links.delete(link),
    })
    this.#links.add(link)
  }
}

interface LinkParts {
  readonly opener: Socket
  readonly target: Socket
  readonly wires: (nodeId: string | undefined) => { readonly there: Wire; readonly back: Wire }
  readonly ended: () => void
}

/** One connection through the proxy. */
class Link {
  readonly #parts: LinkParts
  #first: Buffer | undefined = Buffer.alloc(0)
  #nodeId: string | undefined
  #ended = false

  constructor(parts: LinkParts) {
    this.#parts = parts
    const { opener, target } = parts
    opener.on('data', (bytes: Buffer) => this.#there(bytes))
    target.on('data', (bytes: Buffer) => this.#write(opener, target, bytes))
    opener.on('end', () => this.#flush(() => target.end()))
    target.on('end', () => opener.end())
    for (const [socket, other] of [[opener, target] as const, [target, opener] as const]) {
      socket.on('drain', () => this.look())
      socket.on('error', () => undefined) // Followed by `close`.
      socket.on('close', () => other.destroySoon())
    }
    target.on('close', () => this.end())
  }

  /** Lets flow what may flow. */
  look(): void {
    const { opener, target, wires } = this.#parts
    const { there, back } = wires(this.#nodeId)
    if (there === 'cut' || back === 'cut') return this.end()
    flow(opener, there === 'open' && !target.writableNeedDrain)
    flow(target, back === 'open' && !opener.writableNeedDrain)
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#parts.opener.destroy()
    this.#parts.target.destroy()
    this.#parts.ended()
  }

  #there(bytes: Buffer): void {
    if (this.#first === undefined) return this.#write(this.#parts.target, this.#parts.opener, bytes)
    this.#first = Buffer.concat([this.#first, bytes])
    if (this.#first.includes(0x0a) || this.#first.length > firstLineBytesMax) this.#flush(() => this.look())
  }

  /** The first line is whole, or will never be: it goes on, unless the wire that it shows is cut. */
  #flush(then: () => void): void {
    const first = this.#first
    this.#first = undefined
    if (first !== undefined && first.length > 0) {
      this.#nodeId = nodeIdIn(first)
      this.look()
      if (!this.#ended) this.#parts.target.write(first)
    }
    if (!this.#ended) then()
  }

  #write(to: Socket, from: Socket, bytes: Buffer): void {
    if (!to.write(bytes)) from.pause()
  }
}

function flow(socket: Socket, on: boolean): void {
  if (on) socket.resume()
  else socket.pause()
}

function nodeIdIn(bytes: Buffer): string | undefined {
  const end = bytes.indexOf(0x0a)
  try {
    const message = JSON.parse(bytes.toString('utf8', 0, end === -1 ? bytes.length : end)) as Record<string, unknown>
    return message['type'] === 'handshake' ? String(message['node_id']) : undefined
  } catch {
    return undefined
  }
}
