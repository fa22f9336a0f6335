import type { RunningNode } from '../../core/node.ts'
import type { Dice } from '../sim/dice.ts'

/**
 * Whom each of so many nodes dials, from `least` to `most` others that have not dialled it: a random graph that hangs
 * together, since the first whom a node dials is one of those before it.
 */
export function randomDials(count: number, [least, most]: readonly [number, number], dice: Dice): number[][] {
  const dials: number[][] = Array.from({ length: count }, () => [])
  for (let node = 0; node < count; node++) {
    const wanted = dice.between(least, most)
    const others = dice.shuffled(Array.from({ length: count }, (_, i) => i).filter((i) => i !== node))
    const first = node === 0 ? [] : [dice.between(0, node - 1)]
    for (const other of [...first, ...others]) {
      if (dials[node]!.length === wanted) break
      if (!dials[node]!.includes(other) && !dials[other]!.includes(node)) dials[node]!.push(other)
    }
  }
  return dials
}

/** Who is connected with whom, as the nodes themselves see it. */
export function neighboursOf(nodes: readonly RunningNode[]): number[][] {
  const places = new Map(nodes.map(({ identity }, place) => [identity.nodeId, place]))
  return nodes.map(({ network }) => network.peers.all().map(({ nodeId }) => places.get(nodeId)!))
}

export const meanPeers = (neighbours: readonly (readonly number[])[]): number =>
  neighbours.reduce((sum, { length }) => sum + length, 0) / neighbours.length

/** How many hops the node that is farthest from `source` is away, on the shortest ways. */
export function farthest(neighbours: readonly (readonly number[])[], source: number): number {
  const seen = new Set([source])
  let ring: readonly number[] = [source]
  for (let hops = 0; ; hops++) {
    const next = new Set(ring.flatMap((node) => neighbours[node]!).filter((node) => !seen.has(node)))
    if (next.size === 0) return hops
    for (const node of next) seen.add(node)
    ring = [...next]
  }
}
