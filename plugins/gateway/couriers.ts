import type { Chain, Context, Hash, NodeId, Refusal, Timer, Transaction, TransactionStatus } from '../../core/index.ts'
import { NodeCourier, OwnCourier, type Courier, type Delivery } from './courier.ts'

export interface CouriersParts {
  readonly context: Pick<Context, 'network' | 'runtime' | 'log' | 'on'>
  readonly chain: Chain | undefined
  readonly chainId: () => Hash | undefined
  readonly slowMilliseconds: number
  /** A node can be reached that could not be reached before. */
  readonly reached: () => void
}

/** What became of one transaction that was given to all nodes at once. */
export interface Spread {
  readonly taken: number
  readonly refusals: readonly Refusal[]
  /** Were told of it and did not say anything in time: they may have it. */
  readonly silent: number
}

const momentMilliseconds = 1_000
const lookMilliseconds = 20
/** A busy node may take so many times as long as an idle one before it is slow. */
const waitsMax = 5

/**
 * The ways to the nodes that a transaction is given to: this node's own chain, where it has one; otherwise every full
 * node that this one has shaken hands with and that listens.
 */
export class Couriers {
  readonly #parts: CouriersParts
  readonly #own: OwnCourier | undefined
  readonly #nodes = new Map<NodeId, NodeCourier>()
  #turn = 0
  #closed = false

  constructor(parts: CouriersParts) {
    this.#parts = parts
    this.#own = parts.chain === undefined ? undefined : new OwnCourier(parts.chain)
  }

  start(): void {
    if (this.#own !== undefined) return
    const look = (): void => this.refresh()
    for (const event of ['node:started', 'peer:joined', 'peer:left'] as const) this.#parts.context.on(event, look)
    this.refresh()
  }

  close(): void {
    this.#closed = true
    for (const courier of this.#nodes.values()) courier.close()
  }

  /** Makes the couriers those of the peers of this moment. */
  refresh(): void {
    if (this.#closed || this.#own !== undefined) return
    const { network } = this.#parts.context
    const peers = new Map(network.peers().map((peer) => [peer.nodeId, peer]))
    for (const [nodeId, courier] of this.#nodes) {
      const listens = peers.get(nodeId)?.listens
      courier.leaving = listens === undefined
      const moved = listens !== undefined && (listens.host !== courier.host || listens.port !== courier.port)
      // One whose node left is kept while it is connected: what the node has yet to answer is not lost.
      if (!moved && (listens !== undefined || courier.reachable) && !courier.closed) continue
      courier.close()
      this.#nodes.delete(nodeId)
    }
    for (const { nodeId, nodeType, listens } of peers.values()) {
      if (listens === undefined || nodeType === 'gateway' || this.#nodes.has(nodeId)) continue
      this.#nodes.set(nodeId, this.#courier(nodeId, listens.host, listens.port))
    }
  }

  /** Nodes that this gateway knows of. */
  get total(): number {
    return this.#all().length
  }

  get reachable(): number {
    return this.#all().filter(({ reachable }) => reachable).length
  }

  /** Resolves when some node can be asked, or after a moment: right after a start the first connections are on their way. */
  async anybody(): Promise<void> {
    const { clock } = this.#parts.context.runtime
    const end = clock.monotonic() + momentMilliseconds
    while (!this.anyQuick && !this.#closed && clock.monotonic() < end) {
      await new Promise<void>((go) => void clock.after(lookMilliseconds, go))
    }
  }

  get anyQuick(): boolean {
    return this.#quick().length > 0
  }

  /** Those that can be asked and answer quickly, each time another one first. */
  inTurn(): readonly Courier[] {
    const quick = this.#quick()
    if (quick.length < 2) return quick
    const first = this.#turn++ % quick.length
    return [...quick.slice(first), ...quick.slice(0, first)]
  }

  /** Gives it to each node once, to all of them at once, and waits for those that are quick. */
  async spread(hash: Hash, transaction: Transaction): Promise<Spread> {
    const told: Promise<Delivery>[] = []
    const refusals: Refusal[] = []
    let [taken, silent] = [0, 0]
    for (const courier of this.#all()) {
      if (!courier.reachable) continue
      const { slow } = courier
      const delivery = courier.submit(hash, transaction)
      if (slow) silent++
      else told.push(this.inTime(courier, delivery, { kind: 'silent' }))
    }
    for (const delivery of await Promise.all(told)) {
      if (delivery.kind === 'taken') taken++
      else if (delivery.kind === 'silent') silent++
      else if (delivery.kind === 'refused') refusals.push(delivery.refusal)
    }
    return { taken, refusals, silent }
  }

  /** What a node says of it; undefined where it does not say in time. */
  status(courier: Courier, hash: Hash): Promise<TransactionStatus | undefined> {
    return this.inTime(courier, courier.status(hash), undefined)
  }

  submit(courier: Courier, hash: Hash, transaction: Transaction): Promise<Delivery> {
    return this.inTime(courier, courier.submit(hash, transaction), { kind: 'silent' })
  }

  /**
   * An answer, or `late` where its node has answered nothing for too long, which then is slow until it answers something.
   * While it answers what others asked before, it is waited for, up to a bound.
   */
  async inTime<T>(courier: Courier, answer: Promise<T>, late: T): Promise<T> {
    // The node's own chain answers as soon as the disk does.
    if (courier === this.#own) return await answer
    const { clock } = this.#parts.context.runtime
    const { promise: tooLate, resolve } = Promise.withResolvers<T>()
    const askedAt = clock.monotonic()
    let timer: Timer
    const watch = (): void => {
      const now = clock.monotonic()
      const left = Math.max(askedAt, courier.answeredAt) + this.#parts.slowMilliseconds - now
      if (left > 0 && now - askedAt < this.#parts.slowMilliseconds * waitsMax) {
        timer = clock.after(left, watch)
        return
      }
      courier.slow = true
      resolve(late)
    }
    timer = clock.after(this.#parts.slowMilliseconds, watch)
    try {
      return await Promise.race([answer, tooLate])
    } finally {
      timer.cancel()
    }
  }

  #quick(): readonly Courier[] {
    return this.#all().filter(({ reachable, slow }) => reachable && !slow)
  }

  #all(): readonly Courier[] {
    if (this.#own !== undefined) return [this.#own]
    return [...this.#nodes.values()].filter(({ leaving, reachable }) => reachable || !leaving)
  }

  #courier(nodeId: NodeId, host: string, port: number): NodeCourier {
    const { context, chainId, reached } = this.#parts
    return new NodeCourier({ nodeId, host, port, runtime: context.runtime, log: context.log, chainId, reached })
  }
}
