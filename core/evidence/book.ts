import * as v from 'valibot'
import { isObject, type JsonObject } from '../chain/json.ts'
import { isAddress, type Address } from '../chain/keys.ts'
import type { Contributed } from '../contributions.ts'
import { accepted, AurexError, decline, found, messageOf, type Refusal, type Result, type Verdict } from '../errors.ts'
import type { CoreEvents } from '../events.ts'
import type { Log } from '../log.ts'
import type { Records, Storage } from '../plugin.ts'
import type { Clock } from '../runtime.ts'

/** One key, one kind, one thing that it must not have done. */
export interface Evidence {
  readonly kind: string
  readonly address: Address
  /** `height 17`. */
  readonly what: string
  /** Milliseconds, wall clock: when it was found here. */
  readonly foundAt: number
  readonly proof: JsonObject
}

interface BookParts {
  readonly contributed: Contributed
  readonly clock: Clock
  readonly log: Log
  readonly emit: <E extends keyof CoreEvents>(event: E, fact: CoreEvents[E]) => void
}

/** Two headers, each with a certificate of five hundred authorities, come to less. */
const proofBytesMax = 256 * 1024
/** One proof is enough to vote a key out; more would only keep those against others from being kept. */
const entriesPerKeyMax = 16
const bytesPerKeyMax = 2 * proofBytesMax
const entriesMax = 1_000
const bytesMax = 16 * 1024 * 1024
const pageEntriesMax = 100

const shape = v.strictObject({
  kind: v.string(),
  address: v.pipe(v.string(), v.check(isAddress)),
  what: v.pipe(v.string(), v.minLength(1), v.maxLength(100)),
  // Up to the year 9999.
  foundAt: v.pipe(v.number(), v.minValue(0), v.maxValue(253_402_300_799_999)),
  proof: v.custom<JsonObject>(isObject),
})
const finding = v.pick(shape, ['address', 'what'])

/** What is kept, without its proof. */
interface Entry extends Pick<Evidence, 'kind' | 'address'> {
  readonly bytes: number
}

/** The proofs that keys signed what no honest key signs: kept in the ledger's file, told once. They never go away. */
export class EvidenceBook {
  readonly #parts: BookParts
  readonly #known = new Map<string, Entry>()
  #records: Records | undefined
  #tell: (evidence: Evidence, from: string | undefined) => void = () => {}

  constructor(parts: BookParts) {
    this.#parts = parts
  }

  attach(storage: Pick<Storage, 'records'>): void {
    const { contributed, log } = this.#parts
    this.#records = storage.records('evidence')
    for (const [key, text] of this.#rows()) {
      const evidence = read(key, text)
      if (evidence === undefined) log.warn('evidence in the ledger is damaged; it is left alone', { key })
      else this.#keep(key, evidence, text)
    }
    contributed.add('metric', {
      name: 'evidence_total',
      help: 'Proofs that a key signed what no honest key signs',
      kind: 'counter',
      read: () => this.#figures(),
    })
    contributed.add('health', { name: 'evidence', check: () => this.#health() })
  }

  /** Who passes on what is new. `from`: the connection that it came by. */
  onNew(tell: (evidence: Evidence, from: string | undefined) => void): void {
    this.#tell = tell
  }

  /** As `Context.accuse`; `from`: the connection that it came by. Declines also `too-large` and `evidence-full`. */
  accuse(kind: string, proof: JsonObject, from?: string): Verdict {
    const judged = this.#judge(kind, proof)
    if (!judged.ok) return judged
    const { clock, log, emit } = this.#parts
    const evidence: Evidence = { kind, ...judged.value, foundAt: clock.now(), proof }
    const kept = this.#write(evidence)
    if (!kept.ok) return kept
    const { address, what } = evidence
    log.error('a key signed two things that contradict each other; look at it with: aurex evidence', {
      address,
      kind,
      what,
    })
    emit('evidence:found', { address, kind, what })
    this.#tell(evidence, from)
    return accepted
  }

  /** In the order of their keys; what is damaged is left out. Throws as `Storage` does. */
  all(): Evidence[] {
    return [...this.#rows()].flatMap(([key, text]) => read(key, text) ?? [])
  }

  get size(): number {
    return this.#known.size
  }

  /** Whether this proves something, whoever says so. */
  #judge(kind: string, proof: JsonObject): Result<Pick<Evidence, 'address' | 'what'>> {
    const { contributed, log } = this.#parts
    const known = contributed.all('evidence').find(({ name }) => name === kind)
    if (known === undefined) return decline('unknown-evidence', 'kind: no evidence of this kind is known here')
    if (JSON.stringify(proof).length > proofBytesMax)
      return decline('too-large', `a proof of over ${proofBytesMax} bytes`)
    try {
      const judged = known.read(proof)
      return judged.ok ? found(v.parse(finding, { address: judged.value.address, what: judged.value.what })) : judged
    } catch (error) {
      log.error('evidence could not be read by the plugin whose kind it is', { kind, why: messageOf(error) })
      return decline('evidence-failed', `kind: ${kind} could not be read here`)
    }
  }

  #write(evidence: Evidence): Verdict {
    if (this.#records === undefined) return decline('storage-unavailable', 'there is no ledger to keep it in')
    const [key, text] = [keyOf(evidence), JSON.stringify(evidence)]
    if (this.#known.has(key)) return decline('known', 'this is known already')
    const full = this.#full(evidence, text)
    if (full !== undefined) return full
    try {
      this.#records.write([[key, text]])
    } catch (error) {
      if (!(error instanceof AurexError)) throw error
      return decline('storage-unavailable', `it cannot be kept: ${error.message}`)
    }
    this.#keep(key, evidence, text)
    return accepted
  }

  #full({ address }: Evidence, text: string): Refusal | undefined {
    const all = [...this.#known.values()]
    const own = all.filter((one) => one.address === address)
    if (own.length >= entriesPerKeyMax || bytesOf(own) + text.length > bytesPerKeyMax) {
      return decline('evidence-full', 'there are proofs enough against this key')
    }
    if (all.length < entriesMax && bytesOf(all) + text.length <= bytesMax) return undefined
    return decline('evidence-full', `at most ${entriesMax} proofs are kept, and ${bytesMax} bytes of them`)
  }

  #keep(key: string, { kind, address }: Evidence, text: string): void {
    this.#known.set(key, { kind, address, bytes: text.length })
  }

  *#rows(): Generator<readonly [key: string, text: string]> {
    let after: string | undefined
    for (;;) {
      const rows = this.#records?.list('', after, pageEntriesMax) ?? []
      yield* rows
      if (rows.length < pageEntriesMax) return
      after = rows.at(-1)![0]
    }
  }

  #figures() {
    const kinds = this.#parts.contributed.all('evidence').map(({ name }) => [name, 0] as const)
    const counts = new Map<string, number>(kinds)
    for (const { kind } of this.#known.values()) counts.set(kind, (counts.get(kind) ?? 0) + 1)
    return [...counts].map(([kind, value]) => ({ labels: { kind }, value }))
  }

  #health() {
    const keys = new Set([...this.#known.values()].map(({ address }) => address)).size
    if (keys === 0) return { status: 'pass' as const }
    const whose = keys === 1 ? 'a key' : `${keys} keys`
    const output = `${whose} signed two things that contradict each other; see: aurex evidence`
    return { status: 'warn' as const, output }
  }
}

const bytesOf = (entries: readonly Entry[]): number => entries.reduce((sum, { bytes }) => sum + bytes, 0)

const keyOf = ({ address, kind, what }: Omit<Evidence, 'foundAt' | 'proof'>): string => `${address}/${kind}/${what}`

/** undefined where it is not what was written. */
function read(key: string, text: string): Evidence | undefined {
  const shaped = v.safeParse(v.pipe(v.string(), v.parseJson(), shape), text)
  return shaped.success && keyOf(shaped.output) === key ? shaped.output : undefined
}
