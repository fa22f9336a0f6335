// What the recorded chain leads to, by the application alone: written a second time from the rules and without the node's
// own execution, as oracle.ts is.
import { createHash, createPublicKey } from 'node:crypto'
import canonicalize from 'canonicalize'
import type { Application, Block, StatedTransaction, Storage } from '../../core/index.ts'
import type { ChainRules } from '../../core/chain/rules.ts'
import { transactionIdOf } from './oracle.ts'

type Transaction = Block['transactions'][number]
type State = ReadonlyMap<string, string>

/** After a block. */
export interface Replayed {
  readonly state: State
  readonly root: string
}

/** Executes blocks of all nodes, each once, wherever they stand. */
export class Replay {
  /** Every key that any branch ever wrote. */
  readonly keys = new Set<string>()
  readonly #application: Application
  readonly #rules: Pick<ChainRules, 'chainId' | 'gateways'>
  readonly #after = new Map<string, Replayed>()

  constructor(application: Application, rules: Pick<ChainRules, 'chainId' | 'gateways'>) {
    this.#application = application
    this.#rules = rules
    const state = new Map<string, string>()
    this.#put(state, application.opening())
    this.#after.set(rules.chainId, { state, root: '0'.repeat(64) })
  }

  /** After a block of a ledger, down to what was executed before. Text: what is wrong with which block. */
  upTo(storage: Pick<Storage, 'block'>, hash: string): Replayed | string {
    const above: Block[] = []
    let at = hash
    while (!this.#after.has(at)) {
      const block = storage.block(at)
      if (block === undefined) return `block ${at} is not there`
      above.push(block)
      at = block.prev_hash
    }
    let replayed = this.#after.get(at)!
    for (const block of above.toReversed()) {
      const next = this.#execute(block, replayed)
      if (typeof next === 'string') return `block ${block.index}, ${block.current_hash}: ${next}`
      this.#after.set(block.current_hash, (replayed = next))
    }
    return replayed
  }

  /** What of these, each on what those before it left, the application does not take, and why. */
  refusedOf(transactions: Iterable<Transaction>, { state }: Replayed): { transaction: Transaction; why: string }[] {
    const after = new Map(state)
    const refused: { transaction: Transaction; why: string }[] = []
    for (const transaction of transactions) {
      const why = this.#apply(transaction, after)
      if (why !== undefined) refused.push({ transaction, why })
    }
    return refused
  }

  #execute(block: Block, below: Replayed): Replayed | string {
    const state = new Map(below.state)
    for (const transaction of block.transactions) {
      const why = this.#apply(transaction, state)
      if (why !== undefined)
        return `the application does not take ${transactionIdOf(transaction, block.chain_id)}: ${why}`
    }
    const root = rootAfter(below, state)
    return root === block.state_root ? { state, root } : `state_root: expected ${root}, got ${block.state_root}`
  }

  /** Why it is not taken; undefined where it is, and its changes are in the state. */
  #apply(transaction: Transaction, state: Map<string, string>): string | undefined {
    const result = this.#application.apply(this.#stated(transaction), { get: (key) => state.get(key) })
    if (!result.ok) return `${result.code}: ${result.detail}`
    this.#put(state, result.value)
    return undefined
  }

  #put(state: Map<string, string>, entries: readonly { readonly key: string; readonly value: string | undefined }[]) {
    for (const { key, value } of entries) {
      this.keys.add(key)
      if (value === undefined) state.delete(key)
      else state.set(key, value)
    }
  }

  #stated(transaction: Transaction): StatedTransaction {
    const { sender, data, public_key_pem } = transaction
    const { chainId, gateways } = this.#rules
    const hash = transactionIdOf(transaction, chainId)
    const isOwn = /^[0-9a-f]{64}$/.test(sender)
    const signer = isOwn ? sender : addressOf(public_key_pem!)
    const right = isOwn ? 'own' : gateways === 'any' ? 'anyone' : gateways.includes(signer) ? 'gateway' : 'none'
    return { hash, sender, data, signer, right }
  }
}

/** The commitment: nothing changed, nothing new; otherwise a hash over the one before and all that changed. */
function rootAfter(below: Replayed, state: State): string {
  const changes: Record<string, string | null> = {}
  for (const [key, value] of state) if (below.state.get(key) !== value) changes[key] = value
  for (const key of below.state.keys()) if (!state.has(key)) changes[key] = null
  if (Object.keys(changes).length === 0) return below.root
  return createHash('sha256')
    .update(`aurex/state/1\n${below.root}\n${canonicalize(changes)}`)
    .digest('hex')
}

/** The raw key of a PEM, in hex. */
function addressOf(pem: string): string {
  const { x } = createPublicKey(pem).export({ format: 'jwk' })
  return Buffer.from(x!, 'base64url').toString('hex')
}
