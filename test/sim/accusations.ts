import type { SealedHeader } from '../../core/chain/block.ts'
import { producerOf } from '../../core/chain/block.ts'
import type { Hash } from '../../core/chain/canonical.ts'
import type { Address } from '../../core/chain/keys.ts'
import type { HonestNode } from './honest.ts'
import { Broken } from './invariants.ts'
import type { Ring } from './ring.ts'

interface Proof {
  readonly kind: string
  readonly address: Address
}

/** Which keys are to be known as liars, and by whom they are. */
export class Accusations {
  readonly #ring: Ring
  /** By key and turn: the blocks that there are, and the nodes that took each. */
  readonly #taken = new Map<string, Map<Hash, Set<HonestNode>>>()
  /** Keys that signed two things which one honest node got to see both, by the kind of evidence that it makes. */
  readonly #due = new Set<string>()

  constructor(ring: Ring) {
    this.#ring = ring
  }

  /** How many keys are to be accused, of so many kinds. */
  get due(): number {
    return this.#due.size
  }

  /** What one node knows, all must get to know. */
  spread(nodes: readonly HonestNode[]): void {
    for (const node of nodes) for (const { kind, address } of proofsOf(node)) this.expose(address, kind)
  }

  /** A node took a block. `turn`: what a key may sign one of; undefined: the engine has no turns. */
  took(node: HonestNode, header: SealedHeader, turn: readonly number[] | undefined): void {
    const address = producerOf(header)
    if (turn === undefined || !this.#ring.addresses.includes(address)) return
    const key = `${address} ${turn.join()}`
    const blocks = this.#taken.get(key) ?? new Map<Hash, Set<HonestNode>>()
    this.#taken.set(key, blocks)
    blocks.set(header.current_hash, (blocks.get(header.current_hash) ?? new Set()).add(node))
    const isBoth = [...blocks.values()].filter((nodes) => nodes.has(node)).length > 1
    if (isBoth) this.expose(address, 'block')
  }

  /** Of two blocks for one turn one is recorded, so that it came to whoever took the other. */
  compare(nodes: readonly HonestNode[]): void {
    for (const [key, blocks] of this.#taken) {
      const { storage } = nodes[0]!.inside!
      const recorded = [...blocks.keys()].find((hash) => storage.header(hash)?.recorded === true)
      if (recorded === undefined) continue
      const others = [...blocks].filter(([hash]) => hash !== recorded).flatMap(([, by]) => [...by])
      if (others.some((node) => nodes.includes(node))) this.expose(key.split(' ')[0]!, 'block')
    }
  }

  /** A key showed an honest node that it signs what no honest key signs. */
  expose(address: Address, kind: string): void {
    this.#due.add(`${kind} ${address}`)
  }

  /** At any time: nobody is accused who is honest. Throws `Broken`. */
  checkHonest(node: HonestNode): void {
    const wrong = proofsOf(node).find(({ address }) => this.#ring.honest.has(address))
    if (wrong === undefined) return
    const what = `evidence of kind ${wrong.kind} against ${wrong.address}, which is honest`
    throw new Broken('evidence is against liars only', node.address, what)
  }

  /** Whom everybody should know as a liar and this node does not; undefined: nobody. */
  missingAt(node: HonestNode): string | undefined {
    const known = new Set(proofsOf(node).map(({ kind, address }) => `${kind} ${address}`))
    return [...this.#due].find((one) => !known.has(one))
  }
}

/** From the ledger and not from whoever keeps it. */
function proofsOf(node: HonestNode): readonly Proof[] {
  const rows = node.inside?.storage.records('evidence').list('', undefined, 1_000) ?? []
  return rows.map(([, text]) => JSON.parse(text) as Proof)
}
