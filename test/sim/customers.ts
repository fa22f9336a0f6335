import type { JsonObject } from '../../core/chain/json.ts'
import type { KeyPair } from '../../core/chain/keys.ts'
import { attestTransaction, signTransaction, type Transaction } from '../../core/chain/transaction.ts'
import type { ChainRules } from '../../core/chain/rules.ts'
import { Dice } from './dice.ts'
import type { HonestNode } from './honest.ts'
import { clientKeys, gatewayKey, names } from './people.ts'

/** Somebody wants something: `data`, said by `sender`. */
interface Wish {
  readonly sender: string
  readonly data: JsonObject
  /** Who signs for a name, where it is not up to chance. */
  readonly key?: KeyPair
}

interface CustomersParts {
  readonly rules: ChainRules
  readonly dice: Dice
  /** The market's state, as some node has it. */
  readonly look: (key: string) => string | undefined
}

const people: readonly string[] = [...names, ...clientKeys.map(({ address }) => address)]
/** So few assets that many want the same one. */
const assetsMax = 6

/** The people of a market. What they do is mostly right, and often contradicts what another does at the same time. */
export class Customers {
  readonly #parts: CustomersParts

  constructor(parts: CustomersParts) {
    this.#parts = parts
  }

  /** One transaction, or two that cannot both be recorded. */
  make(nonce: number): readonly Transaction[] {
    const { dice } = this.#parts
    const kinds = [
      () => this.#payment(),
      () => this.#doubleSpend(),
      () => this.#purchase(),
      () => this.#rivals(),
      () => this.#rivals(),
      () => this.#mints(nonce),
      () => this.#registrations(),
      () => [{ sender: dice.pick(people), data: { text: `transaction ${nonce}` } }],
    ]
    return dice
      .pick(kinds)()
      .map((wish) => this.#signed(wish, nonce))
  }

  #payment(): Wish[] {
    const { dice } = this.#parts
    const [from, to] = this.#two()
    return [{ sender: from, data: { action: 'transfer', to, amount: String(dice.between(1, 4)) } }]
  }

  /** All that somebody has, to two others. */
  #doubleSpend(): Wish[] {
    const [from, to, another] = this.#parts.dice.shuffled(people) as [string, string, string]
    const amount = this.#balanceOf(from) ?? '1'
    return [to, another].map((one) => ({ sender: from, data: { action: 'transfer', to: one, amount } }))
  }

  #purchase(): Wish[] {
    const asset_id = this.#asset()
    const to = this.#ownerOf(asset_id)
    const buyer = this.#parts.dice.pick(people.filter((one) => one !== to))
    return [{ sender: buyer, data: { action: 'purchase', asset_id, to, price: '1' } }]
  }

  /** Two who buy the same asset of the same seller. */
  #rivals(): Wish[] {
    const asset_id = this.#asset()
    const to = this.#ownerOf(asset_id)
    const buyers = this.#parts.dice.shuffled(people.filter((one) => one !== to)).slice(0, 2)
    return buyers.map((sender) => ({ sender, data: { action: 'purchase', asset_id, to, price: '1' } }))
  }

  /** Two who make the same asset. */
  #mints(nonce: number): Wish[] {
    const asset_id = this.#parts.dice.chance(0.5) ? this.#asset() : `mint ${nonce}`
    return this.#two().map((sender) => ({ sender, data: { action: 'mint', asset_id, asset_name: `of ${nonce}` } }))
  }

  /** The same name for two keys. Without `public_key` it is the same transaction twice, with different signers. */
  #registrations(): Wish[] {
    const { dice } = this.#parts
    const name = dice.chance(0.3) ? dice.pick(names) : `name ${dice.between(0, 9)}`
    const isSaid = dice.chance(0.7)
    const keys = dice.shuffled(clientKeys).slice(0, 2)
    return keys.map((key) => ({
      sender: name,
      key,
      data: { action: 'register', ...(isSaid ? { public_key: key.address } : {}) },
    }))
  }

  #two(): [string, string] {
    return this.#parts.dice.shuffled(people).slice(0, 2) as [string, string]
  }

  #asset(): string {
    return `asset ${this.#parts.dice.between(1, assetsMax)}`
  }

  /** Of an asset that is not there yet: anybody, who then sells what was his until now. */
  #ownerOf(asset: string): string {
    const text = this.#parts.look(`asset/${asset}`)
    return text === undefined ? this.#parts.dice.pick(people) : (JSON.parse(text) as { owner: string }).owner
  }

  #balanceOf(person: string): string | undefined {
    const text = this.#parts.look(`user/${person}`)
    return text === undefined ? undefined : (JSON.parse(text) as { balance: string }).balance
  }

  #signed({ sender, data, key }: Wish, nonce: number): Transaction {
    const { chainId } = this.#parts.rules
    const own = clientKeys.find(({ address }) => address === sender)
    if (own !== undefined) return signTransaction(own, chainId, data, nonce)
    return attestTransaction(key ?? this.#speakerFor(sender), chainId, sender, data, nonce)
  }

  /** The key that may sign for a name, mostly. */
  #speakerFor(name: string): KeyPair {
    const { dice, rules, look } = this.#parts
    const text = look(`user/${name}`)
    const bound = text === undefined ? undefined : (JSON.parse(text) as { public_key?: string }).public_key
    const owner = clientKeys.find(({ address }) => address === bound)
    if (dice.chance(0.05)) return dice.pick(clientKeys)
    if (rules.gateways !== 'any' && rules.gateways.length > 0) return gatewayKey
    return owner ?? dice.pick(clientKeys)
  }
}

/** They ask some node for the state, which may be behind. */
export function customersOf(nodes: readonly HonestNode[], rules: ChainRules, seed: number): Customers {
  const dice = new Dice(`${seed}/customers`)
  const look = (key: string): string | undefined => {
    const up = nodes.filter(({ isUp }) => isUp)
    if (up.length === 0) return undefined
    const { inside, height } = dice.pick(up)
    return inside?.storage.stateAt(key, height)
  }
  return new Customers({ rules, dice, look })
}
