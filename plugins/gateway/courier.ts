import {
  connect,
  decline,
  messageOf,
  type Chain,
  type Client,
  type Hash,
  type Log,
  type NodeId,
  type Refusal,
  type Runtime,
  type Timer,
  type Transaction,
  type TransactionStatus,
} from '../../core/index.ts'

/** What a node said to a transaction. `silent`: nothing, so that it may have it. `unsent`: it was not told of it. */
export type Delivery =
  { readonly kind: 'taken' | 'silent' | 'unsent' } | { readonly kind: 'refused'; readonly refusal: Refusal }

/** The way to one node. */
export interface Courier {
  /** For logs. */
  readonly name: string
  /** Whether it can be told anything now. */
  readonly reachable: boolean
  /** It left a question unanswered for too long and has answered nothing since: nobody waits for it. */
  slow: boolean
  /** When it last answered anything; monotonic milliseconds. */
  readonly answeredAt: number
  /** Never rejects. */
  submit(hash: Hash, transaction: Transaction): Promise<Delivery>
  /** undefined: no answer. Never rejects. */
  status(hash: Hash): Promise<TransactionStatus | undefined>
  close(): void
}

/** The chain of this very node: it passes on to its peers what it takes. */
export class OwnCourier implements Courier {
  readonly name = 'this node'
  readonly reachable = true
  readonly answeredAt = 0
  slow = false
  readonly #chain: Chain

  constructor(chain: Chain) {
    this.#chain = chain
  }

  async submit(_hash: Hash, transaction: Transaction): Promise<Delivery> {
    try {
      const admission = await this.#chain.submitTransaction(transaction, 'gateway')
      return admission.ok ? { kind: 'taken' } : { kind: 'refused', refusal: admission }
    } catch (error) {
      return { kind: 'refused', refusal: decline('internal', messageOf(error)) }
    }
  }

  status(hash: Hash): Promise<TransactionStatus | undefined> {
    return Promise.resolve(this.#chain.status(hash))
  }

  close(): void {}
}

export interface CourierParts {
  readonly nodeId: NodeId
  readonly host: string
  readonly port: number
  readonly runtime: Runtime
  readonly log: Log
  /** Of the chain that its node must be on. */
  readonly chainId: () => Hash | undefined
  /** It can be reached again. */
  readonly reached: () => void
}

/** Asked and not answered. What comes beyond them is not lost: the other nodes have it, or it is sent later. */
const questionsMax = 10_000
const questionBytesMax = 16 * 1024 * 1024
const answerMillisecondsMax = 10_000
const watchMilliseconds = 200
/** A node disconnects clients that say nothing for a minute. */
const quietMillisecondsMax = 10_000
const retryMillisecondsMin = 250
const retryMillisecondsMax = 15_000

/** One client connection to a node, made again whenever it is lost. */
export class NodeCourier implements Courier {
  readonly name: string
  readonly nodeId: NodeId
  readonly host: string
  readonly port: number
  slow = false
  /** Its node is no peer any longer: a connection that is lost is not made again. */
  leaving = false
  readonly #parts: CourierParts
  #client: Client | undefined
  #timer: Timer | undefined
  #retryMilliseconds = retryMillisecondsMin
  #asking = 0
  #askingBytes = 0
  #askedAt = 0
  answeredAt = 0
  #closed = false

  constructor(parts: CourierParts) {
    this.#parts = parts
    this.nodeId = parts.nodeId
    this.host = parts.host
    this.port = parts.port
    this.name = parts.host.includes(':') ? `[${parts.host}]:${parts.port}` : `${parts.host}:${parts.port}`
    void this.#open()
  }

  get reachable(): boolean {
    return this.#client !== undefined && !this.#client.lost
  }

  get closed(): boolean {
    return this.#closed
  }

  async submit(hash: Hash, transaction: Transaction): Promise<Delivery> {
    const bytes = JSON.stringify(transaction).length
    const client = this.#client
    if (client === undefined || !this.#hasRoom(bytes)) return { kind: 'unsent' }
    const receipt = await this.#ask(() => client.submit(transaction), bytes)
    if (receipt === undefined) return { kind: 'silent' }
    if (!receipt.ok) return { kind: 'refused', refusal: cut(receipt) }
    const { tx_hash } = receipt.value
    if (tx_hash === undefined || tx_hash === hash) return { kind: 'taken' }
    return { kind: 'refused', refusal: decline('busy', `${this.name} speaks of another transaction, ${tx_hash}`) }
  }

  async status(hash: Hash): Promise<TransactionStatus | undefined> {
    const client = this.#client
    if (client === undefined || !this.#hasRoom(hash.length)) return undefined
    const status = await this.#ask(() => client.status(hash), hash.length)
    if (status === undefined || !('refusal' in status) || status.refusal === undefined) return status
    return { ...status, refusal: cut(status.refusal) }
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#client?.close()
  }

  #hasRoom(bytes: number): boolean {
    return this.reachable && this.#asking < questionsMax && this.#askingBytes + bytes <= questionBytesMax
  }

  /** `bytes`: about as long as the question is. */
  async #ask<T>(question: () => Promise<T>, bytes: number): Promise<T | undefined> {
    const { clock } = this.#parts.runtime
    this.#asking++
    this.#askingBytes += bytes
    this.#askedAt = clock.monotonic()
    try {
      const answer = await question()
      this.answeredAt = clock.monotonic()
      this.slow = false
      return answer
    } catch (error) {
      this.#parts.log.debug('a node left a question unanswered', { node: this.name, why: messageOf(error) })
      return undefined
    } finally {
      this.#asking--
      this.#askingBytes -= bytes
    }
  }

  async #open(): Promise<void> {
    const { runtime, host, port, log } = this.#parts
    let client: Client | undefined
    try {
      client = await connect(runtime, host, port, { inFlightMax: questionsMax, answerMillisecondsMax })
      const { chain_id } = await client.ping()
      const expected = this.#parts.chainId()
      if (chain_id !== undefined && expected !== undefined && chain_id !== expected) {
        throw new Error(`it is on chain ${chain_id}, not on ${expected}`)
      }
    } catch (error) {
      client?.close()
      log.debug('a node cannot be reached', { node: this.name, why: messageOf(error) })
      this.#lost()
      return
    }
    if (this.#closed) return client.close()
    this.#client = client
    this.#askedAt = runtime.clock.monotonic()
    this.#retryMilliseconds = retryMillisecondsMin
    this.slow = false
    this.#watch(client)
    this.#parts.reached()
  }

  #lost(): void {
    this.#client = undefined
    if (this.leaving) this.#closed = true
    if (this.#closed) return
    const { clock } = this.#parts.runtime
    const share = 0.5 + this.#parts.runtime.random(1)[0]! / 512 // so that not all come back at once
    this.#timer = clock.after(this.#retryMilliseconds * share, () => void this.#open())
    this.#retryMilliseconds = Math.min(this.#retryMilliseconds * 2, retryMillisecondsMax)
  }

  /** Finds that a connection was lost before a request does, and keeps a quiet one from being closed. */
  #watch(client: Client): void {
    const { clock } = this.#parts.runtime
    this.#timer = clock.after(watchMilliseconds, () => {
      if (this.#closed) return
      if (client.lost) return this.#lost()
      if (clock.monotonic() - this.#askedAt > quietMillisecondsMax) void this.#ask(() => client.ping(), 0)
      this.#watch(client)
    })
  }
}

const codeCharactersMax = 64
const detailCharactersMax = 500

/** What a node says is passed on to clients, whose answers have a bound. */
const cut = ({ code, detail }: Refusal): Refusal =>
  decline(code.slice(0, codeCharactersMax).toWellFormed(), detail.slice(0, detailCharactersMax).toWellFormed())
