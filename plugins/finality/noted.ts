import type { Address, FinalityDoor, JsonObject, SealedHeader } from '../../core/index.ts'

/** How far down from its head a ledger is searched for a certificate at the start. */
const searchedBlocksMax = 1_000

/**
 * Certificates of headers that were verified, to be looked at later: the highest of all, and the highest with this node's
 * own vote, which its record must know.
 */
export class Noted {
  readonly #address: Address
  #any: JsonObject | undefined
  #own: JsonObject | undefined

  constructor(address: Address) {
    this.#address = address
  }

  /** False where the header has none. */
  add({ finality }: SealedHeader): boolean {
    if (finality === undefined) return false
    this.#any = higher(finality, this.#any)
    if (Object.hasOwn(finality['signatures'] as JsonObject, this.#address)) this.#own = higher(finality, this.#own)
    return true
  }

  /** The blocks of a ledger may know more than the record, which is written after them. */
  search(door: Pick<FinalityDoor, 'head' | 'headerAt'>, final: number): void {
    const head = door.head().header.index
    const lowest = Math.max(final, head - searchedBlocksMax)
    for (let index = head; index > lowest; index--) {
      const header = door.headerAt(index)?.header
      if (header !== undefined && this.add(header)) return
    }
  }

  take(): readonly JsonObject[] {
    const taken = [this.#any, this.#own].filter((one) => one !== undefined)
    this.#any = this.#own = undefined
    return taken
  }
}

const higher = (certificate: JsonObject, before: JsonObject | undefined): JsonObject =>
  before === undefined || indexOf(certificate) >= indexOf(before) ? certificate : before

const indexOf = (certificate: JsonObject): number => Number(certificate['index'])
