import { whyOf, type WhyEntry } from '../../core/why.ts'
import type { HonestNode } from './honest.ts'
import { Broken } from './invariants.ts'
import type { Plan } from './plan.ts'
import type { Ring } from './ring.ts'

/** As long as a head stands without anybody having to explain it. */
const patienceMilliseconds = 15_000
/** An address as people are shown it, or the whole of it. */
const name = /[0-9a-f]{4}\.\.\.[0-9a-f]{2}|[0-9a-f]{64}/

export interface WaitWatchParts {
  readonly plan: Plan
  readonly ring: Ring
  readonly nodes: readonly HonestNode[]
  /** Fewer authorities than are needed were up, and a node said whom it waits for. */
  readonly said: () => void
}

/** While fewer authorities are up than are needed, whoever has something to wait for names those that are missing. */
export class WaitWatch {
  readonly #parts: WaitWatchParts
  /** When a node came up, or its head last moved. */
  readonly #stands = new Map<HonestNode, { readonly head: string; readonly at: number }>()

  constructor(parts: WaitWatchParts) {
    this.#parts = parts
  }

  /** Throws `Broken`. */
  look(node: HonestNode, elapsed: number, now: number): void {
    if (node.inside === undefined || node.running === undefined) return void this.#stands.delete(node)
    const head = `${node.starts} ${node.head}`
    const stands = this.#stands.get(node)
    if (stands?.head !== head) return void this.#stands.set(node, { head, at: elapsed })
    if (elapsed - stands.at < patienceMilliseconds || !this.#isShort() || !this.#isOpen(node)) return
    // Who has another's key waits for its operator.
    if (node.keyAddress === this.#parts.ring.cloned) return
    const entries = waitsOf(node, now)
    if (entries.some(({ waitsFor, help }) => name.test(`${waitsFor} ${help}`))) return this.#parts.said()
    const what = entries.map(({ who, waitsFor }) => `${who} waits for ${waitsFor}`).join('; ')
    throw new Broken('who waits says for whom', node.address, what === '' ? 'it waits for nothing' : what)
  }

  #isShort(): boolean {
    const { plan, ring, nodes } = this.#parts
    const up = new Set(nodes.filter(({ isUp }) => isUp).map(({ keyAddress }) => keyAddress))
    const authorities = ring.addresses.filter((address) => up.has(address)).length
    const majority = Math.floor(ring.addresses.length / 2) + 1
    const needed = plan.engine === 'poa' && plan.authorities?.finality === undefined ? majority : ring.quorum
    // A liar may help, or not.
    return authorities + ring.liars.length < needed
  }

  /** Something is to be recorded, or to become final. */
  #isOpen({ inside, height }: HonestNode): boolean {
    const { plan } = this.#parts
    const every = plan.authorities?.finality?.every ?? 1
    const { chain, finality } = inside!
    if (finality !== undefined) return height - (height % every) > finality.final().index
    return plan.engine !== 'pow' && chain.pendingCount() > 0
  }
}

/** What the node would answer to `why_request`. */
export function waitsOf({ inside }: HonestNode, now: number): readonly WhyEntry[] {
  const { chain, finality, contributed } = inside!
  return whyOf({
    now,
    producer: { engine: chain.genesis.consensus, due: () => chain.due() },
    finality: () => finality?.waits(),
    contributed: { all: contributed },
  })
}
