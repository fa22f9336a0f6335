import type { Refusal } from '../errors.ts'
import type { Connection } from '../plugin.ts'
import { plain } from './messages.ts'

/** Connections that this node has given up: each was told why once, and nothing that still comes on it is looked at. */
export class Farewells {
  readonly #said = new WeakSet<Connection>()

  say(connection: Connection, { code, detail }: Refusal): void {
    if (this.#said.has(connection)) return
    this.#said.add(connection)
    connection.send({ type: 'ERROR', code, error: plain(detail) })
    connection.close(code)
  }

  said(connection: Connection): boolean {
    return this.#said.has(connection)
  }
}
