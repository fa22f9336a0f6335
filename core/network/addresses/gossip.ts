import * as v from 'valibot'
import type { JsonObject } from '../../chain/json.ts'
import { decline, type Refusal } from '../../errors.ts'
import type { Timer } from '../../runtime.ts'
import { hostPortText, parseHostPort, type HostPort } from '../hostport.ts'
import type { ModuleParts, NetworkModule, Sender } from '../module.ts'
import type { Peer } from '../peer.ts'
import type { Answer } from '../session.ts'
import type { Book } from './book.ts'
import { jitter, shuffled } from './chance.ts'
import type { DialPolicy } from './policy.ts'

export interface GossipParts extends Pick<ModuleParts, 'limits' | 'log' | 'runtime'> {
  readonly book: Book
  readonly policy: DialPolicy
  /** Whether there is nobody whom this node looks for. */
  readonly satisfied: () => boolean
  /** There are new candidates. */
  readonly learnt: () => void
}

/** No honest program knows, or sends, more. */
const listedMax = 1_000
/** Messages with addresses beyond the one that is taken in its time; who sends more is after something else. */
const surplusMax = 20
const askAgainMilliseconds = 3 * 60_000
const askSoonMilliseconds = 1_000

const peerList = v.object({ peers: v.optional(v.array(v.string())) })
const nodeList = v.object({ nodes: v.array(v.object({ host: v.string(), port: v.number() })) })

/** The conversation about where nodes are. */
export class Gossip {
  readonly messages: NetworkModule['messages'] = {
    peer_list: {
      schema: peerList,
      handle: ({ peers }: v.InferOutput<typeof peerList>, _message: JsonObject, sender: Sender) =>
        this.#peerList(peers, sender),
    },
    node_list: {
      schema: nodeList,
      handle: ({ nodes }: v.InferOutput<typeof nodeList>, _message: JsonObject, { peer }: Sender) =>
        this.#told(peer, nodes),
    },
  }
  readonly #parts: GossipParts
  readonly #asking = new Map<Peer, Timer>()
  /** When a peer's addresses were taken, by the monotonic clock, and how many messages came since that were not. */
  readonly #taken = new WeakMap<Peer, { readonly at: number; surplus: number }>()
  #hinted = false

  constructor(parts: GossipParts) {
    this.#parts = parts
  }

  joined(peer: Peer): void {
    if (!peer.isLight) this.#askIn(peer, 0, askSoonMilliseconds)
  }

  left(peer: Peer): void {
    this.#asking.get(peer)?.cancel()
    this.#asking.delete(peer)
  }

  stop(): void {
    for (const timer of this.#asking.values()) timer.cancel()
    this.#asking.clear()
  }

  // ---- asking ----

  /** Often while this node looks for peers: those of a network that has just begun do not know each other yet either. */
  #askIn(peer: Peer, milliseconds: number, next: number): void {
    const timer = this.#parts.runtime.clock.after(milliseconds, () => {
      void this.#ask(peer)
      const wait = this.#parts.satisfied() ? askAgainMilliseconds : Math.min(next, askAgainMilliseconds)
      this.#askIn(peer, jitter(this.#parts.runtime, wait), wait * 2)
    })
    this.#asking.set(peer, timer)
  }

  async #ask(peer: Peer): Promise<void> {
    const { request_milliseconds_max: wait } = this.#parts.limits
    const [peers, nodes] = await Promise.all([
      peer.ask({ type: 'peer_list' }, 'peer_list', wait),
      peer.ask({ type: 'node_discovery' }, 'node_list', wait),
    ])
    // A peer that does not answer, or answers something else, simply tells us nothing.
    const listed = v.safeParse(peerList, peers.ok ? peers.value : undefined)
    if (listed.success) this.#take(peer, readPeers(listed.output.peers ?? []))
    const discovered = v.safeParse(nodeList, nodes.ok ? nodes.value : undefined)
    if (discovered.success) this.#take(peer, readNodes(discovered.output.nodes))
  }

  /** What a node answered to an inquiry (see `Inquiry`). */
  heard(from: HostPort, answer: JsonObject): void {
    const listed = v.safeParse(peerList, answer)
    const source = this.#parts.policy.sourceOf(from.host, hostPortText(from))
    if (listed.success) this.#takeFrom(source, readPeers(listed.output.peers ?? []))
  }

  // ---- being told ----

  /**
   * Always answered, but what may itself be an answer not more often than it is taken: two nodes that answer each other's
   * answers would never end.
   */
  #peerList(peers: readonly string[] | undefined, { peer }: Sender): Answer {
    if (peers !== undefined && peer !== undefined) {
      if (!this.#isTimeFor(peer)) return undefined
      const entries = readPeers(peers)
      if ('ok' in entries) return { refusal: entries }
      this.#take(peer, entries)
    }
    return { make: () => ({ type: 'peer_list', peers: this.#handedOn() }) }
  }

  /** What clients tell is not taken: it costs them nothing, not even a handshake. */
  #told(peer: Peer | undefined, nodes: readonly HostPort[]): Answer {
    if (peer === undefined || !this.#isTimeFor(peer)) return undefined
    const entries = readNodes(nodes)
    if ('ok' in entries) return { refusal: entries }
    this.#take(peer, entries)
    return undefined
  }

  #isTimeFor(peer: Peer): boolean {
    const now = this.#parts.runtime.clock.monotonic()
    const last = this.#taken.get(peer)
    if (last === undefined || now - last.at >= this.#parts.limits.peer_addresses_milliseconds) {
      this.#taken.set(peer, { at: now, surplus: 0 })
      return true
    }
    last.surplus++
    if (last.surplus > surplusMax)
      peer.drop(decline('too-many-addresses', `${surplusMax} messages more than are taken`))
    return false
  }

  #take({ connection, nodeId }: Peer, entries: readonly HostPort[] | Refusal): void {
    this.#takeFrom(this.#parts.policy.sourceOf(connection.remoteHost, nodeId), entries)
  }

  #takeFrom(source: string, entries: readonly HostPort[] | Refusal): void {
    if ('ok' in entries) return
    const { book, limits, log, runtime } = this.#parts
    const looked = shuffled(runtime, entries).slice(0, limits.peer_addresses_max)
    const taken = looked.filter((to) => book.offer(to, source)).length
    if (taken < looked.length) this.#hint(looked)
    if (taken === 0) return
    log.debug('heard of nodes', { source, told: entries.length, taken })
    this.#parts.learnt()
  }

  /** Nodes that were reached, in another order each time, so that who asks often learns of all of them. */
  #handedOn(): readonly string[] {
    const { book, runtime, limits } = this.#parts
    const known = book.active().map(({ to }) => hostPortText(to))
    return shuffled(runtime, known).slice(0, limits.peer_addresses_max)
  }

  /** Said once: in a private network nobody is found until the operator allows it. */
  #hint(entries: readonly HostPort[]): void {
    if (this.#hinted) return
    const refused = entries.map((to) => this.#parts.policy.verdict(to)).find((verdict) => !verdict.ok)
    if (refused === undefined || refused.ok) return
    this.#hinted = true
    const { detail } = refused
    this.#parts.log.info('not every address that peers tell of is dialled; --dial-networks allows more', { detail })
  }
}

// Another program's list may be longer or hold what we cannot read: it is not taken, and nobody is to blame.

function readPeers(peers: readonly string[]): readonly HostPort[] | Refusal {
  if (peers.length > listedMax) return tooLong('peers', peers.length)
  const entries: HostPort[] = []
  for (const [at, text] of peers.entries()) {
    const parsed = parseHostPort(text)
    if (!parsed.ok) return decline('bad-message', `peers.${at}: ${parsed.detail}`)
    entries.push(parsed.value)
  }
  return entries
}

function readNodes(nodes: readonly HostPort[]): readonly HostPort[] | Refusal {
  if (nodes.length > listedMax) return tooLong('nodes', nodes.length)
  const at = nodes.findIndex(({ port }) => !Number.isInteger(port) || port < 1 || port > 65_535)
  if (at !== -1) return decline('bad-message', `nodes.${at}.port: expected a whole number from 1 to 65535`)
  return nodes
}

const tooLong = (field: string, length: number): Refusal =>
  decline('bad-message', `${field}: expected at most ${listedMax} entries, got ${length}`)
