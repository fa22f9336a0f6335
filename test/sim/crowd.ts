import type { Hash } from '../../core/chain/canonical.ts'
import type { JsonObject } from '../../core/chain/json.ts'
import { signTransaction, type Transaction } from '../../core/chain/transaction.ts'
import type { Customers } from './customers.ts'
import type { Dice } from './dice.ts'
import type { SimHost } from './host.ts'
import { LineSocket } from './linesocket.ts'
import type { HonestNode } from './honest.ts'
import { clientKeys } from './people.ts'
import { simPort } from './simnode.ts'

export interface CrowdParts {
  readonly seed: number
  readonly host: SimHost
  readonly nodes: readonly HonestNode[]
  readonly chainId: Hash
  readonly dice: Dice
  /** In a world with a market. */
  readonly customers: Customers | undefined
}

/** A transaction that a node has said it keeps. */
export interface Acknowledged {
  readonly hash: Hash
  /** Milliseconds of the world. */
  readonly at: number
}

/** Clients that send signed transactions to the nodes' real ports, and remember what they were promised. */
export class Crowd {
  readonly acknowledged = new Set<Hash>()
  submitted = 0
  /** Those that were sent against another one. */
  rivals = 0
  /** Answers that said no. */
  declined = 0
  readonly #parts: CrowdParts
  readonly #lines = new Map<HonestNode, LineSocket>()
  readonly #recent: Transaction[] = []
  readonly #promises = new Map<HonestNode, Acknowledged[]>()

  constructor(parts: CrowdParts) {
    this.#parts = parts
  }

  /** Sends a new transaction to a node, some if none is named; now and then an old one again, to another. */
  submit(to?: HonestNode): void {
    const { dice, nodes } = this.#parts
    const again = this.#recent.length > 0 && dice.chance(0.1)
    const [transaction, rival] = again ? [dice.pick(this.#recent)] : this.#make()
    const node = to ?? dice.pick(nodes)
    this.#send(node, transaction!)
    if (rival !== undefined) this.#sendRival(node, rival)
    if (dice.chance(0.1)) this.#send(dice.pick(nodes), transaction!)
  }

  /** At the same moment, to another node: neither of the two knows that they cannot both be recorded. */
  #sendRival(to: HonestNode, rival: Transaction): void {
    const { dice, nodes } = this.#parts
    const others = nodes.filter((node) => node !== to)
    this.#send(others.length === 0 ? to : dice.pick(others), rival)
    this.rivals++
  }

  #make(): readonly Transaction[] {
    const { customers } = this.#parts
    const nonce = this.submitted++
    const made = customers?.make(nonce) ?? [this.#text(nonce)]
    this.submitted += made.length - 1
    this.#recent.push(...made)
    if (this.#recent.length > 50) this.#recent.shift()
    return made
  }

  #text(nonce: number): Transaction {
    const { seed, chainId } = this.#parts
    const data = { text: `transaction ${nonce} of seed ${seed}` }
    return signTransaction(clientKeys[nonce % clientKeys.length]!, chainId, data, nonce)
  }

  #send(node: HonestNode, transaction: Transaction): void {
    const message = { type: 'NEW_TRANSACTION', ...transaction }
    const line = this.#lines.get(node)
    if (line?.isOpen === true) return line.send(message)
    const fresh = new LineSocket((answer) => this.#heard(node, answer))
    this.#lines.set(node, fresh)
    fresh.send(message)
    fresh.connect(this.#parts.host, node.address, simPort)
  }

  /** What a node has promised. */
  promisesOf(node: HonestNode): readonly Acknowledged[] {
    return this.#promises.get(node) ?? []
  }

  #heard(node: HonestNode, { type, tx_hash: hash }: JsonObject): void {
    if (type === 'ERROR') this.declined++
    if (type !== 'MINING_STARTED' || typeof hash !== 'string') return
    this.acknowledged.add(hash)
    const promises = this.#promises.get(node) ?? []
    this.#promises.set(node, promises)
    promises.push({ hash, at: this.#parts.host.clock.monotonic() })
  }
}
