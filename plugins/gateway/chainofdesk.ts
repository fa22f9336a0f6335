import {
  AurexError,
  decline,
  found,
  messageOf,
  type Chain,
  type ChainRules,
  type Context,
  type Hash,
  type Records,
  type Result,
} from '../../core/index.ts'
import type { Attestor } from './attest.ts'

interface Parts {
  readonly context: Pick<Context, 'network' | 'log' | 'on'>
  readonly chain: Chain | undefined
  readonly records: Records | undefined
  readonly attestor: Attestor
}

const recordKey = 'chain'

/**
 * The chain for which this desk signs: this node's own, or the one that its network is on. Its records are bound to the
 * first one that they see, since `tx_id`s and hashes mean nothing on another.
 */
export class ChainOfDesk {
  readonly #parts: Parts
  #rules: ChainRules | undefined
  #boundTo: Hash | undefined

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Says at once, or as soon as the chain is known, what will not work on it. */
  start(): void {
    this.rules()
    if (this.#rules === undefined) this.#parts.context.on('peer:joined', () => void this.rules())
  }

  /** undefined until they are known. */
  rules(): ChainRules | undefined {
    if (this.#rules !== undefined) return this.#rules
    const { chain, context, attestor } = this.#parts
    this.#rules = (chain?.genesis ?? context.network.genesis())?.rules
    if (this.#rules === undefined) return undefined
    const may = attestor.mayAttest(this.#rules)
    if (!may.ok) context.log.warn('purchases will be refused', { code: may.code, why: may.detail })
    const usable = this.usable()
    if (!usable.ok) context.log.error('nothing can be submitted', { code: usable.code, why: usable.detail })
    return this.#rules
  }

  /** Declines `no-chain`, `wrong-chain`, `storage-unavailable`. */
  usable(): Result<ChainRules> {
    const rules = this.rules()
    if (rules === undefined) return noChain
    if (this.#boundTo === undefined) {
      try {
        this.#boundTo = this.#bind(rules.chainId)
      } catch (error) {
        if (!(error instanceof AurexError)) throw error
        return decline('storage-unavailable', `nothing is recorded at the moment: ${messageOf(error)}`)
      }
    }
    if (this.#boundTo === rules.chainId) return found(rules)
    return decline(
      'wrong-chain',
      `this gateway's records are of chain ${this.#boundTo}, and its nodes are on ${rules.chainId}; start it with ` +
        'another --data-dir, or with --peers of the right chain',
    )
  }

  #bind(chainId: Hash): Hash {
    const { records } = this.#parts
    const bound = records?.get(recordKey)
    if (bound !== undefined) return bound
    records?.write([[recordKey, chainId]])
    return chainId
  }
}

const noChain = decline(
  'no-chain',
  'the rules of the chain are not known yet: no node has told them; name a node that runs with --peers host:port, or give ' +
    'the genesis with --genesis FILE, and send it again',
)
