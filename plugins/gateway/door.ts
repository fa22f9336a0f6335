import {
  decline,
  readTransaction,
  refuse,
  type ChainRules,
  type JsonObject,
  type ReadTransaction,
  type Result,
  type Runtime,
} from '../../core/index.ts'
import type { Attestor } from './attest.ts'
import type { ChainOfDesk } from './chainofdesk.ts'
import type { Submission } from './desk.ts'
import type { Outcomes } from './figures.ts'
import { readPurchase } from './purchase.ts'
import type { Submissions } from './submissions.ts'

interface DoorParts {
  readonly itsChain: ChainOfDesk
  readonly attestor: Attestor
  readonly submissions: Submissions
  readonly runtime: Runtime
  readonly outcomes: Outcomes
}

/** Being read, written or sent; beyond it `busy`. Each is at most a request in memory. */
const underWayMax = 10_000

/** Where bodies are read and become signed transactions; what is inside needs no check any more. */
export class Door {
  readonly #parts: DoorParts
  #underWay = 0
  #closed = false

  constructor(parts: DoorParts) {
    this.#parts = parts
  }

  submitTransaction(body: JsonObject): Promise<Result<Submission>> {
    return this.#pass(async (rules) => {
      const signed = await this.#signed(rules, body)
      return signed.ok ? await this.#parts.submissions.submit(signed.value) : signed
    })
  }

  submitPurchase(body: JsonObject): Promise<Result<Submission>> {
    return this.#pass(async (rules) => {
      const purchase = readPurchase(body)
      if (!purchase.ok) return purchase
      const { txId, sender, data } = purchase.value
      const transaction = this.#parts.attestor.attest(rules, sender, data)
      const read = transaction.ok ? readTransaction(transaction.value, rules) : transaction
      return read.ok ? await this.#parts.submissions.submitPurchase(txId, read.value) : read
    })
  }

  /** Takes nothing more; what is under way goes on. */
  close(): void {
    this.#closed = true
  }

  async #pass(work: (rules: ChainRules) => Promise<Result<Submission>>): Promise<Result<Submission>> {
    const rules = this.#open()
    this.#underWay++
    try {
      const answer = rules.ok ? await work(rules.value) : rules
      this.#parts.outcomes.count(answer)
      return answer
    } finally {
      this.#underWay--
    }
  }

  #open(): Result<ChainRules> {
    if (this.#closed) return decline('stopping', 'this gateway is about to stop; send it again')
    if (this.#underWay >= underWayMax) return decline('busy', `${underWayMax} requests are in work; send it again`)
    return this.#parts.itsChain.usable()
  }

  /** Whoever sent it signed it, or it is signed here. */
  async #signed(rules: ChainRules, body: JsonObject): Promise<Result<ReadTransaction>> {
    const complete = this.#parts.attestor.complete(rules, body)
    if (!complete.ok) return complete
    const read = readTransaction(complete.value, rules)
    if (!read.ok || complete.value !== body) return read
    const { runtime } = this.#parts
    const { check } = read.value
    // A native yes is final; its no is checked by the rule.
    if ((await runtime.verifyInBackground(check)) || (await runtime.verifyByRuleInBackground(check))) return read
    return refuse('bad-signature', 'signature: not by the key that must have signed')
  }
}
