import { isObject, parseJson, type JsonObject } from '../chain/json.ts'
import { AurexError, decline, found, messageOf, type Result } from '../errors.ts'
import type { Connection } from '../plugin.ts'
import type { HostPort } from './hostport.ts'
import type { ModuleParts } from './module.ts'

export interface Errand {
  /** An IP address. */
  readonly to: HostPort
  readonly questions: readonly JsonObject[]
  /** Whether the answers may be as long as a peer's. */
  readonly long?: boolean
}

/**
 * Asks a node as any client may, and hangs up. Resolves to its answers in the order of the questions, an `ERROR` among
 * them as it came. Declines `connect-failed`, `connect-slow`, `no-answer`, `disconnected`, or the code of a line that
 * cannot be read. Never rejects.
 */
export async function runErrand(
  { limits, runtime, transports }: Pick<ModuleParts, 'limits' | 'runtime' | 'transports'>,
  { to, questions, long = false }: Errand,
): Promise<Result<readonly JsonObject[]>> {
  const transport = transports.find((one) => one.dial !== undefined)
  if (transport === undefined) return decline('connect-failed', 'no transport of this node can dial')
  const { promise, resolve } = Promise.withResolvers<Result<readonly JsonObject[]>>()
  const answers: JsonObject[] = []
  let connection: Connection | undefined
  const give = (result: Result<readonly JsonObject[]>): void => {
    timer.cancel()
    resolve(result)
    connection?.close('the errand is done')
  }
  const milliseconds = limits.request_milliseconds_max
  const timer = runtime.clock.after(milliseconds, () =>
    give(decline('no-answer', `no answer within ${milliseconds} ms`)),
  )
  try {
    await transport.dial!(to.host, to.port, (opened) => {
      connection = opened
      if (long) opened.promote()
      for (const question of questions) opened.send(question)
      return {
        message(bytes) {
          const parsed = parseJson(bytes)
          if (!parsed.ok) return give(decline(parsed.code, parsed.detail))
          if (!isObject(parsed.value)) return give(decline('bad-answer', 'an answer is not an object'))
          answers.push(parsed.value)
          if (answers.length === questions.length) give(found(answers))
        },
        broken: (code, detail) => give(decline(code, detail)),
        finished: () => give(hungUp),
        closed: () => give(hungUp),
      }
    })
  } catch (error) {
    give(decline(error instanceof AurexError ? error.code : 'connect-failed', messageOf(error)))
  }
  return await promise
}

const hungUp = decline('disconnected', 'the connection was closed before the answer')
