import type { JsonObject } from '../../../core/chain/json.ts'
import { keyPairOfPem, privatePemOf, purposes, type KeyPair } from '../../../core/chain/keys.ts'
import type { Hash } from '../../../core/chain/canonical.ts'
import type { SimHost } from '../host.ts'
import { LineSocket } from '../linesocket.ts'
import { simPort } from '../simnode.ts'
import type { Stage } from './troupe.ts'

export interface PuppetParts {
  readonly stage: Pick<Stage, 'world' | 'address'>
  /** One that the genesis names; it keeps it. One of its own if none is given. */
  readonly key?: KeyPair
  /** Its network address; one of its own if none is given. */
  readonly address?: string
  readonly chainId: Hash
  /** What it says its height is. */
  readonly height: () => number
  /** A handshake was completed, by whichever side begun. */
  readonly joined: (link: Link) => void
  /** What a peer says afterwards. */
  readonly heard: (link: Link, message: JsonObject) => void
}

/**
 * Speaks the wire with a key of its own and none of the node's code behind it: the handshake is as protocol section 5
 * has it, and what is said afterwards is up to whoever pulls the strings.
 */
export class Puppet {
  readonly links = new Set<Link>()
  readonly parts: PuppetParts
  host: SimHost
  key: KeyPair

  constructor(parts: PuppetParts) {
    const { stage, address = stage.address() } = parts
    this.parts = parts
    this.host = stage.world.host(address)
    this.key = this.#newKey()
  }

  /** Whoever keeps it out knows it no more. */
  moveOn(): void {
    const { stage } = this.parts
    this.host = stage.world.host(stage.address())
    this.key = this.#newKey()
  }

  /** Takes connections, so that it can be found and dialled. */
  listen(): void {
    const links = new Map<unknown, Link>()
    const handlers = {
      open: (socket: Parameters<NonNullable<LineSocket['handlers']['open']>>[0]) => {
        const link = new Link(this, false)
        links.set(socket, link)
        link.line.handlers.open?.(socket)
      },
      data: (socket: never, bytes: Uint8Array) => links.get(socket)?.line.handlers.data(socket, bytes),
      drain: (socket: never) => links.get(socket)?.line.handlers.drain?.(socket),
      end: (socket: never) => links.get(socket)?.line.handlers.end?.(socket),
      close: (socket: never) => {
        links.get(socket)?.line.handlers.close?.(socket)
        links.delete(socket)
      },
    }
    void this.host.listen(this.host.address, simPort, handlers)
  }

  connect(address: string): Link {
    const link = new Link(this, true)
    link.begin(address)
    return link
  }

  #newKey(): KeyPair {
    if (this.parts.key !== undefined) return this.parts.key
    return keyPairOfPem(privatePemOf(this.host.random(32)), 'a hostile peer')
  }
}

/** One connection of a puppet with a node. */
export class Link {
  readonly line: LineSocket
  /** Whom it was opened to; '' where the other side opened it. */
  address = ''
  /** The handshake is done. */
  joined = false
  readonly #puppet: Puppet
  readonly #opener: boolean
  readonly #challenge: string

  constructor(puppet: Puppet, opener: boolean) {
    this.#puppet = puppet
    this.#opener = opener
    this.#challenge = Buffer.from(puppet.host.random(32)).toString('hex')
    this.line = new LineSocket(
      (message) => this.#heard(message),
      () => void puppet.links.delete(this),
    )
    puppet.links.add(this)
  }

  begin(address: string): void {
    this.address = address
    this.#greet()
    this.line.connect(this.#puppet.host, address, simPort)
  }

  send(message: JsonObject): void {
    this.line.send(message)
  }

  #greet(): void {
    const { host } = this.#puppet
    const { chainId, height } = this.#puppet.parts
    const { nodeId, pem } = this.#puppet.key
    this.send({
      type: 'handshake',
      version: 1,
      chain_id: chainId,
      height: height(),
      node_type: 'full',
      features: ['finality_vote', 'bft.round', 'evidence'],
      listen_addr: `${host.address}:${simPort}`,
      node_id: nodeId,
      public_key_pem: pem,
      challenge: this.#challenge,
    })
  }

  #heard(message: JsonObject): void {
    if (this.joined) return this.#puppet.parts.heard(this, message)
    if (message['type'] === 'handshake') this.#greeted(message)
    else if (message['type'] === 'handshake_ack') {
      this.joined = true
      this.#puppet.parts.joined(this)
    }
  }

  #greeted({ challenge: theirs }: JsonObject): void {
    if (typeof theirs !== 'string') return
    if (!this.#opener) this.#greet()
    const text = this.#opener ? this.#challenge + theirs : theirs + this.#challenge
    this.send({ type: 'handshake_ack', signature: this.#puppet.key.sign(purposes.handshake, text) })
  }
}
