import { parseJson, isObject, type JsonObject } from '../chain/json.ts'
import { decline, messageOf, type Refusal } from '../errors.ts'
import type { Limits } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Connection, ConnectionHandlers } from '../plugin.ts'
import { plain, requestIdOf, type RequestId } from './messages.ts'

/** What becomes of a message: an answer, a refusal (which may cost the connection), or silence. */
export type Answer =
  | { readonly message: JsonObject }
  /** Made when it is to be sent: many large answers that wait for an earlier one would fill the memory. */
  | { readonly make: () => JsonObject }
  /** `word`: the `ERROR` in the words of who asked. */
  | { readonly refusal: Refusal; readonly close?: boolean; readonly word?: (error: JsonObject) => JsonObject }
  | undefined

export interface SessionParts {
  readonly connection: Connection
  readonly limits: Pick<Limits, 'requests_in_flight_max'>
  readonly log: Log
  /** Does what a message asks for. */
  readonly handle: (message: JsonObject, connection: Connection) => Answer | Promise<Answer>
  readonly isPeer: () => boolean
  /** What came cannot be read any further. False where this is a client, which is told here. */
  readonly broken: (refusal: Refusal) => boolean
  /** `code`: what the session closed it for, where it did. */
  readonly closed: (code: string | undefined) => void
}

/** A client that has sent so many provably wrong messages on one connection is not worth its signature checks. */
const provableRefusalsMax = 10

interface Place {
  readonly requestId: RequestId | undefined
  answer: Answer
  done: boolean
}

/**
 * One connection: messages in, answers out. Requests run at the same time, so that a hundred of them share one write to
 * the disk; their answers leave in the order in which they were asked.
 */
export class Session implements ConnectionHandlers {
  readonly #parts: SessionParts
  readonly #places: Place[] = []
  /** Requests whose answer is not known yet. */
  #working = 0
  /**
   * How many these may be. As in TCP's slow start (RFC 5681, 3.1) it grows by one with each that was right, so that who
   * sends rubbish is found out by the first, before a hundred others of the same kind are in work.
   */
  #workingMax = 1
  #provableRefusals = 0
  #paused = false
  /** Whatever comes now is not looked at. */
  #deaf = false
  #finished = false
  #closedFor: string | undefined

  constructor(parts: SessionParts) {
    this.#parts = parts
  }

  message(bytes: Uint8Array): void {
    if (this.#deaf) return
    const parsed = parseJson(bytes)
    if (!parsed.ok) {
      this.#giveUp(parsed)
    } else if (!isObject(parsed.value)) {
      this.#place(undefined, { refusal: decline('bad-message', 'a message is a JSON object') })
    } else {
      this.#request(parsed.value)
    }
  }

  broken(code: string, detail: string): void {
    if (!this.#deaf) this.#giveUp(decline(code, detail))
  }

  roomy(): void {
    this.#leave()
  }

  finished(): void {
    this.#finished = true
    this.#leave()
  }

  closed(): void {
    this.#deaf = true
    this.#places.length = 0
    this.#parts.closed(this.#closedFor)
  }

  /** Says why, when everything before it is answered, and closes. */
  #giveUp(refusal: Refusal): void {
    this.#deaf = true
    if (this.#parts.broken(refusal)) return
    this.#place(undefined, { refusal, close: true })
  }

  #place(requestId: RequestId | undefined, answer: Answer): void {
    this.#places.push({ requestId, answer, done: true })
    this.#leave()
  }

  #request(message: JsonObject): void {
    const place: Place = { requestId: requestIdOf(message), answer: undefined, done: false }
    this.#places.push(place)
    const answer = this.#handle(message)
    if (answer instanceof Promise) void this.#settleLater(place, answer)
    else this.#settle(place, answer)
    if (!this.#isBusy() || this.#paused || this.#deaf) return
    this.#paused = true
    this.#parts.connection.pause()
  }

  #isBusy(): boolean {
    return this.#isProbing() || this.#places.length >= this.#parts.limits.requests_in_flight_max
  }

  /** A peer is past that: its first fault ends it, and what it sends may have to wait for its answer to a question of ours. */
  #isProbing(): boolean {
    return this.#working >= this.#workingMax && !this.#parts.isPeer()
  }

  async #settleLater(place: Place, later: Promise<Answer>): Promise<void> {
    this.#working++
    const answer = await later.catch((error: unknown) => this.#fault(error))
    this.#working--
    const isRefused = answer !== undefined && 'refusal' in answer
    if (!isRefused && this.#workingMax < this.#parts.limits.requests_in_flight_max) this.#workingMax++
    this.#settle(place, answer)
  }

  #handle(message: JsonObject): Answer | Promise<Answer> {
    try {
      return this.#parts.handle(message, this.#parts.connection)
    } catch (error) {
      return this.#fault(error)
    }
  }

  #fault(error: unknown): { readonly refusal: Refusal } {
    this.#parts.log.error('a message could not be worked on: a fault of this node', {
      connection: this.#parts.connection.id,
      error: error instanceof Error ? error.stack : messageOf(error),
    })
    return { refusal: decline('internal', 'this node failed to work on the message; its log says why') }
  }

  #settle(place: Place, answer: Answer): void {
    place.answer = answer
    place.done = true
    // What has no answer waits for none: a peer's news must not fill the row behind an answer that it is slow to take.
    const at = answer === undefined ? this.#places.indexOf(place) : 0
    if (at > 0) this.#places.splice(at, 1)
    this.#leave()
  }

  /** Sends the answers that are ready and have no other before them, as long as there is room. */
  #leave(): void {
    const { connection, limits } = this.#parts
    while (this.#places[0]?.done === true && !this.#isHeld(this.#places[0])) this.#send(this.#places.shift()!)
    const left = this.#places.length
    if (left === 0 && this.#finished) connection.close('finished')
    const few = connection.full === true ? limits.requests_in_flight_max / 2 : 0
    if (!this.#paused || left > few || this.#isProbing()) return
    this.#paused = false
    connection.resume()
  }

  #isHeld({ answer }: Place): boolean {
    return answer !== undefined && this.#parts.connection.full === true
  }

  #send(place: Place): void {
    const answer = this.#made(place.answer)
    if (answer === undefined) return
    const { connection } = this.#parts
    const id = place.requestId === undefined ? {} : { request_id: place.requestId }
    if ('message' in answer) {
      connection.send({ ...answer.message, ...id })
      return
    }
    const { code, detail, provable } = answer.refusal
    const error = { type: 'ERROR', code, error: plain(detail), ...id }
    connection.send(answer.word === undefined ? error : { ...answer.word(error), ...id })
    if (provable) this.#provableRefusals++
    if (answer.close === true || this.#provableRefusals >= provableRefusalsMax) this.#close(code)
  }

  #made(answer: Answer): Exclude<Answer, { make: unknown }> {
    if (answer === undefined || !('make' in answer)) return answer
    try {
      return { message: answer.make() }
    } catch (error) {
      return this.#fault(error)
    }
  }

  #close(code: string): void {
    const { connection, log } = this.#parts
    log.debug('a connection is closed for what it sent', { connection: connection.id, code })
    this.#deaf = true
    this.#places.length = 0
    this.#closedFor = code
    connection.close(code)
  }
}
