import { decline, found, refuse, type Refusal, type Result } from '../errors.ts'
import type { Ancestry, Consensus, Finality, Storage } from '../plugin.ts'
import type { Clock } from '../runtime.ts'
import type { Ancestors } from './ancestry.ts'
import { readHeader, type Block, type ReadBlock } from './block.ts'
import type { Branches } from './branch.ts'
import type { Executor } from './executor.ts'
import type { Mempool } from './mempool.ts'
import { prepareBodies } from './preparation.ts'
import type { ChainRules } from './rules.ts'
import { checkNotAhead, checkProposal } from './succession.ts'
import type { Verifier } from './verifier.ts'

export interface ExaminationParts {
  readonly rules: ChainRules
  readonly storage: Pick<Storage, 'head'>
  readonly consensus: Consensus
  readonly finality?: Finality | undefined
  readonly ancestors: Ancestors
  readonly branches: Branches
  /** Where there is an application. */
  readonly executor: Executor | undefined
  readonly mempool: Mempool
  readonly verifier: Verifier
  readonly clock: Clock
}

/** As `ChainDoor.examine`: nothing of the block is kept. */
export async function examineProposal(parts: ExaminationParts, value: unknown): Promise<Result<Block>> {
  const { rules, consensus, clock } = parts
  const header = readHeader(value, rules)
  if (!header.ok) return header
  const { block } = header.value
  const ancestry = onHead(parts, block)
  if (ancestry === undefined) return stale(block)
  const proposal = checkProposal(block, ancestry, parts)
  if (!proposal.ok) return proposal
  const time = checkNotAhead(block, consensus, clock.now())
  if (!time.ok) return time
  const { reads, verdict } = await prepareBodies(parts, { headers: [header.value], verdict: { ok: true } })
  if (!verdict.ok) return verdict
  // Signatures take a while, and the head may have moved.
  return onHead(parts, block) === undefined ? stale(block) : examineBody(parts, reads[0]!)
}

function examineBody({ branches, executor }: ExaminationParts, read: ReadBlock): Result<Block> {
  const branch = branches.on(read.block.prev_hash)!
  const repeated = branches.repeatedTransaction(read, branch, new Set())
  if (repeated !== undefined) return refuse('duplicate-transaction', `${repeated} is recorded on this branch already`)
  const executed = executor?.run([{ read, totalWork: 0n }], branch).verdict
  return executed === undefined || executed.ok ? found(read.block) : executed
}

function onHead({ storage, ancestors }: ExaminationParts, { prev_hash }: Block): Ancestry | undefined {
  const { header } = storage.head()
  return header.current_hash === prev_hash ? ancestors.of(header) : undefined
}

const stale = ({ prev_hash }: Block): Refusal =>
  decline('stale-proposal', `prev_hash: ${prev_hash} is not the head of the chain that is recorded here`)
