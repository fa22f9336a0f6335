// Networks in one process, on a simulated clock, joined by connections whose every message a test can see, hold back,
// repeat or lose. What a connection carries are messages, not bytes: how lines are cut is the transport's affair.
import * as v from 'valibot'
import { sha256 } from '../../../core/chain/canonical.ts'
import type { Genesis } from '../../../core/chain/genesis.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import { keyPairOfPem, privatePemOf, type KeyPair } from '../../../core/chain/keys.ts'
import { limitsSchema, type Limits } from '../../../core/limits.ts'
import type { Contributed } from '../../../core/contributions.ts'
import type { EvidenceBook } from '../../../core/evidence/book.ts'
import type { GenesisMemory } from '../../../core/network/genesis/memory.ts'
import type { NetworkChain, NetworkParts, NetworkSettings } from '../../../core/network/module.ts'
import { createNetwork, type Network } from '../../../core/network/network.ts'
import type { Peer } from '../../../core/network/peer.ts'
import type { PluginMessages } from '../../../core/network/pluginmessages.ts'
import type { Connection, ConnectionHandlers } from '../../../core/plugin.ts'
import { simRuntime, type World } from '../../sim/runtime.ts'
import { FakeChain } from './fakechain.ts'

export interface TownNodeOptions {
  readonly chain?: NetworkChain | undefined
  /** Of a node without a chain: that of a file. */
  readonly genesis?: Genesis
  readonly memory?: GenesisMemory
  readonly contributed?: Contributed
  readonly messages?: PluginMessages
  readonly evidence?: EvidenceBook
  readonly finality?: NetworkParts['finality']
  readonly producer?: NetworkParts['producer']
  /** Told of other processes with this node's key. */
  readonly signing?: NetworkParts['signing']
  readonly key?: KeyPair
  readonly limits?: Partial<Limits>
  readonly settings?: Partial<NetworkSettings>
}

export interface TownNode {
  readonly host: string
  readonly key: KeyPair
  readonly network: Network
  /** Every fact, as `[event, fact]`. */
  readonly facts: [string, Record<string, unknown>][]
  readonly logged: { readonly level: string; readonly message: string; readonly fields: Record<string, unknown> }[]
  /** The codes of what was refused here or on the other side, as told by event. */
  refused(): unknown[]
  /** The codes that were logged when a handshake failed. */
  loggedCodes(): unknown[]
  /** Reasons for which peers left. */
  left(): unknown[]
}

export const keyOf = (name: string): KeyPair => keyPairOfPem(privatePemOf(sha256(name)), 'a test')

/** What becomes of a message on its way: the messages that arrive instead, each after so many milliseconds. */
export type Post = (message: JsonObject, from: string, to: string) => readonly { message: JsonObject; after: number }[]

const port = 13_245

export class Town {
  readonly world: World
  /** How a message travels from now on. By default as it is, after 5 ms. */
  post: Post = (message) => [{ message, after: 5 }]
  /** Whether nothing overtakes anything on its own connection, as with TCP. */
  inOrder = false
  readonly #nodes = new Map<string, TownNode>()
  #connections = 0

  constructor(seed = 1) {
    this.world = simRuntime({ seed })
  }

  node(host: string, options: TownNodeOptions = {}): TownNode {
    const chain = 'chain' in options ? options.chain : new FakeChain()
    const key = options.key ?? keyOf(host)
    const facts: TownNode['facts'] = []
    const logged: TownNode['logged'] = []
    const say = (level: string) => (message: string, fields?: Record<string, unknown>) =>
      void logged.push({ level, message, fields: fields ?? {} })
    const network = createNetwork({
      chain,
      storage: undefined,
      genesis: options.genesis ?? chain?.genesis,
      memory: options.memory,
      contributed: options.contributed,
      messages: options.messages,
      evidence: options.evidence,
      finality: options.finality,
      producer: options.producer,
      signing: options.signing,
      identity: key,
      node: { name: host, dataDir: '/data', port, version: '0' },
      runtime: this.world.host(host),
      limits: v.parse(limitsSchema, options.limits ?? {}),
      log: { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') },
      settings: { peers: [], allow: [], dialNetworks: ['10.0.0.0/8'], advertise: undefined, ...options.settings },
      transports: [
        {
          open: () => Promise.resolve(),
          address: () => ({ host, port }),
          dial: (to, _port, accept) => this.#dial(host, to, accept),
        },
      ],
      emit: (event, fact) => void facts.push([event, { ...fact }]),
      publicAddress: () => ({ host, port }),
    })
    const of = (event: string, field: string) => facts.filter(([name]) => name === event).map(([, fact]) => fact[field])
    const node: TownNode = {
      host,
      key,
      network,
      facts,
      logged,
      refused: () => of('peer:refused', 'code'),
      left: () => of('peer:left', 'reason'),
      loggedCodes: () =>
        logged
          .filter(({ level, message }) => level === 'info' && message.includes('handshake'))
          .map(({ fields }) => fields['code']),
    }
    this.#nodes.set(host, node)
    return node
  }

  /** Dials, and lets time pass until it is known what came of it. */
  async dial(from: TownNode, to: TownNode) {
    return await this.world.settled(from.network.dial({ host: to.host, port }))
  }

  /** A connection to a node whose other end is the test. */
  stranger(to: TownNode, host = '10.9.9.9'): Stranger {
    const stranger = new Stranger()
    const [near, far] = this.#pair(host, to.host)
    near.handlers = stranger
    stranger.connection = near
    const result = to.network.inbox.connected(far)
    if (result.ok) far.handlers = result.value
    return stranger
  }

  /** A node that is the test: what it is dialled with arrives at the stranger. */
  listen(host: string): Stranger {
    const stranger = new Stranger()
    this.#strangers.set(host, stranger)
    return stranger
  }

  readonly #strangers = new Map<string, Stranger>()

  async #dial(from: string, to: string, accept: (connection: Connection) => ConnectionHandlers): Promise<void> {
    const stranger = this.#strangers.get(to)
    const node = this.#nodes.get(to)
    if (stranger === undefined && node === undefined) throw new Error(`nobody listens on ${to}`)
    const [near, far] = this.#pair(from, to)
    near.handlers = accept(near)
    if (stranger !== undefined) {
      stranger.connection = far
      far.handlers = stranger
      return
    }
    const result = node!.network.inbox.connected(far)
    if (result.ok) far.handlers = result.value
  }

  #pair(from: string, to: string): [End, End] {
    const near = new End(this, ++this.#connections, to, from, true)
    const far = new End(this, ++this.#connections, from, to, false)
    near.other = far
    far.other = near
    return [near, far]
  }
}

/** One end of a connection. */
export class End implements Connection {
  readonly id: string
  readonly remoteHost: string
  readonly remotePort: number
  readonly outbound: boolean
  handlers: ConnectionHandlers | undefined
  other!: End
  promoted = 0
  closedFor: string | undefined
  readonly sent: JsonObject[] = []
  readonly #town: Town
  readonly #host: string
  readonly #held: JsonObject[] = []
  #paused = false
  #gone = false
  #lastArrival = 0

  constructor(town: Town, number: number, remoteHost: string, host: string, outbound: boolean) {
    this.#town = town
    this.#host = host
    this.id = `end-${number}`
    this.remoteHost = remoteHost
    this.remotePort = outbound ? port : 40_000 + number
    this.outbound = outbound
  }

  promote(): void {
    this.promoted++
  }

  send(message: JsonObject): void {
    if (this.closedFor !== undefined || this.#gone) return
    this.sent.push(message)
    // What is sent is a copy: two nodes share no objects.
    for (const { message: arrives, after } of this.#town.post(structuredClone(message), this.#host, this.remoteHost)) {
      this.#after(after, () => this.other.arrive(arrives))
    }
  }

  #after(milliseconds: number, run: () => void): void {
    const { world, inOrder } = this.#town
    const arrival = Math.max(world.elapsed + milliseconds, inOrder ? this.#lastArrival : 0)
    this.#lastArrival = arrival
    world.host(this.#host).clock.after(arrival - world.elapsed, run)
  }

  /** As a broken line: nothing more is carried, and both sides hear that it is closed. */
  cut(): void {
    this.#end()
    this.other.#end()
  }

  close(reason: string): void {
    if (this.closedFor !== undefined || this.#gone) return
    this.closedFor = reason
    // What was sent before arrives before.
    this.#after(20, () => this.cut())
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    for (const message of this.#held.splice(0)) this.arrive(message)
  }

  arrive(message: JsonObject): void {
    if (this.#gone || this.closedFor !== undefined) return
    if (this.#paused) this.#held.push(message)
    else this.handlers?.message(Buffer.from(JSON.stringify(message)))
  }

  #end(): void {
    if (this.#gone) return
    this.#gone = true
    this.handlers?.closed()
  }
}

/** The test, at the end of a connection: says what it likes and remembers what it was told. */
export class Stranger implements ConnectionHandlers {
  readonly heard: JsonObject[] = []
  connection: End | undefined
  isClosed = false

  say(message: JsonObject): void {
    this.connection!.send(message)
  }

  readonly #answers = new Map<unknown, (question: JsonObject) => void>()

  message(bytes: Uint8Array): void {
    const message = JSON.parse(Buffer.from(bytes).toString()) as JsonObject
    this.heard.push(message)
    this.#answers.get(message['type'])?.(message)
  }

  /** How a question is answered from now on. */
  answer(type: string, how: (question: JsonObject) => void): void {
    this.#answers.set(type, how)
  }

  /** Answers what came before there was an answer. */
  replay(): void {
    for (const message of this.heard) this.#answers.get(message['type'])?.(message)
  }

  last(type: string): JsonObject | undefined {
    return this.heard.findLast((message) => message['type'] === type)
  }

  /** Codes of the `ERROR`s that it was told. */
  get codes(): unknown[] {
    return this.heard.filter(({ type }) => type === 'ERROR').map(({ code }) => code)
  }

  broken(): void {}
  finished(): void {}

  closed(): void {
    this.isClosed = true
  }
}

/** What an honest program says, in the words of the protocol and nothing else; `more` changes or adds fields. */
export function handshakeOf(key: KeyPair, chain: NetworkChain, more: JsonObject = {}): JsonObject {
  return {
    type: 'handshake',
    version: 1,
    chain_id: chain.genesis.rules.chainId,
    height: 0,
    node_type: 'full',
    listen_addr: '',
    node_id: key.nodeId,
    public_key_pem: key.pem,
    challenge: Buffer.from(sha256(`challenge of ${key.nodeId}`)).toString('hex'),
    ...more,
  }
}

export const challengesOf = (opener: JsonObject, answerer: JsonObject): string =>
  `${opener['challenge'] as string}${answerer['challenge'] as string}`

/** The proof of who sent the one `handshake`, over both challenges in the order of opener and answerer. */
export const ackOf = (key: KeyPair, opener: JsonObject, answerer: JsonObject): JsonObject => ({
  type: 'handshake_ack',
  signature: key.sign('aurex/handshake/1', challengesOf(opener, answerer)),
})

/** A stranger that shook hands with a node and is its peer. */
export async function join(
  town: Town,
  to: TownNode,
  { name = 'stranger', host = '10.9.9.9', ...said }: { name?: string; host?: string; features?: string[] } = {},
): Promise<{ stranger: Stranger; key: KeyPair; peer: Peer }> {
  const stranger = town.stranger(to, host)
  const key = keyOf(name)
  const own = handshakeOf(key, new FakeChain(), said)
  stranger.say(own)
  await town.world.runUntil(() => stranger.heard.length > 0)
  const theirs = stranger.last('handshake')
  if (theirs === undefined) throw new Error(`refused: ${String(stranger.codes[0])}`)
  stranger.say(ackOf(key, own, theirs))
  await town.world.runUntil(() => to.network.peers.get(key.nodeId) !== undefined)
  return { stranger, key, peer: to.network.peers.get(key.nodeId)! }
}
