import {
  messageOf,
  type Log,
  type Refusal,
  type Runtime,
  type Timer,
  type TransactionStatus,
} from '../../core/index.ts'
import type { Courier } from './courier.ts'
import type { Couriers } from './couriers.ts'
import { passes } from './passing.ts'
import type { Kept, Queue } from './queue.ts'

export interface SweepParts {
  readonly queue: Queue
  readonly couriers: Couriers
  readonly runtime: Runtime
  readonly log: Log
  readonly settledConfirmations: number
  readonly refusedMilliseconds: number
}

/** Questions to nodes, all together: a queue of 10,000 is gone through in 20 s and costs a node little. */
const questionsPerSecondMax = 500
const looksAtOnceMax = 64
const tickMilliseconds = 100
/** How long after the first look that changed nothing comes the next, doubled each time. */
const unsentMilliseconds = { first: 500, max: 16_000 }
const followMilliseconds = { first: 1_000, max: 32_000 }

/**
 * Looks after what is kept: gives it to a node until one has it, follows it until it is in a block so deep that it stays,
 * gives it again to a node that does not know it, and gives up what every node refuses for long.
 */
export class Sweep {
  readonly #parts: SweepParts
  #timer: Timer | undefined
  #budget = questionsPerSecondMax
  #filledAt = 0
  readonly #looks = new Set<Promise<void>>()
  #stopped = false
  /** Since the start. */
  givenUp = 0

  constructor(parts: SweepParts) {
    this.#parts = parts
  }

  start(): void {
    this.#filledAt = this.#parts.runtime.clock.monotonic()
    this.#tick()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await Promise.all(this.#looks)
  }

  /** A node can be reached again: what none has need not wait for its turn. */
  hasten(): void {
    this.#parts.queue.hasten()
  }

  #tick(): void {
    const { clock } = this.#parts.runtime
    const now = clock.monotonic()
    const filled = this.#budget + ((now - this.#filledAt) * questionsPerSecondMax) / 1_000
    this.#budget = Math.min(filled, questionsPerSecondMax)
    this.#filledAt = now
    this.#fill()
    this.#timer = clock.after(tickMilliseconds, () => this.#tick())
  }

  #fill(): void {
    while (!this.#stopped && this.#budget > 0 && this.#looks.size < looksAtOnceMax) {
      const { couriers, queue } = this.#parts
      const kept = couriers.anyQuick ? queue.take() : undefined
      if (kept === undefined) return
      // Asked for when it is used, so that it is really another one's turn each time.
      const nodes = couriers.inTurn()
      const look = this.#look(kept, nodes).finally(() => this.#looks.delete(look))
      this.#looks.add(look)
      void look.then(() => this.#fill())
    }
  }

  async #look(kept: Kept, nodes: readonly Courier[]): Promise<void> {
    const { queue, log } = this.#parts
    try {
      const seen = await this.#ask(kept, nodes)
      if (seen === 'settled') {
        if (!(await queue.drop(kept)).ok) this.#later(kept)
      } else if (seen === 'there') this.#there(kept)
      else await this.#nowhere(kept, seen)
    } catch (error) {
      log.error('a kept transaction could not be looked after', { hash: kept.hash, why: messageOf(error) })
      this.#later(kept)
    }
  }

  /** Goes from node to node until one has it. */
  async #ask(kept: Kept, nodes: readonly Courier[]): Promise<'settled' | 'there' | Nowhere> {
    const nowhere: Nowhere = { asked: 0, refusals: [], lasting: true }
    for (const node of nodes) {
      const status = kept.stage === 'unsent' ? ({ status: 'unknown' } as const) : await this.#status(node, kept)
      nowhere.asked++
      if (status === undefined) nowhere.lasting = false
      else if (this.#isDeep(status)) {
        if (await this.#isDeepElsewhere(kept, node, nodes)) return 'settled'
        // Nearly there: the others are about to catch up.
        kept.tries = 0
        return 'there'
      } else if (status.status === 'pending' || status.status === 'included') return 'there'
      else if (await this.#give(kept, node, nowhere)) return 'there'
    }
    return nowhere
  }

  /** Whether the node took it. */
  async #give(kept: Kept, node: Courier, nowhere: Nowhere): Promise<boolean> {
    const { queue, couriers } = this.#parts
    const transaction = queue.transaction(kept.key)
    if (transaction === undefined) return false // dropped meanwhile
    this.#budget--
    const delivery = await couriers.submit(node, kept.hash, transaction)
    if (delivery.kind === 'taken') return true
    if (delivery.kind === 'refused') nowhere.refusals.push(delivery.refusal)
    if (delivery.kind === 'silent' && kept.stage === 'unsent') this.#parts.queue.moveTo(kept, 'asked')
    if (delivery.kind !== 'refused' || passes(delivery.refusal.code)) nowhere.lasting = false
    return false
  }

  #there(kept: Kept): void {
    if (kept.stage !== 'had') {
      this.#parts.queue.moveTo(kept, 'had')
      kept.tries = 0
    }
    kept.refusedSince = undefined
    this.#later(kept)
  }

  async #nowhere(kept: Kept, { asked, refusals, lasting }: Nowhere): Promise<void> {
    const { queue, couriers, runtime, log, refusedMilliseconds } = this.#parts
    if (kept.stage === 'had') {
      this.#parts.queue.moveTo(kept, 'asked')
      kept.tries = 0
    }
    const [refusal] = refusals
    // A node that is behind, or alone, refuses what it cannot judge yet: so all must say so, and go on saying so.
    if (refusal === undefined || !lasting || asked < couriers.total) kept.refusedSince = undefined
    else {
      const now = runtime.clock.monotonic()
      kept.refusedSince ??= now
      if (now - kept.refusedSince >= refusedMilliseconds) {
        const { code, detail } = refusal
        const given = await queue.giveUp(kept, { code, detail })
        if (given.ok) {
          this.givenUp++
          log.warn('a kept transaction is given up: every node refuses it', { hash: kept.hash, code, why: detail })
          return
        }
      }
    }
    this.#later(kept)
  }

  #later(kept: Kept): void {
    const { first, max } = kept.stage === 'had' ? followMilliseconds : unsentMilliseconds
    this.#parts.queue.later(kept.key, Math.min(first * 2 ** kept.tries, max))
    kept.tries = Math.min(kept.tries + 1, 10)
  }

  #status(node: Courier, kept: Kept): Promise<TransactionStatus | undefined> {
    this.#budget--
    return this.#parts.couriers.status(node, kept.hash)
  }

  #isDeep(status: TransactionStatus): boolean {
    if (status.status === 'final') return true
    return status.status === 'included' && status.confirmations >= this.#parts.settledConfirmations
  }

  /** One node may be on a branch of its own: more than half of those that say anything must agree. */
  async #isDeepElsewhere(kept: Kept, node: Courier, nodes: readonly Courier[]): Promise<boolean> {
    const others = nodes.filter((other) => other !== node)
    const answers = await Promise.all(others.map((other) => this.#status(other, kept)))
    const said = answers.filter((answer) => answer !== undefined)
    const agreed = said.filter((answer) => this.#isDeep(answer)).length + 1
    return agreed * 2 > said.length + 1
  }
}

interface Nowhere {
  asked: number
  readonly refusals: Refusal[]
  /** Whether each one refused it for a reason that does not pass. */
  lasting: boolean
}
