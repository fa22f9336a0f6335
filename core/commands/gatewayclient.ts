import { AurexError, exitCode, messageOf } from '../errors.ts'
import { frameOf, FrameReader } from '../frames.ts'
import { isObject, parseJson, type JsonObject } from '../chain/json.ts'
import { hostPortText } from '../network/hostport.ts'
import type { Runtime, Socket } from '../runtime.ts'
import { gatewayPortDefault, type Whom } from './whom.ts'

const answerMillisecondsMax = 10_000

/**
 * Asks a gateway one thing (protocol section 6), over a connection of its own. Throws `AurexError` with exit code 69:
 * `gateway-unreachable`, `connection-lost`, `no-answer`, `bad-answer`; `nodes-unreachable` where it can
 * ask nobody at the moment, and `gateway-refused` where the answer is `failed` for any other reason.
 */
export async function askGateway(runtime: Runtime, whom: Whom, message: JsonObject): Promise<JsonObject> {
  const address = hostPortText(whom)
  const { promise, resolve, reject } = Promise.withResolvers<JsonObject>()
  const fail = (code: string, what: string) => reject(unavailable(code, `${address}: ${what}`))
  const timer = runtime.clock.after(answerMillisecondsMax, () =>
    fail('no-answer', `no answer within ${answerMillisecondsMax / 1000} s; is a gateway listening there?`),
  )
  const asking = openAndSend(runtime, whom, message, resolve, fail)
  asking.catch((cause: unknown) => reject(unreachable(address, cause)))
  try {
    return checked(address, await promise)
  } finally {
    timer.cancel()
    void asking.then(
      (socket) => socket.destroy(),
      () => undefined, // told above
    )
  }
}

async function openAndSend(
  runtime: Runtime,
  { host, port }: Whom,
  message: JsonObject,
  answer: (answer: JsonObject) => void,
  fail: (code: string, what: string) => void,
): Promise<Socket> {
  const frames = new FrameReader()
  const socket = await runtime.connect(host, port, {
    data: (_socket, bytes) => {
      frames.push(bytes)
      const body = frames.next()
      if (body === undefined) return
      const value = parseJson(body)
      if (!value.ok) fail('bad-answer', value.detail)
      else if (isObject(value.value)) answer(value.value)
      else fail('bad-answer', 'the answer is not an object')
    },
    drain: () => undefined,
    end: () => fail('connection-lost', 'the connection was closed before the answer; is it a gateway’s port?'),
    close: (_socket, error) =>
      fail('connection-lost', error === undefined ? 'the connection ended before the answer' : messageOf(error)),
  })
  // One short frame into a fresh socket's buffer, so it is taken whole.
  socket.write(frameOf(message)!)
  return socket
}

function checked(address: string, answer: JsonObject): JsonObject {
  if (answer['status'] !== 'failed') return answer
  if (answer['code'] === 'unreachable') {
    throw unavailable('nodes-unreachable', `${address}: the gateway reaches no node at the moment; ask again later`)
  }
  const said = [answer['code'], answer['message']].filter((part) => typeof part === 'string')
  throw unavailable('gateway-refused', `${address}: ${said.join(': ') || 'failed, and it does not say why'}`)
}

const unavailable = (code: string, message: string, cause?: unknown): AurexError =>
  new AurexError(code, message, { cause, exit: exitCode.unavailable })

function unreachable(address: string, failure: unknown): AurexError {
  const why = messageOf(failure instanceof AurexError ? (failure.cause ?? failure) : failure)
  return unavailable(
    'gateway-unreachable',
    `no gateway answers at ${address}: ${why}; start one with: bun run node --config config/gateway.toml, ` +
      `or name another with: --gateway host:${gatewayPortDefault}`,
    failure,
  )
}
