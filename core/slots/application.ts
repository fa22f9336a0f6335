import type { Hash } from '../chain/canonical.ts'
import type { JsonObject } from '../chain/json.ts'
import type { Address } from '../chain/keys.ts'
import type { Result } from '../errors.ts'

/** One entry of an application's state. `value` is text of the application's choice; undefined: there is none. */
export interface StateEntry {
  readonly key: string
  readonly value: string | undefined
}

/** What was true before the transaction that is looked at. */
export interface StateView {
  get(key: string): string | undefined
}

/** What an application is told of a transaction whose signature is the signer's. */
export interface StatedTransaction {
  readonly hash: Hash
  readonly sender: string
  readonly data: JsonObject
  /** The address of the key that signed. */
  readonly signer: Address
  /**
   * Why this key may sign for `sender`: it is the sender's own address; it is a gateway's that the genesis names; the
   * genesis lets anybody sign for any name; or for no reason that core knows, and only the application may let it.
   */
  readonly right: 'own' | 'gateway' | 'anyone' | 'none'
}

/**
 * What transactions mean. Pure: the same transaction on the same state gives the same changes on every node. A block
 * whose transactions are not all taken, each on what those before it left, is no valid block. Core keeps the state,
 * undoes it exactly, and commits to it in every header's `state_root`.
 */
export interface Application {
  /** What the genesis says in `application`: the plugin's name. */
  readonly id: string
  /** The state before block 1, as the genesis has it. Keys are unique. */
  opening(): readonly StateEntry[]
  /**
   * What recording a transaction changes, or why it may not be recorded. A refusal's code and detail reach the client.
   * Whether the sender is provably wrong depends on the state, so that no peer is banned for it: `decline`. Where
   * `right` is `none` and this application does not know better, it declines `wrong-key`.
   */
  apply(transaction: StatedTransaction, state: StateView): Result<readonly StateEntry[]>
}
