import { AurexError, exitCode, messageOf } from '../errors.ts'
import { connect, type ChainInfo, type Client } from '../client.ts'
import { pause, type Io } from './command.ts'

export interface SessionOptions {
  readonly host: string
  readonly port: number
  /** How long to go on trying after a connection was lost, until the node answers again. */
  readonly timeoutMilliseconds: number
  /** Questions that wait for their answer at once. */
  readonly inFlightMax: number
}

const backOffMillisecondsMin = 100
const backOffMillisecondsMax = 5_000

/**
 * Asks one node, over as many connections as it takes. Every question may be asked twice: that is safe with all of the
 * client's, since a transaction is known by its id.
 */
export class Session {
  readonly chain: ChainInfo
  readonly #io: Io
  readonly #options: SessionOptions
  #client: Client
  #connecting: Promise<Client> | undefined
  /** Monotonic milliseconds: since then nothing was answered. undefined: all is well. */
  #lostAt: number | undefined
  #attempts = 0

  private constructor(io: Io, options: SessionOptions, client: Client, chain: ChainInfo) {
    this.#io = io
    this.#options = options
    this.#client = client
    this.chain = chain
  }

  /** Throws at once when the node cannot be reached: `node-unreachable`, or the client's errors (exit 69). */
  static async open(io: Io, options: SessionOptions): Promise<Session> {
    const client = await connect(io.runtime, options.host, options.port, options)
    try {
      return new Session(io, options, client, await client.chainInfo())
    } catch (error) {
      client.close()
      throw error
    }
  }

  get address(): string {
    return this.#client.address
  }

  /**
   * Asks, and asks again on a new connection whenever one is lost. Throws `connection-lost` (exit 69) after the
   * timeout, `wrong-chain` when another chain's node answers at the address, `interrupted` (exit 75).
   */
  async ask<T>(question: (client: Client) => Promise<T>): Promise<T> {
    for (;;) {
      const client = await this.#connected()
      try {
        const answer = await question(client)
        this.#lostAt = undefined
        this.#attempts = 0
        return answer
      } catch (error) {
        if (!isLoss(error)) throw error
        this.#lostAt ??= this.#now()
        this.#checkPatience(error)
      }
    }
  }

  close(): void {
    this.#client.close()
  }

  /** The connection, or the next one: whoever comes meanwhile waits for the same. */
  async #connected(): Promise<Client> {
    if (!this.#client.lost) return this.#client
    this.#connecting ??= this.#reconnect().finally(() => (this.#connecting = undefined))
    return await this.#connecting
  }

  async #reconnect(): Promise<Client> {
    const { host, port } = this.#options
    for (;;) {
      const backOff = Math.min(backOffMillisecondsMin * 2 ** this.#attempts++, backOffMillisecondsMax)
      await pause(this.#io, backOff)
      if (this.#io.signal.aborted) throw interrupted()
      try {
        const client = await connect(this.#io.runtime, host, port, this.#options)
        this.#client = client
        const { chain_id } = await client.chainInfo()
        if (chain_id === this.chain.chain_id) return client
        client.close()
        throw wrongChain(this.address, this.chain.chain_id, chain_id)
      } catch (error) {
        if (!isLoss(error)) throw error
        this.#lostAt ??= this.#now()
        this.#checkPatience(error)
      }
    }
  }

  #checkPatience(error: unknown): void {
    if (this.#io.signal.aborted) throw interrupted()
    const { timeoutMilliseconds } = this.#options
    if (this.#now() - (this.#lostAt ?? this.#now()) < timeoutMilliseconds) return
    throw new AurexError(
      'connection-lost',
      `the connection to ${this.address} was lost and the node did not answer again within ` +
        `${timeoutMilliseconds / 1000} s (${messageOf(error)}); see that it runs, then give the same command again: ` +
        'what was sent already is not recorded twice',
      { cause: error, exit: exitCode.unavailable },
    )
  }

  #now(): number {
    return this.#io.runtime.clock.monotonic()
  }
}

export const interrupted = (): AurexError =>
  new AurexError('interrupted', 'interrupted; the same command again goes on where this one ended', {
    exit: exitCode.tryAgain,
  })

/** Whether the same question may be answered later, on another connection. */
export const isLoss = (error: unknown): boolean =>
  error instanceof AurexError &&
  ['connection-lost', 'no-answer', 'node-unreachable', 'gateway-unreachable', 'nodes-unreachable'].includes(error.code)

const wrongChain = (address: string, expected: string, got: string): AurexError =>
  new AurexError('wrong-chain', `${address}: the node that answers now is on chain ${got}, before it was ${expected}`)
