import type { Exchange, Talk, Wire } from './socket.ts'
import { exchange } from './socket.ts'

/**
 * Sends one line over a connection of its own and ends it. It is delivered when the other side ends the connection too,
 * in order: a program that is killed, or closes, before it has read everything makes its system send a reset instead.
 * `answers`: the other side says a line first, as who was killed between reading and working cannot.
 */
export const deliverLine = (parts: Exchange, answers: boolean): Promise<void> =>
  exchange(parts, (wire) => (answers ? new Answered(wire) : new Plain(wire)))

/** On one machine a reset is there after much less. */
const settleMillisecondsMin = 2

/**
 * Who closes without having read (a proxy with nobody behind it) sends the end of the connection first and the reset when
 * our line gets there. So this side keeps its own end open for as long as that reset may take, and then believes the end.
 */
class Plain implements Talk {
  readonly #wire: Wire
  readonly #settle: number
  #sent = false
  #finished = false

  constructor(wire: Wire) {
    this.#wire = wire
    this.#settle = settleMillisecondsMin + 2 * wire.roundTrip
  }

  sent(): void {
    this.#sent = true
    // Who reads until the end waits for ours.
    this.#wire.after(this.#settle, () => {
      this.#finished = true
      this.#wire.finish()
    })
  }

  data(): void {}

  ended(): void {
    if (this.#finished) return
    if (this.#sent) this.#wire.after(this.#settle, () => this.#wire.done())
    else
      this.#wire.fail(
        'target-closed',
        'closed the connection before it got the line; is something else listening there?',
      )
  }

  closed(): void {
    if (this.#finished) this.#wire.done()
  }
}

const lineEnd = 0x0a

/** The answer tells that it was read, and more. */
class Answered implements Talk {
  readonly #wire: Wire

  constructor(wire: Wire) {
    this.#wire = wire
  }

  sent(): void {
    this.#wire.finish()
  }

  data(bytes: Uint8Array): void {
    if (bytes.includes(lineEnd)) this.#wire.done()
  }

  ended(): void {
    this.closed()
  }

  closed(): void {
    this.#wire.fail('target-closed', 'closed without the line that ?answer asks for; it must say one when it is done')
  }
}
