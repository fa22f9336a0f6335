import * as v from 'valibot'
import type { JsonObject } from '../chain/json.ts'
import { AurexError, decline, found, messageOf, type Refusal, type Result } from '../errors.ts'
import type { Connection, ConnectionHandlers } from '../plugin.ts'
import { Admissions, itself } from './admissions.ts'
import { boundedLog } from './boundedlog.ts'
import { Exchange } from './exchange.ts'
import type { Farewells } from './farewells.ts'
import type { Greeting } from './greeting.ts'
import { hostPortText, type HostPort } from './hostport.ts'
import { complaintOf } from './messages.ts'
import type { Dialling, ModuleParts, NetworkModule, Sender } from './module.ts'
import { Peer, type PeerFacts } from './peer.ts'
import type { Answer } from './session.ts'
import { standingOf, type Standing } from './standing.ts'

export interface HandshakeParts extends ModuleParts {
  readonly farewells: Farewells
  /** Takes in a connection that this node opened. */
  readonly attend: (connection: Connection) => ConnectionHandlers
}

/** Makes peers of connections: those that others open, and those that are dialled. */
export function handshakes(parts: HandshakeParts): NetworkModule & Dialling {
  const hall = new Hall({ ...parts, log: boundedLog(parts.log, parts.runtime.clock) })
  return {
    messages: {
      handshake: { schema: v.object({}), handle: (_fields, message, sender) => hall.greeted(message, sender) },
      handshake_ack: { schema: v.object({}), handle: (_fields, message, sender) => hall.proven(message, sender) },
      ERROR: { schema: v.object({}), handle: (_fields, message, sender) => hall.complained(message, sender) },
    },
    joined: (peer) => hall.joined(peer),
    left: (peer, reason) => hall.left(peer, reason),
    closed: (connection) => hall.closed(connection),
    stop: () => hall.stop(),
    dial: (to) => hall.dial(to),
  }
}

type Settle = (result: Result<PeerFacts>) => void

/** The handshakes that are under way, each with its connection. As many as there are connections at the most. */
class Hall {
  readonly #parts: HandshakeParts
  readonly #admissions: Admissions
  readonly #exchanges = new Map<Connection, Exchange>()
  readonly #dials = new Map<Connection, Settle>()
  #stopped = false

  constructor(parts: HandshakeParts) {
    this.#parts = parts
    this.#admissions = new Admissions(parts)
  }

  async dial(to: HostPort): Promise<Result<PeerFacts>> {
    const { transports } = this.#parts
    if (standingOf(this.#parts) === undefined) return noChain
    const transport = transports.find((one) => one.dial !== undefined)
    if (transport === undefined) return decline('connect-failed', 'no transport of this node can dial')
    if (this.#stopped) return stopping
    const room = this.#admissions.roomAt(to)
    if (!room.ok) return room
    const { promise, resolve } = Promise.withResolvers<Result<PeerFacts>>()
    try {
      await transport.dial!(to.host, to.port, (connection) => {
        const handlers = this.#parts.attend(connection)
        this.#dials.set(connection, resolve)
        this.#begin(connection, standingOf(this.#parts)!, to).open()
        return handlers
      })
    } catch (error) {
      return decline(error instanceof AurexError ? error.code : 'connect-failed', messageOf(error))
    }
    return await promise
  }

  greeted(message: JsonObject, { connection, peer }: Sender): Answer {
    const standing = standingOf(this.#parts)
    if (standing === undefined) return { refusal: noChain }
    if (peer !== undefined) return { refusal: decline('unexpected-handshake', 'the handshake was completed before') }
    if (this.#stopped) return { refusal: stopping, close: true }
    const exchange = this.#exchanges.get(connection) ?? this.#begin(connection, standing, undefined)
    return answerTo(exchange.takeGreeting(message))
  }

  proven(message: JsonObject, { connection }: Sender): Answer {
    const exchange = this.#exchanges.get(connection)
    if (exchange !== undefined) return answerTo(exchange.takeProof(message))
    return { refusal: decline('unexpected-handshake', 'no handshake is under way') }
  }

  /** What the other side says went wrong is never answered: two programs would tell each other for ever. */
  complained(message: JsonObject, { connection, peer }: Sender): undefined {
    const complaint = complaintOf(message)
    this.#parts.log.debug('the other side reports an error', {
      connection: connection.id,
      code: complaint.code,
      error: complaint.detail,
    })
    if (peer !== undefined) peer.complaint = complaint.code
    this.#exchanges.get(connection)?.abandon(complaint)
  }

  closed(connection: Connection): void {
    this.#exchanges.get(connection)?.abandon(decline('disconnected', 'the connection was closed before it was done'))
  }

  joined({ nodeId, outbound, height, connection, facts }: Peer): void {
    const { emit, log } = this.#parts
    log.info('a peer joined', {
      node_id: nodeId,
      remote: hostPortText({ host: connection.remoteHost, port: connection.remotePort }),
      outbound,
      height,
      node_type: facts.nodeType,
    })
    emit('peer:joined', { nodeId, host: connection.remoteHost, outbound, height })
  }

  left({ nodeId, connection }: Peer, reason: string): void {
    const { emit, log } = this.#parts
    log.info('a peer left', { node_id: nodeId, remote: connection.remoteHost, reason })
    emit('peer:left', { nodeId, reason })
  }

  stop(): void {
    this.#stopped = true
    for (const exchange of this.#exchanges.values()) exchange.refuse(stopping)
    for (const peer of this.#parts.peers.all()) peer.drop(stopping)
  }

  #begin(connection: Connection, standing: Standing, dialled: HostPort | undefined): Exchange {
    const exchange = new Exchange({
      ...this.#parts,
      standing,
      connection,
      dialled,
      welcome: (greeting) => (this.#isOwn(greeting) ? itself : this.#admissions.welcome(greeting, connection)),
      proven: (it) => this.#admissions.decide(it),
      completed: (it) => this.#complete(it),
      failed: (it, refusal, ours) => this.#fail(it, refusal, ours),
    })
    this.#exchanges.set(connection, exchange)
    return exchange
  }

  /** A challenge that this node made comes back to it: it has reached itself, or somebody repeats what it says. */
  #isOwn({ challenge }: Greeting): boolean {
    return this.#exchanges.values().some((exchange) => exchange.challenge === challenge)
  }

  #complete(exchange: Exchange): void {
    const { limits, peers, runtime } = this.#parts
    const { connection } = exchange
    const facts = exchange.facts()
    const drop = (peer: Peer, refusal: Refusal): void => this.#admissions.drop(peer, refusal)
    this.#exchanges.delete(connection)
    peers.add(new Peer({ connection, facts, clock: runtime.clock, limits, drop }))
    this.#settleDial(connection, found(facts))
  }

  /** Both sides log the same code: who refused says it, and who was refused repeats it. */
  #fail({ connection, greeting }: Exchange, refusal: Refusal, ours: boolean): void {
    const { log, emit, farewells } = this.#parts
    const { code, detail } = refusal
    const nodeId = greeting?.nodeId
    this.#exchanges.delete(connection)
    log[this.#levelOf(connection, code)](ours ? 'refused a handshake' : 'a handshake failed on the other side', {
      code,
      detail,
      node_id: nodeId,
      remote: hostPortText({ host: connection.remoteHost, port: connection.remotePort }),
      connection: connection.id,
    })
    emit('peer:refused', { nodeId, host: connection.remoteHost, code })
    if (ours) farewells.say(connection, refusal)
    else connection.close(code)
    this.#settleDial(connection, decline(code, detail))
  }

  /**
   * Nothing is wrong with a node that was found twice: it is how an address is tested. And what is no node hangs up each
   * time that it is dialled: whoever keeps dialling it says so once.
   */
  #levelOf({ outbound }: Connection, code: string): 'debug' | 'info' {
    return code === 'duplicate' || (outbound && code === 'disconnected') ? 'debug' : 'info'
  }

  #settleDial(connection: Connection, result: Result<PeerFacts>): void {
    this.#dials.get(connection)?.(result)
    this.#dials.delete(connection)
  }
}

const noChain = decline('no-chain', 'this node keeps no chain and does not know yet which one its network is on')
const stopping = decline('stopping', 'this node is stopping')

const answerTo = (verdict: ReturnType<Exchange['takeProof']>): Answer => (verdict.ok ? undefined : { refusal: verdict })
