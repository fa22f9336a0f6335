import { closest } from 'fastest-levenshtein'
import * as v from 'valibot'
import type { Genesis } from '../chain/genesis.ts'
import type { JsonObject } from '../chain/json.ts'
import type { KeyPair } from '../chain/keys.ts'
import { decline, found, refuse } from '../errors.ts'
import type { Limits } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Chain, Connection, Inbox, NodeFacts, Storage } from '../plugin.ts'
import type { Runtime } from '../runtime.ts'
import { answersOf } from './answers.ts'
import { echo, requests, type RequestType } from './messages.ts'
import { Session, type Answer } from './session.ts'

export interface InboxParts {
  /** undefined on a node without a chain. */
  readonly chain: Chain | undefined
  readonly storage: Pick<Storage, 'nodes'> | undefined
  readonly genesis: Genesis | undefined
  readonly identity: Pick<KeyPair, 'nodeId'>
  readonly node: NodeFacts
  readonly runtime: Pick<Runtime, 'clock'>
  readonly limits: Limits
  readonly log: Log
  /** Where others can reach this node; undefined while it does not listen. */
  publicAddress(): { readonly host: string; readonly port: number } | undefined
}

/** One type of message: what it must look like and what is done with it. */
export interface MessageType {
  readonly schema: v.GenericSchema
  /** `fields` is what the schema made of the message; `message` is all of it, as it came. */
  handle(fields: never, message: JsonObject, connection: Connection): Answer | Promise<Answer>
}

/**
 * The door for what transports carry. Everyone is a client: a message is looked up by its `type`, checked, worked on and
 * answered. Counts the connections of all transports together.
 */
export function createInbox(parts: InboxParts): Inbox {
  const table = messageTable(parts)
  const handle = (message: JsonObject, connection: Connection) => dispatch(table, message, connection)
  let open = 0
  return {
    connected(connection) {
      const { limits, log } = parts
      if (open >= limits.connections_max) {
        return decline('too-many-connections', `this node takes at most ${limits.connections_max} connections`)
      }
      open++
      return found(new Session({ connection, limits, log, handle, closed: () => void open-- }))
    },
  }
}

type Table = ReadonlyMap<string, MessageType>

function messageTable(parts: InboxParts): Table {
  const answers = answersOf(parts)
  const types = Object.keys(requests) as RequestType[]
  const table = new Map<string, MessageType>(
    types.map((type) => [type, { schema: requests[type], handle: answers[type] }]),
  )
  return table.set('ERROR', {
    schema: v.object({}),
    handle: (_fields, message, from) => hear(parts.log, message, from),
  })
}

function dispatch(table: Table, message: JsonObject, connection: Connection): Answer | Promise<Answer> {
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
  return known.handle(shaped.output as never, message, connection)
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
