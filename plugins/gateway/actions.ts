import {
  AurexError,
  decline,
  found,
  messageOf,
  parseJson,
  type Hash,
  type JsonObject,
  type Log,
  type Refusal,
  type Result,
} from '../../core/index.ts'
import type { Confirmations } from './confirmations.ts'
import { failed } from './connection.ts'
import type { Desk, Fate, Submission } from './desk.ts'
import { actions, isNews, readRequest, type Request } from './schema.ts'

export interface ActionsParts {
  readonly desk: Desk
  readonly confirmations: Pick<Confirmations, 'hear'>
  readonly chainId: () => Hash | undefined
  /** What health says beside its own. */
  readonly counts: () => JsonObject
  readonly log: Log
}

export interface Tally {
  readonly action: string
  readonly outcome: string
  readonly count: number
}

const requestIdCharactersMax = 128

/** What each request is answered with (protocol section 6). */
export class Actions {
  readonly #parts: ActionsParts
  /** By `action outcome`: both come from here, never from a client. */
  readonly #tallies = new Map<string, Tally>()

  constructor(parts: ActionsParts) {
    this.#parts = parts
  }

  /** The answer to one body; undefined where it is answered with nothing. Never rejects. */
  async answer(body: Uint8Array): Promise<JsonObject | undefined> {
    const message = readBody(body)
    if (!message.ok) return this.#tallied('none', refusalAnswer(message))
    const answer = await this.#answerTo(message.value)
    const requestId = message.value['request_id']
    if (answer === undefined || requestId === undefined || requestIdFault(requestId) !== undefined) return answer
    return { ...answer, request_id: requestId }
  }

  tallies(): readonly Tally[] {
    return [...this.#tallies.values()]
  }

  async #answerTo(message: JsonObject): Promise<JsonObject | undefined> {
    const action = actionOf(message)
    try {
      return this.#tallied(action, await this.#act(message))
    } catch (error) {
      this.#parts.log.error('a request failed', { action, error })
      // Our own faults have a code where somebody can do something about them: a full disk.
      const code = error instanceof AurexError ? error.code : 'internal'
      const detail = error instanceof AurexError ? messageOf(error) : 'a fault of this gateway; its log has more'
      return this.#tallied(action, failed(code, detail))
    }
  }

  async #act(message: JsonObject): Promise<JsonObject | undefined> {
    const fault = requestIdFault(message['request_id'])
    if (fault !== undefined) return refusalAnswer(fault)
    if (isNews(message)) {
      // Nothing awaits between its turn and its being durable: what is answered afterwards proves that it was taken.
      const heard = this.#parts.confirmations.hear(message)
      return heard.ok ? undefined : refusalAnswer(heard)
    }
    const request = readRequest(message)
    return request.ok ? await this.#do(request.value) : refusalAnswer(request)
  }

  async #do(request: Request): Promise<JsonObject> {
    const { desk } = this.#parts
    switch (request.action) {
      case 'health':
        return this.#health()
      case 'submit_transaction':
        return submissionAnswer('broadcast', await desk.submitTransaction(request.body), false)
      case 'submit_purchase':
        return submissionAnswer('submitted', await desk.submitPurchase(request.body), true)
      default:
        return await this.#status(request.tx_hash, request.tx_id)
    }
  }

  #health(): JsonObject {
    const { desk, chainId, counts } = this.#parts
    return {
      status: 'ok',
      service: 'gateway_server',
      chain_id: chainId() ?? null,
      ...desk.counts(),
      ...counts(),
    }
  }

  async #status(txHash: Hash | undefined, txId: string | undefined): Promise<JsonObject> {
    if (txHash !== undefined && txId !== undefined) {
      return failed('bad-request', 'tx_id: give it or tx_hash, not both')
    }
    if (txHash !== undefined) return fateAnswer(await this.#parts.desk.fate({ txHash }), txId)
    if (txId !== undefined) return fateAnswer(await this.#parts.desk.fate({ txId }), txId)
    return failed('bad-request', 'tx_hash: is missing; give it or tx_id')
  }

  #tallied(action: string, answer: JsonObject | undefined): JsonObject | undefined {
    const outcome = answer === undefined ? 'taken' : outcomeOf(action, answer)
    const key = `${action} ${outcome}`
    this.#tallies.set(key, { action, outcome, count: (this.#tallies.get(key)?.count ?? 0) + 1 })
    return answer
  }
}

function readBody(body: Uint8Array): Result<JsonObject> {
  if (body.length === 0)
    return decline('empty', 'the prefix, two bytes, says that the body has none; expected a JSON object')
  const value = parseJson(body)
  if (!value.ok) return value
  if (typeof value.value === 'object' && value.value !== null && !Array.isArray(value.value)) {
    return found(value.value as JsonObject)
  }
  return decline('bad-request', 'the body: expected a JSON object')
}

function requestIdFault(requestId: unknown): Refusal | undefined {
  if (requestId === undefined || typeof requestId === 'number') return undefined
  if (typeof requestId === 'string' && requestId.length <= requestIdCharactersMax) return undefined
  return decline(
    'bad-request',
    `request_id: expected a number, or a string of at most ${requestIdCharactersMax} characters`,
  )
}

const refusalAnswer = ({ code, detail }: Refusal): JsonObject => failed(code, detail)

/** `done`: what it is called when nodes were reached. Only what the gateway made of a purchase is shown: the rest is the client's. */
function submissionAnswer(done: string, result: Result<Submission>, withTransaction: boolean): JsonObject {
  if (!result.ok) return refusalAnswer(result)
  const { hash, transaction, nodesReached, nodesTotal, message } = result.value
  return {
    status: nodesReached > 0 ? done : 'queued',
    nodes_reached: nodesReached,
    total_nodes: nodesTotal,
    message,
    ...(withTransaction ? { transaction: { ...transaction } } : {}),
    tx_hash: hash,
  }
}

function fateAnswer(fate: Fate, txId: string | undefined): JsonObject {
  const { status, txHash, blockIndex, confirmations, code, message } = fate
  if (status === 'unreachable') return failed('unreachable', message ?? 'nobody can say at the moment')
  return {
    status,
    tx_hash: txHash ?? null,
    ...(txId === undefined ? {} : { tx_id: txId }),
    block_index: blockIndex ?? null,
    confirmations,
    ...(code === undefined ? {} : { code }),
    ...(message === undefined ? {} : { message }),
  }
}

/** For counting: one of few words. */
function actionOf(message: JsonObject): string {
  if (isNews(message)) return message['type'] as string
  const { action } = message
  return (actions as readonly unknown[]).includes(action) ? (action as string) : 'unknown'
}

/** For counting: what became of a transaction is no outcome of the question. */
function outcomeOf(action: string, { status, code }: JsonObject): string {
  if (status === 'failed') return code as string
  return action === 'transaction_status' ? 'ok' : (status as string)
}
