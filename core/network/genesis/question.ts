import { isHash, sha256Hex } from '../../chain/canonical.ts'
import { readGenesis, type Genesis } from '../../chain/genesis.ts'
import { isObject, parseJsonText, type JsonObject } from '../../chain/json.ts'
import { decline, found, messageOf, type Result } from '../../errors.ts'
import { runErrand } from '../errand.ts'
import type { HostPort } from '../hostport.ts'
import { complaintOf } from '../messages.ts'
import type { ModuleParts } from '../module.ts'

/**
 * Asks a node for the genesis of its chain. Declines as `runErrand`, with the code of its `ERROR`, `bad-answer`, and
 * `bad-genesis` for a text that is not what the node itself says that its chain is.
 */
export async function askGenesis(
  parts: Pick<ModuleParts, 'limits' | 'runtime' | 'transports'>,
  to: HostPort,
): Promise<Result<Genesis>> {
  const answers = await runErrand(parts, { to, questions: [{ type: 'ping' }, { type: 'genesis_request' }], long: true })
  if (!answers.ok) return answers
  const [pong, response] = answers.value
  return readAnswer(pong!, response!)
}

/** What `pong` and `genesis_response` say together. The text proves itself by its hash. */
export function readAnswer(pong: JsonObject, response: JsonObject): Result<Genesis> {
  const error = [pong, response].find(({ type }) => type === 'ERROR')
  if (error !== undefined) return complaintOf(error)
  const { chain_id: chainId } = pong
  if (!isHash(chainId)) return decline('bad-answer', 'chain_id: the node does not say which chain it is on')
  const { genesis: text } = response
  if (typeof text !== 'string') return decline('bad-answer', 'genesis: expected text')
  const hash = sha256Hex(text)
  if (hash !== chainId) {
    return decline(
      'bad-genesis',
      `its chain is ${chainId}, it says, but SHA-256 of the genesis that it sent is ${hash}`,
    )
  }
  return readText(text, chainId)
}

function readText(text: string, chainId: string): Result<Genesis> {
  const parsed = parseJsonText(text)
  if (!parsed.ok) return decline('bad-genesis', parsed.detail)
  if (!isObject(parsed.value)) return decline('bad-genesis', 'expected an object')
  try {
    const genesis = readGenesis(parsed.value, 'the genesis')
    if (genesis.rules.chainId === chainId) return found(genesis)
    return decline('bad-genesis', 'the text is not canonical JSON (RFC 8785)')
  } catch (error) {
    return decline('bad-genesis', messageOf(error))
  }
}
