import * as v from 'valibot'
import { isHash } from '../chain/canonical.ts'
import type { JsonObject } from '../chain/json.ts'
import { nodeIdOf, publicKeyOfPem, type NodeId, type PublicKey } from '../chain/keys.ts'
import { formatTimestamp } from '../chain/timestamp.ts'
import { decline, found, type Result } from '../errors.ts'
import { hostPortText, parseHostPort } from './hostport.ts'
import { echo } from './messages.ts'
import type { ModuleParts } from './module.ts'
import type { Standing } from './standing.ts'

export const handshakeVersion = 1
const challengeBytes = 32
const featuresMax = 32

/** What this node understands beyond the protocol's table. */
const ownFeatures = [
  'compact_block',
  // As opener it lets the other side decide first: see `Exchange`.
  'answerer_decides',
  // Met by a process with the same key, it proves that it has it.
  'proves_same_key',
  'evidence',
]

/** What the other side says of itself; nothing of it is proven yet but that `nodeId` is the key's. */
export interface Greeting {
  readonly nodeId: NodeId
  readonly key: PublicKey
  readonly nodeType: string
  readonly height: number
  /** Of the address on which it says that it listens; undefined where it does not. */
  readonly port: number | undefined
  readonly challenge: string
  readonly features: ReadonlySet<string>
}

const height = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

/** Looked at first, so that a later version may have other fields. */
const versioned = v.object({ version: v.number() })

const schema = v.object({
  chain_id: v.custom<string>(isHash, 'expected 64 lowercase hex digits'),
  height,
  node_type: v.optional(v.pipe(v.string(), v.maxLength(64)), ''),
  listen_addr: v.optional(v.pipe(v.string(), v.maxLength(300)), ''),
  node_id: v.pipe(v.string(), v.maxLength(64)),
  public_key_pem: v.pipe(v.string(), v.maxLength(400)),
  challenge: v.custom<string>(isHash, 'expected 64 lowercase hex digits'),
  features: v.fallback(v.pipe(v.array(v.pipe(v.string(), v.maxLength(64))), v.maxLength(featuresMax)), []),
})

/** `handshake` of protocol section 5. */
export function greetingOf(
  { chainId, nodeType, height, listens }: Standing,
  { identity, runtime, messages }: Pick<ModuleParts, 'identity' | 'runtime' | 'messages'>,
): { readonly message: JsonObject; readonly challenge: string } {
  const challenge = Buffer.from(runtime.random(challengeBytes)).toString('hex')
  const message = {
    type: 'handshake',
    version: handshakeVersion,
    chain_id: chainId,
    height,
    node_type: nodeType,
    listen_addr: listens === undefined ? '' : hostPortText(listens),
    node_id: identity.nodeId,
    public_key_pem: identity.pem,
    challenge,
    features: [...ownFeatures, ...(messages?.features() ?? [])],
    timestamp: formatTimestamp(runtime.clock.now()),
  }
  return { message, challenge }
}

/** Declines `bad-message`, `wrong-version`, `wrong-chain`, and `bad-signature` for an id that is not the key's. */
export function readGreeting(message: JsonObject, chainId: string): Result<Greeting> {
  const version = v.safeParse(versioned, message)
  if (!version.success) return decline('bad-message', 'version: expected a number')
  if (version.output.version !== handshakeVersion) {
    return decline('wrong-version', `version: expected ${handshakeVersion}, got ${version.output.version}`)
  }
  const { chain_id } = message
  if (isHash(chain_id) && chain_id !== chainId) {
    return decline('wrong-chain', `chain_id: expected ${chainId}, got ${chain_id}`)
  }
  const shaped = v.safeParse(schema, message, { abortEarly: true })
  if (!shaped.success) {
    const [issue] = shaped.issues
    return decline('bad-message', `${v.getDotPath(issue) ?? 'handshake'}: ${issue.message}`)
  }
  return identified(shaped.output)
}

function identified(said: v.InferOutput<typeof schema>): Result<Greeting> {
  const key = publicKeyOfPem(said.public_key_pem)
  if (!key.ok) return decline('bad-signature', `public_key_pem: ${key.detail}`)
  const nodeId = nodeIdOf(key.value)
  if (said.node_id !== nodeId) {
    return decline('bad-signature', `node_id: the key's is ${nodeId}, got ${echo(said.node_id)}`)
  }
  return found({
    nodeId,
    key: key.value,
    nodeType: said.node_type,
    height: said.height,
    port: portOf(said.listen_addr),
    challenge: said.challenge,
    features: new Set(said.features),
  })
}

/** The port alone counts, and some programs say nothing else: `:13245`. */
function portOf(listenAddr: string): number | undefined {
  const parsed = parseHostPort(listenAddr.startsWith(':') ? `any${listenAddr}` : listenAddr)
  return parsed.ok ? parsed.value.port : undefined
}
