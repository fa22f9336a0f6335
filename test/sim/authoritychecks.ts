import type { SealedHeader } from '../../core/chain/block.ts'
import type { JsonObject } from '../../core/chain/json.ts'
import { Accusations } from './accusations.ts'
import { chainFault } from './authorityoracle.ts'
import { FinalWatch } from './finalwatch.ts'
import type { HonestNode } from './honest.ts'
import { Broken, type Invariant } from './invariants.ts'
import type { Plan } from './plan.ts'
import type { Ring } from './ring.ts'
import { SignatureWatch } from './signatures.ts'
import { WaitWatch, waitsOf } from './waits.ts'

export interface AuthorityChecksParts {
  readonly plan: Plan
  readonly ring: Ring
  readonly nodes: readonly HonestNode[]
  readonly chainId: string
  /** Milliseconds of the world, and of its wall clock. */
  readonly elapsed: () => number
  readonly now: () => number
  readonly said: () => void
}

/** What must hold where the genesis names keys. What is seen in one place is compared with what was seen in all others. */
export class AuthorityChecks {
  readonly finals = new FinalWatch()
  readonly accusations: Accusations
  readonly #parts: AuthorityChecksParts
  readonly #signatures: SignatureWatch
  readonly #waits: WaitWatch

  constructor(parts: AuthorityChecksParts) {
    const { plan, ring, chainId } = parts
    this.#parts = parts
    this.accusations = new Accusations(ring)
    const turnOf = plan.engine === 'poa' ? ({ index }: JsonObject) => JSON.stringify(index) : undefined
    this.#signatures = new SignatureWatch({ chainId, honest: ring.honest, turnOf })
    this.#waits = new WaitWatch(parts)
  }

  // ---- at any moment: all of these throw `Broken` ----

  heard(message: JsonObject): void {
    this.#signatures.heard(message)
  }

  took(node: HonestNode, header: SealedHeader): void {
    this.#signatures.block(header as object as JsonObject)
    this.accusations.took(node, header, node.inside?.consensus.turn?.(header))
  }

  moved(node: HonestNode): void {
    this.finals.look(node)
  }

  look(node: HonestNode): void {
    this.finals.look(node)
    this.accusations.checkHonest(node)
    this.#waits.look(node, this.#parts.elapsed(), this.#parts.now())
    checkJustified(node)
  }

  /** At the end: all that it has. */
  whole(node: HonestNode): void {
    const { plan, ring } = this.#parts
    const { storage } = node.inside!
    const chain = Array.from({ length: node.height + 1 }, (_, index) => storage.headerAt(index)!.header)
    const fault = chainFault(chain, plan, ring)
    if (fault !== undefined) throw new Broken('every stored block is valid', node.address, fault)
    this.look(node)
  }

  // ---- after healing: what is still to come, undefined once it is there ----

  /** Nothing is pending at any node. */
  pending(): string | undefined {
    const node = this.#present().find(({ inside }) => inside?.chain.pendingCount() !== 0)
    return node && `${node.address} has ${node.inside?.chain.pendingCount()} transactions pending; ${this.#why(node)}`
  }

  /** What is recorded now is final later, at every node. `goal`: as `finalGoal` had it. */
  unfinal(goal: number): string | undefined {
    const node = this.#present().find(({ inside }) => (inside?.chain.finalHeight() ?? 0) < goal)
    if (node === undefined) return undefined
    const final = node.inside?.chain.finalHeight()
    return `${node.address} calls block ${final} final, expected ${goal}; its head is ${node.height}; ${this.#why(node)}`
  }

  /** Up to which height the chain must become final. Where blocks come only for transactions: up to the last of those. */
  finalGoal(): number {
    const { plan } = this.#parts
    const node = this.#present()[0]!
    const { storage, finality, consensus } = node.inside!
    if (consensus.finalAtOnce === true) return node.height
    if (finality === undefined) return 0
    const every = plan.authorities?.finality?.every ?? 1
    if (plan.engine === 'pow') return node.height - (node.height % every)
    let index = node.height
    while (index > 0 && storage.transactionsAt(index).length === 0) index--
    return index
  }

  /** Everybody knows who lied. */
  unknown(): string | undefined {
    this.accusations.compare(this.#present())
    this.accusations.spread(this.#present())
    for (const node of this.#present()) {
      const missing = this.accusations.missingAt(node)
      if (missing !== undefined) return `${node.address} has no evidence of kind ${missing}`
    }
    return undefined
  }

  #present = (): readonly HonestNode[] => this.#parts.nodes.filter(({ isRetired }) => !isRetired)

  #why(node: HonestNode): string {
    if (node.inside === undefined) return 'it is down'
    return waitsOf(node, this.#parts.now())
      .map(({ who, waitsFor }) => `${who} waits for ${waitsFor}`)
      .join('; ')
  }
}

/** Fork choice begins with what a quorum said. Throws `Broken`. */
function checkJustified(node: HonestNode): void {
  const { finality, storage, chain } = node.inside ?? {}
  if (finality === undefined || chain?.storageFailure() !== undefined) return
  for (const { index, hash } of [finality.final(), finality.justified()]) {
    if (storage!.headerAt(index)?.header.current_hash === hash) continue
    const what = `its chain does not hold block ${index}, ${hash}`
    throw new Broken('the chain is the one that is justified', node.address, what)
  }
}

export const progressOf = {
  pending: 'what is pending is recorded after healing',
  unfinal: 'finality reaches the head after healing',
  unknown: 'everybody has the evidence',
} as const satisfies Record<string, Invariant>
