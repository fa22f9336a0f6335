import { isIPv6 } from 'node:net'

const groupsMax = 8

/**
 * Who is counted as one client: an IPv4 address; of IPv6 the first 64 bits, since whoever has one address of such a
 * network has all of them (RFC 4291, 2.5.1).
 */
export function sourceOf(host: string): string {
  const address = host.replace(/%.*$/, '') // RFC 4007, 11: the zone is this machine's own affair.
  if (!isIPv6(address)) return host
  // A URL's host has no leading zeros and no dotted parts.
  const [left = '', right = ''] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::')
  const [before, after] = [groupsOf(left), groupsOf(right)]
  const zeros = Array<string>(groupsMax - before.length - after.length).fill('0')
  return `${[...before, ...zeros, ...after].slice(0, groupsMax / 2).join(':')}::/64`
}

const groupsOf = (text: string): string[] => (text === '' ? [] : text.split(':'))

export const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || host.startsWith('127.')
