import * as v from 'valibot'
import { canonicalJson, sha256Hex, type Hash } from '../../chain/canonical.ts'
import type { JsonObject } from '../../chain/json.ts'
import type { NodeId } from '../../chain/keys.ts'
import { AurexError, decline, type Verdict } from '../../errors.ts'
import type { Channel, PeerView } from '../../plugin.ts'
import { BoundedSet } from '../boundedset.ts'
import type { MessageType, Sender } from '../module.ts'
import type { Peer } from '../peer.ts'
import type { Answer } from '../session.ts'
import { peerView } from '../view.ts'
import type { Lines } from './lines.ts'
import type { Outgoing } from './outlet.ts'
import type { PluginWork } from './work.ts'

/** Of one channel, so many messages at least are remembered that were accepted here, or said by this node. */
const seenMin = 16_384

export type Hear = (message: never, from: PeerView) => Verdict | Promise<Verdict>

export interface ChannelParts {
  /** On the wire. */
  readonly type: string
  readonly schema: v.GenericSchema<unknown, object>
  readonly hear: Hear
  /** See `ChannelOptions`. */
  readonly gossip: boolean
  readonly work: PluginWork
}

/**
 * Messages of one type between nodes, on behalf of a plugin. Of a gossiped message what its schema makes of it is known,
 * compared and passed on: what stands beside that would make a new message of an old one.
 */
export class PluginChannel implements Channel<object> {
  readonly messageType: MessageType
  readonly #parts: ChannelParts
  /** undefined until there is a network. */
  #lines: Lines | undefined
  readonly #seen = new BoundedSet<Hash>(seenMin)
  /** What `hear` thinks about, each with whether it was accepted in the end. */
  readonly #hearing = new Map<Hash, Promise<boolean>>()

  constructor(parts: ChannelParts) {
    this.#parts = parts
    this.messageType = {
      schema: parts.schema,
      isChannel: true,
      handle: (fields: never, _message, sender) => this.#take(fields, sender),
    }
  }

  attach(lines: Lines): void {
    this.#lines = lines
  }

  /** To every peer that keeps the chain and understands it, as often as it is said. Throws `bad-message`. */
  broadcast(message: object): void {
    const outgoing = this.#outgoing(this.#own(message))
    if (this.#parts.gossip) this.#seen.add(outgoing.key)
    for (const peer of this.#lines?.full() ?? []) this.#say(peer, outgoing)
  }

  /** Throws `bad-message`. */
  send(to: NodeId, message: object): void {
    const outgoing = this.#outgoing(this.#own(message))
    const peer = this.#lines?.peer(to)
    if (peer !== undefined) this.#say(peer, outgoing)
  }

  // ---- hearing ----

  #take(fields: never, { peer }: Sender): Answer | Promise<Answer> {
    if (peer === undefined) return { refusal: decline('peers-only', 'shake hands first') }
    return this.#parts.gossip ? this.#takeGossip(fields, peer) : then(this.#judge(fields, peer), answerTo)
  }

  #takeGossip(fields: never, peer: Peer): Answer | Promise<Answer> {
    const outgoing = this.#parts.work.run(() => this.#outgoing(fields))
    // What its own schema made is no JSON: the plugin's log says so.
    if (outgoing === undefined || outgoing instanceof Promise) return undefined
    const { key } = outgoing
    this.#lines?.nowHas(peer, key)
    if (this.#seen.has(key)) return undefined
    return this.#hearing.has(key) ? this.#wait(fields, peer, outgoing) : this.#hear(fields, peer, outgoing)
  }

  /** One that did not accept it from somebody else may accept it from this one. */
  async #wait(fields: never, peer: Peer, outgoing: Keyed): Promise<Answer> {
    const { key } = outgoing
    for (let other = this.#hearing.get(key); other !== undefined; other = this.#hearing.get(key)) {
      if (await other) return undefined
    }
    return await this.#hear(fields, peer, outgoing)
  }

  #hear(fields: never, peer: Peer, outgoing: Keyed): Answer | Promise<Answer> {
    const { key } = outgoing
    const judged = this.#judge(fields, peer)
    if (!(judged instanceof Promise)) return this.#heard(judged, outgoing)
    const isAccepted = judged.then((verdict) => verdict?.ok === true)
    this.#hearing.set(key, isAccepted)
    return judged.then((verdict) => {
      this.#hearing.delete(key)
      return this.#heard(verdict, outgoing)
    })
  }

  /** Marked only now, so that nothing that was not accepted keeps out what will be. */
  #heard(verdict: Verdict | undefined, outgoing: Keyed): Answer {
    if (verdict?.ok !== true) return answerTo(verdict)
    const { key } = outgoing
    this.#seen.add(key)
    for (const peer of this.#lines?.full() ?? []) if (this.#lines?.has(peer, key) === false) this.#say(peer, outgoing)
    return undefined
  }

  /** undefined where the plugin failed. */
  #judge(fields: never, peer: Peer): Verdict | undefined | Promise<Verdict | undefined> {
    const { hear, work } = this.#parts
    return work.run(() => then(hear(fields, peerView(peer)), verdictOf))
  }

  // ---- saying ----

  #say(peer: Peer, outgoing: Keyed): void {
    if (this.#parts.gossip) this.#lines?.nowHas(peer, outgoing.key)
    this.#lines?.say(peer, outgoing)
  }

  /** What this plugin itself says must be what the others take. */
  #own(message: object): object {
    const { schema, type, gossip } = this.#parts
    const shaped = v.safeParse(schema, message, { abortEarly: true })
    if (shaped.success) return gossip ? shaped.output : message
    const [issue] = shaped.issues
    const where = v.getDotPath(issue) ?? 'the message'
    throw new AurexError('bad-message', `${type}: ${where}: ${issue.message}; its own schema does not take it`)
  }

  /** Throws where it has no JSON form. */
  #outgoing(fields: object): Keyed {
    const message: JsonObject = { ...(fields as JsonObject), type: this.#parts.type }
    const text = canonicalJson(message)
    return { message, bytes: Buffer.byteLength(text), key: sha256Hex(text) }
  }
}

interface Keyed extends Outgoing {
  /** The hash of its canonical form. */
  readonly key: Hash
}

function then<T, U>(value: T | Promise<T>, use: (value: T) => U): U | Promise<U> {
  return value instanceof Promise ? value.then(use) : use(value)
}

/** A plugin may be written without types. Throws for whoever logs it. */
function verdictOf(verdict: Verdict): Verdict {
  if (typeof (verdict as Partial<Verdict> | undefined)?.ok === 'boolean') return verdict
  throw new TypeError('hear: expected accepted, or what refuse() or decline() made')
}

/** What is nobody's fault is not told. */
const answerTo = (verdict: Verdict | undefined): Answer =>
  verdict === undefined || verdict.ok || !verdict.provable ? undefined : { refusal: verdict }
