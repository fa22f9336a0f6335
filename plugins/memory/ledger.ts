import {
  AurexError,
  canonicalJson,
  exitCode,
  isHash,
  sealedHeaderOf,
  type Block,
  type Change,
  type Genesis,
  type Hash,
  type MiningRange,
  type NodeId,
  type NodeRecord,
  type OutboxEntry,
  type OwnedChanges,
  type PendingTransaction,
  type RecordedTransaction,
  type SealedHeader,
  type RecordChange,
  type Records,
  type Report,
  type StateEntry,
  type Storage,
  type StoredHeader,
} from '../../core/index.ts'
import { Outbox } from './outbox.ts'
import { planOf } from './plan.ts'
import { mustBeUnicode, OwnRecords } from './records.ts'
import { SideBlocks } from './side.ts'
import { orderedState, StateVersions } from './state.ts'

/** A block of the recorded chain. */
export interface Recorded {
  readonly block: Block
  readonly header: SealedHeader
  readonly hashes: readonly Hash[]
  readonly receivedAt: readonly number[]
  readonly totalWork: bigint
  /** What it changed of the application's state, in the order of keys. */
  readonly state: readonly StateEntry[]
}

/** The ledger in maps. Keeps the objects that it is given: they are never changed by anybody. */
export class MemoryLedger implements Storage {
  readonly location: string = 'memory'
  #genesis: string | undefined
  /** By height. */
  readonly #chain: Recorded[] = []
  readonly #heights = new Map<Hash, number>()
  readonly #places = new Map<Hash, { readonly blockIndex: number; readonly position: number }>()
  readonly #side = new SideBlocks()
  readonly #pending = new Map<Hash, PendingTransaction>()
  readonly #nodes = new Map<NodeId, NodeRecord>()
  readonly #state = new StateVersions()
  readonly #outbox = new Outbox()
  readonly #records = new Map<string, OwnRecords>()
  #rangeId = 0
  #final = 0

  begin(genesis: Genesis, block: Block, _now: number, opening: readonly StateEntry[] = []): void {
    if (this.#genesis === genesis.text) return
    if (this.#genesis !== undefined) {
      throw new AurexError(
        'wrong-genesis',
        `memory: this ledger was made for chain ${this.head().header.chain_id}, got the genesis of chain ` +
          `${genesis.rules.chainId} (${genesis.name})`,
        { exit: exitCode.config },
      )
    }
    const state = orderedState(
      opening.filter(({ value }) => value !== undefined),
      'opening',
    )
    this.#genesis = genesis.text
    this.#add({ block, header: sealedHeaderOf(block), hashes: [], receivedAt: [], totalWork: 0n, state })
  }

  genesis(): string | undefined {
    return this.#genesis
  }

  head(): StoredHeader {
    const head = this.#chain.at(-1)
    if (head === undefined) throw new AurexError('storage-failed', 'memory: the ledger is empty: begin() comes first')
    return storedOf(head)
  }

  headerAt(index: number): StoredHeader | undefined {
    const recorded = this.#chain[index]
    return recorded === undefined ? undefined : storedOf(recorded)
  }

  header(hash: Hash): StoredHeader | undefined {
    const height = this.#heights.get(hash)
    if (height !== undefined) return this.headerAt(height)
    const side = this.#side.get(hash)
    if (side === undefined) return undefined
    return { header: sealedHeaderOf(side.block), totalWork: side.totalWork, recorded: false }
  }

  block(hash: Hash): Block | undefined {
    const height = this.#heights.get(hash)
    return height === undefined ? this.#side.get(hash)?.block : this.#chain[height]?.block
  }

  transaction(hash: Hash): RecordedTransaction | undefined {
    const place = this.#places.get(hash)
    return place === undefined ? undefined : this.transactionsAt(place.blockIndex)[place.position]
  }

  locate(hash: Hash): { readonly blockIndex: number; readonly position: number } | undefined {
    return this.#places.get(hash)
  }

  transactionsAt(index: number): readonly RecordedTransaction[] {
    const recorded = this.#chain[index]
    if (recorded === undefined) return []
    return recorded.block.transactions.map((transaction, position) => ({
      hash: recorded.hashes[position]!,
      transaction,
      receivedAt: recorded.receivedAt[position]!,
      blockIndex: index,
      blockHash: recorded.header.current_hash,
      position,
    }))
  }

  /** Memory has no structure that could be found wrong. */
  integrity(): undefined {
    return undefined
  }

  commit(change: Change): void {
    this.head()
    // Everything is checked before anything is changed: that is what makes it whole or not at all.
    const arriving = planOf(change, this.#chain, this.#places, this.#final)
    for (let left = change.undone.length; left > 0; left--) this.#undo()
    this.keepPending(change.returned)
    for (const recorded of arriving) {
      this.#add(recorded)
      this.#tell('applied', recorded.block)
    }
    this.#writeRecords(change.records ?? [])
    if (change.final !== undefined) this.#finalize(change.final)
  }

  keepSide(
    block: Block,
    totalWork: bigint,
    state?: readonly StateEntry[],
    records: readonly OwnedChanges[] = [],
  ): void {
    const changes = orderedState(state, `side block ${block.current_hash}`)
    for (const each of records) mustBeUnicode(each.changes, `a record of ${each.owner}`)
    if (!this.#heights.has(block.current_hash)) this.#side.keep(block, totalWork, changes)
    this.#writeRecords(records)
  }

  sideTips(): readonly StoredHeader[] {
    return this.#side.tips()
  }

  finalize(height: number): void {
    this.#finalize(height)
  }

  finalHeight(): number {
    return this.#final
  }

  pruneSide(belowIndex: number, blocksMax: number, bytesMax: number, keep: readonly Hash[] = []): void {
    this.#side.prune(belowIndex, blocksMax, bytesMax, keep)
  }

  keepPending(transactions: readonly PendingTransaction[]): void {
    // As a database would: all of it must have a JSON form before any is kept.
    for (const { transaction } of transactions) canonicalJson(transaction)
    for (const each of transactions) {
      // A transaction is recorded or pending, never both.
      if (!this.#pending.has(each.hash) && !this.#places.has(each.hash)) this.#pending.set(each.hash, each)
    }
  }

  dropPending(hashes: readonly Hash[]): void {
    for (const hash of hashes) this.#pending.delete(hash)
  }

  pending(): Iterable<PendingTransaction> {
    return this.#pending.values()
  }

  stateAt(key: string, height: number): string | undefined {
    return this.#state.at(key, height)
  }

  stateChanges(hash: Hash): readonly StateEntry[] {
    const height = this.#heights.get(hash)
    return (height === undefined ? this.#side.get(hash)?.state : this.#chain[height]?.state) ?? []
  }

  outbox(after: number, max: number): readonly OutboxEntry[] {
    return this.#outbox.after(after, max)
  }

  appliedAt(height: number, sequence: number): OutboxEntry | undefined {
    return this.#outbox.appliedAt(height, sequence)
  }

  outboxEnd(): number {
    return this.#outbox.end
  }

  report(reports: readonly Report[], owner: string, changes: readonly RecordChange[]): void {
    for (const { index, hash, body } of reports) {
      if (Number.isSafeInteger(index) && isHash(hash) && body.isWellFormed()) continue
      throw new AurexError(
        'storage-failed',
        `memory: a report of ${owner}: expected a height, the hash of a block and Unicode text, got ${index}, ${hash}`,
      )
    }
    mustBeUnicode(changes, `a record of ${owner}`)
    for (const { index, hash, body } of reports) this.#outbox.add({ kind: 'reported', index, hash, body })
    this.#recordsOf(owner).write(changes)
  }

  forgetReports(sequence: number): void {
    this.#outbox.forgetReports(sequence)
  }

  records(owner: string): Records {
    return {
      get: (key) => this.#recordsOf(owner).get(key),
      write: (changes) => this.report([], owner, changes),
      list: (prefix, after, max) => this.#recordsOf(owner).list(prefix, after, max),
      count: (prefix) => this.#recordsOf(owner).count(prefix),
    }
  }

  saveNode(node: NodeRecord): void {
    this.#nodes.set(node.node_id, node)
  }

  dropNode(nodeId: NodeId): void {
    this.#nodes.delete(nodeId)
  }

  nodes(): readonly NodeRecord[] {
    return [...this.#nodes.values()]
  }

  /** Only numbered: nothing asks for a range again, and a person cannot look into memory. */
  openRange(_range: MiningRange, _now: number): number {
    this.#rangeId += 1
    return this.#rangeId
  }

  closeRange(_id: number, _completed: boolean, _solution: number | undefined): void {}

  counts(): { readonly transactions: number; readonly sideBlocks: number } {
    return { transactions: this.#places.size, sideBlocks: this.#side.size }
  }

  #add(recorded: Recorded): void {
    const { block, hashes } = recorded
    this.#side.drop(block.current_hash)
    this.#heights.set(block.current_hash, block.index)
    this.#chain.push(recorded)
    this.#state.add(block.index, recorded.state)
    for (const [position, hash] of hashes.entries()) {
      this.#places.set(hash, { blockIndex: block.index, position })
      this.#pending.delete(hash)
    }
  }

  #undo(): void {
    const last = this.#chain.pop()
    if (last === undefined) return
    this.#heights.delete(last.block.current_hash)
    for (const hash of last.hashes) this.#places.delete(hash)
    this.#state.undo(last.state)
    this.#side.keep(last.block, last.totalWork, last.state)
    this.#tell('undone', last.block)
  }

  #finalize(height: number): void {
    const block = this.#chain[height]?.block
    if (height <= this.#final || block === undefined) return
    this.#final = height
    this.#tell('final', block)
  }

  #tell(kind: 'applied' | 'undone' | 'final', { index, current_hash }: Block): void {
    this.#outbox.add({ kind, index, hash: current_hash, body: undefined })
  }

  #writeRecords(records: readonly OwnedChanges[]): void {
    for (const { owner, changes } of records) this.#recordsOf(owner).write(changes)
  }

  #recordsOf(owner: string): OwnRecords {
    const records = this.#records.get(owner) ?? new OwnRecords()
    this.#records.set(owner, records)
    return records
  }
}

const storedOf = ({ header, totalWork }: Recorded): StoredHeader => ({ header, totalWork, recorded: true })
