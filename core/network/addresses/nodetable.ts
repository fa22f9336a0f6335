import type { NodeId } from '../../chain/keys.ts'
import { messageOf } from '../../errors.ts'
import type { NodeRecord } from '../../plugin.ts'
import { hostPortText, type HostPort } from '../hostport.ts'
import type { ModuleParts } from '../module.ts'

/** `active`: answered when it was last dialled. Only such nodes are handed on. */
export type NodeStatus = 'active' | 'unreachable' | 'banned'

export interface KnownNode {
  readonly nodeId: NodeId
  readonly nodeType: string
  status: NodeStatus
  /** Milliseconds, wall clock. */
  lastSeen: number
}

/** `last_seen` alone is worth a write to the disk so often. */
const rewriteMilliseconds = 60_000

/** The table `nodes`: what is left of the nodes that were reached when this one starts again. */
export class NodeTable {
  readonly #parts: Pick<ModuleParts, 'storage' | 'log' | 'runtime'>
  readonly #written = new Map<NodeId, { readonly what: string; readonly at: number }>()
  #failing = false

  constructor(parts: Pick<ModuleParts, 'storage' | 'log' | 'runtime'>) {
    this.#parts = parts
  }

  load(): readonly NodeRecord[] {
    return this.#tried(() => this.#parts.storage?.nodes()) ?? []
  }

  save(to: HostPort, { nodeId, nodeType, status, lastSeen }: KnownNode): void {
    const what = `${hostPortText(to)} ${nodeType} ${status}`
    const now = this.#parts.runtime.clock.monotonic()
    const before = this.#written.get(nodeId)
    if (before?.what === what && now - before.at < rewriteMilliseconds) return
    this.#tried(() => {
      this.#parts.storage?.saveNode({ node_id: nodeId, ...to, node_type: nodeType, status, last_seen: lastSeen })
      this.#written.set(nodeId, { what, at: now })
    })
  }

  drop(nodeId: NodeId): void {
    this.#written.delete(nodeId)
    this.#tried(() => this.#parts.storage?.dropNode(nodeId))
  }

  /** A full disk keeps nobody from being a peer: the next change is written when there is room. */
  #tried<T>(run: () => T): T | undefined {
    try {
      const value = run()
      this.#failing = false
      return value
    } catch (error) {
      if (!this.#failing) this.#parts.log.warn('the table nodes cannot be used', { error: messageOf(error) })
      this.#failing = true
      return undefined
    }
  }
}
