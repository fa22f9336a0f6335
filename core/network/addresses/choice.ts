import type { NodeId } from '../../chain/keys.ts'
import { hostPortText, type HostPort } from '../hostport.ts'
import type { ModuleParts } from '../module.ts'
import type { Peer } from '../peer.ts'
import { compare, type Book, type Entry } from './book.ts'
import { fraction } from './chance.ts'
import type { Configured } from './configured.ts'

export interface ChoiceParts extends Pick<ModuleParts, 'bans' | 'peers' | 'publicAddress' | 'runtime'> {
  readonly book: Book
  readonly configured: Configured
}

/** Of the places for peers that this node looks for, so many go to one network: whoever owns it does not get them all. */
const placesPerGroupMax = 2
const ownAddressesMax = 64

/** Who is dialled next. */
export class Choice {
  /** Dials that are under way. */
  readonly dialling = new Set<Entry>()
  readonly #parts: ChoiceParts
  readonly #own = new Set<string>()

  constructor(parts: ChoiceParts) {
    this.#parts = parts
  }

  /** An address that turned out to be this node's own. */
  isOwn(to: HostPort): void {
    if (this.#own.size < ownAddressesMax) this.#own.add(hostPortText(to))
  }

  /** Peers that this node looked for, not those that the operator named. */
  learnt(): readonly Peer[] {
    const { peers, configured } = this.#parts
    return peers.full().filter(({ outbound, nodeId, connection: { remoteHost: host, remotePort: port } }) => {
      return outbound && !configured.has({ host, port }, nodeId)
    })
  }

  /** Whether its network has more places than one network gets. */
  exceeds(nodeId: NodeId): boolean {
    const group = this.#parts.book.of(nodeId)?.group
    return count(this.#learntEntries(), (entry) => entry.group === group) > placesPerGroupMax
  }

  /** For a place of its own: known nodes first; of networks and by the word of those that are behind few peers already. */
  forPlace(now: number): Entry | undefined {
    const taken = [...this.#learntEntries(), ...this.dialling]
    const rank = (entry: Entry): readonly number[] => [
      entry.node === undefined ? 1 : 0,
      count(taken, ({ group }) => group === entry.group),
      count(taken, ({ source }) => source === entry.source),
      entry.triedAt,
    ]
    return this.#first(this.#placeable(now), rank)
  }

  /** A peer that was lost. */
  forReunion(now: number): Entry | undefined {
    const lost = this.#due(now).filter(({ lostAt }) => lostAt !== undefined)
    return this.#first(lost, (entry) => [entry.triedAt])
  }

  /** To see whether it is there: a candidate, then the node that was not tried for longest. */
  forVisit(now: number): Entry | undefined {
    return this.#first(this.#due(now), ({ node, triedAt }) => [node === undefined ? 0 : 1, triedAt])
  }

  /** Monotonic milliseconds at which somebody may be dialled for a place; Infinity where there is nobody. */
  nextDueAt(): number {
    return this.#placeable(Number.POSITIVE_INFINITY).reduce(
      (least, { dueAt }) => Math.min(least, dueAt),
      Number.POSITIVE_INFINITY,
    )
  }

  #placeable(now: number): readonly Entry[] {
    const taken = [...this.#learntEntries(), ...this.dialling]
    const groups = Map.groupBy(taken, ({ group }) => group)
    return this.#due(now).filter(({ group }) => (groups.get(group)?.length ?? 0) < placesPerGroupMax)
  }

  #due(now: number): readonly Entry[] {
    const { book, bans, configured, peers } = this.#parts
    const own = this.#parts.publicAddress()
    const ownText = own && hostPortText(own)
    return [...book.entries()].filter((entry) => {
      const { to, node } = entry
      if (!entry.dialable || entry.dueAt > now || this.dialling.has(entry)) return false
      if (node !== undefined && peers.get(node.nodeId) !== undefined) return false
      const text = hostPortText(to)
      if (text === ownText || this.#own.has(text)) return false
      return !configured.has(to, node?.nodeId) && bans.find(node?.nodeId, to.host) === undefined
    })
  }

  #learntEntries(): readonly Entry[] {
    return this.learnt().flatMap(({ nodeId }) => this.#parts.book.of(nodeId) ?? [])
  }

  /** The one of lowest rank; by chance among equals, so that nobody can arrange to be the first. */
  #first(entries: readonly Entry[], rankOf: (entry: Entry) => readonly number[]): Entry | undefined {
    const ranked = entries.map((entry) => ({ entry, rank: rankOf(entry) }))
    const least = ranked.reduce<(typeof ranked)[number] | undefined>(
      (least, one) => (least === undefined || compare(one.rank, least.rank) < 0 ? one : least),
      undefined,
    )
    const equals = ranked.filter(({ rank }) => compare(rank, least!.rank) === 0)
    return equals[Math.floor(fraction(this.#parts.runtime) * equals.length)]?.entry
  }
}

const count = (entries: readonly Entry[], matches: (entry: Entry) => boolean): number => entries.filter(matches).length
