import type { SealedHeader } from '../chain/block.ts'
import type { Address } from '../chain/keys.ts'
import type { Consensus } from '../plugin.ts'
import { blockKind, blockProof } from './blocks.ts'
import type { EvidenceBook } from './book.ts'

export { blockEvidence } from './blocks.ts'

/** Of one key. Who signs again what lies further back is overtaken by the depth limit of branches. */
const turnsPerKeyMax = 1_000
/** Of all keys: thirty with all their turns, or a thousand with thirty each. */
const bytesMax = 32 * 1024 * 1024
/** A header without what an engine or a finality adds to it. */
const plainHeaderBytes = 1_024
const keysMax = 1_000

export interface BlockWatchParts {
  readonly consensus: Pick<Consensus, 'turn'>
  readonly book: Pick<EvidenceBook, 'accuse'>
  /** Who may sign the next block on the head. */
  readonly authoritiesNow: () => readonly Address[]
  /** Headers of this height in the ledger, recorded or beside, in any order. */
  readonly headersAt: (height: number) => readonly SealedHeader[]
  /** The highest height of which the ledger held a header when this process began; it is not asked for any above. */
  readonly ledgerHeight: number
}

/** What one key signed lately, by turn, in the order in which it came. */
interface Signed {
  readonly turns: Map<string, SealedHeader>
  bytes: number
}

/** Remembers what each authority signed lately, and makes evidence of a second block for the same turn. */
export class BlockWatch {
  readonly #parts: BlockWatchParts
  readonly #signed = new Map<Address, Signed>()
  #bytes = 0

  constructor(parts: BlockWatchParts) {
    this.#parts = parts
  }

  /** A block that its engine found valid was taken, on the recorded chain or beside it. `address`: of the key that signed it. */
  saw(header: SealedHeader, address: Address): void {
    const turn = this.#parts.consensus.turn?.(header)
    if (turn === undefined || turn.length === 0) return
    const signed = this.#signed.get(address) ?? this.#begin(address)
    if (signed === undefined) return
    const key = turn.join()
    const before = signed.turns.get(key) ?? this.#inLedger(header, key, turn[0]!)
    if (!signed.turns.has(key)) this.#remember(signed, key, before ?? header)
    if (before === undefined || before.current_hash === header.current_hash) return
    this.#parts.book.accuse(blockKind, blockProof(before, header))
  }

  /** How many headers are remembered. */
  get size(): number {
    return [...this.#signed.values()].reduce((sum, { turns }) => sum + turns.size, 0)
  }

  /** A key that is no authority on the recorded chain counts nowhere: any number of them may sign on some branch. */
  #begin(address: Address): Signed | undefined {
    const authorities = this.#parts.authoritiesNow()
    if (!authorities.includes(address)) return undefined
    if (this.#signed.size >= keysMax) this.#forgetKey(authorities)
    const signed: Signed = { turns: new Map(), bytes: 0 }
    this.#signed.set(address, signed)
    return signed
  }

  /** What this process did not see itself: the ledger was written by the one before it. */
  #inLedger(header: SealedHeader, key: string, height: number): SealedHeader | undefined {
    const { ledgerHeight, headersAt, consensus } = this.#parts
    if (height > ledgerHeight) return undefined
    return headersAt(height).find(
      (one) =>
        one.miner_id === header.miner_id &&
        one.current_hash !== header.current_hash &&
        consensus.turn?.(one).join() === key,
    )
  }

  #remember(signed: Signed, key: string, header: SealedHeader): void {
    signed.turns.set(key, header)
    this.#add(signed, bytesOf(header))
    if (signed.turns.size > turnsPerKeyMax) this.#forgetOldest(signed)
    while (this.#bytes > bytesMax) this.#forgetOldest(this.#largest())
  }

  /** Whose headers take most gives way first, so that no key can have those of another forgotten. */
  #largest(): Signed {
    return [...this.#signed.values()].reduce((most, signed) => (signed.bytes > most.bytes ? signed : most))
  }

  #forgetOldest(signed: Signed): void {
    const [key, header] = signed.turns.entries().next().value!
    signed.turns.delete(key)
    this.#add(signed, -bytesOf(header))
  }

  /** One that is an authority no more, or else the one that was first. */
  #forgetKey(authorities: readonly Address[]): void {
    const keys = [...this.#signed.keys()]
    const address = keys.find((one) => !authorities.includes(one)) ?? keys[0]!
    this.#bytes -= this.#signed.get(address)!.bytes
    this.#signed.delete(address)
  }

  #add(signed: Signed, bytes: number): void {
    signed.bytes += bytes
    this.#bytes += bytes
  }
}

function bytesOf({ seal, finality, certificate }: SealedHeader): number {
  const added = [seal, finality, certificate].filter((value) => value !== undefined)
  return plainHeaderBytes + (added.length === 0 ? 0 : JSON.stringify(added).length)
}
