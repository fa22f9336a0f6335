import * as v from 'valibot'
import { keyPairOfPem, privatePemOf } from '../../../core/chain/keys.ts'
import type { Context, Limits, Log, NodeRecord, Runtime, Socket } from '../../../core/index.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import { limitsSchema } from '../../../core/limits.ts'
import type { NetworkChain } from '../../../core/network/module.ts'
import { createNetwork } from '../../../core/network/network.ts'
import tcp from '../../../plugins/tcp/index.ts'

export interface NodeOptions {
  readonly limits?: Partial<Limits>
  readonly host?: string
  readonly chain?: NetworkChain
  readonly nodes?: readonly NodeRecord[]
}

export const identity = keyPairOfPem(privatePemOf(new Uint8Array(32).fill(1)), 'a test')

/** The tcp plugin and an inbox, listening on a port that the system picked. */
export async function startNode(runtime: Runtime, options: NodeOptions = {}) {
  const limits = v.parse(limitsSchema, options.limits ?? {})
  const logged: string[] = []
  const say = (level: string) => (message: string, fields?: Record<string, unknown>) =>
    void logged.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`)
  const log: Log = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') }
  const releases: (() => void | Promise<void>)[] = []
  const node = { name: 'test', dataDir: '/data', port: 0, version: '0.0.0' }
  const context: Context = {
    use: {},
    node,
    identity,
    genesis: options.chain?.genesis,
    limits,
    runtime,
    log,
    signal: new AbortController().signal,
    on: () => {},
    onPlugin: () => {},
    publish: () => {},
    defer: (release) => void releases.push(release),
  }
  const transport = await tcp.setup(context, v.parse(tcp.config, { host: options.host ?? '127.0.0.1' }), {})
  const { inbox } = createNetwork({
    chain: options.chain,
    storage: { nodes: () => options.nodes ?? [], saveNode: () => {}, dropNode: () => {} },
    identity,
    genesis: options.chain?.genesis,
    node,
    runtime,
    limits,
    log,
    settings: { peers: [], allow: [], dialNetworks: [], advertise: undefined },
    transports: [transport],
    emit: () => {},
    publicAddress: () => transport.address(),
  })
  await transport.open(inbox)
  return {
    port: transport.address()!.port,
    transport,
    logged,
    stop: async () => {
      for (const release of releases.toReversed()) await release()
    },
  }
}

/** A client that remembers the lines that it got. */
export class LineClient {
  readonly lines: JsonObject[] = []
  socket: Socket | undefined
  ended = false
  isClosed = false
  #text = ''
  #unsent: Uint8Array = new Uint8Array(0)

  static async connect(runtime: Runtime, host: string, port: number): Promise<LineClient> {
    const client = new LineClient()
    await client.open(runtime, host, port)
    return client
  }

  async open(runtime: Runtime, host: string, port: number): Promise<void> {
    this.socket = await runtime.connect(host, port, {
      data: (_socket, bytes) => this.#take(bytes),
      drain: () => this.#push(),
      end: (socket) => {
        this.ended = true
        socket.end()
      },
      close: () => void (this.isClosed = true),
    })
    this.#push()
  }

  /** Text as it is, or a message with its newline. */
  send(what: string | Uint8Array | JsonObject): void {
    const bytes =
      what instanceof Uint8Array ? what : Buffer.from(typeof what === 'string' ? what : `${JSON.stringify(what)}\n`)
    this.#unsent = Buffer.concat([this.#unsent, bytes])
    this.#push()
  }

  get codes(): unknown[] {
    return this.lines.map((line) => line['code'] ?? line['type'])
  }

  #push(): void {
    if (this.socket === undefined || this.#unsent.length === 0) return
    const taken = this.socket.write(this.#unsent)
    this.#unsent = this.#unsent.subarray(taken)
  }

  #take(bytes: Uint8Array): void {
    const parts = (this.#text + Buffer.from(bytes).toString()).split('\n')
    this.#text = parts.pop()!
    for (const part of parts) this.lines.push(JSON.parse(part) as JsonObject)
  }
}

export async function until(fact: () => boolean, millisecondsMax = 8_000): Promise<void> {
  const deadline = performance.now() + millisecondsMax
  while (!fact()) {
    if (performance.now() > deadline) throw new Error(`not true in time: ${fact.toString()}`)
    await Bun.sleep(1)
  }
}
