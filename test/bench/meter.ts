import type { Machine } from '../sim/host.ts'
import { World } from '../sim/runtime.ts'

const newline = 0x0a

/** A world that counts, while it is asked to, the bytes that arrive, by the type of their message. */
export class MeteredWorld extends World {
  #counts: Map<string, number> | undefined
  /** The type of the line of which only a part has arrived, for each direction of a connection. */
  readonly #begun = new Map<string, string>()

  /** Counts from now on, from nothing. */
  startMeter(): void {
    this.#counts = new Map()
  }

  /** What was counted. */
  stopMeter(): ReadonlyMap<string, number> {
    const counts = this.#counts ?? new Map<string, number>()
    this.#counts = undefined
    this.#begun.clear()
    return counts
  }

  override arrive(machine: Machine, what: string, bytes: Uint8Array | undefined, run: () => void): void {
    if (this.#counts !== undefined && bytes !== undefined) this.#count(this.#counts, what, bytes)
    super.arrive(machine, what, bytes, run)
  }

  #count(counts: Map<string, number>, line: string, bytes: Uint8Array): void {
    for (let start = 0; start < bytes.length;) {
      const end = bytes.indexOf(newline, start)
      const stop = end < 0 ? bytes.length : end + 1
      const type = this.#begun.get(line) ?? typeOf(bytes.subarray(start, stop))
      counts.set(type, (counts.get(type) ?? 0) + stop - start)
      if (end < 0) this.#begun.set(line, type)
      else this.#begun.delete(line)
      start = stop
    }
  }
}

const typeOf = (line: Uint8Array): string =>
  /^\{"type":"(\w+)"/.exec(Buffer.from(line.subarray(0, 64)).toString('latin1'))?.[1] ?? 'other'
