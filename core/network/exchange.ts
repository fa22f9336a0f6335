import { utf8Bytes } from '../chain/canonical.ts'
import type { JsonObject } from '../chain/json.ts'
import { purposes, signedText } from '../chain/keys.ts'
import { decodeSignature, verifySignature } from '../chain/signature.ts'
import { accepted, decline, type Refusal, type Result, type Verdict } from '../errors.ts'
import type { Connection } from '../plugin.ts'
import type { Timer } from '../runtime.ts'
import { greetingOf, readGreeting, type Greeting } from './greeting.ts'
import type { HostPort } from './hostport.ts'
import type { ModuleParts } from './module.ts'
import type { PeerFacts } from './peer.ts'
import type { Standing } from './standing.ts'

export interface ExchangeParts extends Pick<ModuleParts, 'identity' | 'runtime' | 'limits' | 'messages'> {
  /** What this node says of itself. */
  readonly standing: Standing
  readonly connection: Connection
  /** What was dialled; undefined where the other side opened the connection. */
  readonly dialled: HostPort | undefined
  /** Whether what the other side says of itself is welcome, before it has proven any of it. */
  readonly welcome: (greeting: Greeting, connection: Connection) => Verdict
  /** The other side has proven who it is. Whoever decides calls `complete` or `refuse`. */
  readonly proven: (exchange: Exchange) => void
  readonly completed: (exchange: Exchange) => void
  /** `ours`: this node refused, and the other side is to be told. */
  readonly failed: (exchange: Exchange, refusal: Refusal, ours: boolean) => void
}

/**
 * One handshake (protocol section 5). The opener sends `handshake`, the answerer its own, then each proves its key by a
 * signature over both challenges. Opener is who opened the connection.
 *
 * The opener proves itself first. An answerer that knows the opener to be a program like itself (it says
 * `answerer_decides`) holds its own proof back until it has decided, so that no opener takes itself for a peer and is
 * then turned away. Other programs get the answerer's proof at once: they may wait for it before they send theirs.
 */
export class Exchange {
  readonly connection: Connection
  readonly #parts: ExchangeParts
  readonly #opener: boolean
  readonly #deadline: Timer
  #challenge: string | undefined
  #greeting: Greeting | undefined
  #state: 'greeting' | 'proving' | 'deciding' | 'over' = 'greeting'
  #ownProofSent = false

  constructor(parts: ExchangeParts) {
    this.#parts = parts
    this.connection = parts.connection
    this.#opener = parts.connection.outbound
    const milliseconds = parts.limits.handshake_milliseconds_max
    this.#deadline = parts.runtime.clock.after(milliseconds, () =>
      this.refuse(
        this.#claimsUs ? unprovenSelf : decline('handshake-slow', `a handshake must be done within ${milliseconds} ms`),
      ),
    )
  }

  /** What the other side says of itself, once it has said it. */
  get greeting(): Greeting | undefined {
    return this.#greeting
  }

  /** What this node challenged the other side with, once it has. */
  get challenge(): string | undefined {
    return this.#challenge
  }

  get over(): boolean {
    return this.#state === 'over'
  }

  /** The opener's first act. */
  open(): void {
    const { message, challenge } = greetingOf(this.#parts.standing, this.#parts)
    this.#challenge = challenge
    this.connection.send(message)
  }

  /** Takes the other side's `handshake`. Declines one that comes again: the first one counts. */
  takeGreeting(message: JsonObject): Verdict {
    if (this.#state !== 'greeting') return decline('unexpected-handshake', 'a handshake is under way already')
    const read = this.#read(message)
    if (!read.ok) {
      this.refuse(read)
      return accepted
    }
    this.#greeting = read.value
    this.#state = 'proving'
    if (!this.#opener) this.open()
    const mustProve = this.#opener || this.#claimsUs || !read.value.features.has('answerer_decides')
    if (mustProve) this.#sendProof()
    return accepted
  }

  takeProof(message: JsonObject): Verdict {
    if (this.#state === 'deciding' || this.#state === 'over') {
      return decline('unexpected-handshake', 'the handshake was proven already')
    }
    const verdict = this.#verify(message['signature'])
    if (!verdict.ok) {
      this.refuse(this.#claimsUs ? unprovenSelf : verdict)
      return accepted
    }
    this.#state = 'deciding'
    this.#parts.proven(this)
    return accepted
  }

  /** It is a peer from now on. */
  complete(): void {
    if (!this.#end()) return
    if (!this.#ownProofSent) this.#sendProof()
    this.connection.promote()
    this.#parts.completed(this)
  }

  refuse(refusal: Refusal): void {
    if (this.#end()) this.#parts.failed(this, refusal, true)
  }

  /** The other side refused, or is gone. */
  abandon(refusal: Refusal): void {
    if (this.#end()) this.#parts.failed(this, refusal, false)
  }

  /** What was proven and said. */
  facts(): PeerFacts {
    const { nodeId, key, nodeType, height, features } = this.#greeting!
    return { nodeId, key, nodeType, height, features, listens: this.#listens() }
  }

  /** Its own word for a host is not taken: it could name anybody's. */
  #listens(): HostPort | undefined {
    const { dialled } = this.#parts
    if (dialled !== undefined) return dialled
    const port = this.#greeting!.port
    return port === undefined ? undefined : { host: this.connection.remoteHost, port }
  }

  /** It says that it is this node. */
  get #claimsUs(): boolean {
    return this.#greeting?.nodeId === this.#parts.identity.nodeId
  }

  #read(message: JsonObject): Result<Greeting> {
    const { standing, welcome } = this.#parts
    const read = readGreeting(message, standing.chainId)
    if (!read.ok) return read
    const verdict = welcome(read.value, this.connection)
    return verdict.ok ? read : verdict
  }

  #sendProof(): void {
    this.#ownProofSent = true
    const signature = this.#parts.identity.sign(purposes.handshake, this.#challenges('own'))
    this.connection.send({ type: 'handshake_ack', signature })
  }

  #verify(signature: unknown): Verdict {
    if (this.#greeting === undefined)
      return decline('bad-signature', 'a proof came before the handshake that it proves')
    const bytes = decodeSignature(typeof signature === 'string' ? signature : '')
    if (!bytes.ok) return decline(bytes.code, bytes.detail)
    const text = utf8Bytes(signedText(purposes.handshake, this.#challenges('other')))
    if (verifySignature(this.#greeting.key, text, bytes.value)) return accepted
    return decline('bad-signature', 'signature: not by public_key_pem over both challenges')
  }

  /**
   * The opener's, then the answerer's; each is 64 characters long, so that there is one way to take them apart. Where both
   * have one key, the signer's comes first.
   */
  #challenges(signer: 'own' | 'other'): string {
    const [own, others] = [this.#challenge!, this.#greeting!.challenge]
    const isOwnFirst = this.#claimsUs ? signer === 'own' : this.#opener
    return isOwnFirst ? own + others : others + own
  }

  #end(): boolean {
    if (this.#state === 'over') return false
    this.#state = 'over'
    this.#deadline.cancel()
    return true
  }
}

const unprovenSelf = decline('self', 'it says that it is this node itself, and does not prove it')
