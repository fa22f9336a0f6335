import * as v from 'valibot'
import type { Hash } from '../../core/chain/canonical.ts'
import { definePlugin, type Chain } from '../../core/index.ts'
import type { LoadedPlugin } from '../../core/plugin.ts'

interface Thing {
  /** When each node came to have it: the place of the node and the time, in the order of their coming. */
  readonly times: Map<number, number>
  readonly complete: PromiseWithResolvers<readonly number[]>
}

/** When each of so many nodes came to have a block or a transaction. */
export class Arrivals {
  readonly #nodes: number
  readonly #now: () => number
  readonly #things = new Map<Hash, Thing>()

  constructor(nodes: number, now: () => number) {
    this.#nodes = nodes
    this.#now = now
  }

  /** A node has it. The first time counts. */
  note(hash: Hash, node: number): void {
    const { times, complete } = this.#thing(hash)
    if (times.has(node)) return
    times.set(node, this.#now())
    if (times.size === this.#nodes) complete.resolve([...times.values()])
  }

  /** Resolves when every node has it, to the times in their order. */
  everywhere(hash: Hash): Promise<readonly number[]> {
    return this.#thing(hash).complete.promise
  }

  #thing(hash: Hash): Thing {
    const known = this.#things.get(hash)
    if (known !== undefined) return known
    const thing = { times: new Map<number, number>(), complete: Promise.withResolvers<readonly number[]>() }
    this.#things.set(hash, thing)
    return thing
  }
}

/** For a node in this process: notes what it has, and hands out its chain. */
export const onlooker = (arrivals: Arrivals, node: number, seen: (chain: Chain) => void): LoadedPlugin =>
  definePlugin({
    name: 'onlooker',
    summary: 'tells a bench what a node has',
    provides: 'none',
    needs: ['chain'],
    config: v.strictObject({}),
    setup: (context) => {
      seen(context.use.chain)
      context.on('tx:admitted', ({ hash }) => arrivals.note(hash, node))
      context.on('head:moved', ({ applied }) => {
        for (const hash of applied) arrivals.note(hash, node)
      })
    },
  })
