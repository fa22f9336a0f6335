import { accepted, type Verdict } from '../../errors.ts'
import type { Connection } from '../../plugin.ts'

/**
 * Blocks of one connection are taken one after the other: the second often stands on the first. After one that no honest
 * program sends, those behind it are not looked at, since the connection is about to end.
 */
export class BlockTurns {
  readonly #last = new WeakMap<Connection, Promise<Verdict>>()

  take(connection: Connection, submit: () => Promise<Verdict>): Promise<Verdict> {
    const before = this.#last.get(connection)
    const next = before === undefined ? submit() : this.#after(before, submit)
    this.#last.set(connection, next)
    return next
  }

  async #after(before: Promise<Verdict>, submit: () => Promise<Verdict>): Promise<Verdict> {
    // Ours was the fault where it failed, and that is told in its own place.
    const verdict = await before.catch(() => accepted)
    return verdict.ok || !verdict.provable ? await submit() : verdict
  }
}
