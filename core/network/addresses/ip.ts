import { isIP } from 'node:net'

/**
 * An IP address in the one form in which it is compared: lower case and shortest for IPv6 (RFC 5952), and IPv4 where
 * it was written as `::ffff:192.0.2.1`. undefined for anything else, names and addresses with a zone included.
 */
export function canonicalIp(text: string): string | undefined {
  const family = isIP(text)
  if (family === 4) return text
  if (family !== 6 || text.includes('%')) return undefined
  const short = URL.parse(`http://[${withoutDots(text)}]/`)?.hostname.slice(1, -1)
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(short ?? '')
  if (mapped === null) return short
  const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)]
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.')
}

/** The last 32 bits may be written like IPv4 (RFC 4291, 2.2); Bun's URL refuses some that are. */
const withoutDots = (text: string): string =>
  text.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_dotted, ...bytes: string[]) => {
    const [a, b, c, d] = bytes.map(Number) as [number, number, number, number]
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
  })

export const familyOf = (ip: string): 'ipv4' | 'ipv6' => (isIP(ip) === 6 ? 'ipv6' : 'ipv4')

export const isLoopback = (ip: string): boolean => ip.startsWith('127.') || ip === '::1'

/**
 * The network that an address lies in, as far as who runs it is concerned: /16 of IPv4, /32 of IPv6, which is what a
 * provider is given. Many addresses in one of them cost little, so that they count as one source.
 */
export function networkGroup(ip: string): string {
  if (familyOf(ip) === 'ipv4') return ip.split('.').slice(0, 2).join('.')
  return groupsOf(ip).slice(0, 2).join(':')
}

/** The eight groups of an IPv6 address in canonical form. */
export function groupsOf(ip: string): readonly string[] {
  const [head = '', tail = ''] = ip.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === '' ? [] : tail.split(':')
  return [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right]
}
