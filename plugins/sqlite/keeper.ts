import {
  AurexError,
  isHash,
  type MiningRange,
  type NodeId,
  type NodeRecord,
  type OwnedChanges,
  type RecordChange,
  type Records,
  type Report,
} from '../../core/index.ts'
import { OwnRecords } from './records.ts'
import { blob } from './rows.ts'
import { Writer } from './writer.ts'

const rangesMax = 10_000

/** What is written beside the chain: reports, records, nodes and nonce ranges. */
export class Keeper extends Writer {
  report(reports: readonly Report[], owner: string, changes: readonly RecordChange[]): void {
    if (reports.length + changes.length === 0) return
    this.write(`writing ${reports.length} reports and ${changes.length} records of ${owner}`, () => {
      for (const { index, hash, body } of reports) {
        if (!isHash(hash))
          throw unfit(this.location, `a report of ${owner} on block ${index}: hash: not one of a block`)
        this.run.tell.run('reported', index, blob(hash), this.text(body))
      }
      this.writeRecords([{ owner, changes }])
    })
  }

  forgetReports(sequence: number): void {
    this.writeLazily(`forgetting reports up to ${sequence}`, () => this.run.forgetReports.run(sequence))
  }

  records(owner: string): Records {
    return new OwnRecords({
      owner,
      run: this.run,
      read: (what, read) => this.read(what, read),
      write: (changes) => this.report([], owner, changes),
    })
  }

  saveNode(node: NodeRecord): void {
    const { node_id, host, port, node_type, status, last_seen } = node
    this.write(`saving node ${node_id}`, () => this.run.saveNode.run(node_id, host, port, node_type, status, last_seen))
  }

  dropNode(nodeId: NodeId): void {
    this.write(`dropping node ${nodeId}`, () => this.run.dropNode.run(nodeId))
  }

  openRange(range: MiningRange, now: number): number {
    return this.writeLazily('opening a nonce range', () => {
      const id = Number(this.run.openRange.run(range.worker, range.start, range.end, now).lastInsertRowid)
      this.run.dropRangesUpTo.run(id - rangesMax)
      return id
    })
  }

  closeRange(id: number, completed: boolean, solution: number | undefined): void {
    this.writeLazily(`closing nonce range ${id}`, () =>
      this.run.closeRange.run(completed ? 1 : 0, solution ?? null, id),
    )
  }

  // ---- shared with the chain ---------------------------------------------------------------------------------

  protected writeRecords(records: readonly OwnedChanges[]): void {
    for (const { owner, changes } of records) {
      for (const [key, value] of changes) {
        if (value === undefined) this.run.dropRecord.run(owner, key)
        else this.run.setRecord.run(owner, this.text(key), this.text(value))
      }
    }
  }

  /** SQLite would put something else in the place of a lone surrogate. */
  protected text(text: string): string {
    if (!text.isWellFormed()) throw unfit(this.location, `${JSON.stringify(text)}: expected Unicode text`)
    return text
  }
}

export const unfit = (location: string, what: string) => new AurexError('storage-failed', `${location}: ${what}`)
