import { accepted, decline, found, type Result } from '../errors.ts'
import type { CoreEvents } from '../events.ts'
import type { Log } from '../log.ts'
import type { Admission, Storage, StoredHeader } from '../plugin.ts'
import type { AdmissionDesk } from './admission.ts'
import type { Mempool, PoolEntry } from './mempool.ts'
import type { PendingRules } from './pendingrules.ts'
import type { ChainRules } from './rules.ts'
import { badSignature, readTransaction, type ReadTransaction } from './transaction.ts'
import type { Verifier } from './verifier.ts'

interface Parts {
  readonly rules: ChainRules
  readonly storage: Pick<Storage, 'head' | 'locate' | 'transaction' | 'pending'>
  readonly mempool: Mempool
  readonly desk: AdmissionDesk
  readonly verifier: Verifier
  /** Where there is an application. */
  readonly pendingRules: PendingRules | undefined
  readonly log: Log
  readonly emit: <E extends keyof CoreEvents>(event: E, fact: CoreEvents[E]) => void
}

/** Looks at every transaction that comes: whether it is known, whether there is room, whether its signature holds. */
export class TransactionDoor {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /**
   * Takes up what was pending when the node stopped. Rows that are damaged are named in the log and left alone; what the
   * application does not take any more is dropped.
   */
  async restore(): Promise<void> {
    const { storage, log } = this.#parts
    const entries: PoolEntry[] = []
    for (const { hash, transaction, receivedAt, returned } of storage.pending()) {
      const read = readTransaction(transaction, this.#parts.rules)
      if (read.ok && read.value.hash === hash) entries.push({ read: read.value, receivedAt, returned })
      else
        log.error('a pending transaction in the ledger is damaged', { hash, why: read.ok ? 'wrong id' : read.detail })
    }
    const bad = await Promise.all(entries.map(async (entry) => !(await this.#parts.verifier.verify(entry.read))))
    for (const [i, entry] of entries.entries()) {
      if (bad[i] === true)
        log.error('a pending transaction in the ledger is damaged', { hash: entry.read.hash, why: 'signature' })
      else this.#parts.mempool.add(entry)
    }
    this.#parts.pendingRules?.restored()
  }

  /** `from`: the connection that it came by, which may not fill the mempool alone. */
  async submit(value: unknown, from?: string): Promise<Result<Admission>> {
    const read = readTransaction(value, this.#parts.rules)
    const result = read.ok ? await this.#admit(read.value, from) : read
    if (!result.ok) this.#parts.emit('tx:refused', { code: result.code, detail: result.detail })
    return result
  }

  async #admit(read: ReadTransaction, from: string | undefined): Promise<Result<Admission>> {
    // Cheap checks first: nobody gets a signature checked for what is known or has no room.
    const known = this.#known(read)
    if (known !== undefined && this.#wasSeen(read)) return known
    const early = known === undefined ? this.#parts.desk.room(read, from) : accepted
    if (!early.ok) return early
    const head = known === undefined ? this.#parts.storage.head() : undefined
    const signature = await this.#parts.verifier.judge(read)
    if (signature !== 'good') return signature === 'bad' ? badSignature : busy
    const late = this.#known(read, head)
    if (late !== undefined) return late
    const room = this.#parts.desk.room(read, from)
    if (!room.ok) return room
    // At the moment it is decided, so that whoever comes next is judged with it.
    const holds = this.#parts.pendingRules?.admit(read) ?? accepted
    return holds.ok ? this.#parts.desk.admit(read, from) : holds
  }

  /** Whether the known one has the very same signature: the id does not cover it, so another one may be made up. */
  #wasSeen({ hash, transaction }: ReadTransaction): boolean {
    const pending = this.#parts.mempool.get(hash) ?? this.#parts.desk.get(hash)
    const known = pending?.read.transaction ?? this.#parts.storage.transaction(hash)?.transaction
    return known?.signature === transaction.signature && known.public_key_pem === transaction.public_key_pem
  }

  /** `unrecordedAt`: the head at which it was found not to be recorded. */
  #known(
    read: ReadTransaction,
    unrecordedAt?: StoredHeader,
  ): Result<Admission> | Promise<Result<Admission>> | undefined {
    const { hash } = read
    if (this.#parts.mempool.get(hash) !== undefined) return found({ hash, read, status: 'pending' })
    if (this.#parts.storage.head().header.current_hash !== unrecordedAt?.header.current_hash) {
      if (this.#parts.storage.locate(hash) !== undefined) return found({ hash, read, status: 'included' })
    }
    return this.#parts.desk.pendingAnswer(hash)
  }
}

const busy = decline('busy', 'too many signatures that do not hold at first sight are being checked; try again')
