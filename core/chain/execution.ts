import { AurexError, decline, found, messageOf, refuse, type Result } from '../errors.ts'
import type { Application, StatedTransaction, StateEntry, StateView } from '../plugin.ts'
import { canonicalJson, sha256Hex, type Hash } from './canonical.ts'
import type { ReadTransaction } from './transaction.ts'

/** What blocks or transactions changed, over a state that stays as it is. */
export class Overlay implements StateView {
  readonly #below: StateView
  readonly #changed = new Map<string, string | undefined>()

  constructor(below: StateView) {
    this.#below = below
  }

  get(key: string): string | undefined {
    // Most keys have a value, so mostly one look is enough.
    const value = this.#changed.get(key)
    return value === undefined && !this.#changed.has(key) ? this.#below.get(key) : value
  }

  put(entries: readonly StateEntry[]): void {
    for (const { key, value } of entries) this.#changed.set(key, value)
  }

  /** Each key once, in order; what has the value that it had below is no change. */
  changes(): StateEntry[] {
    const entries = Array.from(this.#changed, ([key, value]) => ({ key, value }))
    return entries.filter(({ key, value }) => value !== this.#below.get(key)).sort(byKey)
  }
}

/** By UTF-16 code units, as canonical JSON sorts names (RFC 8785). */
export const byKey = (a: StateEntry, b: StateEntry): number => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)

/**
 * `state_root` after a block: a hash over its parent's and its changes, so over all that ever changed, and so over the
 * state itself. A block that changes nothing keeps its parent's. `changes`: as `Overlay.changes` gives them.
 */
export function stateRootAfter(parentRoot: Hash, changes: readonly StateEntry[]): Hash {
  if (changes.length === 0) return parentRoot
  // Canonical JSON of {key: value or null}, member by member: an object puts names that are integers first.
  const members = changes.map(({ key, value }) => `${canonicalJson(key)}:${canonicalJson(value ?? null)}`)
  return sha256Hex(`aurex/state/1\n${parentRoot}\n{${members.join()}}`)
}

/** What the application makes of one transaction. Declines as it does, and `application-failed` where it is at fault. */
export function applyTransaction(
  application: Application,
  read: ReadTransaction,
  state: StateView,
): Result<readonly StateEntry[]> {
  try {
    const result = application.apply(statedOf(read), state)
    // The same transaction may hold on another state: nobody can be blamed for it.
    if (!result.ok) return decline(result.code, result.detail)
    const odd = result.value.find(({ key, value }) => !key.isWellFormed() || value?.isWellFormed() === false)
    return odd === undefined ? result : failed(application, `the state entry ${JSON.stringify(odd)} is no Unicode text`)
  } catch (error) {
    // It came from the ledger that the application looked into.
    if (error instanceof AurexError) throw error
    return failed(application, messageOf(error))
  }
}

const applicationFailed = 'application-failed'

const failed = ({ id }: Application, what: string) =>
  decline(applicationFailed, `the application ${id} cannot judge this transaction: ${what}`)

const statedOf = ({ hash, transaction, signer, right }: ReadTransaction): StatedTransaction => ({
  hash,
  sender: transaction.sender,
  data: transaction.data,
  signer: signer.address,
  right,
})

/**
 * What the transactions of a block change, each on what those before it left. Refuses `bad-transaction` where the
 * application does not take one, naming it and the application's code; declines `application-failed`.
 */
export function executeBlock(
  application: Application,
  transactions: readonly ReadTransaction[],
  below: StateView,
): Result<readonly StateEntry[]> {
  const state = new Overlay(below)
  for (const read of transactions) {
    const result = applyTransaction(application, read, state)
    if (!result.ok) return ofBlock(read, result)
    state.put(result.value)
  }
  return found(state.changes())
}

function ofBlock({ hash }: ReadTransaction, { code, detail }: { code: string; detail: string }) {
  const what = `transaction ${hash} of the block: ${code}: ${detail}`
  // Whoever made the block could know what its transactions stand on.
  return code === applicationFailed ? decline(code, what) : refuse('bad-transaction', what)
}
