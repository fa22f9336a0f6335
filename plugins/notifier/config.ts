import * as v from 'valibot'
import { hostPortText, parseHostPort } from '../../core/index.ts'
import { readTarget, type Target } from './target.ts'
import { isWebhookSecret } from './webhook.ts'

const target = v.pipe(
  v.string(),
  v.check(
    (text) => readTarget(text).ok,
    ({ input }) => {
      const read = readTarget(input)
      return read.ok ? '' : read.detail
    },
  ),
)

const seconds = (fallback: number, description: string) =>
  v.optional(v.pipe(v.number(), v.minValue(0.01), v.maxValue(3_600), v.description(description)), fallback)

const schema = v.strictObject({
  targets: v.exactOptional(
    v.pipe(
      v.array(target),
      v.minLength(1),
      v.maxLength(100),
      v.description('who is told: ndjson://host:port, gateway://host:port, https://... (default: ndjson://host:port)'),
    ),
  ),
  host: v.optional(
    v.pipe(
      v.string(),
      v.check((host) => parseHostPort(hostPortText({ host, port: 1 })).ok, 'expected a name or an IP address'),
      v.description('of the listener, where targets says nothing'),
    ),
    '127.0.0.1',
  ),
  port: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535), v.description('its port')),
    23_457,
  ),
  confirmations: v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(1),
      v.maxValue(1_000_000),
      v.description('told when this many blocks deep; 1: when recorded'),
    ),
    1,
  ),
  when: v.optional(
    v.pipe(
      v.picklist(['included', 'final']),
      v.description('told when recorded, and once more when final; final: only then, once'),
    ),
    'included',
  ),
  from: v.optional(
    v.pipe(v.picklist(['start', 'now']), v.description('where a target begins that was never told anything')),
    'start',
  ),
  webhook_secret: v.exactOptional(
    v.pipe(
      v.string(),
      v.check(isWebhookSecret, 'expected whsec_ and base64'),
      v.description('signs what goes to http and https: whsec_...'),
    ),
  ),
  connect_timeout: seconds(5, 'seconds for a connection to come about'),
  answer_timeout: seconds(10, 'seconds for a listener to read, and to answer or close'),
  retry_first: seconds(0.5, 'seconds after the first failure; then twice as long each time'),
  retry_max: seconds(60, 'seconds between two tries at most'),
})

/** The targets that a config names, each once. */
export const targetsOf = ({
  targets,
  host,
  port,
}: Pick<v.InferOutput<typeof schema>, 'targets' | 'host' | 'port'>): Target[] =>
  (targets ?? [`ndjson://${hostPortText({ host, port })}`]).flatMap((text) => {
    const read = readTarget(text)
    return read.ok ? [read.value] : []
  })

const isHttp = ({ way }: Target): boolean => way.scheme === 'http'

export const configSchema = v.pipe(
  schema,
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return
    const names = targetsOf(dataset.value).map(({ name }) => name)
    const twice = names.find((name, at) => names.indexOf(name) !== at)
    if (twice !== undefined) addIssue({ message: `targets: ${twice} is named twice; leave one of them out` })
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed || dataset.value.when !== 'final' || dataset.value.confirmations === 1) return
    addIssue({ message: 'confirmations: says nothing where when is final; leave one of the two out' })
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed || dataset.value.webhook_secret !== undefined) return
    const http = targetsOf(dataset.value).find(isHttp)
    if (http === undefined) return
    const advice = 'make one with: echo whsec_$(openssl rand -base64 32)'
    addIssue({ message: `webhook_secret: expected one, since ${http.name} is among the targets, got none; ${advice}` })
  }),
)

export type NotifierConfig = v.InferOutput<typeof configSchema>
