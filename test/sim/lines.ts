import type { Dice } from './dice.ts'
import type { FaultKind, Tally, Weather } from './faults.ts'

const newline = 0x0a
/** How long a line is held back to be overtaken by the next, if none comes. */
export const heldMillisecondsMax = 300

export interface LineFaultsParts {
  readonly weather: () => Weather
  readonly dice: Dice
  readonly tally: Tally<FaultKind>
}

/**
 * What becomes of the lines of one direction of a connection. TCP loses, repeats and swaps nothing, so this is harsher
 * than any network: a node that stands it stands a peer that forgets, stammers and mixes up, too.
 */
export class LineFaults {
  readonly #parts: LineFaultsParts
  /** The start of a line whose end was not written yet. */
  #begun: Uint8Array = new Uint8Array(0)
  #held: Uint8Array | undefined

  constructor(parts: LineFaultsParts) {
    this.#parts = parts
  }

  get holds(): boolean {
    return this.#held !== undefined
  }

  /** What is sent of these bytes now, in order. */
  pass(bytes: Uint8Array): Uint8Array[] {
    const { loss, duplicate, reorder } = this.#parts.weather()
    if (loss + duplicate + reorder === 0 && this.#begun.length === 0 && this.#held === undefined) return [bytes]
    const sent: Uint8Array[] = []
    for (const line of this.#lines(bytes)) this.#befall(line, sent)
    return sent
  }

  /** A line that nothing overtook. */
  release(): Uint8Array[] {
    const held = this.#held
    this.#held = undefined
    return held === undefined ? [] : [held]
  }

  /** Everything that is left: the stream ends. */
  rest(): Uint8Array[] {
    const rest = [...this.release(), ...(this.#begun.length > 0 ? [this.#begun] : [])]
    this.#begun = new Uint8Array(0)
    return rest
  }

  #lines(bytes: Uint8Array): Uint8Array[] {
    const all = this.#begun.length === 0 ? bytes : Buffer.concat([this.#begun, bytes])
    const lines: Uint8Array[] = []
    let start = 0
    for (let end = all.indexOf(newline); end >= 0; end = all.indexOf(newline, start)) {
      lines.push(all.subarray(start, end + 1))
      start = end + 1
    }
    this.#begun = all.slice(start)
    return lines
  }

  #befall(line: Uint8Array, sent: Uint8Array[]): void {
    const { dice, tally, weather } = this.#parts
    const { loss, duplicate, reorder } = weather()
    if (dice.chance(loss)) return tally.add('loss')
    if (this.#held === undefined && dice.chance(reorder)) {
      this.#held = line
      return
    }
    sent.push(line)
    if (dice.chance(duplicate)) {
      tally.add('duplicate')
      sent.push(line)
    }
    if (this.#held === undefined) return
    tally.add('reorder')
    sent.push(...this.release())
  }
}
