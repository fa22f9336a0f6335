import { frameOf, FrameReader, isObject, parseJson, type Json } from '../../core/index.ts'
import { exchange, type Exchange, type Talk, type Wire } from './socket.ts'

/** Protocol section 6 answers a confirmation with nothing, and everything in order: what is asked after it tells. */
const question = frameOf({ action: 'health' })!

/**
 * Sends a confirmation to a gateway. It is delivered when the gateway answers `health`, which was asked behind it, without
 * having answered the confirmation with an error. Rejects as `exchange` does, and with `target-refused`.
 */
export const deliverFrame = (parts: Exchange): Promise<void> =>
  exchange({ ...parts, bytes: Buffer.concat([parts.bytes, question]) }, (wire) => new AskedAfter(wire))

class AskedAfter implements Talk {
  readonly #wire: Wire
  readonly #reader = new FrameReader()

  constructor(wire: Wire) {
    this.#wire = wire
  }

  sent(): void {}

  data(bytes: Uint8Array): void {
    this.#reader.push(bytes)
    const body = this.#reader.next()
    if (body === undefined) return
    const refusal = refusalIn(body)
    if (refusal === undefined) this.#wire.done()
    else this.#wire.fail('target-refused', refusal)
  }

  ended(): void {
    this.closed()
  }

  closed(): void {
    this.#wire.fail('target-closed', 'closed without an answer; is it a gateway that listens there?')
  }
}

const refusalCharactersMax = 300

/** What the first answer says, where it is not that all is well. */
function refusalIn(body: Uint8Array): string | undefined {
  const read = parseJson(body)
  const answer = read.ok && isObject(read.value) ? read.value : {}
  if (answer['status'] === 'ok') return undefined
  const { code, message } = answer
  if (answer['status'] !== 'failed')
    return 'answered with something that is no answer of a gateway; is it one that listens there?'
  return `refused it: ${textOf(code)}: ${textOf(message)}`.slice(0, refusalCharactersMax)
}

const textOf = (value: Json | undefined): string => (typeof value === 'string' ? value : JSON.stringify(value ?? null))
