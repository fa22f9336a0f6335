import type { Block } from '../../../core/chain/block.ts'
import { sha256Hex, type Hash } from '../../../core/chain/canonical.ts'
import { developmentGenesis } from '../../../core/chain/genesis.ts'
import { isObject, type JsonObject } from '../../../core/chain/json.ts'
import { accepted, decline, found, refuse, type Result, type Verdict } from '../../../core/errors.ts'
import { PreparedBranch } from '../../../core/chain/preparation.ts'
import type { BranchResult } from '../../../core/chain/recorder.ts'
import type { Transaction } from '../../../core/chain/transaction.ts'
import type { NetworkChain } from '../../../core/network/module.ts'
import type { Admission, Due, StoredHeader, TransactionStatus } from '../../../core/plugin.ts'

/** A chain that answers what its caller asks for in `data`: `refuse`, `decline`, `throw`, `hold`. */
export class FakeChain implements NetworkChain {
  readonly genesis = developmentGenesis('pow', {})
  readonly blocks: Block[] = [this.genesis.block]
  readonly submitted: JsonObject[] = []
  readonly blocksFrom: (string | undefined)[] = []
  readonly statuses = new Map<Hash, TransactionStatus>()
  readonly held: (() => void)[] = []

  /** Adds a block with about so many bytes of content. */
  grow(bytes = 0): void {
    const index = this.blocks.length
    const transactions = [{ sender: 'alice', data: { text: 'x'.repeat(bytes) }, signature: '' }]
    this.blocks.push({ ...this.genesis.block, index, current_hash: sha256Hex(`block ${index}`), transactions })
  }

  head(): StoredHeader {
    return this.headerAt(this.blocks.length - 1)!
  }

  headerAt(index: number): StoredHeader | undefined {
    const block = this.blocks[index]
    return block && { header: block, totalWork: BigInt(index), recorded: true }
  }

  block(hash: Hash): Block | undefined {
    return this.blocks.find(({ current_hash }) => current_hash === hash)
  }

  transaction(): undefined {}

  header(hash: Hash): StoredHeader | undefined {
    const block = this.block(hash)
    return block && this.headerAt(block.index)
  }

  pending(): Transaction | undefined {
    return undefined
  }

  pendingHashes(): Hash[] {
    return []
  }

  pendingByPrefix(): undefined {}

  pendingSince(): undefined {}

  pendingOlderThan(): Hash[] {
    return []
  }

  watch(): void {}

  wanted(): void {}

  /** What can no longer be undone. */
  final = 0

  finalHeight(): number {
    return this.final
  }

  storageFailure(): undefined {}

  forget(): void {}

  trail(): undefined {}

  prepareBranch(values: readonly unknown[]): Promise<PreparedBranch> {
    const block = (value: unknown) => ({ block: value }) as PreparedBranch['reads'][number]
    return Promise.resolve(new PreparedBranch(values.map(block)))
  }

  async submitBranch(branch: readonly unknown[] | PreparedBranch, from?: string): Promise<BranchResult> {
    const values = branch instanceof PreparedBranch ? branch.reads.map(({ block }) => block) : branch
    for (const [taken, value] of values.entries()) {
      const verdict = await this.submitBlock(value, from)
      if (!verdict.ok) return { verdict, taken }
    }
    return { verdict: accepted, taken: values.length }
  }

  status(hash: Hash): TransactionStatus {
    return this.statuses.get(hash) ?? { status: 'unknown' }
  }

  pendingCount(): number {
    return this.submitted.length
  }

  /** What `due` says that this node waits for; undefined: it mines at once. */
  waitsFor: string | undefined

  due(): Due {
    return this.waitsFor === undefined ? { when: 0 } : { waitsFor: this.waitsFor }
  }

  async submitTransaction(value: unknown): Promise<Result<Admission>> {
    const { data, ...rest } = value as JsonObject
    this.submitted.push({ data: data ?? null, ...rest })
    const asked = isObject(data) ? data : {}
    if (asked['hold'] === true) await new Promise<void>((go) => this.held.push(go))
    if (typeof asked['refuse'] === 'string') return refuse(asked['refuse'], 'refused as asked')
    if (typeof asked['decline'] === 'string') return decline(asked['decline'], 'declined as asked')
    if (asked['throw'] === true) throw new Error('thrown as asked')
    const hash = sha256Hex(JSON.stringify(asked))
    const { status } = this.status(hash)
    // Nothing here looks at what was read of the transaction.
    const recorded = status === 'included' || status === 'final'
    const known = recorded ? 'included' : status === 'pending' ? status : 'admitted'
    return found({ hash, read: {} as Admission['read'], status: known })
  }

  async submitBlock(value: unknown, from?: string): Promise<Verdict> {
    this.blocksFrom.push(from)
    const asked = value as JsonObject
    if (typeof asked['refuse'] === 'string') return refuse(asked['refuse'], 'refused as asked')
    if (typeof asked['decline'] === 'string') return decline(asked['decline'], 'declined as asked')
    return accepted
  }
}
