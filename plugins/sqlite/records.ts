import type { RecordChange, Records } from '../../core/index.ts'
import type { Statements } from './statements.ts'

interface Parts {
  readonly owner: string
  readonly run: Statements
  /** Throws what reading this throws, as the ledger says it. */
  readonly read: <T>(what: string, read: () => T) => T
  readonly write: (changes: readonly RecordChange[]) => void
}

/** The rows of one owner. The file orders text by its UTF-8 bytes. */
export class OwnRecords implements Records {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  get(key: string): string | undefined {
    const { owner, run, read } = this.#parts
    return read(`record ${key} of ${owner}`, () => run.record.get(owner, key)?.value)
  }

  write(changes: readonly RecordChange[]): void {
    this.#parts.write(changes)
  }

  list(prefix: string, after: string | undefined, max: number): readonly (readonly [key: string, value: string])[] {
    const { owner, run, read } = this.#parts
    const end = endOf(prefix)
    const most = Math.max(0, max)
    const rows = read(`records ${prefix} of ${owner}`, () =>
      after !== undefined && Buffer.compare(Buffer.from(after), Buffer.from(prefix)) >= 0
        ? run.recordsAfter.all(owner, after, end, most)
        : run.recordsFrom.all(owner, prefix, end, most),
    )
    return rows.map(({ key, value }) => [key, value] as const)
  }

  count(prefix: string): number {
    const { owner, run, read } = this.#parts
    return read(`records ${prefix} of ${owner}`, () => run.countRecords.get(owner, prefix, endOf(prefix))?.count ?? 0)
  }
}

/** Comes after each text with this prefix, and before each other one that comes after it. */
const endOf = (prefix: string): Buffer => Buffer.concat([Buffer.from(prefix), Buffer.of(0xff)])
