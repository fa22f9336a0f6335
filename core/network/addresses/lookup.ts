import { decline, found, messageOf, type Result } from '../../errors.ts'
import type { Runtime } from '../../runtime.ts'
import type { HostPort } from '../hostport.ts'
import { canonicalIp } from './ip.ts'

/**
 * What a host that the operator named means now, as an IP address, which is then dialled without a second look; of several
 * each gets its turn. Declines `name-unknown`.
 */
export async function lookUp(
  runtime: Pick<Runtime, 'resolve'>,
  { host, port }: HostPort,
  turn: number,
): Promise<Result<HostPort>> {
  try {
    const named = canonicalIp(host) === undefined ? await runtime.resolve(host) : [host]
    const ips = named.map(canonicalIp).filter((ip) => ip !== undefined)
    const ip = ips[turn % ips.length]
    if (ip === undefined) return decline('name-unknown', `${host} has no address that can be dialled`)
    return found({ host: ip, port })
  } catch (error) {
    return decline('name-unknown', messageOf(error))
  }
}
