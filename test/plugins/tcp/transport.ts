import * as v from 'valibot'
import { keyPairOfPem, privatePemOf } from '../../../core/chain/keys.ts'
import {
  found,
  type Connection,
  type ConnectionHandlers,
  type Context,
  type Inbox,
  type Limits,
  type Log,
  type Runtime,
} from '../../../core/index.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import { limitsSchema } from '../../../core/limits.ts'
import tcp from '../../../plugins/tcp/index.ts'
import { servicesOf } from '../../../core/services.ts'
import { testServices } from '../../support/services.ts'

export interface TransportOptions {
  readonly limits?: Partial<Limits>
  readonly host?: string
  readonly inbox?: Inbox
}

export const identity = keyPairOfPem(privatePemOf(new Uint8Array(32).fill(1)), 'a test')

/** A log that is remembered, line by line. */
function rememberingLog(): { readonly log: Log; readonly logged: readonly string[] } {
  const logged: string[] = []
  const say = (level: string) => (message: string, fields?: Record<string, unknown>) =>
    void logged.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`)
  return { log: { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') }, logged }
}

/** The tcp plugin alone, set up and not yet open. */
export async function setUp(runtime: Runtime, options: Omit<TransportOptions, 'inbox'> = {}) {
  const { log, logged } = rememberingLog()
  const releases: (() => void | Promise<void>)[] = []
  const limits = v.parse(limitsSchema, options.limits ?? {})
  const context: Context = {
    use: {},
    node: { name: 'test', dataDir: '/data', port: 0, version: '0.0.0' },
    identity,
    genesis: undefined,
    limits,
    runtime,
    log,
    signal: new AbortController().signal,
    on: () => {},
    onPlugin: () => {},
    publish: () => {},
    network: { genesis: () => undefined, peers: () => [] },
    contribute: () => {},
    contributed: () => [],
    ...servicesOf('tcp', testServices(identity), (release) => void releases.push(release)),
    defer: (release) => void releases.push(release),
  }
  const transport = await tcp.setup(context, v.parse(tcp.config, { host: options.host ?? '127.0.0.1' }), {})
  return {
    transport,
    context,
    logged,
    stop: async () => {
      for (const release of releases.toReversed()) await release()
    },
  }
}

/** The tcp plugin with somebody who remembers what came, on a port that the system picked. */
export async function startTransport(runtime: Runtime, options: TransportOptions = {}) {
  const { transport, ...rest } = await setUp(runtime, options)
  const visitors: Visitor[] = []
  const inbox: Inbox = options.inbox ?? {
    connected(connection) {
      visitors.push(new Visitor(connection))
      return found(visitors.at(-1)!)
    },
  }
  await transport.open(inbox)
  return { ...rest, transport, visitors, port: transport.address()!.port }
}

/** One connection, as the network would see it: remembers what it heard and answers nothing. */
export class Visitor implements ConnectionHandlers {
  readonly connection: Connection
  readonly messages: JsonObject[] = []
  reason: string | undefined
  isFinished = false
  isClosed = false
  rooms = 0
  /** Called with every message. */
  heard: (message: JsonObject) => void = () => {}

  constructor(connection: Connection) {
    this.connection = connection
  }

  message(bytes: Uint8Array): void {
    const message = JSON.parse(Buffer.from(bytes).toString()) as JsonObject
    this.messages.push(message)
    this.heard(message)
  }

  broken(code: string, detail: string): void {
    this.reason = `${code}: ${detail}`
    this.connection.send({ type: 'ERROR', code })
    this.connection.close(code)
  }

  roomy(): void {
    this.rooms++
  }

  finished(): void {
    this.isFinished = true
    this.connection.close('finished')
  }

  closed(): void {
    this.isClosed = true
  }
}
