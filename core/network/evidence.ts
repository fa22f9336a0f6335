import * as v from 'valibot'
import { canonicalJson, sha256Hex, type Hash } from '../chain/canonical.ts'
import { isObject, type JsonObject } from '../chain/json.ts'
import { formatTimestamp } from '../chain/timestamp.ts'
import { accepted, AurexError, decline, type Verdict } from '../errors.ts'
import type { Evidence, EvidenceBook } from '../evidence/book.ts'
import { BoundedSet } from './boundedset.ts'
import { Outlet, type Outgoing } from './channels/outlet.ts'
import type { Timer } from '../runtime.ts'
import type { Catchup, ModuleParts, NetworkModule } from './module.ts'
import type { Peer } from './peer.ts'
import { Allowance } from './relay/allowance.ts'
import type { Answer } from './session.ts'

/** What a new peer is sent, and what a question is answered with. */
const newestMax = 100
/** A client reads no more than 1 MiB. */
const listBytesMax = 900 * 1024
/** A proof costs signatures to verify: what a peer sends beyond that is not looked at. */
const readBurstMax = 100
const readPerSecondMax = 10
/** So that what is sent always is looked at, also where a slow line delivers it all at once. */
const saidBurstMax = 10
const saidPerSecondMax = 5
/** What could not be judged here may be once this node has caught up: then it is asked for again, a few times a peer. */
const againMilliseconds = 60_000
const askedAgainMax = 5
/** Proofs of which it is remembered that they are known here, or to one peer: so many at least. */
const seenMin = 1_024

const schemas = {
  evidence: v.object({
    kind: v.pipe(v.string(), v.maxLength(64)),
    proof: v.custom<JsonObject>(isObject, 'expected an object'),
  }),
  evidence_request: v.object({}),
  evidence_list: v.object({}),
} as const

type Said = v.InferOutput<typeof schemas.evidence>

/** An answer to our own question. Proofs that were too long for it are missing. */
const listAnswer = v.object({
  evidence: v.pipe(
    v.array(v.object({ ...schemas.evidence.entries, proof: v.nullable(schemas.evidence.entries.proof) })),
    v.maxLength(newestMax),
  ),
})

type EvidenceParts = ModuleParts & { readonly catchup: Pick<Catchup, 'running'> }

/** Spreads the proofs that a key signed what no honest key signs: each to each full peer that understands them, once. */
export function evidence(parts: EvidenceParts): NetworkModule {
  return parts.evidence === undefined ? { messages: {} } : new EvidenceGossip(parts, parts.evidence)
}

interface Line {
  readonly outlet: Outlet
  readonly allowance: Allowance
  readonly has: BoundedSet<Hash>
  /** It sent something that cannot be judged here yet. */
  isUnjudged: boolean
  askedAgain: number
}

interface Known extends Outgoing {
  readonly key: Hash
  readonly evidence: Evidence
}

class EvidenceGossip implements NetworkModule {
  readonly messages: NetworkModule['messages']
  readonly #parts: EvidenceParts
  readonly #book: EvidenceBook
  readonly #lines = new Map<Peer, Line>()
  readonly #seen = new BoundedSet<Hash>(seenMin)
  /** Newest first; undefined until it was read. */
  #newest: readonly Known[] | undefined
  #timer: Timer | undefined

  constructor(parts: EvidenceParts, book: EvidenceBook) {
    this.#parts = parts
    this.#book = book
    this.messages = {
      evidence: { schema: schemas.evidence, handle: (said: Said, _message, { peer }) => this.#heard(said, peer) },
      evidence_request: { schema: schemas.evidence_request, handle: () => ({ make: () => this.#list() }) },
      // One that comes too late for its question.
      evidence_list: { schema: schemas.evidence_list, handle: () => undefined },
    }
    book.onNew((found, from) => this.#isNew(found, from))
  }

  joined(peer: Peer): void {
    const { runtime, log } = this.#parts
    const { clock } = runtime
    this.#lines.set(peer, {
      outlet: new Outlet({ peer, clock, log, burstMessagesMax: saidBurstMax, messagesPerSecondMax: saidPerSecondMax }),
      allowance: new Allowance(readBurstMax, readPerSecondMax, clock),
      has: new BoundedSet(seenMin),
      isUnjudged: false,
      askedAgain: 0,
    })
    for (const known of this.#all()) this.#say(peer, known)
  }

  left(peer: Peer): void {
    this.#lines.get(peer)?.outlet.end()
    this.#lines.delete(peer)
  }

  start(): void {
    this.#timer = this.#parts.runtime.clock.after(againMilliseconds, () => {
      for (const [peer, line] of this.#lines) if (line.isUnjudged) void this.#askAgain(peer, line)
      this.start()
    })
  }

  stop(): void {
    this.#timer?.cancel()
    for (const peer of this.#lines.keys()) this.left(peer)
  }

  #heard({ kind, proof }: Said, peer: Peer | undefined): Answer {
    if (peer === undefined) return { refusal: decline('peers-only', 'shake hands first') }
    const line = this.#lines.get(peer)
    if (line?.allowance.take() !== true) return undefined
    const verdict = this.#judge({ kind, proof }, peer, line)
    return verdict.ok || !verdict.provable ? undefined : { refusal: verdict }
  }

  #judge({ kind, proof }: Said, peer: Peer, line: Line): Verdict {
    const key = keyOf(kind, proof)
    line.has.add(key)
    if (this.#seen.has(key)) return accepted
    const verdict = this.#book.accuse(kind, proof, peer.id)
    if (verdict.ok || verdict.code === 'known') this.#seen.add(key)
    else line.isUnjudged = true
    return verdict
  }

  async #askAgain(peer: Peer, line: Line): Promise<void> {
    const { catchup, limits } = this.#parts
    if (catchup.running || line.askedAgain >= askedAgainMax) return
    line.askedAgain++
    line.isUnjudged = false
    const answer = await peer.ask({ type: 'evidence_request' }, 'evidence_list', limits.request_milliseconds_max)
    const shaped = answer.ok ? v.safeParse(listAnswer, answer.value) : undefined
    if (shaped?.success !== true) return
    for (const { kind, proof } of shaped.output.evidence) {
      const verdict = proof === null ? accepted : this.#judge({ kind, proof }, peer, line)
      if (!verdict.ok && verdict.provable) return peer.drop(verdict)
    }
  }

  #isNew(found: Evidence, from: string | undefined): void {
    const known = knownOf(found)
    this.#seen.add(known.key)
    if (this.#newest !== undefined) this.#newest = [known, ...this.#newest].slice(0, newestMax)
    for (const [peer, { has }] of this.#lines) {
      if (peer.id === from) has.add(known.key)
      else this.#say(peer, known)
    }
  }

  #say(peer: Peer, known: Known): void {
    const line = this.#lines.get(peer)
    if (line === undefined || peer.isLight || !peer.facts.features.has('evidence') || line.has.has(known.key)) return
    line.has.add(known.key)
    line.outlet.send(known)
  }

  /** Of a proof that does not fit any more it is only told that there is one. */
  #list(): JsonObject {
    let left = listBytesMax
    const listed = this.#all().map(({ evidence: { foundAt, proof, ...fields }, bytes }) => {
      const fits = bytes <= left
      if (fits) left -= bytes
      return { ...fields, found_at: formatTimestamp(foundAt), proof: fits ? proof : null }
    })
    return { type: 'evidence_list', evidence: listed }
  }

  /** The newest, newest first; none while they cannot be read. */
  #all(): readonly Known[] {
    if (this.#newest !== undefined) return this.#newest
    try {
      const all = this.#book.all().toSorted((a, b) => b.foundAt - a.foundAt)
      return (this.#newest = all.slice(0, newestMax).map(knownOf))
    } catch (error) {
      if (!(error instanceof AurexError)) throw error
      this.#parts.log.warn('evidence cannot be read, so none of it is passed on', { error })
      return []
    }
  }
}

const keyOf = (kind: string, proof: JsonObject): Hash => sha256Hex(canonicalJson({ kind, proof }))

function knownOf(found: Evidence): Known {
  const { kind, proof } = found
  const text = canonicalJson({ kind, proof })
  const message = { type: 'evidence', kind, proof }
  return { evidence: found, message, bytes: Buffer.byteLength(text), key: sha256Hex(text) }
}
