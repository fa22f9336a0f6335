import { isObject, parseJson, type JsonObject } from '../../chain/json.ts'
import type { Connection } from '../../plugin.ts'
import type { HostPort } from '../hostport.ts'
import type { ModuleParts } from '../module.ts'

/**
 * Asks a node whom it knows as any client may: one that has no place for another peer is still where a newcomer begins,
 * and a network would otherwise never grow beyond the places of its bootstrap nodes.
 */
export class Inquiry {
  readonly #parts: Pick<ModuleParts, 'limits' | 'runtime' | 'transports'>
  #asking = false

  constructor(parts: Pick<ModuleParts, 'limits' | 'runtime' | 'transports'>) {
    this.#parts = parts
  }

  /** Its `peer_list`, as it came; undefined where there is none in time, or another inquiry is under way. */
  async ask({ host, port }: HostPort): Promise<JsonObject | undefined> {
    const transport = this.#parts.transports.find((one) => one.dial !== undefined)
    if (transport === undefined || this.#asking) return undefined
    this.#asking = true
    const { promise, resolve } = Promise.withResolvers<JsonObject | undefined>()
    const give = (answer: JsonObject | undefined): void => {
      timer.cancel()
      connection?.close('the inquiry is over')
      resolve(answer)
    }
    let connection: Connection | undefined
    const timer = this.#parts.runtime.clock.after(this.#parts.limits.request_milliseconds_max, () => give(undefined))
    try {
      await transport.dial!(host, port, (opened) => {
        connection = opened
        opened.send({ type: 'peer_list' })
        return {
          message: (bytes) => give(listOf(bytes)),
          broken: () => give(undefined),
          finished: () => give(undefined),
          closed: () => give(undefined),
        }
      })
      return await promise
    } catch {
      // It was there a moment ago; it is dialled again anyway.
      timer.cancel()
      return undefined
    } finally {
      this.#asking = false
    }
  }
}

function listOf(bytes: Uint8Array): JsonObject | undefined {
  const parsed = parseJson(bytes)
  return parsed.ok && isObject(parsed.value) && parsed.value['type'] === 'peer_list' ? parsed.value : undefined
}
