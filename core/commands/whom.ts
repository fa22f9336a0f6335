import { usageError } from './flags.ts'

export interface Whom {
  readonly host: string
  readonly port: number
}

export const nodePortDefault = 13_245
export const gatewayPortDefault = 5_000

export const nodeOf = (text?: string): Whom => whomOf('--node', text, nodePortDefault)
export const gatewayOf = (text?: string): Whom => whomOf('--gateway', text, gatewayPortDefault)

/** `host`, `host:port`, `[v6]:port`. */
function whomOf(flag: string, text: string = '127.0.0.1', portDefault: number): Whom {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = match?.[3] === undefined ? portDefault : Number(match[3])
  if (host === undefined || port < 1 || port > 65_535) {
    throw usageError(
      'bad-value',
      `${flag}: expected host:port, as 127.0.0.1:${portDefault}, got ${JSON.stringify(text)}`,
    )
  }
  return { host, port }
}
