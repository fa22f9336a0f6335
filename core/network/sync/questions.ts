import * as v from 'valibot'
import { isHash, type Hash } from '../../chain/canonical.ts'
import { isObject, type JsonObject } from '../../chain/json.ts'
import { found, refuse, type Result } from '../../errors.ts'
import type { Peer } from '../peer.ts'

/** Protocol section 5: at most so many in one answer. */
export const headersAskedMax = 2_000
export const blocksAskedMax = 100

const hash = v.custom<Hash>(isHash, 'expected 64 lowercase hex digits')
const index = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
// Only what is looked at before the chain has read the whole: where it says that it belongs.
const places = v.object({ index, current_hash: hash, prev_hash: hash })
const place = v.custom<JsonObject & v.InferOutput<typeof places>>(
  (value) => isObject(value) && v.is(places, value),
  'expected an object with index, current_hash and prev_hash',
)
// Some programs send whole blocks where headers are asked for, and some write an empty list as null.
const headerPlace = v.pipe(place, v.transform(withoutBody))
const headerResponse = v.object({
  headers: v.nullable(v.pipe(v.array(headerPlace), v.maxLength(headersAskedMax)), []),
})
const blockResponse = v.object({ blocks: v.nullable(v.pipe(v.array(place), v.maxLength(blocksAskedMax)), []) })

/** A header or a block as it came: it says where it belongs, and nothing of it is checked yet. */
export type Unchecked = v.InferOutput<typeof place>

/** Headers of the peer's chain after the first hash of the locator that it knows, oldest first. */
export async function askHeaders(
  peer: Peer,
  locator: readonly Hash[],
  millisecondsMax: number,
): Promise<Result<readonly Unchecked[]>> {
  const answer = await peer.ask({ type: 'header_request', locator: [...locator] }, 'header_response', millisecondsMax)
  return answer.ok ? shaped(headerResponse, answer.value, ({ headers }) => headers) : answer
}

/** Blocks of the peer's chain, oldest first; fewer than asked for where they are large or it has no more. */
export function askBlocks(peer: Peer, from: number, to: number, millisecondsMax: number) {
  return askForBlocks(peer, { from, to }, millisecondsMax)
}

/** One block of any branch, or none where the peer does not have it. */
export function askBlock(peer: Peer, hash: Hash, millisecondsMax: number) {
  return askForBlocks(peer, { hash }, millisecondsMax)
}

async function askForBlocks(
  peer: Peer,
  which: JsonObject,
  millisecondsMax: number,
): Promise<Result<readonly Unchecked[]>> {
  const answer = await peer.ask({ type: 'block_request', ...which }, 'block_response', millisecondsMax)
  return answer.ok ? shaped(blockResponse, answer.value, ({ blocks }) => blocks) : answer
}

function shaped<S extends v.GenericSchema>(
  schema: S,
  message: JsonObject,
  list: (output: v.InferOutput<S>) => readonly Unchecked[],
): Result<readonly Unchecked[]> {
  const result = v.safeParse(schema, message, { abortEarly: true })
  if (result.success) return found(list(result.output))
  const [issue] = result.issues
  return refuse('bad-answer', `${v.getDotPath(issue) ?? 'the answer'}: ${issue.message}`)
}

function withoutBody(block: Unchecked): Unchecked {
  if (!('transactions' in block)) return block
  const { transactions: _transactions, ...header } = block
  return header
}
