import { expect } from 'bun:test'
import type { ClusterNode } from './cluster.ts'

export interface Final {
  readonly index: number
  readonly hash: string
}

const pollMilliseconds = 50

/** Block 0 where nothing else is said to be final. */
export const finalOf = async (node: ClusterNode): Promise<Final> =>
  ((await node.info())['final'] as Final | undefined) ?? { index: 0, hash: node.ready.chain_id }

/** Asks nodes all the time which block is final, and keeps every answer: what was said once holds for ever. */
export class FinalWatch {
  readonly #said = new Map<string, Final>()
  readonly #nodes: () => readonly ClusterNode[]
  readonly #ended: Promise<void>
  #watching = true

  /** Nodes that do not answer, since they are down, are asked again. */
  constructor(nodes: () => readonly ClusterNode[]) {
    this.#nodes = nodes
    this.#ended = this.#watch()
  }

  /**
   * Looks a last time; then each block that was final anywhere at any time is what every one of these nodes has recorded at
   * its height, and somebody has.
   */
  async end(nodes: readonly ClusterNode[]): Promise<void> {
    this.#watching = false
    await this.#ended
    await this.#look()
    const chains = nodes.map((node) => node.blocks())
    for (const { index, hash } of this.#said.values()) {
      const recorded = chains.flatMap((blocks) => blocks[index] ?? [])
      expect({ index, recorded: [...new Set(recorded)] }).toEqual({ index, recorded: [hash] })
    }
  }

  async #watch(): Promise<void> {
    while (this.#watching) {
      await this.#look()
      await Bun.sleep(pollMilliseconds)
    }
  }

  async #look(): Promise<void> {
    for (const answer of await Promise.allSettled(this.#nodes().map(finalOf))) {
      if (answer.status === 'fulfilled') this.#said.set(`${answer.value.index} ${answer.value.hash}`, answer.value)
    }
  }
}
