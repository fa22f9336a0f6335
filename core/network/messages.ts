import * as v from 'valibot'
import { isHash } from '../chain/canonical.ts'
import type { JsonObject } from '../chain/json.ts'
import { decline, type Refusal } from '../errors.ts'

const hash = v.custom<string>(isHash, 'expected 64 lowercase hex digits')
const height = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

/** As many as Bitcoin takes in a locator. Beyond them none is looked at: others know of no limit. */
const locatorHashesMax = 101

/**
 * What a client may ask (protocol section 5; from `transaction_status` on they are extras). Fields that are not named here are not looked
 * at. Where `data` is the chain's to read, it is passed on as it came.
 */
export const requests = {
  ping: v.object({}),
  node_discovery: v.object({}),
  block_request: v.union(
    [v.object({ hash }), v.object({ from: height, to: height })],
    'expected a hash (64 lowercase hex digits), or from and to (integers from 0 up)',
  ),
  header_request: v.object({
    locator: v.pipe(
      v.array(v.unknown(), 'expected a list of hashes'),
      v.transform((all) => all.slice(0, locatorHashesMax)),
      v.array(hash),
    ),
  }),
  transaction_status: v.object({ tx_hash: hash }),
  chain_info: v.object({}),
  genesis_request: v.object({}),
  peer_status: v.object({}),
  node_status: v.object({}),
  why_request: v.object({}),
} as const

export type RequestType = keyof typeof requests
export type Fields<T extends RequestType> = v.InferOutput<(typeof requests)[T]>

/** Characters of foreign text that an error repeats. */
const echoCharactersMax = 64
const textCharactersMax = 400

/** Foreign text in quotation marks, short and without raw control characters: fit for an error or a log. */
export function echo(text: string): string {
  const short = text.length > echoCharactersMax ? `${text.slice(0, echoCharactersMax)}...` : text
  return plain(JSON.stringify(short.toWellFormed()))
}

/** Text for the wire: control characters, and those that change how a line is shown, are escaped. */
export function plain(text: string): string {
  const escaped = text
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) =>
      [...Array(character.length).keys()]
        .map((i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`)
        .join(''),
    )
  return escaped.length > textCharactersMax ? `${escaped.slice(0, textCharactersMax)}...`.toWellFormed() : escaped
}

export type RequestId = number | string

/** The `request_id` of a message, where it has one that is worth repeating: a safe integer or a short string. */
export function requestIdOf(message: JsonObject): RequestId | undefined {
  const id = message['request_id']
  if (typeof id === 'number') return Number.isSafeInteger(id) ? id : undefined
  return typeof id === 'string' && id.length <= echoCharactersMax ? id : undefined
}

const codePattern = /^[a-z0-9-]{1,64}$/i

/** What an `ERROR` of the other side says. A code that is none is `unknown`: it goes where codes are counted and compared. */
export function complaintOf({ code, error }: JsonObject): Refusal {
  return decline(
    typeof code === 'string' && codePattern.test(code) ? code : 'unknown',
    typeof error === 'string' ? echo(error) : 'no reason was given',
  )
}
