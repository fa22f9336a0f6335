import type { NodeId } from '../../chain/keys.ts'
import { accepted, decline, type Verdict } from '../../errors.ts'
import type { HostPort } from '../hostport.ts'
import { listOf, parseNetwork } from './cidr.ts'
import { canonicalIp, isLoopback, networkGroup } from './ip.ts'

// IANA's registries of special-purpose addresses (RFC 6890): nobody on the internet can be reached there, but what runs
// beside this node can, such as a cloud's metadata service at 169.254.169.254.
const special: readonly (readonly [network: string, what: string])[] = [
  ['0.0.0.0/8', 'no host of its own'],
  ['10.0.0.0/8', 'private (RFC 1918)'],
  ['100.64.0.0/10', 'private (RFC 6598)'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link-local (RFC 3927)'],
  ['172.16.0.0/12', 'private (RFC 1918)'],
  ['192.0.0.0/24', 'of the IETF (RFC 6890)'],
  ['192.0.2.0/24', 'for documentation (RFC 5737)'],
  ['192.88.99.0/24', 'a relay to IPv6 (RFC 7526)'],
  ['192.168.0.0/16', 'private (RFC 1918)'],
  ['198.18.0.0/15', 'for benchmarks (RFC 2544)'],
  ['198.51.100.0/24', 'for documentation (RFC 5737)'],
  ['203.0.113.0/24', 'for documentation (RFC 5737)'],
  ['224.0.0.0/4', 'multicast (RFC 5771)'],
  ['240.0.0.0/4', 'reserved or broadcast (RFC 1112)'],
  ['::1/128', 'loopback'],
  ['fc00::/7', 'private (RFC 4193)'],
  ['fe80::/10', 'link-local (RFC 4291)'],
  ['ff00::/8', 'multicast (RFC 4291)'],
  // These hold an IPv4 address, so that any of the above could hide in them.
  ['64:ff9b::/96', 'a translation to IPv4 (RFC 6052)'],
  ['2002::/16', 'a tunnel through IPv4 (RFC 3056)'],
  ['2001::/23', 'of the IETF, or a tunnel (RFC 2928, RFC 4380)'],
  ['2001:db8::/32', 'for documentation (RFC 3849)'],
  ['3fff::/20', 'for documentation (RFC 9637)'],
]

/** Below are services that were never meant to read our lines, and might take some for orders of their own. */
const learntPortMin = 1_024

const networkOf = (text: string) => {
  const network = parseNetwork(text)
  // The config's schema, and the table above, hold no others.
  if (!network.ok) throw new Error(`${text}: ${network.detail}`)
  return network.value
}

const specialLists = special.map(([network, what]) => ({ what, list: listOf([networkOf(network)]) }))
/** All of them at once: most addresses are in none. */
const anySpecial = listOf(special.map(([network]) => networkOf(network)))
/** RFC 4291, 2.4, and IANA's registry since: all unicast addresses of IPv6 that are given out lie here. */
const globalV6 = listOf([networkOf('2000::/3')])

const kindOf = (ip: string): string => specialLists.find(({ list }) => list.has(ip))?.what ?? 'special'

export interface PolicyParts {
  readonly dialNetworks: readonly string[]
  /** Whether this node can itself be reached from its own machine only: a development network. */
  readonly onLoopbackOnly: () => boolean
}

/** Which addresses that were learnt from others may be dialled (threats row 17). What an operator named always may. */
export class DialPolicy {
  readonly #named: { has(ip: string): boolean }
  readonly #onLoopbackOnly: () => boolean

  constructor({ dialNetworks, onLoopbackOnly }: PolicyParts) {
    this.#named = listOf(dialNetworks.map(networkOf))
    this.#onLoopbackOnly = onLoopbackOnly
  }

  /** Declines `not-dialled`, with what kind of address it is. */
  verdict({ host, port }: HostPort): Verdict {
    const ip = canonicalIp(host)
    // What a name means is decided by whoever answers for it, and another time it means something else.
    if (ip === undefined) return decline('not-dialled', 'a name, not an IP address')
    if (port < learntPortMin) return decline('not-dialled', `port ${port} belongs to another service`)
    if (this.#isLocal(ip)) return accepted
    if (anySpecial.has(ip)) return decline('not-dialled', `${ip} is ${kindOf(ip)}`)
    if (ip.includes(':') && !globalV6.has(ip)) return decline('not-dialled', `${ip} is not given out (RFC 4291)`)
    return accepted
  }

  /**
   * Addresses of one group probably belong to one party: see `networkGroup`. In the networks that the operator named every
   * node counts for itself: otherwise a ledger that lives in one of them would be taken for one party.
   */
  groupOf({ host, port }: HostPort): string {
    const ip = canonicalIp(host) ?? host
    return this.#isLocal(ip) ? `${ip} ${port}` : networkGroup(ip)
  }

  /** Who is behind what a peer says, as far as that can be known: a new node id costs nothing, another network does. */
  sourceOf(remoteHost: string, nodeId: NodeId): string {
    const ip = canonicalIp(remoteHost) ?? remoteHost
    return this.#isLocal(ip) ? nodeId : networkGroup(ip)
  }

  #isLocal(ip: string): boolean {
    return this.#named.has(ip) || (isLoopback(ip) && this.#onLoopbackOnly())
  }
}
