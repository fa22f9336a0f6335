import { accepted, decline, type Refusal, type Verdict } from '../errors.ts'
import type { Connection } from '../plugin.ts'
import type { Exchange } from './exchange.ts'
import type { Farewells } from './farewells.ts'
import type { Greeting } from './greeting.ts'
import { hostPortText, type HostPort } from './hostport.ts'
import type { ModuleParts } from './module.ts'
import type { Peer, PeerFacts } from './peer.ts'
import { isLightType } from './standing.ts'

export interface AdmissionsParts extends Pick<
  ModuleParts,
  'bans' | 'emit' | 'identity' | 'limits' | 'log' | 'peers' | 'runtime' | 'settings' | 'signing'
> {
  readonly farewells: Farewells
}

/** A connection that is as good as dead does not keep its node out: it is asked, and has so long to answer. */
const aliveMillisecondsMax = 2_000

/** Peers that keep no chain get one place of so many, so that there is room for the others. */
const lightShare = 2

/** Who may be a peer, and who no longer. */
export class Admissions {
  readonly #parts: AdmissionsParts
  /** Configured peers and those of the allow-list, as they were written. */
  readonly #configured: ReadonlySet<string>
  readonly #allowed: ReadonlySet<string>

  constructor(parts: AdmissionsParts) {
    this.#parts = parts
    this.#configured = new Set(parts.settings.peers.map(hostPortText))
    this.#allowed = new Set(parts.settings.allow)
  }

  /** Whether there is room for a node of which no more is known than where it listens. */
  roomAt(to: HostPort): Verdict {
    return this.#room(this.#configured.has(hostPortText(to)), true)
  }

  /**
   * What can be said before the other side has proven anything: it harms nobody but whoever claims it. Who claims to be this
   * node, and would prove that, has to.
   */
  welcome({ nodeId, key, features }: Greeting, connection: Connection): Verdict {
    const { identity, bans } = this.#parts
    if (nodeId === identity.nodeId) return features.has('proves_same_key') ? accepted : itself
    if (this.#allowed.size > 0 && !this.#allowed.has(nodeId) && !this.#allowed.has(key.address)) {
      return decline('not-allowed', 'only nodes of a list may be peers of this one')
    }
    const ban = bans.find(nodeId, connection.remoteHost)
    return ban === undefined ? accepted : decline('banned', `${ban.target} is kept out: ${ban.reason}`)
  }

  /** What depends on who is here is decided after the proof, so that nobody is kept out by somebody who claims its id. */
  decide(exchange: Exchange): void {
    const { peers, identity } = this.#parts
    const facts = exchange.facts()
    if (facts.nodeId === identity.nodeId) return this.#metOwnKey(exchange)
    const rival = peers.get(facts.nodeId)
    if (rival === undefined) {
      const verdict = this.#place(facts, exchange.connection.outbound)
      if (verdict.ok) exchange.complete()
      else exchange.refuse(verdict)
    } else if (this.#wins(exchange, rival)) {
      this.drop(rival, replaced)
      exchange.complete()
    } else {
      void this.#askRival(exchange, rival)
    }
  }

  /** Proven, and over a challenge that this process did not make: it is another process. */
  #metOwnKey(exchange: Exchange): void {
    const { log, signing } = this.#parts
    const { remoteHost: host, remotePort: port } = exchange.connection
    const remote = hostPortText({ host, port })
    log.error('another process has the key of this node: give it one of its own', { remote, code: 'self' })
    signing?.metKey(remote)
    exchange.refuse(decline('self', 'it has the key of this node, and is another process'))
  }

  /** Says why, closes, and where no honest program would have sent it keeps the node and its address out for a while. */
  drop(peer: Peer, refusal: Refusal): void {
    const { farewells, peers } = this.#parts
    if (farewells.said(peer.connection)) return
    farewells.say(peer.connection, refusal)
    peers.remove(peer, refusal.code)
    if (refusal.provable) this.#ban(peer, refusal)
  }

  /**
   * Who answers decides, and the opener goes by it: whether an older connection with the same node stays is said once.
   * Only where two nodes dial each other at the same time may each have decided for the other's connection before it
   * heard that its own was taken. Both then keep the one that the node with the lower id opened: each knows both ids.
   */
  #wins({ connection }: Exchange, rival: Peer): boolean {
    if (!connection.outbound) return false
    return rival.outbound || this.#parts.identity.nodeId < rival.nodeId
  }

  /** The older connection stays if it is alive: a node that was restarted, or lost its network, must get in again. */
  async #askRival(exchange: Exchange, rival: Peer): Promise<void> {
    // What the other side sends already as a peer is read when it is one.
    exchange.connection.pause()
    const answer = await rival.ask({ type: 'ping' }, 'pong', aliveMillisecondsMax)
    exchange.connection.resume()
    if (exchange.over) return
    const gone = !answer.ok && (answer.code === 'no-answer' || answer.code === 'disconnected')
    if (gone) {
      this.drop(rival, replaced)
      this.decide(exchange)
    } else {
      exchange.refuse(decline('duplicate', 'this node is connected with it already'))
    }
  }

  #isNamed({ nodeId, key, listens }: PeerFacts): boolean {
    if (this.#allowed.has(nodeId) || this.#allowed.has(key.address)) return true
    return listens !== undefined && this.#configured.has(hostPortText(listens))
  }

  /** A light peer comes by itself or is named: who looks for peers looks for those that keep the chain. */
  #place(facts: PeerFacts, outbound: boolean): Verdict {
    const { peers, limits } = this.#parts
    const named = this.#isNamed(facts)
    if (!isLightType(facts.nodeType) || named) return this.#room(named, outbound)
    if (outbound) return decline('no-chain', 'this node looks for nodes that keep the chain, and that one does not')
    const most = Math.max(1, Math.floor(limits.peers_max / lightShare))
    if (peers.size - peers.full().length < most) return this.#room(named, outbound)
    return decline('too-many-peers', `this node takes at most ${most} peers that keep no chain`)
  }

  /**
   * Peers that the operator named come beside the others, each once, so that a full house does not keep them out. So do
   * those that this node looks for, and one that it visits: else a swarm that comes by itself could surround it.
   */
  #room(named: boolean, outbound: boolean): Verdict {
    const { peers, limits } = this.#parts
    const most = limits.peers_max + (named ? this.#allowed.size + this.#configured.size : 0)
    if (peers.size < most) return accepted
    const sought = Math.min(limits.outbound_peers + 1, Math.floor(limits.peers_max / 2))
    if (outbound && peers.full().filter((peer) => peer.outbound).length < sought) return accepted
    return decline('too-many-peers', `this node takes at most ${limits.peers_max} peers`)
  }

  #ban(peer: Peer, { code, detail }: Refusal): void {
    const { bans, emit, limits, log, runtime } = this.#parts
    const until = runtime.clock.now() + limits.ban_milliseconds
    const reason = `${code}: ${detail}`
    const { remoteHost } = peer.connection
    for (const target of [peer.nodeId, remoteHost]) {
      // Bans keeps no loopback address out: a whole development network lives there.
      const verdict = bans.ban(target, reason, until)
      if (!verdict.ok && verdict.code === 'bad-target') continue
      emit('peer:banned', { target, reason, until })
    }
    log.warn('banned a peer', { node_id: peer.nodeId, remote: remoteHost, code, detail })
  }
}

/** What is said to it, and by it. */
export const itself = decline('self', 'this is the node itself')
const replaced = decline('duplicate', 'another connection with the same node takes its place')
