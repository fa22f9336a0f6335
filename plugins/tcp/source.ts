import { isIPv6 } from 'node:net'

/**
 * Who is counted as one: an IPv4 address; of IPv6 the first 64 bits, since whoever has one address of such a network has
 * all 2^64 of them (RFC 4291, 2.5.1; RFC 7934, 5). An IPv4 address that was mapped into IPv6 is the IPv4 address.
 */
export function sourceOf(host: string): string {
  const address = host.replace(/%.*$/, '') // RFC 4007, 11: the zone is this machine's own affair.
  if (!isIPv6(address)) return host
  const groups = groupsOf(address)
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  if (isMapped)
    return groups
      .slice(6)
      .flatMap((group) => [group >> 8, group & 0xff])
      .join('.')
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`
}

/** The eight groups of 16 bits. */
function groupsOf(address: string): number[] {
  // A URL's host has IPv6 without dotted parts (RFC 5952 with hexadecimal groups only).
  const [left = '', right] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::')
  const [before, after] = [numbersOf(left), numbersOf(right ?? '')]
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
}

const numbersOf = (text: string): number[] =>
  text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
