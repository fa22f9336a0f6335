import { accepted, refuse, type Verdict } from '../errors.ts'
import type { Storage, StoredHeader } from '../plugin.ts'
import { readHeader, type Block, type ReadHeader } from './block.ts'
import type { Branches } from './branch.ts'
import type { DepthLimit } from './depth.ts'
import type { Mempool } from './mempool.ts'
import type { Orphans } from './orphans.ts'
import { prepareBodies, type PreparedBranch, type ReadHeaders } from './preparation.ts'
import type { ChainRules } from './rules.ts'
import type { Trail } from './trail.ts'
import type { ReadTransaction } from './transaction.ts'
import type { Verifier } from './verifier.ts'

interface Parts {
  readonly rules: ChainRules
  readonly storage: Pick<Storage, 'header'>
  readonly branches: Branches
  readonly depth: DepthLimit
  readonly orphans: Orphans
  readonly mempool: Mempool
  readonly verifier: Verifier
  /** An empty trail on a block of the ledger. */
  readonly trail: (base: StoredHeader) => Trail
}

export interface Examined {
  /** How many at the front are in the ledger already; they are passed over. */
  readonly known: number
  readonly prepared: PreparedBranch
}

/** The way of blocks to the recorder: everything about them that is slow, and what is cheap before it. */
export class Intake {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** What stands on nothing, or breaks the rules, gets no signature looked at. */
  async examine(values: readonly unknown[], from: string, reads?: readonly ReadTransaction[]): Promise<Examined> {
    const { headers, verdict } = this.#readHeaders(values)
    const unknown = headers.findIndex(({ block }) => this.#parts.storage.header(block.current_hash) === undefined)
    const known = unknown < 0 ? headers.length : unknown
    const row = this.#checkHeaders({ headers: headers.slice(known), verdict }, from)
    return { known, prepared: await prepareBodies(this.#parts, row, reads) }
  }

  /** All that does not depend on what they stand on. */
  prepare(values: readonly unknown[]): Promise<PreparedBranch> {
    return prepareBodies(this.#parts, this.#readHeaders(values))
  }

  /** Up to the first that cannot be read. */
  #readHeaders(values: readonly unknown[]): ReadHeaders {
    const headers: ReadHeader<Block>[] = []
    for (const value of values) {
      const read = readHeader(value, this.#parts.rules)
      if (!read.ok) return { headers, verdict: read }
      headers.push(read.value)
    }
    return { headers, verdict: accepted }
  }

  /** Up to the first that does not keep the rules on top of those below it. */
  #checkHeaders(row: ReadHeaders, from: string): ReadHeaders {
    const { headers } = row
    const [first] = headers
    if (first === undefined) return row
    const upTo = (end: number, verdict: Verdict): ReadHeaders => {
      return { headers: headers.slice(0, end), verdict, refused: headers[end]!.block.current_hash }
    }
    const branch = this.#parts.branches.on(first.block.prev_hash)
    if (branch === undefined) return upTo(0, this.#keepOrphan(first, from))
    const trail = this.#parts.trail(branch.parent)
    let checked = row
    for (const [i, { block }] of headers.entries()) {
      const rules = trail.add(block)
      if (rules.ok) continue
      checked = upTo(i, rules)
      break
    }
    if (checked.headers.length === 0) return checked
    const lowest = branch.side[0]?.header ?? first.block
    const depth = this.#parts.depth.check({ first: lowest, fork: branch.fork, candidate: trail.candidate })
    return depth.ok ? checked : upTo(0, depth)
  }

  #keepOrphan({ block }: ReadHeader<Block>, from: string): Verdict {
    // Its transactions are not read yet, so its size is not known better than this.
    const bytes = Buffer.byteLength(JSON.stringify(block))
    const { blockTransactionsMax, blockBytesMax } = this.#parts.rules.limits
    if (block.transactions.length > blockTransactionsMax || bytes > 2 * blockBytesMax) {
      return refuse('too-large', `${block.transactions.length} transactions, ${bytes} bytes`)
    }
    return this.#parts.orphans.keep(block, bytes, from)
  }
}
