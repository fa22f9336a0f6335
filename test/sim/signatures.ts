// What an honest key never signs, written once more and without the node's own code.
import canonicalize from 'canonicalize'
import { isObject, type Json, type JsonObject } from '../../core/chain/json.ts'
import { Broken } from './invariants.ts'
import { isSigned, pemOf } from './oracle.ts'

/** One thing that a key signed. */
interface Signed {
  readonly purpose: string
  readonly text: string
  readonly signature: string
  /** For whoever reads of it. */
  readonly what: string
}

interface Vote extends Signed {
  readonly kind: string
  readonly source: number
  readonly target: number
  readonly hash: string
}

export interface SignatureWatchParts {
  readonly chainId: string
  /** Addresses of the keys that must never contradict themselves. */
  readonly honest: ReadonlySet<string>
  /** What one block may be signed of, if the engine has turns. */
  readonly turnOf: ((header: JsonObject) => string) | undefined
}

/** Remembers all that honest keys were seen to sign in a world, over all restarts. */
export class SignatureWatch {
  readonly #parts: SignatureWatchParts
  readonly #once = new Map<string, Signed>()
  readonly #votes = new Map<string, Vote[]>()

  constructor(parts: SignatureWatchParts) {
    this.#parts = parts
  }

  /** A message of the wire. Throws `Broken`. */
  heard(message: JsonObject): void {
    const { type, data, votes } = message
    if ((type === 'new_block' || type === 'compact_block') && isObject(data)) this.block(data)
    else if (type === 'finality_vote') this.#vote(message)
    else if (typeof type === 'string' && type.startsWith('bft.')) {
      for (const vote of Array.isArray(votes) ? votes : []) if (isObject(vote)) this.#ballot(vote)
    }
  }

  /** Throws `Broken`. */
  block(header: JsonObject): void {
    const { turnOf, honest } = this.#parts
    const { public_key_pem: pem, current_hash: hash, signature, index } = header
    if (turnOf === undefined || typeof pem !== 'string' || typeof signature !== 'string') return
    const address = addressOf(pem)
    if (!honest.has(address) || typeof hash !== 'string') return
    const what = `block ${JSON.stringify(index)}, ${hash}`
    this.#onceOnly(address, `block ${turnOf(header)}`, { purpose: 'aurex/block/1', text: hash, signature, what })
  }

  /** Of finality: one statement, and signatures under it. */
  #vote({ kind, source, target, signatures }: JsonObject): void {
    if (!isObject(target) || !isObject(signatures) || typeof kind !== 'string') return
    const from = isObject(source) ? source : target
    const statement: JsonObject = { kind, target, ...(isObject(source) ? { source } : {}) }
    const text = canonicalize({ chain_id: this.#parts.chainId, ...statement })!
    for (const [address, signature] of Object.entries(signatures)) {
      if (!this.#parts.honest.has(address) || typeof signature !== 'string') continue
      const vote: Vote = {
        purpose: 'aurex/finality/1',
        text,
        signature,
        what: text,
        kind,
        source: Number(from['index']),
        target: Number(target['index']),
        hash: JSON.stringify(target['hash']),
      }
      this.#add(address, vote)
    }
  }

  #add(address: string, vote: Vote): void {
    const before = this.#votes.get(address) ?? []
    this.#votes.set(address, before)
    if (before.some(({ text }) => text === vote.text)) return
    if (!isGood(address, vote)) return
    const other = before.find((one) => contradict(one, vote))
    before.push(vote)
    if (other !== undefined) throw broken(address, other, vote)
  }

  /** Of bft: one for each height, round and step. */
  #ballot({ step, height, round, hash, address, signature }: JsonObject): void {
    if (typeof address !== 'string' || typeof signature !== 'string' || !this.#parts.honest.has(address)) return
    const said = { chain_id: this.#parts.chainId, height, round, step, hash } as { readonly [key: string]: Json }
    const text = canonicalize(said)!
    this.#onceOnly(address, `bft ${JSON.stringify([height, round, step])}`, {
      purpose: 'aurex/bft/1',
      text,
      signature,
      what: text,
    })
  }

  #onceOnly(address: string, place: string, signed: Signed): void {
    const key = `${address} ${place}`
    const before = this.#once.get(key)
    if (before?.text === signed.text || !isGood(address, signed)) return
    if (before !== undefined) throw broken(address, before, signed)
    this.#once.set(key, signed)
  }
}

const isGood = (address: string, { purpose, text, signature }: Signed): boolean =>
  isSigned(`${purpose}\n${text}`, pemOf(address), signature)

/** Two different targets at one height; or one goes around the other, a commit being a vote from its target to itself. */
const contradict = (a: Vote, b: Vote): boolean =>
  (a.kind === b.kind && a.target === b.target && a.hash !== b.hash) || isAround(a, b) || isAround(b, a)

const isAround = (outer: Vote, inner: Vote): boolean => outer.source < inner.source && inner.target < outer.target

/** The raw key is the end of the DER. */
export const addressOf = (pem: string): string =>
  Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')
    .subarray(-32)
    .toString('hex')

const broken = (address: string, first: Signed, second: Signed): Broken =>
  new Broken('no honest key contradicts itself', undefined, `${address} signed ${first.what} and ${second.what}`)
