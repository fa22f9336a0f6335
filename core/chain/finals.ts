import { AurexError } from '../errors.ts'
import type { CoreEvents } from '../events.ts'
import type { Consensus, Finality, Storage } from '../plugin.ts'
import type { DiskWatch } from './diskwatch.ts'

interface Parts {
  readonly storage: Pick<Storage, 'head' | 'headerAt' | 'finalHeight' | 'finalize'>
  readonly consensus: Pick<Consensus, 'finalAtOnce'>
  readonly finality?: Pick<Finality, 'final'> | undefined
  readonly disk: DiskWatch
  readonly emit: <E extends keyof CoreEvents>(event: E, fact: CoreEvents[E]) => void
}

/** Which blocks of the recorded chain can no longer be undone, and that the ledger knows. */
export class Finals {
  readonly #parts: Parts
  /** Whether every block is final with its commit. */
  readonly atOnce: boolean

  constructor(parts: Parts) {
    this.#parts = parts
    this.atOnce = parts.consensus.finalAtOnce === true
  }

  /** Up to this height people are told so: it is in the ledger. 0 where nothing says what is final. */
  height(): number {
    const { storage, finality } = this.#parts
    return this.atOnce || finality !== undefined ? storage.finalHeight() : 0
  }

  /** Up to this height nothing is undone: also what is final and could not be written yet. */
  floor(): number {
    return Math.max(this.height(), this.#reached())
  }

  /** Writes and tells what became final on the recorded chain. Where it cannot be written, the next call tries again. */
  settle(): void {
    const { storage, disk } = this.#parts
    const reached = this.#reached()
    if (reached <= this.height()) return
    try {
      storage.finalize(reached)
    } catch (error) {
      if (!(error instanceof AurexError)) throw error
      disk.failed(error)
      return
    }
    disk.worked()
    this.tell(reached)
  }

  /** Tells what the ledger was told. */
  tell(height: number): void {
    const hash = this.#parts.storage.headerAt(height)!.header.current_hash
    this.#parts.emit('chain:finalized', { index: height, hash })
  }

  /** The highest recorded block that is final; 0 where that is the genesis alone. */
  #reached(): number {
    const { storage, finality } = this.#parts
    if (this.atOnce) return storage.head().header.index
    const final = finality?.final()
    if (final === undefined) return 0
    return storage.headerAt(final.index)?.header.current_hash === final.hash ? final.index : 0
  }
}
