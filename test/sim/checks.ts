import type { Hash } from '../../core/chain/canonical.ts'
import type { Genesis } from '../../core/chain/genesis.ts'
import type { Limits } from '../../core/limits.ts'
import type { Acknowledged } from './crowd.ts'
import type { HonestNode } from './honest.ts'
import {
  checkDrop,
  checkHistory,
  checkLedger,
  checkNode,
  checkOutbox,
  checkPending,
  checkPromises,
  checkState,
} from './invariants.ts'
import type { Replay } from './replay.ts'

export interface ChecksParts {
  readonly genesis: Genesis
  readonly limits: Limits
  /** In a world with an application. */
  readonly replay: Replay | undefined
  /** What a node has promised to clients. */
  readonly promisesOf: (node: HonestNode) => readonly Acknowledged[]
}

const looksAPendingCheck = 10

/** Which invariants of a node are looked at when. All methods throw `Broken`. */
export class Checks {
  readonly #parts: ChecksParts
  readonly #seen = new Set<string>()
  #looks = 0

  constructor(parts: ChecksParts) {
    this.#parts = parts
  }

  /** Twice a second. */
  look(nodes: readonly HonestNode[]): void {
    const { limits, replay } = this.#parts
    for (const node of nodes) checkNode(node, limits)
    if (replay === undefined || this.#looks++ % looksAPendingCheck !== 0) return
    for (const node of nodes) if (node.isUp) checkPending(node, replay)
  }

  /** Its head moved. */
  moved(node: HonestNode): void {
    const { limits, replay } = this.#parts
    checkNode(node, limits)
    checkOutbox(node, false)
    if (replay !== undefined) checkState(node, replay)
  }

  /** Before anybody tells it anything again. */
  started(node: HonestNode): void {
    const { limits, replay, promisesOf } = this.#parts
    checkNode(node, limits)
    checkOutbox(node, true)
    if (replay !== undefined) checkState(node, replay)
    checkPromises(node, promisesOf(node))
  }

  /** It is about to drop these. */
  dropping(node: HonestNode, hashes: readonly Hash[]): void {
    // While it starts, what it holds is not to be seen yet.
    if (node.inside !== undefined) checkDrop(node, this.#parts.replay, hashes)
    for (const hash of hashes) node.dropped.set(hash, node.starts)
  }

  /** At the end: all that it has. */
  whole(node: HonestNode): void {
    const { genesis, replay, promisesOf } = this.#parts
    checkLedger(node, genesis, this.#seen)
    checkPromises(node, promisesOf(node))
    checkOutbox(node, true)
    if (replay === undefined) return
    checkHistory(node, replay)
    checkPending(node, replay)
  }
}
