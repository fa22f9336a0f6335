import type { StateEntry, StateView } from '../../core/index.ts'

/** What one transaction changes, on top of what was true before it. */
export class Draft implements StateView {
  readonly #before: StateView
  readonly #written = new Map<string, string>()

  constructor(before: StateView) {
    this.#before = before
  }

  get(key: string): string | undefined {
    return this.#written.get(key) ?? this.#before.get(key)
  }

  set(key: string, value: string): void {
    this.#written.set(key, value)
  }

  /** Each key once, and only what is not as it was. */
  changes(): readonly StateEntry[] {
    const changed = [...this.#written].filter(([key, value]) => this.#before.get(key) !== value)
    return changed.map(([key, value]) => ({ key, value }))
  }
}
