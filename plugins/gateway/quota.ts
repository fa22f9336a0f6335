import type { Clock, Timer } from '../../core/index.ts'

export interface QuotaParts {
  readonly clock: Pick<Clock, 'monotonic' | 'after'>
  /** Of one client, in the long run. */
  readonly perSecondMax: number
  /** Of all clients together, in work at once. */
  readonly inFlightMax: number
}

/** After a quiet time a client may send as much at once as in so many seconds. */
const burstSeconds = 2
/** Clients that are remembered although nothing of them waits. */
const clientsMax = 10_000

type Go = () => void

interface Client {
  tokens: number
  /** When `tokens` was true: milliseconds, monotonic. */
  countedAt: number
  /** At most one for each connection, which is bounded; in the order in which they came. */
  readonly waiting: Set<Go>
  timer: Timer | undefined
}

/**
 * Who may do the next request: a token bucket for each client, and a bound on what all of them have in work. A connection
 * asks for one request at a time and is not read meanwhile. So of one client's connections each gets its turn, and one
 * that floods waits behind itself.
 */
export class Quota {
  readonly #parts: QuotaParts
  readonly #clients = new Map<string, Client>()
  /** Clients that have tokens and wait for a place; whoever had one goes to the end. */
  readonly #queue = new Set<Client>()
  #inFlight = 0

  constructor(parts: QuotaParts) {
    this.#parts = parts
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** Calls `go` when it is this request's turn, maybe at once. From then on it is in work, until `done`. */
  ask(source: string, go: Go): void {
    const client = this.#clients.get(source) ?? this.#add(source)
    client.waiting.add(go)
    this.#admit(client)
  }

  /** It is not wanted any more: for one that still waits. */
  withdraw(source: string, go: Go): void {
    this.#clients.get(source)?.waiting.delete(go)
  }

  /** A request that was let in is done. */
  done(): void {
    this.#inFlight--
    for (const client of this.#queue) {
      if (this.#inFlight >= this.#parts.inFlightMax) return
      this.#queue.delete(client)
      this.#admitOne(client)
      this.#admit(client)
    }
  }

  stop(): void {
    for (const client of this.#clients.values()) client.timer?.cancel()
    this.#clients.clear()
    this.#queue.clear()
  }

  #admit(client: Client): void {
    this.#refill(client)
    while (client.waiting.size > 0 && client.tokens >= 1) {
      if (this.#inFlight >= this.#parts.inFlightMax) return void this.#queue.add(client)
      this.#admitOne(client)
    }
    if (client.waiting.size > 0) this.#wake(client)
  }

  #admitOne(client: Client): void {
    const [go] = client.waiting
    if (go === undefined) return
    client.waiting.delete(go)
    client.tokens--
    this.#inFlight++
    go()
  }

  #refill(client: Client): void {
    const { clock, perSecondMax } = this.#parts
    const now = clock.monotonic()
    const earned = ((now - client.countedAt) / 1000) * perSecondMax
    client.tokens = Math.min(client.tokens + earned, perSecondMax * burstSeconds)
    client.countedAt = now
  }

  #wake(client: Client): void {
    if (client.timer !== undefined) return
    const milliseconds = ((1 - client.tokens) / this.#parts.perSecondMax) * 1000
    client.timer = this.#parts.clock.after(Math.max(1, Math.ceil(milliseconds)), () => {
      client.timer = undefined
      this.#admit(client)
    })
  }

  #add(source: string): Client {
    if (this.#clients.size >= clientsMax) this.#forget()
    const { clock, perSecondMax } = this.#parts
    const tokens = perSecondMax * burstSeconds
    const client: Client = { tokens, countedAt: clock.monotonic(), waiting: new Set(), timer: undefined }
    this.#clients.set(source, client)
    return client
  }

  /** The one that came first of those that wait for nothing. */
  #forget(): void {
    for (const [source, client] of this.#clients) {
      if (client.waiting.size > 0) continue
      this.#clients.delete(source)
      return
    }
  }
}
