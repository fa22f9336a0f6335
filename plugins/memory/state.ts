import { AurexError, canonicalJson, type StateEntry } from '../../core/index.ts'

interface Version {
  readonly height: number
  readonly value: string | undefined
}

/** Every version of every key of the application's state, as far as the recorded chain goes. */
export class StateVersions {
  /** Lowest first. */
  readonly #versions = new Map<string, Version[]>()

  at(key: string, height: number): string | undefined {
    const versions = this.#versions.get(key) ?? []
    let low = 0
    let high = versions.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (versions[middle]!.height <= height) low = middle + 1
      else high = middle
    }
    return versions[low - 1]?.value
  }

  add(height: number, entries: readonly StateEntry[]): void {
    for (const { key, value } of entries) {
      const versions = this.#versions.get(key)
      if (versions === undefined) this.#versions.set(key, [{ height, value }])
      else versions.push({ height, value })
    }
  }

  /** Takes back what the last block added. */
  undo(entries: readonly StateEntry[]): void {
    for (const { key } of entries) {
      const versions = this.#versions.get(key)
      versions?.pop()
      if (versions?.length === 0) this.#versions.delete(key)
    }
  }
}

/** Changes in the order of their keys. Throws `storage-failed` where a key stands twice or a text is no Unicode. */
export function orderedState(entries: readonly StateEntry[] | undefined, whose: string): readonly StateEntry[] {
  if (entries === undefined || entries.length === 0) return []
  // As a database would: a lone surrogate cannot be kept.
  canonicalJson(entries.map(({ key, value }) => [key, value ?? null]))
  const ordered = entries.map(({ key, value }) => ({ key, value })).sort(byKey)
  const twice = ordered.find(({ key }, place) => ordered[place + 1]?.key === key)
  if (twice !== undefined) throw new AurexError('storage-failed', `memory: ${whose}: two changes of ${twice.key}`)
  return ordered
}

const byKey = (a: StateEntry, b: StateEntry): number => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)
