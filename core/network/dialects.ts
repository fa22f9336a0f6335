// Two older dialects, read on the same port and answered in kind. Programs of their time signed nothing, or with a text
// such as `SIG_{node}_{hash}`. What only asks is answered in full. What is to be recorded must carry all that protocol
// sections 3 and 4 demand, and is then worked on as if it had been said in today's words; a program that cannot know that
// is told what to do, and nobody holds it against it.
//
// - Named: `BLOCK_FOUND {sender, content}`, whose blocks say `hash`, `previous_hash` and `miner`, and `NEW_TRANSACTION
//   {sender, data: "text"}`. The text is recorded as `data: {"text": "text"}`, and that is what is signed.
// - Numbered: `{type: 1..6, payload, timestamp, signature}`; `payload` is base64. What has no number of its own is
//   answered under 0, with today's message as the payload. The envelope's signature was optional: what counts is what
//   the payload carries. Its handshake proves nothing, so it makes nobody a peer.
import { isObject, parseJson, type Json, type JsonObject } from '../chain/json.ts'
import { decodeSignature } from '../chain/signature.ts'
import { decline, found, type Result } from '../errors.ts'
import { noChain } from './answers.ts'
import { handshakeVersion } from './greeting.ts'
import { hostPortText } from './hostport.ts'
import type { ModuleParts, NetworkModule, Translation } from './module.ts'
import type { Answer } from './session.ts'
import { standingOf } from './standing.ts'

export function dialects(parts: ModuleParts): NetworkModule {
  return {
    messages: {},
    translate: (message) =>
      typeof message['type'] === 'number' ? numbered(parts, message['type'], message) : named(parts, message),
  }
}

// ---- named -----------------------------------------------------------------------------------------------------

function named({ identity }: ModuleParts, message: JsonObject): Translation | undefined {
  const { type, sender, data, content } = message
  const word = (answer: JsonObject): JsonObject => ({ ...answer, sender: identity.nodeId })
  if (type === 'BLOCK_FOUND') return translated(newBlock(content, sender), word)
  if (type === 'NEW_TRANSACTION' && typeof data === 'string') return translated(newTransaction(message), word)
  return undefined
}

const translated = (message: Result<JsonObject>, word: Translation['word']): Translation =>
  message.ok ? { message: message.value, word } : { answer: { refusal: message }, word }

/** Old names in a block, and today's. */
const blockNames = { hash: 'current_hash', previous_hash: 'prev_hash', miner: 'miner_id' } as const

/** `new_block` of a block under old names, today's, or both. Declines `bad-message` and `unsigned`. */
function newBlock(value: unknown, sender: unknown): Result<JsonObject> {
  if (!isObject(value)) return decline('bad-message', 'a block is a JSON object')
  // The text of an old block: no hash of ours covers it, and what is recorded stands in `transactions`.
  const { data: _text, ...fields } = value
  const block: Record<string, Json> = fields
  for (const [old, name] of Object.entries(blockNames)) {
    const said = block[old]
    if (said === undefined) continue
    if (block[name] !== undefined && block[name] !== said) {
      return decline('bad-message', `${old} and ${name} are the same thing, and differ`)
    }
    delete block[old]
    block[name] = said
  }
  if (!isSigned(block) || typeof block['public_key_pem'] !== 'string') return unsignedBlock
  return found({ type: 'new_block', node_id: typeof sender === 'string' ? sender : '', data: block })
}

/** `NEW_TRANSACTION` of a transaction whose `data` may be a text. Declines `bad-message` and `unsigned`. */
function newTransaction(value: unknown): Result<JsonObject> {
  if (!isObject(value)) return decline('bad-message', 'a transaction is a JSON object')
  const { data = null } = value
  if (!isSigned(value)) return unsignedTransaction
  return found({ ...value, type: 'NEW_TRANSACTION', data: typeof data === 'string' ? { text: data } : data })
}

/** By its form alone, which no make-believe signature has. */
const isSigned = ({ signature }: JsonObject): boolean => typeof signature === 'string' && decodeSignature(signature).ok

const unsignedBlock = decline(
  'unsigned',
  "blocks are recorded here only with every field of today's block. Add its header's fields, transactions, " +
    'public_key_pem, and signature: base64 of Ed25519 over "aurex/block/1", a newline and the hash',
)
const unsignedTransaction = decline(
  'unsigned',
  'transactions are recorded here only signed. Add signature: base64 of Ed25519 over "aurex/tx/1", a newline and the ' +
    'canonical JSON of {chain_id, data, sender}, where a text stands in data as {"text": ...}; and public_key_pem ' +
    'where sender is a name',
)

// ---- numbered --------------------------------------------------------------------------------------------------

const numbers = { report: 0, block: 1, transaction: 2, blockRequest: 3, blockResponse: 4, peerList: 5, handshake: 6 }

type Envelope = (number: number, payload: Json, extra?: JsonObject) => JsonObject

function numbered(parts: ModuleParts, type: number, message: JsonObject): Translation {
  const envelope = enveloper(parts)
  const word = (answer: JsonObject): JsonObject => report(envelope, answer)
  // What this node reports is not to be answered, and so it does not answer such: two would tell each other for ever.
  if (type === numbers.report) return { answer: undefined, word }
  const payload = readPayload(message['payload'])
  if (!payload.ok) return { answer: { refusal: payload }, word }
  switch (type) {
    case numbers.block:
      return translated(
        read(payload.value, (block) => newBlock(block, message['sender'])),
        word,
      )
    case numbers.transaction:
      return translated(read(payload.value, newTransaction), word)
    case numbers.blockRequest:
      return blockRequest(payload.value, envelope)
    case numbers.blockResponse:
      return { answer: { refusal: notAsked }, word }
    case numbers.peerList:
      return translated(peerList(payload.value), (answer) =>
        answer['type'] === 'peer_list' ? envelope(numbers.peerList, answer['peers'] ?? []) : word(answer),
      )
    case numbers.handshake:
      return {
        answer: handshake(parts, payload.value),
        word: ({ type: its, ...said }) =>
          its === 'handshake' ? envelope(numbers.handshake, said) : word({ type: its!, ...said }),
      }
    default:
      return { answer: { refusal: decline('unknown-type', `type: ${type} is not one of ${numbersText}`) }, word }
  }
}

const numbersText = '1 block, 2 transaction, 3 block request, 4 block response, 5 peer list, 6 handshake'
const notAsked = decline('not-asked', 'this node asks for no blocks in this dialect; send each as type 1')

const enveloper =
  ({ runtime }: ModuleParts): Envelope =>
  (number, payload, extra = {}) => ({
    type: number,
    payload: Buffer.from(JSON.stringify(payload)).toString('base64'),
    timestamp: Math.floor(runtime.clock.now() / 1_000),
    signature: '',
    ...extra,
  })

/** Beside the payload an error's code is repeated, for people who look at the line. */
function report(envelope: Envelope, answer: JsonObject): JsonObject {
  const { type, code } = answer
  return envelope(numbers.report, answer, type === 'ERROR' && code !== undefined ? { code } : {})
}

/** The bytes of `payload`; Go writes nothing as null. Declines `bad-message`. */
function readPayload(payload: Json | undefined): Result<Buffer> {
  if (payload === undefined || payload === null) return found(Buffer.alloc(0))
  const bytes = typeof payload === 'string' ? Buffer.from(payload, 'base64') : undefined
  if (bytes !== undefined && bytes.toString('base64') === payload) return found(bytes)
  return decline('bad-message', 'payload: expected base64 (RFC 4648, 4)')
}

/** `then` of the JSON value in a payload. Declines `bad-message`. */
function read<T>(payload: Buffer, then: (value: Json) => Result<T>): Result<T> {
  const parsed = parseJson(payload)
  return parsed.ok ? then(parsed.value) : decline('bad-message', `payload: ${parsed.detail}`)
}

/** A decimal height, or `from-to`; either may stand in quotation marks, as JSON has it. */
const rangePattern = /^("?)(\d{1,16})(?:-(\d{1,16}))?\1$/

/** A height is answered by its block, `from-to` by a list, bounded as in `block_response`. */
function blockRequest(payload: Buffer, envelope: Envelope): Translation {
  const [matched, , from, to] = rangePattern.exec(payload.toString('latin1')) ?? []
  const word = (answer: JsonObject): JsonObject => report(envelope, answer)
  if (matched === undefined) {
    return { answer: { refusal: decline('bad-message', 'payload: expected base64 of a height, or of from-to') }, word }
  }
  const single = to === undefined
  return {
    message: { type: 'block_request', from: Number(from), to: Number(to ?? from) },
    word: (answer) => {
      if (answer['type'] !== 'block_response') return word(answer)
      const blocks = answer['blocks'] as readonly JsonObject[]
      if (!single) return envelope(numbers.blockResponse, fitting(blocks))
      const [block] = blocks
      if (block !== undefined) return envelope(numbers.blockResponse, block)
      return word({ type: 'ERROR', code: 'unknown-block', error: `block ${from} is not recorded here` })
    },
  }
}

/** In base64 a message of 10 MB, which is what programs of that time read, holds so much. */
const payloadBytesMax = 7 * 1024 * 1024

/** As many as one message holds, and always one where there is one. */
function fitting(blocks: readonly JsonObject[]): readonly JsonObject[] {
  let bytes = 0
  const over = blocks.findIndex((block, i) => {
    bytes += Buffer.byteLength(JSON.stringify(block)) + 1
    return i > 0 && bytes > payloadBytesMax
  })
  return over === -1 ? blocks : blocks.slice(0, over)
}

/** Without a payload it only asks. */
function peerList(payload: Buffer): Result<JsonObject> {
  if (payload.length === 0) return found({ type: 'peer_list' })
  return read(payload, (peers) => found(peers === null ? { type: 'peer_list' } : { type: 'peer_list', peers }))
}

/**
 * Who leaves `ChainID` empty is told it. The other fields are not looked at: it is a client's, and what follows is read
 * by its form.
 */
function handshake(parts: ModuleParts, payload: Buffer): Answer {
  const standing = standingOf(parts)
  if (standing === undefined) return noChain
  const said = read(payload, (value) =>
    isObject(value) ? found(value['ChainID'] ?? '') : decline('bad-message', 'payload: expected a JSON object'),
  )
  if (!said.ok) return { refusal: said }
  const { chainId, nodeType, listens } = standing
  if (said.value !== '' && said.value !== chainId) {
    return { refusal: decline('wrong-chain', `ChainID: expected ${chainId}`), close: true }
  }
  return {
    make: () => ({
      type: 'handshake',
      Version: String(handshakeVersion),
      ChainID: chainId,
      Height: standingOf(parts)?.height ?? 0,
      NodeType: nodeType,
      ListenAddr: listens === undefined ? '' : hostPortText(listens),
    }),
  }
}
