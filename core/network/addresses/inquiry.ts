import type { JsonObject } from '../../chain/json.ts'
import { runErrand } from '../errand.ts'
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
  async ask(to: HostPort): Promise<JsonObject | undefined> {
    if (this.#asking) return undefined
    this.#asking = true
    const answers = await runErrand(this.#parts, { to, questions: [{ type: 'peer_list' }] })
    this.#asking = false
    // Where there was no answer: it was there a moment ago, and is dialled again anyway.
    const answer = answers.ok ? answers.value[0] : undefined
    return answer?.['type'] === 'peer_list' ? answer : undefined
  }
}
