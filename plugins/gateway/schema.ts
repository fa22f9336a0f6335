import * as v from 'valibot'
import { decline, excerpt, found, isHash, isNodeId, isObject, publicKeyOf, suggestion } from '../../core/index.ts'
import type { Hash, JsonObject, Result } from '../../core/index.ts'

// ---- config ----

const on = (description: string) => v.optional(v.pipe(v.boolean(), v.description(description)), false)
const whole = (fallback: number, description: string) =>
  v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.description(description)), fallback)

const node = v.pipe(
  v.string(),
  v.check(
    (text) => isNodeId(text) || publicKeyOf(text).ok,
    ({ received }) => `expected a node id or an address (64 lowercase hex digits), got ${received}`,
  ),
)

export const configSchema = v.strictObject({
  port: v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(0),
      v.maxValue(65_535),
      v.description('for clients; 0: any that is free'),
    ),
    5_000,
  ),
  host: v.optional(
    v.pipe(v.string(), v.minLength(1), v.description('the address to listen on; 0.0.0.0 or :: for all')),
    '127.0.0.1',
  ),
  attest: on('sign for names that submit transactions without a signature'),
  allow_unsigned: on('take block confirmations that nobody signed'),
  confirmers: v.optional(
    v.pipe(v.array(node), v.description('node ids or addresses whose confirmations count, beside those of peers')),
    () => [],
  ),
  requests_per_second_max: whole(500, 'requests of one client address, in the long run'),
  requests_in_flight_max: whole(512, 'requests in work at once, of all clients'),
  connection_requests_in_flight_max: whole(64, 'requests of one connection in work; beyond it nothing more is read'),
  connections_max: whole(1_024, 'connections at once'),
  connections_per_host_max: whole(64, 'of them from one address; not counted while it listens on loopback'),
  body_milliseconds_max: whole(10_000, 'a request must be whole after so long from its first byte'),
  idle_milliseconds_max: whole(60_000, 'a client is disconnected after so long without a request'),
  unread_milliseconds_max: whole(15_000, 'a client that takes nothing of its answers for so long is dropped'),
})

export type GatewayConfig = v.InferOutput<typeof configSchema>

// ---- requests ----

const object = v.custom<JsonObject>(isObject, 'expected a JSON object')

const schemas = {
  health: v.object({}),
  submit_transaction: v.object({ body: object }),
  submit_purchase: v.object({ body: object }),
  transaction_status: v.object({
    tx_hash: v.exactOptional(v.custom<Hash>(isHash, 'expected 64 lowercase hex digits')),
    tx_id: v.exactOptional(v.pipe(v.string('expected a string'), v.minLength(1, 'expected at least one character'))),
  }),
}

export type Action = keyof typeof schemas
export type Request = { [A in Action]: { readonly action: A } & v.InferOutput<(typeof schemas)[A]> }[Action]

export const actions = Object.keys(schemas) as readonly Action[]

/** What may be said of a block instead of an action. */
export const newsTypes = ['block_confirmation', 'block_orphaned'] as const
export const isNews = (message: JsonObject): boolean =>
  message['action'] === undefined && (newsTypes as readonly unknown[]).includes(message['type'])

/** Declines `bad-request`, naming the field, and `unknown-action`. */
export function readRequest(message: JsonObject): Result<Request> {
  const { action, type } = message
  if (action === undefined) return decline('bad-request', withoutAction(type))
  if (typeof action !== 'string') return decline('bad-request', 'action: expected a string')
  if (!Object.hasOwn(schemas, action)) {
    return decline('unknown-action', `action: there is no ${excerpt(action)}${adviceFor(action)}`)
  }
  const shaped = v.safeParse(schemas[action as Action], message, { abortEarly: true })
  if (shaped.success) return found({ action, ...shaped.output } as Request)
  const [issue] = shaped.issues
  return decline(
    'bad-request',
    `${v.getDotPath(issue)}: ${issue.received === 'undefined' ? 'is missing' : issue.message}`,
  )
}

function withoutAction(type: unknown): string {
  if (type === undefined) return `action: is missing; one of ${actions.join(', ')}`
  if (typeof type !== 'string') return 'type: expected a string'
  const advice = suggestion(type, newsTypes)
  return `type: there is no ${excerpt(type)}${advice || `; expected ${newsTypes.join(' or ')}, or an action`}`
}

const adviceFor = (action: string): string =>
  // How near two words are is reckoned in their product.
  (action.length <= 64 && suggestion(action, actions)) || `; expected one of ${actions.join(', ')}`
