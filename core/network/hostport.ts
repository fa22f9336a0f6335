import { isIP } from 'node:net'
import { found, refuse, type Result } from '../errors.ts'

/** `host` is an IP address, or a name where an operator wrote it. */
export interface HostPort {
  readonly host: string
  readonly port: number
}

const pattern = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/]{1,253})):(\d{1,5})$/

/** Reads `host:port`; an IPv6 address stands in brackets (RFC 3986, 3.2.2). Refuses `bad-address`. */
export function parseHostPort(text: string): Result<HostPort> {
  const [, bracketed, plain, digits] = pattern.exec(text) ?? []
  const port = Number(digits)
  const wellFormed = bracketed === undefined ? plain !== undefined : isIP(bracketed) === 6
  if (wellFormed && port >= 1 && port <= 65_535) return found({ host: (bracketed ?? plain)!, port })
  return refuse('bad-address', 'expected host:port, such as 192.0.2.1:13245 or [2001:db8::1]:13245')
}

export const hostPortText = ({ host, port }: HostPort): string =>
  isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`
