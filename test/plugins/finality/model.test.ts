// Never two conflicting finals: worlds of a few authorities, of which up to a third sign whatever helps to break it, on
// random trees of blocks, with votes that come in any order or never. Nobody verifies signatures here: who lies gets all
// those of the liars.
import { expect, test } from 'bun:test'
import type { Checkpoint } from '../../../core/index.ts'
import { quorumOf, type Rules } from '../../../plugins/finality/rules.ts'
import { Standing, type Blocks } from '../../../plugins/finality/standing.ts'
import { Tally } from '../../../plugins/finality/tally.ts'
import { nextStatement, type Outlook, type VoteRecord } from '../../../plugins/finality/voter.ts'
import { keyOf, type Statement } from '../../../plugins/finality/votes.ts'
import { dice } from '../../support/dice.ts'

interface Node extends Checkpoint {
  readonly parent: Node | undefined
}

/** A tree; `bushy`: how often a block does not stand on the last one. */
function tree(size: number, bushy: number, roll: () => number): Node[] {
  const nodes: Node[] = [{ index: 0, hash: 'g', parent: undefined }]
  while (nodes.length <= size) {
    const parent = roll() < bushy ? nodes[Math.floor(roll() * nodes.length)]! : nodes.at(-1)!
    nodes.push({ index: parent.index + 1, hash: `${nodes.length}`, parent })
  }
  return nodes
}

function ancestor(node: Node | undefined, index: number): Node | undefined {
  let at = node
  while (at !== undefined && at.index > index) at = at.parent
  return at
}
const isBelow = (lower: Node, upper: Node): boolean => ancestor(upper, lower.index) === lower

class Honest {
  readonly address: string
  readonly tally = new Tally()
  readonly standing: Standing
  readonly #nodes: ReadonlyMap<string, Node>
  readonly #blocks: Blocks
  record: VoteRecord = { justify: undefined, commit: undefined }
  head: Node

  constructor(address: string, rules: Rules, nodes: readonly Node[], withheld: ReadonlySet<string>) {
    this.address = address
    this.#nodes = new Map(nodes.map((node) => [node.hash, node]))
    this.standing = new Standing(rules, { final: undefined, justified: undefined })
    this.head = nodes[0]!
    this.#blocks = {
      has: (hash) => this.#nodes.has(hash) && !withheld.has(hash),
      at: (hash, index) => ancestor(this.#nodes.get(hash), index)?.hash,
    }
  }

  hear(statement: Statement, signers: readonly string[]): void {
    for (const address of signers) this.tally.add({ statement, address, signature: '' })
    // What is left out of a tally for want of room comes in a ballot with its quorum.
    const known = this.tally.of(statement)?.signatures.keys() ?? []
    this.standing.reached({ statement, signatures: new Map([...known, ...signers].map((one) => [one, ''])) })
    const progress = this.standing.next(this.#blocks)
    this.standing.adopt(progress)
    if (progress.final !== undefined) this.tally.forget(this.standing.final.index)
  }

  vote(leave: Outlook['leave']): Statement | undefined {
    const { final, justified } = this.standing
    const isOnHead = ({ index, hash }: Checkpoint) => ancestor(this.head, index)?.hash === hash
    const source = this.standing.justifiedWhere(isOnHead)
    const supported = this.tally
      .linksAbove(final.index)
      .filter(({ statement }) => statement.source.hash === source?.hash && isOnHead(statement.target))
      .map(({ statement, signatures }) => ({ target: statement.target, votes: signatures.size }))
    const outlook: Outlook = { final, justified, source, newest: this.head, supported, isOnHead, leave }
    const chosen = nextStatement(this.record, outlook)
    if (chosen === undefined) return undefined
    const { index, hash } = chosen.target
    const statement: Statement = { ...chosen, target: { index, hash } }
    this.record =
      statement.kind === 'justify' ? { ...this.record, justify: statement } : { ...this.record, commit: statement }
    return statement
  }
}

interface Outcome {
  readonly finals: number
  readonly forkedFinals: number
}

function world(seed: number): Outcome {
  const roll = dice(seed)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(roll() * list.length)]!
  const n = 4 + Math.floor(roll() * 4)
  const faults = Math.floor((n - 1) / 3)
  const authorities = Array.from({ length: n }, (_, i) => `${i}`)
  const liars = authorities.slice(0, faults)
  const rules: Rules = { chainId: 'g', authorities, quorum: quorumOf(n), every: 1, haltAfter: undefined }
  const nodes = tree(6 + Math.floor(roll() * 14), 0.1 + roll() * 0.5, roll)
  const byHash = new Map(nodes.map((node) => [node.hash, node]))
  const withheld = () => new Set(nodes.filter(() => roll() < 0.05).map(({ hash }) => hash))
  const honest = authorities.slice(faults).map((address) => new Honest(address, rules, nodes, withheld()))
  const cast = new Map<string, { readonly statement: Statement; readonly by: Set<string> }>()
  const loyal = roll() // How often a head is on what this node thinks is justified, as fork choice has it.
  for (let step = 0; step < 90; step++) {
    const node = pick(honest)
    if (roll() < 0.4) {
      node.head =
        pick(nodes.filter((one) => roll() > loyal || isBelow(byHash.get(node.standing.justified.hash)!, one))) ??
        node.head
      const statement = node.vote(pick(['never', 'to-join', 'freely', 'freely']))
      if (statement === undefined) continue
      const votes = cast.get(keyOf(statement)) ?? { statement, by: new Set() }
      cast.set(keyOf(statement), { statement, by: votes.by.add(node.address) })
      node.hear(statement, [node.address])
    } else if (cast.size > 0) {
      const { statement, by } = pick([...cast.values()])
      const told = [...by].filter(() => roll() < 0.8)
      node.hear(statement, [...told, ...(roll() < 0.6 ? liars : [])])
    }
  }
  return judge(seed, rules, nodes, cast, honest, faults)
}

/** Whatever has a quorum when all that was ever cast is put together, and all liars sign it, may be final to somebody. */
function judge(
  seed: number,
  rules: Rules,
  nodes: readonly Node[],
  cast: ReadonlyMap<string, { readonly statement: Statement; readonly by: ReadonlySet<string> }>,
  honest: readonly Honest[],
  faults: number,
): Outcome {
  const byHash = new Map(nodes.map((node) => [node.hash, node]))
  const possible = [...cast.values()]
    .filter(({ statement, by }) => statement.kind === 'commit' && by.size + faults >= rules.quorum)
    .map(({ statement }) => byHash.get(statement.target.hash)!)
  const adopted = honest.map(({ standing }) => byHash.get(standing.final.hash)!)
  for (const a of [...possible, ...adopted]) {
    for (const b of [...possible, ...adopted]) {
      if (isBelow(a, b) || isBelow(b, a)) continue
      throw new Error(`seed ${seed}: ${a.hash} and ${b.hash} may both be final`)
    }
  }
  const finals = new Set(adopted.map(({ hash }) => hash)).size - 1
  const top = adopted.reduce((a, b) => (b.index > a.index ? b : a))
  const forks = nodes.filter((node) => node.index <= top.index && !isBelow(node, top))
  return { finals, forkedFinals: forks.length > 0 && top.index > 0 ? 1 : 0 }
}

const worlds = 6_000

test(`${worlds} worlds never have two conflicting finals`, () => {
  let finals = 0
  let forkedFinals = 0
  for (let seed = 1; seed <= worlds; seed++) {
    const outcome = world(seed)
    finals += outcome.finals
    forkedFinals += outcome.forkedFinals
  }
  // A world in which nothing becomes final, or nothing could contradict it, proves nothing.
  expect(finals).toBeGreaterThan(worlds / 10)
  expect(forkedFinals).toBeGreaterThan(worlds / 10)
}, 60_000)
