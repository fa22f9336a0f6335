import { decline } from '../../errors.ts'
import type { Timer } from '../../runtime.ts'
import type { Ban } from '../bans.ts'
import type { HostPort } from '../hostport.ts'
import type { Dialling, ModuleParts, NetworkModule } from '../module.ts'
import type { Peer } from '../peer.ts'
import { Book, type Entry } from './book.ts'
import { Configured } from './configured.ts'
import { Dialer } from './dialer.ts'
import { Gossip } from './gossip.ts'
import { Inquiry } from './inquiry.ts'
import { canonicalIp, isLoopback } from './ip.ts'
import { NodeTable } from './nodetable.ts'
import { DialPolicy } from './policy.ts'

/** How soon a ban by the operator's command is noticed, and how often it is written that a peer is still there. */
const watchMilliseconds = 1_000
const seenMilliseconds = 10 * 60_000

/** Where other nodes are: hears of them, tests them, remembers them, and keeps this node connected. */
export function addresses(parts: ModuleParts & Dialling): NetworkModule {
  const policy = new DialPolicy({
    dialNetworks: parts.settings.dialNetworks,
    onLoopbackOnly: () => listensOnLoopbackOnly(parts),
  })
  const table = new NodeTable(parts)
  const book = new Book({ runtime: parts.runtime, policy, table, entriesMax: parts.limits.known_addresses_max })
  const configured = new Configured(parts)
  const inquiry = new Inquiry(parts)
  const inquire = async (at: HostPort): Promise<void> => {
    const answer = await inquiry.ask(at)
    if (answer !== undefined) gossip.heard(at, answer)
  }
  const dialer = new Dialer({ ...parts, book, configured, inquire: (at) => void inquire(at) })
  const gossip = new Gossip({
    ...parts,
    book,
    policy,
    satisfied: () => dialer.satisfied,
    learnt: () => dialer.look(),
  })
  const watch = new Watch(parts, book)
  /** It kept the chain when it was last reached, and does no longer. */
  const forgetPlaceOf = ({ nodeId }: Peer): void => {
    const entry = book.of(nodeId)
    if (entry !== undefined) book.remove(entry)
  }
  return {
    messages: gossip.messages,
    joined(peer) {
      // Where it says that it listens is tested like everything that is said.
      if (peer.isLight) forgetPlaceOf(peer)
      else if (peer.facts.listens !== undefined) {
        const source = policy.sourceOf(peer.connection.remoteHost, peer.nodeId)
        book.offer(peer.facts.listens, source, peer.nodeId)
      }
      watch.seen(peer)
      gossip.joined(peer)
      dialer.look()
    },
    left(peer, reason) {
      watch.seen(peer)
      gossip.left(peer)
      dialer.left(peer, reason)
      // Whoever sent it away bans it a moment later, where that was the reason.
      parts.runtime.clock.soon(() => watch.left(peer))
    },
    start() {
      book.load(table.load(), parts.identity.nodeId)
      watch.start()
      parts.known.whenKnown(() => dialer.start())
    },
    stop() {
      watch.stop()
      gossip.stop()
      dialer.stop()
    },
  }
}

/** Nobody else can reach it: a network on one machine, where the others are on loopback too. */
function listensOnLoopbackOnly({ transports }: Pick<ModuleParts, 'transports'>): boolean {
  // What serves clients only is no way to be reached by other nodes.
  const toPeers = transports.filter((transport) => transport.dial !== undefined)
  const hosts = toPeers.flatMap((transport) => transport.address()?.host ?? [])
  return hosts.length > 0 && hosts.every((host) => host === 'localhost' || isLoopback(canonicalIp(host) ?? host))
}

/** Keeps book and peers in step with the bans, and the table with who is here. */
class Watch {
  readonly #parts: ModuleParts
  readonly #book: Book
  #timer: Timer | undefined
  #seenAt = 0

  constructor(parts: ModuleParts, book: Book) {
    this.#parts = parts
    this.#book = book
  }

  start(): void {
    this.#markBanned(this.#book.entries())
    this.#again()
  }

  stop(): void {
    this.#timer?.cancel()
  }

  left({ nodeId }: Peer): void {
    const entry = this.#book.of(nodeId)
    if (entry !== undefined) this.#markBanned([entry])
  }

  seen({ nodeId }: Peer): void {
    const entry = this.#book.of(nodeId)
    if (entry?.node !== undefined) this.#book.mark(entry, entry.node.status, true)
  }

  #again(): void {
    this.#timer = this.#parts.runtime.clock.after(watchMilliseconds, () => {
      this.#look()
      this.#again()
    })
  }

  #look(): void {
    const { bans, peers, runtime } = this.#parts
    const news = bans.refresh()
    for (const ban of news) this.#tell(ban)
    if (news.length > 0) for (const peer of peers.all()) this.#dropBanned(peer)
    const now = runtime.clock.monotonic()
    if (news.length === 0 && now - this.#seenAt < seenMilliseconds) return
    this.#seenAt = now
    for (const peer of peers.all()) this.seen(peer)
    this.#markBanned(this.#book.entries())
  }

  #tell({ target, reason, until }: Ban): void {
    this.#parts.log.info('the operator banned a node', { target, reason })
    this.#parts.emit('peer:banned', { target, reason, until: until ?? Number.POSITIVE_INFINITY })
  }

  #dropBanned(peer: Peer): void {
    const ban = this.#parts.bans.find(peer.nodeId, peer.connection.remoteHost)
    if (ban !== undefined) peer.drop(decline('banned', `${ban.target} is kept out: ${ban.reason}`))
  }

  #markBanned(entries: Iterable<Entry>): void {
    for (const entry of entries) {
      if (entry.node === undefined) continue
      const banned = this.#parts.bans.find(entry.node.nodeId, entry.to.host) !== undefined
      if (banned) this.#book.mark(entry, 'banned', false)
      else if (entry.node.status === 'banned') this.#book.mark(entry, 'unreachable', false)
    }
  }
}
