import type { Limits, NodeRecord, Runtime, Socket } from '../../../core/index.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import type { NetworkChain } from '../../../core/network/module.ts'
import { createNetwork } from '../../../core/network/network.ts'
import { identity, setUp } from './transport.ts'

export interface NodeOptions {
  readonly limits?: Partial<Limits>
  readonly host?: string
  readonly chain?: NetworkChain
  readonly nodes?: readonly NodeRecord[]
}

/** The tcp plugin and an inbox, listening on a port that the system picked. */
export async function startNode(runtime: Runtime, options: NodeOptions = {}) {
  const { transport, context, logged, stop } = await setUp(runtime, options)
  const { inbox } = createNetwork({
    chain: options.chain,
    storage: { nodes: () => options.nodes ?? [], saveNode: () => {}, dropNode: () => {} },
    identity,
    genesis: options.chain?.genesis,
    node: context.node,
    runtime,
    limits: context.limits,
    log: context.log,
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
    stop,
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
