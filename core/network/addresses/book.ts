import type { NodeId } from '../../chain/keys.ts'
import type { NodeRecord } from '../../plugin.ts'
import type { Runtime } from '../../runtime.ts'
import { hostPortText, type HostPort } from '../hostport.ts'
import { isLightType } from '../standing.ts'
import { canonicalIp } from './ip.ts'
import type { KnownNode, NodeStatus, NodeTable } from './nodetable.ts'
import type { DialPolicy } from './policy.ts'

/** One address of a node: a candidate until a handshake with it succeeded. */
export interface Entry {
  /** The host is an IP address in canonical form. */
  readonly to: HostPort
  /** See `DialPolicy.groupOf`. */
  readonly group: string
  /** Who told of it; see `DialPolicy.sourceOf`. */
  readonly source: string
  /** Whether it may be dialled without the operator's word. */
  readonly dialable: boolean
  /** The node that was reached here; undefined of a candidate. */
  node: KnownNode | undefined
  /** The connected node that says it listens here; not tested. */
  claimedBy: NodeId | undefined
  /** In a row: it did not answer, or did not keep us. */
  failures: number
  /** Monotonic milliseconds: not dialled before. */
  dueAt: number
  /** Monotonic milliseconds; -Infinity: never. */
  triedAt: number
  /** Monotonic milliseconds: it was a peer until then, and was not sent away; undefined: otherwise. */
  lostAt: number | undefined
}

export interface BookParts {
  readonly runtime: Pick<Runtime, 'clock'>
  readonly policy: DialPolicy
  readonly table: NodeTable
  /** Candidates and known nodes together. */
  readonly entriesMax: number
}

/** Of candidates that one source told of; of entries in one network group. */
const candidatesPerSourceMax = 64
const entriesPerGroupMax = 64
/** A node that was not reached for so long is forgotten at the next start. */
const forgottenMilliseconds = 30 * 24 * 60 * 60 * 1_000

/**
 * The addresses of nodes. What others tell is worth little: it is bounded by who told it and by where it lies, so that
 * neither one peer nor one network can fill the book (Heilman, Kendler, Zohar, Goldberg: "Eclipse Attacks on Bitcoin's
 * Peer-to-Peer Network", USENIX Security 2015), and a candidate never takes the place of a node that was reached.
 */
export class Book {
  readonly #parts: BookParts
  readonly #entries = new Map<string, Entry>()
  readonly #byNode = new Map<NodeId, Entry>()

  constructor(parts: BookParts) {
    this.#parts = parts
  }

  get size(): number {
    return this.#entries.size
  }

  entries(): Iterable<Entry> {
    return this.#entries.values()
  }

  at(to: HostPort): Entry | undefined {
    const canonical = canonicalOf(to)
    return canonical && this.#entries.get(hostPortText(canonical))
  }

  of(nodeId: NodeId): Entry | undefined {
    return this.#byNode.get(nodeId)
  }

  /** Known nodes whose last test succeeded. */
  active(): readonly Entry[] {
    return [...this.#byNode.values()].filter(({ node }) => node?.status === 'active')
  }

  /** Takes over what was known before the start; `own` is this node itself. */
  load(records: readonly NodeRecord[], own: NodeId): void {
    const { clock } = this.#parts.runtime
    const newest = records.toSorted((one, other) => other.last_seen - one.last_seen)
    for (const record of newest) {
      const to = canonicalOf(record)
      if (record.node_id === own) continue
      const old = record.status !== 'active' && clock.now() - record.last_seen > forgottenMilliseconds
      const taken = to !== undefined && this.at(to) === undefined && this.size < this.#parts.entriesMax
      if (old || !taken || isLightType(record.node_type)) this.#parts.table.drop(record.node_id)
      else this.#enter(this.#entry(to, this.#parts.policy.groupOf(to)), nodeOf(record))
    }
  }

  /** Keeps an address that somebody told of. False where it is known already, may not be dialled, or there is no room. */
  offer(to: HostPort, source: string, claimedBy?: NodeId): boolean {
    const canonical = canonicalOf(to)
    if (canonical === undefined || !this.#parts.policy.verdict(canonical).ok) return false
    const before = this.at(canonical)
    if (before !== undefined) {
      if (claimedBy !== undefined) before.claimedBy = claimedBy
      return false
    }
    const entry = { ...this.#entry(canonical, source), claimedBy }
    if (!this.#hasRoom(entry)) return false
    this.#entries.set(hostPortText(canonical), entry)
    return true
  }

  /** A handshake with this address succeeded: it is known from now on, and remembered. */
  reached(to: HostPort, nodeId: NodeId, nodeType: string): Entry | undefined {
    const canonical = canonicalOf(to)
    if (canonical === undefined) return undefined
    const entry = this.at(canonical) ?? this.#entry(canonical, this.#parts.policy.groupOf(canonical))
    const moved = this.of(nodeId)
    if (moved !== undefined && moved !== entry) this.#forget(moved)
    if (entry.node !== undefined && entry.node.nodeId !== nodeId) this.remove(entry)
    this.#makeRoomFor(entry)
    this.#enter(entry, { nodeId, nodeType, status: 'active', lastSeen: this.#parts.runtime.clock.now() })
    entry.lostAt = undefined
    this.#parts.table.save(entry.to, entry.node!)
    return entry
  }

  /** Notes how a known node fares. */
  mark(entry: Entry, status: NodeStatus, seen: boolean): void {
    if (entry.node === undefined) return
    entry.node.status = status
    if (seen) entry.node.lastSeen = this.#parts.runtime.clock.now()
    this.#parts.table.save(entry.to, entry.node)
  }

  remove(entry: Entry): void {
    if (entry.node !== undefined) this.#parts.table.drop(entry.node.nodeId)
    this.#forget(entry)
  }

  #forget(entry: Entry): void {
    this.#entries.delete(hostPortText(entry.to))
    if (entry.node !== undefined) this.#byNode.delete(entry.node.nodeId)
  }

  #enter(entry: Entry, node: KnownNode): void {
    entry.node = node
    this.#entries.set(hostPortText(entry.to), entry)
    this.#byNode.set(node.nodeId, entry)
  }

  #entry(to: HostPort, source: string): Entry {
    const { policy, runtime } = this.#parts
    return {
      to,
      group: policy.groupOf(to),
      source,
      dialable: policy.verdict(to).ok,
      node: undefined,
      claimedBy: undefined,
      failures: 0,
      dueAt: runtime.clock.monotonic(),
      triedAt: Number.NEGATIVE_INFINITY,
      lostAt: undefined,
    }
  }

  // ---- room ----

  #hasRoom({ source, group }: Entry): boolean {
    const candidates = [...this.#entries.values()].filter(({ node }) => node === undefined)
    const ofGroup = [...this.#entries.values()].filter((entry) => entry.group === group)
    if (ofGroup.length >= entriesPerGroupMax && !this.#evict(ofGroup.filter(isFailing))) return false
    const ofSource = candidates.filter((entry) => entry.source === source)
    if (ofSource.length >= candidatesPerSourceMax && !this.#evict(ofSource.filter(isFailing))) return false
    if (this.size < this.#parts.entriesMax) return true
    const largest = largestOf(candidates, (entry) => entry.source)
    // Whoever told of most gives way; and whoever tells now may not be that one.
    return largest.length > ofSource.length + 1 && this.#evict(largest)
  }

  #makeRoomFor(entry: Entry): void {
    if (this.at(entry.to) !== undefined) return
    const all = [...this.#entries.values()]
    const ofGroup = all.filter(({ group }) => group === entry.group)
    if (ofGroup.length >= entriesPerGroupMax) this.#evict(ofGroup)
    if (this.size < this.#parts.entriesMax) return
    const candidates = all.filter(({ node }) => node === undefined)
    this.#evict(candidates.length > 0 ? candidates : largestOf(all, ({ group }) => group))
  }

  /** Removes the one that is worth least: a candidate before a known node, then what failed most, then what is oldest. */
  #evict(entries: readonly Entry[]): boolean {
    const worth = ({ node, failures }: Entry) => [node === undefined ? 0 : 1, -failures, node?.lastSeen ?? 0]
    const [least] = entries.toSorted((one, other) => compare(worth(one), worth(other)))
    if (least !== undefined) this.remove(least)
    return least !== undefined
  }
}

const isFailing = ({ node, failures }: Entry): boolean => node === undefined && failures > 0

function largestOf(entries: readonly Entry[], by: (entry: Entry) => string): readonly Entry[] {
  return [...Map.groupBy(entries, by).values()].reduce(
    (largest, group) => (group.length > largest.length ? group : largest),
    [] as readonly Entry[],
  )
}

/** The first difference decides. */
export function compare(one: readonly number[], other: readonly number[]): number {
  const at = one.findIndex((value, i) => value !== other[i])
  return at === -1 ? 0 : one[at]! - other[at]!
}

function canonicalOf({ host, port }: HostPort): HostPort | undefined {
  const ip = canonicalIp(host)
  return ip === undefined || port < 1 || port > 65_535 ? undefined : { host: ip, port }
}

function nodeOf({ node_id, node_type, status, last_seen }: NodeRecord): KnownNode {
  const known = status === 'active' || status === 'banned' ? status : 'unreachable'
  return { nodeId: node_id, nodeType: node_type, status: known, lastSeen: last_seen }
}
