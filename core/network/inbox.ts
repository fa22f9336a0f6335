import { closest } from 'fastest-levenshtein'
import * as v from 'valibot'
import type { JsonObject } from '../chain/json.ts'
import { decodeSignature } from '../chain/signature.ts'
import { accepted, decline, found, refuse, type Refusal } from '../errors.ts'
import type { Connection, ConnectionHandlers, Inbox } from '../plugin.ts'
import type { Farewells } from './farewells.ts'
import { echo } from './messages.ts'
import type { MessageType, ModuleParts, NetworkModule, Sender, Translation } from './module.ts'
import type { Peer } from './peer.ts'
import { Session, type Answer } from './session.ts'

export interface InboxParts extends Pick<ModuleParts, 'limits' | 'log' | 'peers'> {
  readonly farewells: Farewells
  readonly modules: readonly NetworkModule[]
}

/** The inbox, and the door for connections that this node opened itself: they are not turned away. */
export interface Door extends Inbox {
  attend(connection: Connection): ConnectionHandlers
}

/**
 * The door for what transports carry: a message is looked up by its `type`, checked, worked on and answered. Counts the
 * connections of all transports together.
 */
export function createInbox(parts: InboxParts): Door {
  const { limits, log, peers, modules } = parts
  const table = messageTable(modules)
  const handle = (message: JsonObject, connection: Connection) => receive(parts, table, message, connection)
  const session = (connection: Connection, closed: () => void): Session =>
    new Session({
      connection,
      limits,
      log,
      handle,
      isPeer: () => peers.of(connection) !== undefined,
      broken: (refusal) => dropBroken(peers.of(connection), refusal),
      closed: (code) => {
        closed()
        const peer = peers.of(connection)
        if (peer !== undefined) peers.remove(peer, code ?? peer.complaint ?? 'disconnected')
        for (const module of modules) module.closed?.(connection)
      },
    })
  let open = 0
  return {
    connected(connection) {
      if (open >= limits.connections_max) {
        return decline('too-many-connections', `this node takes at most ${limits.connections_max} connections`)
      }
      open++
      return found(session(connection, () => void open--))
    },
    attend: (connection) => session(connection, () => undefined),
  }
}

type Table = ReadonlyMap<string, MessageType>

function messageTable(modules: readonly NetworkModule[]): Table {
  return new Map(modules.flatMap(({ messages }) => Object.entries(messages)))
}

function receive(
  parts: InboxParts,
  table: Table,
  message: JsonObject,
  connection: Connection,
): Answer | Promise<Answer> {
  const { peers, farewells } = parts
  if (farewells.said(connection)) return undefined
  const peer = peers.of(connection)
  if (peer !== undefined && hasHeard(peer, table, message)) return undefined
  const translation = translationOf(parts, message)
  const said = translation !== undefined && 'message' in translation ? translation.message : message
  const judged = (answer: Answer): Answer => {
    const judgement = peer === undefined ? judgedOfClient(said, answer) : judgedOfPeer(peer, answer)
    return translation === undefined ? judgement : worded(judgement, translation.word)
  }
  const sender = { connection, peer }
  const isAnswered = translation !== undefined && 'answer' in translation
  const answer = isAnswered ? translation.answer : dispatch(table, said, sender)
  return answer instanceof Promise ? answer.then(judged) : judged(answer)
}

/** Takes an answer to a question of ours; counts everything else, and drops a peer that sends too much. */
function hasHeard(peer: Peer, table: Table, message: JsonObject): boolean {
  peer.heard()
  if (peer.requests.take(message)) return true
  const { type } = message
  const isChannel = typeof type === 'string' && table.get(type)?.isChannel === true
  const rate = isChannel ? peer.channelRate : peer.rate
  const verdict = counts(peer, message) ? rate.take(message) : accepted
  if (!verdict.ok) peer.drop(verdict)
  return !verdict.ok
}

/** Transactions that were asked for are answers, though they do not repeat what they answer. */
const counts = (peer: Peer, { type }: JsonObject): boolean =>
  type !== 'NEW_TRANSACTION' || peer.transactionsExpected === 0

/** A peer that sends what no honest program sends is no peer any longer. */
function judgedOfPeer(peer: Peer, answer: Answer): Answer {
  if (answer === undefined || !('refusal' in answer) || !answer.refusal.provable) return answer
  peer.drop(answer.refusal)
  return undefined
}

/**
 * A signature that was checked and is by nobody has cost this node a thousand times what it cost to make up: one is
 * enough. One that could not even be read was refused for nothing, and counts with the other provable refusals. `busy`
 * is said of one that the native check refused while there was no time for the rule (chain/verifier.ts).
 */
function judgedOfClient({ type, signature }: JsonObject, answer: Answer): Answer {
  if (type !== 'NEW_TRANSACTION' || answer === undefined || !('refusal' in answer)) return answer
  const { code, provable } = answer.refusal
  const looksBad = code === 'busy' || (provable && code === 'bad-signature')
  const checked = looksBad && typeof signature === 'string' && decodeSignature(signature).ok
  return checked ? { ...answer, close: true } : answer
}

/** An honest program that dies in the middle of a line leaves just such a line: no ban. */
function dropBroken(peer: Peer | undefined, { code, detail }: Refusal): boolean {
  peer?.drop(decline(code, detail))
  return peer !== undefined
}

/** What an older program says is worked on in today's words, and answered in its own. */
function translationOf({ modules }: InboxParts, message: JsonObject): Translation | undefined {
  const translations = modules.values().map((module) => module.translate?.(message))
  return translations.find((translation) => translation !== undefined)
}

function worded(answer: Answer, word: Translation['word']): Answer {
  if (answer === undefined) return undefined
  if ('refusal' in answer) return { ...answer, word }
  return { make: () => word('make' in answer ? answer.make() : answer.message) }
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
    const detail = `${v.getDotPath(issue) ?? type}: ${what}`
    // A peer may run another program, of another version: that is no reason to keep it out for a day.
    return { refusal: sender.peer === undefined ? refuse('bad-message', detail) : decline('bad-message', detail) }
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
