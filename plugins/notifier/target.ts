import {
  found,
  hostPortText,
  parseHostPort,
  refuse,
  sha256Hex,
  suggestion,
  utf8Bytes,
  type HostPort,
  type Refusal,
  type Result,
} from '../../core/index.ts'

/** Who is told, as a URL in the config says it. */
export interface Target {
  /** How it is called in logs and figures, and the key of its cursor: the URL without what may be secret in it. */
  readonly name: string
  readonly way: Way
}

export type Way =
  /** What a plugin contributed as a sink delivers. */
  | { readonly scheme: 'sink'; readonly sink: string; readonly target: string }
  | {
      readonly scheme: 'ndjson'
      readonly at: HostPort
      /** It says a line when it is done. */ readonly answers: boolean
    }
  | { readonly scheme: 'gateway'; readonly at: HostPort }
  | {
      readonly scheme: 'http'
      readonly url: string
      /** A header's value. */ readonly authorization: string | undefined
    }

const schemes = ['ndjson', 'gateway', 'http', 'https']
/** Ports that stand in the protocol, for the advice. */
const usualPorts: Readonly<Record<string, number>> = { ndjson: 23_457, gateway: 5_000 }

/** Reads `ndjson://host:port`, `gateway://host:port` or a URL of HTTP. Refuses `bad-target` with advice; no secret is in it. */
export function readTarget(text: string): Result<Target> {
  const [, scheme, rest] = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\/(.*)$/.exec(text.trim()) ?? []
  if (scheme === undefined || rest === undefined)
    return bad(text, `write it like ndjson://${likeHostPort(text, 'ndjson')}`)
  switch (scheme.toLowerCase()) {
    case 'ndjson':
      return readNdjson(text, rest)
    case 'gateway':
      return readGateway(text, rest)
    case 'http':
    case 'https':
      return readHttp(text)
    default:
      return readForSink(text.trim(), scheme.toLowerCase())
  }
}

/** A plugin may bring its own scheme; what looks like one of these, misspelt, is a mistake. */
function readForSink(text: string, scheme: string): Result<Target> {
  const meant = suggestion(scheme, schemes)
  if (meant !== '') return bad(text, `there is no ${scheme}://${meant}; it is one of ${schemes.join(', ')}`)
  if (!URL.canParse(text)) return bad(text, `write it like ${scheme}://host:port/name`)
  const url = new URL(text)
  url.username = url.password = url.hash = ''
  return found({ name: nameOf(url, text), way: { scheme: 'sink', sink: scheme, target: text } })
}

function readNdjson(text: string, rest: string): Result<Target> {
  const [, place = '', query] = /^([^/?]*)\/?(\?.*)?$/.exec(rest) ?? []
  const at = parseHostPort(place.toLowerCase())
  if (!at.ok) return bad(text, `write it like ndjson://${likeHostPort(rest, 'ndjson')}`)
  if (query !== undefined && query !== '?answer') return bad(text, `only ?answer may follow ndjson://${place}`)
  const answers = query !== undefined
  return found({
    name: `ndjson://${hostPortText(at.value)}${answers ? '?answer' : ''}`,
    way: { scheme: 'ndjson', at: at.value, answers },
  })
}

function readGateway(text: string, rest: string): Result<Target> {
  const at = parseHostPort(rest.toLowerCase().replace(/\/$/, ''))
  if (!at.ok) return bad(text, `write it like gateway://${likeHostPort(rest, 'gateway')}`)
  return found({ name: `gateway://${hostPortText(at.value)}`, way: { scheme: 'gateway', at: at.value } })
}

function readHttp(text: string): Result<Target> {
  if (!URL.canParse(text)) return bad(text, 'write it like https://shop.example/confirmations')
  const url = new URL(text)
  const { username, password } = url
  const given = username + password !== ''
  const authorization = given
    ? `Basic ${Buffer.from(`${decoded(username)}:${decoded(password)}`).toString('base64')}`
    : undefined
  url.username = url.password = url.hash = ''
  return found({ name: withoutSecrets(url), way: { scheme: 'http', url: url.href, authorization } })
}

/** A percent sign that begins no escape stands for itself, as URL has it. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Longer parts of a path are as a rule tokens. */
const plainPartCharactersMax = 20
const withoutTokens = (path: string, partsBefore = 0): string =>
  path
    .split('/')
    .map((part, at) => (at >= partsBefore && part.length > plainPartCharactersMax ? '...' : part))
    .join('/')

/**
 * Paths and queries of webhooks often are the password. What is left out is replaced by a piece of its hash, so that two
 * targets on one host stay two; the ledger, where cursors are kept, is for anybody to read.
 */
const withoutSecrets = (url: URL): string => nameOf(url, url.href)

/** `whole`: all of what was written. */
function nameOf({ protocol, host, pathname }: URL, whole: string): string {
  const plain = `${protocol}//${host}${withoutTokens(pathname)}`
  return plain === whole ? plain : `${plain}#${sha256Hex(utf8Bytes(whole)).slice(0, 12)}`
}

/** What cannot be read as a URL, with everything left out that may be secret. */
const harmless = (text: string): string =>
  withoutTokens(text.replace(/[^/]*@/g, '***@').replace(/[?#].*$/s, '?***'), text.includes('//') ? 3 : 1)

const bad = (text: string, advice: string): Refusal =>
  refuse(
    'bad-target',
    `expected ndjson://host:port, gateway://host:port, https://... or http://..., got ${harmless(text)}; ${advice}`,
  )

/** A guess at what was meant by something that is not host:port. */
function likeHostPort(text: string, scheme: string): string {
  const bare = text
    .trim()
    .replace(/^.*@/, '')
    .replace(/[/?#].*$/s, '')
  const port = usualPorts[scheme]!
  const guesses = [bare, `${bare}:${port}`, `[${bare}]:${port}`]
  return guesses.find((guess) => parseHostPort(guess).ok) ?? `127.0.0.1:${port}`
}
