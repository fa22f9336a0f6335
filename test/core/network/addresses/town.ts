// The addresses of one node among made-up others: dials and answers are played, time is virtual.
import { keyPairOfPem, privatePemOf, type NodeId } from '../../../../core/chain/keys.ts'
import type { JsonObject } from '../../../../core/chain/json.ts'
import { decline, found, type Refusal, type Result } from '../../../../core/errors.ts'
import { defaultNodeLimits, type Limits } from '../../../../core/limits.ts'
import { developmentGenesis } from '../../../../core/chain/genesis.ts'
import { KnownGenesis } from '../../../../core/network/genesis/known.ts'
import { addresses } from '../../../../core/network/addresses/addresses.ts'
import { Bans } from '../../../../core/network/bans.ts'
import { hostPortText, parseHostPort, type HostPort } from '../../../../core/network/hostport.ts'
import type { Dialling, ModuleParts, NetworkModule, NetworkSettings } from '../../../../core/network/module.ts'
import { Peer, type PeerFacts } from '../../../../core/network/peer.ts'
import { Peers } from '../../../../core/network/peers.ts'
import type { Answer } from '../../../../core/network/session.ts'
import type { NodeRecord } from '../../../../core/plugin.ts'
import { simRuntime, type World } from '../../../sim/runtime.ts'

export const at = (text: string): HostPort => {
  const parsed = parseHostPort(text)
  if (!parsed.ok) throw new Error(text)
  return parsed.value
}

export const nodeId = (number: number): NodeId => keyPairOfPem(privatePemOf(seedOf(number)), 'test').nodeId
const seedOf = (number: number) => new Uint8Array(32).fill(number & 0xff).fill(number >> 8, 0, 1)

interface House {
  readonly number: number
  /** Answered instead of a handshake. */
  refuses?: string
  /** What it answers to `peer_list`; a function is asked each time. */
  tells?: readonly string[] | (() => readonly string[])
}

export interface TownOptions {
  readonly seed?: number
  readonly settings?: Partial<NetworkSettings>
  readonly limits?: Partial<Limits>
  readonly nodes?: readonly NodeRecord[]
  readonly listens?: string
  /** Throws what a full disk would. */
  readonly full?: () => boolean
}

export class Town {
  readonly world: World
  readonly houses = new Map<string, House>()
  /** What was dialled, and when. */
  readonly dials: { readonly to: string; readonly at: number }[] = []
  readonly table: Map<NodeId, NodeRecord>
  readonly logged: string[] = []
  readonly peers: Peers
  readonly parts: ModuleParts & Dialling
  writes = 0
  readonly module: NetworkModule

  constructor(options: TownOptions = {}) {
    this.world = simRuntime({ seed: options.seed ?? 1 })
    const runtime = this.world.host('8.0.0.1')
    this.table = new Map((options.nodes ?? []).map((node) => [node.node_id, node]))
    const hear = (message: string, fields?: Record<string, unknown>) =>
      void this.logged.push(`${message} ${JSON.stringify(fields)}`)
    const log = { debug: hear, info: hear, warn: hear, error: hear }
    const listens = at(options.listens ?? '8.0.0.1:13245')
    this.peers = new Peers({
      joined: (peer) => this.module.joined?.(peer),
      left: (peer, reason) => this.module.left?.(peer, reason),
    })
    const write = (change: () => void): void => {
      if (options.full?.() === true) throw new Error('storage-full: the disk is full')
      this.writes++
      change()
    }
    this.parts = {
      chain: undefined,
      genesis: undefined,
      storage: {
        nodes: () => [...this.table.values()],
        saveNode: (node) => write(() => void this.table.set(node.node_id, node)),
        dropNode: (id) => write(() => void this.table.delete(id)),
      },
      identity: keyPairOfPem(privatePemOf(seedOf(9_999)), 'test'),
      node: { name: 'n', dataDir: '/data', port: listens.port, version: '0' },
      runtime,
      limits: { ...defaultNodeLimits, ...options.limits },
      log,
      settings: { peers: [], allow: [], dialNetworks: [], advertise: undefined, ...options.settings },
      transports: [{ open: () => Promise.resolve(), address: () => listens, dial: () => Promise.resolve() }],
      emit: () => undefined,
      publicAddress: () => listens,
      peers: this.peers,
      bans: new Bans({ runtime, log, path: '/data/node.bans', bansMax: 100, fileBytesMax: 1_000_000 }),
      known: new KnownGenesis(developmentGenesis('pow', {})),
      dial: (to) => this.#dial(to),
    }
    this.module = addresses(this.parts)
  }

  house(where: string, number: number, more: Omit<House, 'number'> = {}): House {
    const house = { number, ...more }
    this.houses.set(where, house)
    return house
  }

  /** Somebody connects to the node. */
  inbound(number: number, host: string, listens?: string, tells: House['tells'] = []): Peer {
    return this.#join(false, { host, port: 50_000 + (number % 10_000) }, { number, tells }, listens)
  }

  leave(number: number, reason = 'disconnected'): void {
    this.peers.remove(this.peers.get(nodeId(number))!, reason)
  }

  connected(): readonly string[] {
    return this.peers
      .all()
      .map(({ connection }) => hostPortText({ host: connection.remoteHost, port: connection.remotePort }))
  }

  dialsTo(where: string): number {
    return this.dials.filter(({ to }) => to === where).length
  }

  /** A message of a peer, or of a client. */
  say(message: JsonObject & { readonly type: string }, peer: Peer | undefined): Answer {
    const how = this.module.messages[message.type]!
    const connection = peer?.connection ?? this.#connection(false, { host: '8.9.9.9', port: 50_000 })
    return how.handle(message as never, message, { connection, peer }) as Answer
  }

  async #dial(to: HostPort): Promise<Result<PeerFacts>> {
    const text = hostPortText(to)
    this.dials.push({ to: text, at: this.world.elapsed })
    await new Promise<void>((resolve) => void this.parts.runtime.clock.after(20, resolve))
    const house = this.houses.get(text)
    if (house === undefined) return decline('connect-failed', 'nobody there')
    if (house.refuses !== undefined) return decline(house.refuses, 'as played')
    if (this.peers.get(nodeId(house.number)) !== undefined) return decline('duplicate', 'connected already')
    return found(this.#join(true, to, house, text).facts)
  }

  #join(outbound: boolean, remote: HostPort, house: House, listens: string | undefined): Peer {
    const connection = this.#connection(outbound, remote)
    const facts: PeerFacts = {
      nodeId: nodeId(house.number),
      key: keyPairOfPem(privatePemOf(seedOf(house.number)), 'test'),
      nodeType: 'full',
      listens: listens === undefined ? undefined : at(listens),
      height: 0,
      features: new Set(),
    }
    const drop = (it: Peer, { code }: Refusal): void => this.peers.remove(it, code)
    const { clock } = this.parts.runtime
    const peer = new Peer({ connection, facts, clock, limits: this.parts.limits, drop })
    connection.hear = (message) => this.#answer(peer, house, message)
    this.peers.add(peer)
    return peer
  }

  #connection(outbound: boolean, { host, port }: HostPort) {
    return {
      id: `${host} ${port}`,
      remoteHost: host,
      remotePort: port,
      outbound,
      hear: (_message: JsonObject): void => undefined,
      promote: () => undefined,
      send(message: JsonObject): void {
        this.hear(message)
      },
      close: () => undefined,
      pause: () => undefined,
      resume: () => undefined,
    }
  }

  #answer(peer: Peer, { tells = [] }: House, message: JsonObject): void {
    const { request_id } = message
    const peers = typeof tells === 'function' ? tells() : tells
    const answer: JsonObject =
      message['type'] === 'peer_list'
        ? { type: 'peer_list', peers: [...peers], request_id: request_id! }
        : { type: 'node_list', nodes: [], request_id: request_id! }
    this.parts.runtime.clock.after(10, () => void peer.requests.take(answer))
  }
}
