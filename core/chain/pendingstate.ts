import { accepted, type Verdict } from '../errors.ts'
import type { Application, StateView, Storage } from '../plugin.ts'
import { applyTransaction } from './execution.ts'
import type { RefusedTransaction } from './executor.ts'
import type { ReadTransaction, Transaction } from './transaction.ts'

interface Parts {
  readonly application: Application
  readonly storage: Pick<Storage, 'head' | 'stateAt'>
}

/** A value that a pending transaction wrote. */
interface Written {
  readonly value: string | undefined
  readonly step: number
}

interface Step {
  readonly number: number
  readonly read: ReadTransaction
  /** What it wrote over, in its order. */
  readonly before: readonly (readonly [key: string, written: Written | undefined])[]
}

/**
 * How often those that did not hold are tried again on what the others left: only where branches changed can one stand
 * before what it builds on.
 */
const passesMax = 4

/**
 * The state with all that is pending on top of what is recorded, each on what those before it left. It is as large as
 * what they write, which the limits of the mempool bound.
 */
export class PendingState implements StateView {
  readonly #parts: Parts
  /** In the order in which they were executed. */
  #steps: Step[] = []
  readonly #written = new Map<string, Written>()
  #next = 0
  #height: number

  constructor(parts: Parts) {
    this.#parts = parts
    this.#height = parts.storage.head().header.index
  }

  get(key: string): string | undefined {
    const written = this.#written.get(key)
    return written === undefined ? this.#parts.storage.stateAt(key, this.#height) : written.value
  }

  /** Takes one in after all others, if the application does. */
  take(read: ReadTransaction): Verdict {
    const result = applyTransaction(this.#parts.application, read, this)
    if (!result.ok) return result
    const number = this.#next++
    const before = result.value.map(({ key, value }) => {
      const written = this.#written.get(key)
      this.#written.set(key, { value, step: number })
      return [key, written] as const
    })
    this.#steps.push({ number, read, before })
    return accepted
  }

  /** Takes these out again, which were the last to come in. False where others came after them: nothing is right then. */
  letGo(reads: readonly ReadTransaction[]): boolean {
    const leaving = new Set(reads)
    while (leaving.delete(this.#steps.at(-1)?.read as ReadTransaction)) this.#undo(this.#steps.pop()!)
    return leaving.size === 0
  }

  /**
   * A block above the head took these, in this order. True where they are the very first that are pending here: then the
   * rest holds as it did. False: it must be executed anew.
   */
  recorded(transactions: readonly Transaction[]): boolean {
    const steps = this.#steps.slice(0, transactions.length)
    if (steps.length < transactions.length) return false
    if (!transactions.every((transaction, place) => isSame(transaction, steps[place]!.read.transaction))) return false
    for (const { number, before } of steps) {
      // What nobody wrote over since is in the ledger now.
      for (const [key] of before) if (this.#written.get(key)?.step === number) this.#written.delete(key)
    }
    this.#steps = this.#steps.slice(steps.length)
    this.#height = this.#parts.storage.head().header.index
    return true
  }

  /** Begins anew with these on the recorded state. What holds is told in the order in which it does. */
  rebuild(reads: readonly ReadTransaction[]): { held: ReadTransaction[]; refused: RefusedTransaction[] } {
    this.#steps = []
    this.#written.clear()
    this.#height = this.#parts.storage.head().header.index
    const held: ReadTransaction[] = []
    let rest: readonly ReadTransaction[] = reads
    for (let pass = 1; ; pass++) {
      const again: ReadTransaction[] = []
      const refused: RefusedTransaction[] = []
      for (const read of rest) {
        const verdict = this.take(read)
        if (verdict.ok) held.push(read)
        else {
          again.push(read)
          refused.push({ hash: read.hash, refusal: verdict })
        }
      }
      if (again.length === 0 || again.length === rest.length || pass === passesMax) return { held, refused }
      rest = again
    }
  }

  #undo({ before }: Step): void {
    const oldest = this.#steps[0]?.number ?? this.#next
    for (const [key, written] of before.toReversed()) {
      if (written === undefined || written.step < oldest) this.#written.delete(key)
      else this.#written.set(key, written)
    }
  }
}

/** An id covers neither the signature nor, of a name, the key: the application may look at it. */
const isSame = (a: Transaction, b: Transaction): boolean =>
  a === b || (a.signature === b.signature && a.public_key_pem === b.public_key_pem)
