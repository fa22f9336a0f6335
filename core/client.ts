import * as v from 'valibot'
import type { Hash } from './chain/canonical.ts'
import { parseJson, type JsonObject } from './chain/json.ts'
import type { Transaction } from './chain/transaction.ts'
import * as answers from './clientanswers.ts'
import { AurexError, decline, exitCode, found, messageOf, type Result } from './errors.ts'
import { Permits } from './permits.ts'
import type { TransactionStatus } from './plugin.ts'
import type { Runtime, Socket, Timer } from './runtime.ts'

export type {
  ChainInfo,
  ListedEvidence,
  ListedNode,
  NodeStatus,
  PeerStatus,
  Receipt,
  WhyWait,
} from './clientanswers.ts'

/**
 * A client of one node (protocol section 5). Its questions go out at once, up to a bound, and are answered in order.
 * Every method throws `AurexError` with exit code 69: `connection-lost` (which asking again on a new connection may
 * mend), `no-answer` (none in time), `bad-answer`; and `node-refused` where the node answers with an `ERROR`.
 */
export interface Client {
  /** `host:port`. */
  readonly address: string
  readonly lost: boolean
  ping(): Promise<answers.Pong>
  chainInfo(): Promise<answers.ChainInfo>
  /** A refusal has the node's own code. */
  submit(transaction: Transaction): Promise<Result<answers.Receipt>>
  status(hash: Hash): Promise<TransactionStatus>
  /** Canonical JSON of the genesis that its chain begins with, as the node tells it: `chain_id` is the SHA-256 of it. */
  genesis(): Promise<string>
  /** What it says of itself and its parts: for people. */
  nodeStatus(): Promise<answers.NodeStatus>
  /** Only a node on the same machine says. */
  peers(): Promise<readonly answers.PeerStatus[]>
  /** Nodes that it reached, itself among them. */
  nodes(): Promise<readonly answers.ListedNode[]>
  /** What its parts wait for. Only a node on the same machine says. */
  why(): Promise<readonly answers.WhyWait[]>
  /** The proofs that it has against keys, the newest first. */
  evidence(): Promise<readonly answers.ListedEvidence[]>
  /** Any other question, as a plugin of the node answers it: `poa.votes`. A refusal has the node's own code. */
  question(message: JsonObject & { readonly type: string }): Promise<Result<JsonObject>>
  close(): void
}

export interface ClientOptions {
  /** Questions that wait for their answer; further ones wait for their turn. */
  readonly inFlightMax?: number
  /** For the connection, and for each answer. */
  readonly answerMillisecondsMax?: number
}

const inFlightMaxDefault = 128
const answerMillisecondsDefault = 10_000
/** None of the answers asked for here is anywhere near as long. */
const answerBytesMax = 1024 * 1024

/** Connects to a node. Throws `AurexError` `node-unreachable` (exit 69). */
export async function connect(
  runtime: Runtime,
  host: string,
  port: number,
  options: ClientOptions = {},
): Promise<Client> {
  const client = new LineClient(runtime, host, port, options)
  await client.open()
  return client
}

interface Question {
  readonly askedAt: number
  readonly resolve: (answer: JsonObject) => void
  readonly reject: (reason: AurexError) => void
}

class LineClient implements Client {
  readonly address: string
  readonly #runtime: Runtime
  readonly #host: string
  readonly #port: number
  readonly #permits: Permits
  readonly #millisecondsMax: number
  /** Asked and not answered, oldest first. */
  readonly #questions: Question[] = []
  #socket: Socket | undefined
  /** Bounded by what is in flight: a message is at most a transaction. */
  #unsent: Uint8Array[] = []
  #received: Uint8Array[] = []
  #receivedBytes = 0
  #watch: Timer | undefined
  #fault: AurexError | undefined

  constructor(runtime: Runtime, host: string, port: number, options: ClientOptions) {
    this.#runtime = runtime
    this.#host = host
    this.#port = port
    this.address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
    this.#permits = new Permits(options.inFlightMax ?? inFlightMaxDefault)
    this.#millisecondsMax = options.answerMillisecondsMax ?? answerMillisecondsDefault
  }

  get lost(): boolean {
    return this.#fault !== undefined
  }

  async open(): Promise<void> {
    const { promise: late, reject } = Promise.withResolvers<never>()
    const timer = this.#runtime.clock.after(this.#millisecondsMax, () =>
      reject(new Error(`no connection within ${this.#millisecondsMax} ms`)),
    )
    const opening = this.#runtime.connect(this.#host, this.#port, {
      data: (_socket, bytes) => this.#take(bytes),
      drain: () => this.#flush(),
      end: () => this.#fail('connection-lost', 'the node closed the connection'),
      close: (_socket, error) =>
        this.#fail('connection-lost', error === undefined ? 'the connection ended' : messageOf(error)),
    })
    try {
      this.#socket = await Promise.race([opening, late])
    } catch (cause) {
      opening.then(
        (socket) => socket.destroy(), // it came too late
        () => undefined, // thrown below already
      )
      throw unreachable(this.address, cause)
    } finally {
      timer.cancel()
    }
  }

  async ping(): Promise<answers.Pong> {
    return this.#expect(answers.pong, await this.#ask({ type: 'ping' }))
  }

  async chainInfo(): Promise<answers.ChainInfo> {
    return this.#expect(answers.chainInfo, await this.#ask({ type: 'chain_info' }))
  }

  async submit(transaction: Transaction): Promise<Result<answers.Receipt>> {
    const answer = await this.#ask({ type: 'NEW_TRANSACTION', ...transaction })
    const refused = v.safeParse(answers.refusal, answer)
    if (refused.success) return decline(refused.output.code, refused.output.error)
    return found(this.#expect(answers.receipt, answer))
  }

  async status(txHash: Hash): Promise<TransactionStatus> {
    const answer = await this.#ask({ type: 'transaction_status', tx_hash: txHash })
    const status = this.#expect(answers.transactionStatus, answer)
    if (status.tx_hash !== txHash) throw this.#fail('bad-answer', `asked about ${txHash}, told of ${status.tx_hash}`)
    return answers.statusOf(status)
  }

  async genesis(): Promise<string> {
    return this.#expect(answers.genesisResponse, await this.#ask({ type: 'genesis_request' })).genesis
  }

  async nodeStatus(): Promise<answers.NodeStatus> {
    return this.#expect(answers.nodeStatus, await this.#ask({ type: 'node_status' }))
  }

  async peers(): Promise<readonly answers.PeerStatus[]> {
    return this.#expect(answers.peerStatuses, await this.#ask({ type: 'peer_status' })).peers
  }

  async nodes(): Promise<readonly answers.ListedNode[]> {
    return this.#expect(answers.nodeList, await this.#ask({ type: 'node_discovery' })).nodes
  }

  async why(): Promise<readonly answers.WhyWait[]> {
    return this.#expect(answers.why, await this.#ask({ type: 'why_request' })).waits
  }

  async evidence(): Promise<readonly answers.ListedEvidence[]> {
    return this.#expect(answers.evidenceList, await this.#ask({ type: 'evidence_request' })).evidence
  }

  async question(message: JsonObject & { readonly type: string }): Promise<Result<JsonObject>> {
    const answer = await this.#ask(message)
    const refused = v.safeParse(answers.refusal, answer)
    return refused.success ? decline(refused.output.code, refused.output.error) : found(answer)
  }

  close(): void {
    this.#fail('connection-lost', 'closed here')
  }

  async #ask(message: JsonObject): Promise<JsonObject> {
    await this.#permits.take()
    try {
      if (this.#fault !== undefined) throw this.#fault
      return await new Promise<JsonObject>((resolve, reject) => {
        this.#questions.push({ askedAt: this.#runtime.clock.monotonic(), resolve, reject })
        this.#unsent.push(Buffer.from(`${JSON.stringify(message)}\n`))
        if (this.#unsent.length === 1) this.#flush()
        if (this.#watch === undefined) this.#watchOldest(this.#millisecondsMax)
      })
    } finally {
      this.#permits.give()
    }
  }

  #flush(): void {
    while (this.#socket !== undefined && this.#unsent.length > 0) {
      const bytes = this.#unsent[0]!
      const taken = this.#socket.write(bytes)
      if (taken < bytes.length) {
        this.#unsent[0] = bytes.subarray(taken)
        return // the rest on `drain`
      }
      this.#unsent.shift()
    }
  }

  #take(bytes: Uint8Array): void {
    let start = 0
    for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a, start)) {
      const line = Buffer.concat([...this.#received, bytes.subarray(start, end)])
      ;[this.#received, this.#receivedBytes] = [[], 0]
      start = end + 1
      this.#answer(line)
    }
    if (start === bytes.length) return
    // A copy: the runtime may reuse the memory of what it handed over.
    const rest = bytes.slice(start)
    this.#received.push(rest)
    this.#receivedBytes += rest.length
    if (this.#receivedBytes > answerBytesMax) this.#fail('bad-answer', `an answer is over ${answerBytesMax} bytes`)
  }

  #answer(line: Uint8Array): void {
    if (line.length === 0 || this.#fault !== undefined) return
    const value = parseJson(line)
    if (!value.ok || typeof value.value !== 'object' || value.value === null || Array.isArray(value.value)) {
      const wrong = value.ok ? 'an answer is not an object' : `an answer is ${value.detail}`
      this.#fail('bad-answer', `${wrong}; a node of aurex says no such thing: see what listens there`)
      return
    }
    const question = this.#questions.shift()
    if (question !== undefined) return question.resolve(value.value as JsonObject)
    const said = v.safeParse(answers.refusal, value.value)
    this.#fail('connection-lost', said.success ? `${said.output.code}: ${said.output.error}` : 'an answer to nothing')
  }

  /** Answers come in order, so only the oldest question needs a timer. */
  #watchOldest(milliseconds: number): void {
    this.#watch = this.#runtime.clock.after(milliseconds, () => {
      this.#watch = undefined
      const oldest = this.#questions[0]
      if (oldest === undefined) return
      const left = oldest.askedAt + this.#millisecondsMax - this.#runtime.clock.monotonic()
      if (left > 0) this.#watchOldest(left)
      else this.#fail('no-answer', `no answer within ${this.#millisecondsMax} ms`)
    })
  }

  #expect<T>(schema: v.GenericSchema<unknown, T>, answer: JsonObject): T {
    const shaped = v.safeParse(schema, answer)
    if (shaped.success) return shaped.output
    const said = v.safeParse(answers.refusal, answer)
    if (said.success) {
      throw new AurexError('node-refused', `${this.address}: ${said.output.code}: ${said.output.error}`, {
        exit: exitCode.unavailable,
      })
    }
    const issue = shaped.issues[0]
    throw this.#fail('bad-answer', `${v.getDotPath(issue) ?? 'the answer'}: ${issue.message}`)
  }

  /** Ends the connection, once, and with it every question. Returns the error that it ended with. */
  #fail(code: string, what: string): AurexError {
    if (this.#fault !== undefined) return this.#fault
    const fault = new AurexError(code, `${this.address}: ${what}`, { exit: exitCode.unavailable })
    this.#fault = fault
    this.#watch?.cancel()
    this.#socket?.destroy()
    this.#unsent = []
    for (const { reject } of this.#questions.splice(0)) reject(fault)
    return fault
  }
}

/** `node-unreachable`, with what to do about it. */
function unreachable(address: string, failure: unknown): AurexError {
  // The runtime's own error says where once more; what lies beneath says why.
  const why = messageOf(failure instanceof AurexError ? (failure.cause ?? failure) : failure)
  return new AurexError(
    'node-unreachable',
    `no node answers at ${address}: ${why}; start one with: bun run node, or name another with: --node host:port`,
    { cause: failure, exit: exitCode.unavailable },
  )
}
