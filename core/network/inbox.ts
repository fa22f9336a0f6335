import { closest } from 'fastest-levenshtein'
import * as v from 'valibot'
import type { JsonObject } from '../chain/json.ts'
import { decline, found, refuse } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Connection, Inbox } from '../plugin.ts'
import { echo } from './messages.ts'
import type { MessageType, ModuleParts, NetworkModule, Sender } from './module.ts'
import { Session, type Answer } from './session.ts'

export interface InboxParts extends Pick<ModuleParts, 'limits' | 'log' | 'peers'> {
  readonly modules: readonly NetworkModule[]
}

/**
 * The door for what transports carry: a message is looked up by its `type`, checked, worked on and answered. Counts the
 * connections of all transports together.
 */
export function createInbox(parts: InboxParts): Inbox {
  const { limits, log, peers } = parts
  const table = messageTable(parts)
  const handle = (message: JsonObject, connection: Connection): Answer | Promise<Answer> => {
    const peer = peers.of(connection)
    if (peer?.requests.take(message) === true) return undefined
    return dispatch(table, message, { connection, peer })
  }
  let open = 0
  return {
    connected(connection) {
      if (open >= limits.connections_max) {
        return decline('too-many-connections', `this node takes at most ${limits.connections_max} connections`)
      }
      open++
      const closed = (): void => {
        open--
        const peer = peers.of(connection)
        if (peer !== undefined) peers.remove(peer)
      }
      return found(new Session({ connection, limits, log, handle, closed }))
    },
  }
}

type Table = ReadonlyMap<string, MessageType>

function messageTable({ modules, log }: InboxParts): Table {
  const table = new Map<string, MessageType>()
  for (const { messages } of modules) for (const [type, how] of Object.entries(messages)) table.set(type, how)
  return table.set('ERROR', {
    schema: v.object({}),
    handle: (_fields, message, { connection }) => hear(log, message, connection),
  })
}

function dispatch(table: Table, message: JsonObject, sender: Sender): Answer | Promise<Answer> {
  const { type } = message
  if (typeof type !== 'string') return { refusal: decline('bad-message', 'type: expected a string') }
  const known = table.get(type)
  if (known === undefined) return { refusal: unknownType(table, type) }
  const shaped = v.safeParse(known.schema, message, { abortEarly: true })
  if (!shaped.success) {
    const [issue] = shaped.issues
    // valibot words a missing field as a wrong key.
    const what = issue.type === 'object' && issue.input === undefined ? 'is missing' : issue.message
    return { refusal: refuse('bad-message', `${v.getDotPath(issue) ?? type}: ${what}`) }
  }
  // The table is made such that a schema's output is what its handler takes.
  return known.handle(shaped.output as never, message, sender)
}

/** The distance costs the product of the lengths. */
const comparedCharactersMax = 64

function unknownType(table: Table, type: string) {
  // Capitals are what is mixed up most: protocol section 5 has both.
  const names = new Map([...table.keys()].map((name) => [name.toLowerCase(), name]))
  const nearest = names.get(closest(type.slice(0, comparedCharactersMax).toLowerCase(), [...names.keys()]))
  return decline('unknown-type', `type: ${echo(type)} is not known here; the nearest that is known is ${nearest}`)
}

/** What the other side says went wrong is never answered: two programs would tell each other for ever. */
function hear(log: Log, message: JsonObject, connection: Connection): undefined {
  const { code, error } = message
  log.debug('the other side reports an error', {
    connection: connection.id,
    code: typeof code === 'string' ? echo(code) : undefined,
    error: typeof error === 'string' ? echo(error) : undefined,
  })
}
