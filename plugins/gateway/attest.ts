import {
  accepted,
  attestTransaction,
  decline,
  found,
  isAddress,
  type ChainRules,
  type JsonObject,
  type KeyPair,
  type Result,
  type Transaction,
  type Verdict,
} from '../../core/index.ts'

/** Signs for others, with the gateway's key: for buyers always, for whoever else only with the option `attest`. */
export class Attestor {
  readonly #key: KeyPair
  readonly #anybody: boolean

  constructor(key: KeyPair, anybody: boolean) {
    this.#key = key
    this.#anybody = anybody
  }

  /** Whether the chain lets this gateway sign for names. Declines `not-a-gateway`. */
  mayAttest({ gateways }: ChainRules): Verdict {
    if (gateways === 'any' || gateways.includes(this.#key.address)) return accepted
    const named = gateways.length === 0 ? 'names no gateway' : `names ${gateways.length} other gateways`
    return decline(
      'not-a-gateway',
      `the genesis ${named}, so no node takes what this one signs for a name; its address ${this.#key.address} must stand ` +
        'in the genesis under gateways, or this gateway be started with a key (--key) that does',
    )
  }

  /** `sender` is a name. Declines `not-a-gateway`. */
  attest(rules: ChainRules, sender: string, data: JsonObject, nonce?: number): Result<Transaction> {
    const may = this.mayAttest(rules)
    return may.ok ? found(attestTransaction(this.#key, rules.chainId, sender, data, nonce)) : may
  }

  /**
   * What a client sent without a signature, signed for it. One that bears any signature is returned as it came: whether
   * that is real is not decided here. Declines `no-signature`, `not-a-gateway`.
   */
  complete(rules: ChainRules, body: JsonObject): Result<unknown> {
    const { sender, data, signature, nonce, public_key_pem } = body
    if (signature !== undefined && signature !== null && signature !== '') return found(body)
    if (!this.#anybody) {
      return noSignature('expected base64 of 64 bytes: this gateway signs for nobody but buyers (option attest)')
    }
    if (typeof sender !== 'string' || typeof data !== 'object' || data === null || Array.isArray(data)) {
      return found({ ...body, signature: '' }) // to be refused with the field's name, as on every other way in
    }
    if (isAddress(sender.toLowerCase())) {
      return noSignature("expected base64 of 64 bytes: only an address's own key may sign for it")
    }
    if (public_key_pem !== undefined && public_key_pem !== null) {
      return noSignature(
        'expected base64 of 64 bytes by the key in public_key_pem; leave both out to have it signed here',
      )
    }
    if (nonce !== undefined && !Number.isSafeInteger(nonce)) return found({ ...body, signature: '' })
    return this.attest(rules, sender, data as JsonObject, nonce as number | undefined)
  }
}

const noSignature = (what: string) => decline('no-signature', `signature: ${what}`)
