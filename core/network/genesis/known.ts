import type { Genesis } from '../../chain/genesis.ts'

/** The rules of the chain that the network is on. A node without a chain of its own may learn them later. */
export class KnownGenesis {
  #value: Genesis | undefined
  #waiting: (() => void)[] = []

  constructor(value: Genesis | undefined) {
    this.#value = value
  }

  get value(): Genesis | undefined {
    return this.#value
  }

  /** What is learnt stays: the first one counts. */
  learnt(genesis: Genesis): void {
    if (this.#value !== undefined) return
    this.#value = genesis
    for (const run of this.#waiting.splice(0)) run()
  }

  /** Runs now where it is known, otherwise as soon as it is. */
  whenKnown(run: () => void): void {
    if (this.#value === undefined) this.#waiting.push(run)
    else run()
  }
}
