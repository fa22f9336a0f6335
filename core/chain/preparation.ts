import { accepted, refuse, type Verdict } from '../errors.ts'
import { badBlockSignature, readBody, type Block, type ReadBlock, type ReadHeader } from './block.ts'
import type { Hash } from './canonical.ts'
import type { Mempool } from './mempool.ts'
import type { ChainRules } from './rules.ts'
import { badSignature, type ReadTransaction } from './transaction.ts'
import type { Verifier } from './verifier.ts'

/** Blocks of which everything was checked that does not depend on what they stand on. */
export class PreparedBranch {
  /** Oldest first, as they came. */
  readonly reads: readonly ReadBlock[]
  /** Of the first that was left out with those behind it; accepted when none was. */
  readonly verdict: Verdict
  /** Its hash, where that is known to be its own. */
  readonly refused: Hash | undefined

  constructor(reads: readonly ReadBlock[], verdict: Verdict = accepted, refused?: Hash) {
    this.reads = reads
    this.verdict = verdict
    this.refused = refused
  }
}

/** Headers that were read, oldest first, and why there are not more. */
export interface ReadHeaders {
  readonly headers: readonly ReadHeader<Block>[]
  readonly verdict: Verdict
  readonly refused?: Hash | undefined
}

interface Parts {
  readonly rules: ChainRules
  readonly mempool: Mempool
  readonly verifier: Verifier
}

/**
 * Checks that are asked for ahead of those that are done: enough for all cores while the next body is read, and no more,
 * so that others' checks get their turn and nothing is checked in vain behind a block that is bad.
 */
const checksAheadMax = 1_024

/**
 * Reads bodies and checks their signatures and those of the headers, of many blocks at once, up to the first block that
 * does not hold. Refusals: those of `readBody` and `bad-signature`. `reads`: as in `readBody`, of a block made here.
 */
export async function prepareBodies(
  parts: Parts,
  row: ReadHeaders,
  reads?: readonly ReadTransaction[],
): Promise<PreparedBranch> {
  const blocks: ReadBlock[] = []
  const verdicts: Promise<Verdict>[] = []
  let { verdict: rest, refused } = row
  let done = 0
  let ahead = 0
  for (const header of row.headers) {
    while (ahead > checksAheadMax) {
      const verdict = await verdicts[done]!
      if (!verdict.ok) return upTo(blocks, done, verdict)
      ahead -= blocks[done++]!.transactions.length + 1
    }
    const read = readBody(header, parts.rules, reads)
    if (!read.ok) {
      rest = read
      refused = header.block.current_hash
      break
    }
    blocks.push(read.value)
    verdicts.push(checkSignatures(parts, read.value))
    ahead += read.value.transactions.length + 1
  }
  for (; done < blocks.length; done++) {
    const verdict = await verdicts[done]!
    if (!verdict.ok) return upTo(blocks, done, verdict)
  }
  return new PreparedBranch(blocks, rest, refused)
}

const upTo = (blocks: readonly ReadBlock[], bad: number, verdict: Verdict): PreparedBranch =>
  new PreparedBranch(blocks.slice(0, bad), verdict, blocks[bad]!.block.current_hash)

async function checkSignatures({ mempool, verifier }: Parts, read: ReadBlock): Promise<Verdict> {
  // The id does not cover the signature, so only the very same one, by the same key, counts as seen.
  const unseen = read.transactions.filter((one) => {
    const pooled = mempool.get(one.hash)?.read
    return pooled?.transaction.signature !== one.transaction.signature || pooled.signer.address !== one.signer.address
  })
  const bad = await verifier.firstBad([read, ...unseen])
  if (bad < 0) return accepted
  if (bad === 0) return badBlockSignature
  return refuse('bad-signature', `transaction ${unseen[bad - 1]!.hash} of the block: ${badSignature.detail}`)
}
