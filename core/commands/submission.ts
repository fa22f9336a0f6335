import type { Hash } from '../chain/canonical.ts'
import type { Transaction } from '../chain/transaction.ts'
import { AurexError, exitCode, found, type Refusal, type Result } from '../errors.ts'
import type { Recorded, TransactionStatus } from '../plugin.ts'
import type { Receipt } from '../client.ts'
import { pause, type Io } from './command.ts'
import { interrupted, type Session } from './session.ts'

export type Included = Recorded

export const isIncluded = (status: TransactionStatus): status is Included => 'blockIndex' in status

/** Why it is in no block and will come into none, where the node knows. */
export const refusalOf = (status: TransactionStatus): Refusal | undefined =>
  'refusal' in status ? status.refusal : undefined

/** What became of a transaction that was submitted. */
export type Outcome =
  | { readonly outcome: 'admitted'; readonly receipt: Receipt }
  /** The node had it already, waiting or in a block. */
  | { readonly outcome: 'known'; readonly receipt: Receipt; readonly before: TransactionStatus }
  | { readonly outcome: 'refused'; readonly refusal: Refusal }

/** Refusals that only say: not now. A node keeps so many pending transactions, and so many of one sender. */
const backPressure = new Set(['mempool-full', 'sender-quota'])
export const isBackPressure = (refusal: Refusal): boolean => backPressure.has(refusal.code)

/** Nodes take no longer message from a client (protocol section 10) and close the connection: it is not sent at all. */
const messageBytesMax = 256 * 1024
/** `{"type":"NEW_TRANSACTION",` and the newline. */
const envelopeBytes = 32

const pollMillisecondsMin = 100
const pollMillisecondsMax = 1_000

/** Submits through one session. Throws what `Session.ask` throws. */
export class Submitter {
  readonly #session: Session
  readonly #io: Io
  readonly #onFull: (refusal: Refusal) => void
  #roomIn: Promise<void> | undefined
  #roomMilliseconds = pollMillisecondsMin

  /** `onFull` hears every refusal that says to wait. */
  constructor(session: Session, io: Io, onFull: (refusal: Refusal) => void = () => undefined) {
    this.#session = session
    this.#io = io
    this.#onFull = onFull
  }

  /** Submits once; waits for room and tries again only where `patient`. */
  async submit(transaction: Transaction, hash: Hash, patient: boolean): Promise<Outcome> {
    if (Buffer.byteLength(JSON.stringify(transaction)) > messageBytesMax - envelopeBytes) return tooLarge
    // Asked first, and its answer awaited: if the connection is lost after the node took the transaction, its second
    // answer is the same as to one that was known all along.
    const before = await this.#session.ask((client) => client.status(hash))
    for (;;) {
      const result = await this.#session.ask((client) => client.submit(transaction))
      if (!result.ok && patient && isBackPressure(result)) {
        this.#onFull(result)
        await this.#room()
        continue
      }
      if (!result.ok) return { outcome: 'refused', refusal: result }
      this.#roomMilliseconds = pollMillisecondsMin
      const receipt = result.value
      if (receipt.tx_hash !== undefined && receipt.tx_hash !== hash) throw otherId(hash, receipt.tx_hash)
      if (before.status === 'unknown') return { outcome: 'admitted', receipt }
      return { outcome: 'known', receipt, before }
    }
  }

  /**
   * Resolves when the transaction is in a block; one that the node has lost is submitted again, and one whose block was
   * undone is waited for. Declines with the node's own code where it will not be recorded.
   */
  async included(transaction: Transaction, hash: Hash): Promise<Result<Included>> {
    for (let wait = pollMillisecondsMin; ; wait = Math.min(wait * 2, pollMillisecondsMax)) {
      const status = await this.#session.ask((client) => client.status(hash))
      if (isIncluded(status)) return found(status)
      const ruledOut = refusalOf(status)
      if (ruledOut !== undefined) return ruledOut
      if (status.status === 'unknown') {
        const again = await this.submit(transaction, hash, true)
        if (again.outcome === 'refused') return again.refusal
      }
      await pause(this.#io, wait)
      if (this.#io.signal.aborted) throw interrupted()
    }
  }

  /** One moment for all who wait, growing while there is none. */
  async #room(): Promise<void> {
    this.#roomIn ??= pause(this.#io, this.#roomMilliseconds).finally(() => {
      this.#roomIn = undefined
      this.#roomMilliseconds = Math.min(this.#roomMilliseconds * 2, pollMillisecondsMax)
    })
    await this.#roomIn
    if (this.#io.signal.aborted) throw interrupted()
  }
}

const tooLarge: Outcome = {
  outcome: 'refused',
  refusal: { ok: false, code: 'too-large', detail: `over ${messageBytesMax} bytes: no node takes it`, provable: true },
}

const otherId = (expected: Hash, got: Hash): AurexError =>
  new AurexError('bad-answer', `the node took the transaction ${expected} under another id: ${got}`, {
    exit: exitCode.unavailable,
  })
