// A gateway's server with a desk that does what a test wants, and a client that knows nothing but the framing.
import * as v from 'valibot'
import {
  found,
  frameOf,
  FrameReader,
  type JsonObject,
  type Log,
  type Result,
  type Runtime,
  type Socket,
} from '../../../core/index.ts'
import { Actions, type ActionsParts } from '../../../plugins/gateway/actions.ts'
import type { Desk, Fate, Submission } from '../../../plugins/gateway/desk.ts'
import { configSchema, type GatewayConfig } from '../../../plugins/gateway/schema.ts'
import { GatewayServer } from '../../../plugins/gateway/server.ts'

export const silentLog: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

export const configOf = (config: Partial<GatewayConfig> = {}): GatewayConfig =>
  v.parse(configSchema, { port: 0, ...config })

export const submission = (extra: Partial<Submission> = {}): Submission => ({
  hash: 'ab'.repeat(32),
  transaction: { sender: 'alice', data: { note: 'n' }, signature: 's' },
  nodesReached: 2,
  nodesTotal: 3,
  message: '2 of 3 nodes took it',
  ...extra,
})

/** Answers what it is told to, and remembers what it was asked. */
export class FakeDesk implements Desk {
  readonly asked: JsonObject[] = []
  answer: (body: JsonObject) => Promise<Result<Submission>> | Result<Submission> = () => found(submission())
  what: Fate = { status: 'unknown', txHash: undefined, blockIndex: undefined, confirmations: 0 }

  async submitTransaction(body: JsonObject): Promise<Result<Submission>> {
    this.asked.push(body)
    return await this.answer(body)
  }
  async submitPurchase(body: JsonObject): Promise<Result<Submission>> {
    this.asked.push(body)
    return await this.answer(body)
  }
  async fate(of: { readonly txHash: string } | { readonly txId: string }): Promise<Fate> {
    this.asked.push({ ...of })
    return await Promise.resolve(this.what)
  }
  counts() {
    return { queued: 4, unsettled: 2, nodes: 3 }
  }
}

export function makeActions(desk: Desk, parts: Partial<ActionsParts> = {}): Actions {
  return new Actions({
    desk,
    confirmations: { hear: () => ({ ok: true }) },
    chainId: () => 'cd'.repeat(32),
    counts: () => ({ connections: 1 }),
    log: silentLog,
    ...parts,
  })
}

/** A server that listens on a port that the system picked. */
export async function startServer(
  runtime: Runtime,
  { desk = new FakeDesk(), host = '127.0.0.1', ...config }: Partial<GatewayConfig> & { desk?: FakeDesk } = {},
) {
  const actions = makeActions(desk)
  const server = new GatewayServer({
    config: configOf({ ...config, host }),
    runtime,
    log: silentLog,
    serve: (body) => actions.answer(body),
  })
  await server.listen()
  const port = server.address()!.port
  return { desk, server, port, connect: (from = runtime) => FrameTalker.connect(from, host, port) }
}

/** Frames by hand: any bytes at any time. */
export class FrameTalker {
  readonly answers: JsonObject[] = []
  readonly #reader = new FrameReader()
  readonly socket: Socket
  isClosed = false
  /** What it closed with, where that was no end in order. */
  fault: Error | undefined
  #unsent: Uint8Array[] = []

  private constructor(socket: Socket) {
    this.socket = socket
  }

  static async connect(runtime: Pick<Runtime, 'connect'>, host: string, port: number): Promise<FrameTalker> {
    const talkers: FrameTalker[] = []
    const socket = await runtime.connect(host, port, {
      open: (socket) => void talkers.push(new FrameTalker(socket)),
      data: (_socket, bytes) => talkers[0]!.#take(bytes),
      drain: () => talkers[0]!.#flush(),
      end: () => socket.end(),
      close: (_socket, error) => talkers[0]!.#closed(error),
    })
    return talkers[0]!
  }

  /** Messages in one write, each in its frame. */
  ask(...messages: JsonObject[]): void {
    this.write(Buffer.concat(messages.map((message) => frameOf(message)!)))
  }

  write(bytes: Uint8Array | readonly number[]): void {
    this.#unsent.push(Uint8Array.from(bytes))
    this.#flush()
  }

  finish(): void {
    this.socket.finish()
  }

  get codes(): unknown[] {
    return this.answers.map(({ status, code }) => code ?? status)
  }

  #flush(): void {
    for (let bytes = this.#unsent[0]; bytes !== undefined; bytes = this.#unsent[0]) {
      const taken = this.socket.write(bytes)
      if (taken < bytes.length) {
        this.#unsent[0] = bytes.subarray(taken)
        return
      }
      this.#unsent.shift()
    }
  }

  #take(bytes: Uint8Array): void {
    this.#reader.push(bytes)
    for (let body = this.#reader.next(); body !== undefined; body = this.#reader.next()) {
      this.answers.push(JSON.parse(Buffer.from(body).toString()) as JsonObject)
    }
  }

  #closed(fault: Error | undefined): void {
    this.isClosed = true
    this.fault = fault
  }
}
