import type { SealedHeader } from '../../core/chain/block.ts'
import type { Hash } from '../../core/chain/canonical.ts'
import type { CoreEvents } from '../../core/index.ts'
import type { Crowd } from './crowd.ts'
import type { Engine } from './engines.ts'
import type { HonestNode } from './honest.ts'
import type { World } from './runtime.ts'

/** How many different heads there were, and how high. */
export interface Moment {
  readonly seconds: number
  readonly up: number
  readonly heads: number
  readonly height: number
}

export interface Figures {
  readonly engine: string
  /** Valid blocks that any honest node took, and how many of them are in the chain that is left. */
  readonly blocks: number
  readonly height: number
  /** By depth: how often a node undid so many blocks. */
  readonly reorganisations: Readonly<Record<number, number>>
  readonly submitted: number
  readonly acknowledged: number
  readonly recorded: number
  readonly deliveries: number
  readonly bytes: number
  readonly events: number
  /** From the first node that took a block to each other one, milliseconds. */
  readonly propagation: { readonly median: number; readonly p99: number; readonly samples: number }
  readonly timeline: readonly Moment[]
}

const momentsMax = 24
/** Later is no propagation: the node was away. */
const propagationMillisecondsMax = 30_000

/** What was seen of a world, for whoever wants to know how it went. */
export class Observations {
  readonly #nodes: readonly HonestNode[]
  readonly #sampleMilliseconds: number
  readonly #timeline: Moment[] = []
  readonly #firstSeen = new Map<Hash, { readonly at: number; readonly by: Set<HonestNode> }>()
  readonly #delays: number[] = []
  readonly #reorganisations = new Map<number, number>()

  constructor(nodes: readonly HonestNode[], endsAt: number) {
    this.#nodes = nodes
    this.#sampleMilliseconds = Math.max(1_000, Math.ceil(endsAt / momentsMax / 5_000) * 5_000)
  }

  accepted(node: HonestNode, { current_hash }: SealedHeader, at: number): void {
    const seen = this.#firstSeen.get(current_hash)
    if (seen === undefined) {
      this.#firstSeen.set(current_hash, { at, by: new Set([node]) })
    } else if (!seen.by.has(node)) {
      seen.by.add(node)
      if (at - seen.at <= propagationMillisecondsMax) this.#delays.push(at - seen.at)
    }
  }

  moved({ undone }: CoreEvents['head:moved']): void {
    if (undone.length === 0) return
    this.#reorganisations.set(undone.length, (this.#reorganisations.get(undone.length) ?? 0) + 1)
  }

  sample(elapsed: number): void {
    const last = this.#timeline.at(-1)
    if (last !== undefined && elapsed - last.seconds * 1_000 < this.#sampleMilliseconds) return
    const up = this.#nodes.filter(({ isUp }) => isUp)
    this.#timeline.push({
      seconds: elapsed / 1_000,
      up: up.length,
      heads: new Set(up.map(({ head }) => head)).size,
      height: Math.max(0, ...up.map(({ height }) => height)),
    })
  }

  figures(world: World, crowd: Crowd, recorded: number, engine: Engine): Figures {
    const delays = this.#delays.toSorted((a, b) => a - b)
    const at = (share: number): number => delays[Math.floor(delays.length * share)] ?? 0
    return {
      engine: engine.name,
      blocks: this.#firstSeen.size,
      height: Math.max(0, ...this.#nodes.map(({ height }) => height)),
      reorganisations: Object.fromEntries(this.#reorganisations),
      submitted: crowd.submitted,
      acknowledged: crowd.acknowledged.size,
      recorded,
      deliveries: world.deliveries,
      bytes: world.bytesDelivered,
      events: world.events,
      propagation: { median: at(0.5), p99: at(0.99), samples: delays.length },
      timeline: this.#timeline,
    }
  }
}
