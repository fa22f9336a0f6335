import type { Hash } from '../chain/canonical.ts'
import type { KeyPair } from '../chain/keys.ts'
import { signTransaction, transactionHash, type Transaction } from '../chain/transaction.ts'
import { AurexError, exitCode, type ExitCode, type Refusal } from '../errors.ts'
import type { TransactionStatus } from '../plugin.ts'
import type { Io } from './command.ts'
import { Permits } from '../permits.ts'
import { Repetitions } from './repetitions.ts'
import type { Row, Rows } from './rows.ts'
import type { Session } from './session.ts'
import { isIncluded, Submitter, type Outcome } from './submission.ts'
import { paint, printable, Progress } from './terminal.ts'

export interface ImportOptions {
  readonly key: KeyPair
  /** Lines that are being submitted at once. */
  readonly inFlightMax: number
  /** Ends only when every line is in a block. */
  readonly wait: boolean
  readonly json: boolean
}

/** With `wait`: lines that were taken and are not yet seen in a block. About twice what a node keeps of one sender. */
const unconfirmedMax = 2_000
/** So many of them are asked about at once, oldest first: blocks take them in about that order. */
const confirmingMax = 16

/**
 * Submits every row of a file, many at a time, and prints what became of them. Returns the exit code: 0 when every line
 * is in, 1 when some were refused, 75 when it was interrupted. Whatever else ends it is thrown after the summary.
 */
export async function importRows(session: Session, rows: Rows, options: ImportOptions, io: Io): Promise<ExitCode> {
  const work = new Import(session, rows, options, io)
  await work.run()
  return work.summarise()
}

class Import {
  readonly #session: Session
  readonly #rows: Rows
  readonly #options: ImportOptions
  readonly #io: Io
  readonly #submitter: Submitter
  readonly #progress: Progress
  readonly #repetitions = new Repetitions()
  readonly #unconfirmed = new Permits(unconfirmedMax)
  readonly #confirming = new Permits(confirmingMax)
  readonly #tasks = new Set<Promise<void>>()
  readonly #startedAt: number
  #fault: unknown
  #admitted = 0
  #known = 0
  #refused = 0
  #waiting = 0
  #toldOfRoom = false

  constructor(session: Session, rows: Rows, options: ImportOptions, io: Io) {
    this.#session = session
    this.#rows = rows
    this.#options = options
    this.#io = io
    this.#progress = new Progress(io)
    this.#startedAt = io.runtime.clock.monotonic()
    this.#submitter = new Submitter(session, io, (refusal) => this.#full(refusal))
  }

  async run(): Promise<void> {
    const lines = new Permits(this.#options.inFlightMax)
    try {
      for await (const row of this.#rows) {
        await lines.take()
        if (this.#options.wait) await this.#unconfirmed.take()
        await this.#io.drained?.()
        if (this.#io.signal.aborted || this.#fault !== undefined) break
        this.#start(row, lines)
      }
    } catch (error) {
      this.#fault ??= error
    }
    await Promise.all(this.#tasks)
  }

  summarise(): ExitCode {
    this.#progress.clear()
    const { json } = this.#options
    const fault = this.#fault
    const stopped = this.#io.signal.aborted ? 'interrupted' : fault instanceof AurexError ? fault.code : undefined
    this.#io.out(json ? this.#summaryJson(stopped) : this.#summaryText(stopped))
    if (this.#io.signal.aborted) return exitCode.tryAgain
    if (fault !== undefined) throw fault
    return this.#refused > 0 ? exitCode.failure : exitCode.ok
  }

  #start(row: Row, lines: Permits): void {
    const { key, wait } = this.#options
    const [transaction, hash] = this.#sign(key, row)
    const submitted = this.#submit(row, transaction, hash).finally(() => lines.give())
    const task = submitted
      .then((outcome) => (wait && mayBeAwaited(outcome) ? this.#confirm(row, transaction, hash, outcome) : undefined))
      .catch((error: unknown) => void (this.#fault ??= error))
      .finally(() => {
        if (wait) this.#unconfirmed.give()
        this.#tasks.delete(task)
      })
    this.#tasks.add(task)
  }

  /**
   * Equal lines would be one transaction, since its id is made of what it says. The n-th repetition therefore has the
   * nonce n, the first of them none; so each line of a file is recorded, and the same file again gives the same ids
   * and adds nothing. Equal means equal in canonical JSON: the order of an object's names does not tell two apart.
   */
  #sign(key: KeyPair, { data }: Row): [Transaction, Hash] {
    const { chain_id } = this.#session.chain
    const plain = transactionHash({ sender: key.address, data }, chain_id)
    const before = this.#repetitions.count(plain)
    if (before === 0) return [signTransaction(key, chain_id, data), plain]
    const transaction = signTransaction(key, chain_id, data, before)
    return [transaction, transactionHash(transaction, chain_id)]
  }

  async #submit(row: Row, transaction: Transaction, hash: Hash): Promise<Outcome> {
    const outcome = await this.#submitter.submit(transaction, hash, true)
    switch (outcome.outcome) {
      case 'admitted':
        this.#admitted++
        break
      case 'known':
        this.#known++
        this.#tellKnown(row.line, hash, outcome.before)
        break
      case 'refused':
        this.#refused++
        this.#tellRefused(row.line, hash, outcome.refusal)
    }
    this.#draw()
    return outcome
  }

  async #confirm(row: Row, transaction: Transaction, hash: Hash, { outcome }: Outcome): Promise<void> {
    this.#waiting++
    await this.#confirming.take()
    try {
      const included = await this.#submitter.included(transaction, hash)
      if (!included.ok) {
        // It was taken, and then something else that was recorded ruled it out.
        if (outcome === 'admitted') this.#admitted--
        else this.#known--
        this.#refused++
        this.#tellRefused(row.line, hash, included)
      }
    } finally {
      this.#confirming.give()
      this.#waiting--
      this.#draw()
    }
  }

  #tellKnown(line: number, hash: Hash, before: TransactionStatus): void {
    this.#progress.clear()
    const index = isIncluded(before) ? before.blockIndex : undefined
    if (this.#options.json) {
      const where = index === undefined ? {} : { block_index: index }
      this.#io.out(`${JSON.stringify({ line, tx_hash: hash, status: before.status, ...where })}\n`)
    } else {
      const where = index === undefined ? 'already waiting for a block' : `already in block ${index}`
      this.#io.out(`line ${line}  ${hash}  ${where}\n`)
    }
  }

  #tellRefused(line: number, hash: Hash, { code, detail }: Refusal): void {
    this.#progress.clear()
    const refused = paint(this.#io, 'red', 'refused')
    this.#io.err(`line ${line}  ${hash}  ${refused}: ${printable(code)}: ${printable(detail)}\n`)
  }

  #full(refusal: Refusal): void {
    if (!this.#toldOfRoom) {
      this.#toldOfRoom = true
      this.#progress.clear()
      this.#io.err(`the node has no room for more (${printable(refusal.code)}): waiting for its next blocks\n`)
    }
    this.#draw()
  }

  #draw(): void {
    const rows = this.#rows
    const { submitted, perSecond } = this.#rate()
    const waiting = this.#waiting > 0 ? `  waiting for a block ${this.#waiting}` : ''
    const counts = `known ${this.#known}  refused ${this.#refused}${waiting}`
    this.#progress.show(
      rows.bytes === 0 ? 1 : rows.bytesRead() / rows.bytes,
      `${submitted} lines  ${perSecond}/s  ${counts}`,
    )
  }

  #rate(): { submitted: number; seconds: number; perSecond: number } {
    const submitted = this.#admitted + this.#known + this.#refused
    const milliseconds = this.#io.runtime.clock.monotonic() - this.#startedAt
    const perSecond = milliseconds > 0 ? Math.round((submitted * 10_000) / milliseconds) / 10 : 0
    return { submitted, seconds: Math.round(milliseconds) / 1000, perSecond }
  }

  #summaryText(stopped: string | undefined): string {
    const { submitted, seconds, perSecond } = this.#rate()
    const counts = `recorded new ${this.#admitted}, already known ${this.#known}, refused ${this.#refused}`
    const rate = `${seconds} s, ${perSecond} a second`
    const end = stopped === undefined ? '' : `stopped early (${stopped}): the lines before were submitted\n`
    const waited = this.#options.wait && stopped === undefined ? 'all that were taken are in blocks\n' : ''
    return `submitted ${submitted}: ${counts}; ${rate}\n${waited}${end}`
  }

  #summaryJson(stopped: string | undefined): string {
    const { submitted, seconds, perSecond } = this.#rate()
    const counts = { submitted, admitted: this.#admitted, known: this.#known, refused: this.#refused }
    const end = stopped === undefined ? {} : { stopped }
    return `${JSON.stringify({ ...counts, seconds, per_second: perSecond, ...end })}\n`
  }
}

/** Taken, and not yet in a block. */
const mayBeAwaited = (outcome: Outcome): boolean =>
  outcome.outcome === 'admitted' || (outcome.outcome === 'known' && !isIncluded(outcome.before))
