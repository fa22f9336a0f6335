import type { JsonObject } from '../chain/json.ts'
import type { Address } from '../chain/keys.ts'
import type { Contributed } from '../contributions.ts'
import { decline, found, type Result, type Verdict } from '../errors.ts'
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

/** The proofs that keys signed what no honest key signs: kept in the ledger's file, told once. */
export class EvidenceBook {
  readonly #parts: BookParts
  #records: Records | undefined
  #tell: (evidence: Evidence, from: string | undefined) => void = () => {}

  constructor(parts: BookParts) {
    this.#parts = parts
  }

  attach(storage: Pick<Storage, 'records'>): void {
    this.#records = storage.records('evidence')
  }

  /** Who passes on what is new. `from`: the connection that it came by. */
  onNew(tell: (evidence: Evidence, from: string | undefined) => void): void {
    this.#tell = tell
  }

  /** As `Context.accuse`; `from`: the connection that it came by. */
  accuse(kind: string, proof: JsonObject, from?: string): Verdict {
    const read = this.#read(kind, proof)
    if (!read.ok) return read
    const { clock, log } = this.#parts
    const evidence: Evidence = { kind, ...read.value, foundAt: clock.now(), proof }
    const key = `${evidence.address}/${kind}/${evidence.what}`
    if (this.#records === undefined) return decline('storage-unavailable', 'there is no ledger to keep it in')
    if (this.#records.get(key) !== undefined) return decline('known', 'this is known already')
    this.#records.write([[key, JSON.stringify(evidence)]])
    log.error('a key signed two things that contradict each other', { address: evidence.address, what: evidence.what })
    this.#tell(evidence, from)
    return { ok: true }
  }

  all(): Evidence[] {
    return (this.#records?.list('', undefined, 1_000) ?? []).map(([, text]) => JSON.parse(text) as Evidence)
  }

  #read(kind: string, proof: JsonObject): Result<{ readonly address: Address; readonly what: string }> {
    const known = this.#parts.contributed.all('evidence').find(({ name }) => name === kind)
    return known === undefined
      ? decline('unknown-evidence', `kind: no ${kind} is known here`)
      : found2(known.read(proof))
  }
}

const found2 = <T>(result: Result<T>): Result<T> => (result.ok ? found(result.value) : result)
