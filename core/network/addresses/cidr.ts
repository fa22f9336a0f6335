import { BlockList } from 'node:net'
import { found, refuse, type Result } from '../../errors.ts'
import { canonicalIp, familyOf, groupsOf } from './ip.ts'

/** A network of addresses, e.g. `10.0.0.0/8` (RFC 4632, RFC 4291 2.3). */
export interface Network {
  readonly ip: string
  /** Bits that all of its addresses have in common. */
  readonly prefix: number
}

/** Reads a network. Refuses `bad-network`; the detail says what is wrong, and names the network that was probably meant. */
export function parseNetwork(text: string): Result<Network> {
  const [, before = text, digits] = /^(.+)\/(\d{1,3})$/.exec(text) ?? []
  const ip = canonicalIp(before)
  if (ip === undefined) return refuse('bad-network', 'it begins with an IP address, and ends with /bits')
  const bitsMax = familyOf(ip) === 'ipv4' ? 32 : 128
  if (digits === undefined) return refuse('bad-network', `this host alone is ${ip}/${bitsMax}`)
  const prefix = Number(digits)
  if (prefix > bitsMax) return refuse('bad-network', `${ip} has ${bitsMax} bits`)
  const first = firstOf({ ip, prefix })
  if (first !== ip) return refuse('bad-network', `${text} lies in ${first}/${prefix}`)
  return found({ ip, prefix })
}

export function listOf(networks: readonly Network[]): { has(ip: string): boolean } {
  const list = new BlockList()
  for (const { ip, prefix } of networks) list.addSubnet(ip, prefix, familyOf(ip))
  return { has: (ip) => list.check(ip, familyOf(ip)) }
}

/** The first address of the network that an address lies in. */
function firstOf({ ip, prefix }: Network): string {
  const isV4 = familyOf(ip) === 'ipv4'
  const [parts, bits, radix] = isV4 ? [ip.split('.'), 8, 10] : [groupsOf(ip), 16, 16]
  const cut = parts.map((part, at) => {
    const kept = Math.min(bits, Math.max(0, prefix - at * bits))
    const value = Number.parseInt(part, radix)
    return (value - (value % 2 ** (bits - kept))).toString(radix)
  })
  return canonicalIp(cut.join(isV4 ? '.' : ':'))!
}
