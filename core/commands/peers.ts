import { formatTimestamp } from '../chain/timestamp.ts'
import { AurexError, exitCode, suggestion } from '../errors.ts'
import { defaultNodeLimits } from '../limits.ts'
import type { Log } from '../log.ts'
import { Bans, bansPath, readTarget, type Ban } from '../network/bans.ts'
import { hostPortText } from '../network/hostport.ts'
import { connect, type ListedNode, type PeerStatus } from '../client.ts'
import type { Command, Io } from './command.ts'
import { dataDirOf } from './datadir.ts'
import { readFlags, usageError, type Flags } from './flags.ts'
import { paint, printable } from './terminal.ts'

const help = `Shows the nodes that a node is connected with, and keeps nodes out.

  aurex peers
  aurex peers ban 203.0.113.7 --reason "sends junk" --for 24h
  aurex peers free 203.0.113.7
  aurex peers --port 13246 --json

Usage: aurex peers [list] | ban <whom> [flags] | free <whom>

  <whom>             a node id, an address (64 hex digits) or an IP address
  --reason <text>    why; other operators of this node read it
  --for <time>       how long, as 90s, 30m, 24h, 7d; for ever if not given
  --port <n>         of the node, on this machine (13245)
  --data-dir <dir>   of the node ($XDG_DATA_HOME/aurex)
  --json             one JSON object: {node, peers, known, bans}, or what was
                     banned or freed

The node need not run. One that does closes the connection within about a
second. Bans stand in node_{port}.bans in the data directory, for a restart too.
Who sends what no honest program sends is banned by the node itself, for a day.
Exit code 0: done; 1: the ban could not be written; 78: no such data directory.
`

const flags = {
  reason: { type: 'string' },
  for: { type: 'string' },
  port: { type: 'integer', min: 1, max: 65_535 },
  'data-dir': { type: 'string' },
  json: { type: 'boolean' },
} as const

type Values = Flags<typeof flags>['values']

const portDefault = 13_245
const answerMillisecondsMax = 5_000
const actions = ['list', 'ban', 'free']

export const command: Command = {
  name: 'peers',
  summary: 'list the nodes that a node is connected with; ban and free them',
  help,
  async run(argv, io) {
    const {
      help: asked,
      values,
      positionals,
    } = readFlags(argv, {
      command: 'aurex peers',
      flags,
      positionals: ['list, ban or free', 'whom'],
    })
    if (asked) {
      io.out(help)
      return exitCode.ok
    }
    const [action = 'list', whom] = positionals
    if (!actions.includes(action)) throw unknownAction(action)
    if (action !== 'ban') refuseFlagsOfBan(values)
    if (action === 'list') await list(whom, values, io)
    else if (action === 'ban') ban(targetOf(action, whom), values, io)
    else free(targetOf(action, whom), values, io)
    return exitCode.ok
  },
}

function unknownAction(action: string): AurexError {
  const hint = suggestion(action, actions) || `; expected ${actions.join(', ')}`
  return usageError('unexpected-argument', `aurex peers: unknown ${JSON.stringify(action)}${hint}`)
}

function refuseFlagsOfBan(values: Values): void {
  for (const name of ['reason', 'for'] as const) {
    if (values[name] !== undefined) throw usageError('bad-value', `--${name} belongs to: aurex peers ban`)
  }
}

function targetOf(action: string, whom: string | undefined): string {
  if (whom === undefined) {
    throw usageError('missing-argument', `aurex peers ${action}: whom? A node id, an address or an IP address`)
  }
  const target = readTarget(whom)
  if (!target.ok) throw usageError('bad-value', `aurex peers ${action}: ${target.detail}`)
  return target.value
}

function openBans(values: Values, io: Io): Bans {
  const dataDir = dataDirOf(values['data-dir'], io)
  const { files } = io.runtime
  try {
    files.mode(dataDir)
  } catch (cause) {
    throw new AurexError('no-data-dir', `there is no directory ${dataDir}; name the node's own with --data-dir`, {
      cause,
      exit: exitCode.config,
    })
  }
  const { bans_max: bansMax, bans_file_bytes_max } = defaultNodeLimits
  // The operator is heard where the node has filled its share.
  const fileBytesMax = 2 * bans_file_bytes_max
  const path = bansPath({ dataDir, port: values.port ?? portDefault })
  return new Bans({ runtime: io.runtime, log: complaints(io), path, bansMax, fileBytesMax })
}

function complaints(io: Io): Log {
  const complain = (message: string, fields: Record<string, unknown> = {}): void => {
    const where = ['path', 'line', 'text'].flatMap((name) => (name in fields ? `${name} ${String(fields[name])}` : []))
    io.err(`${paint(io, 'yellow', 'warning:')} ${printable([message, ...where].join('; '))}\n`)
  }
  // What is an error is thrown as well.
  const nothing = (): void => undefined
  return { debug: nothing, info: nothing, warn: complain, error: nothing }
}

// ---- ban, free ----

function ban(target: string, values: Values, io: Io): void {
  const now = io.runtime.clock.now()
  const duration = values.for === undefined ? undefined : millisecondsOf(values.for)
  const until = duration === undefined ? undefined : now + duration
  const reason = values.reason ?? 'by the operator'
  throwWhereRefused(openBans(values, io).ban(target, reason, until))
  if (values.json) io.out(`${JSON.stringify({ banned: target, ...endOf({ until }), reason })}\n`)
  else io.out(`banned ${target} ${untilText({ until })}\n`)
}

function free(target: string, values: Values, io: Io): void {
  const bans = openBans(values, io)
  const was = bans.list().some((one) => one.target === target)
  throwWhereRefused(bans.free(target))
  if (values.json) io.out(`${JSON.stringify({ freed: target, was_banned: was })}\n`)
  else io.out(was ? `freed ${target}\n` : `${target} was not banned\n`)
}

function throwWhereRefused(verdict: ReturnType<Bans['ban']>): void {
  if (!verdict.ok) throw new AurexError(verdict.code, verdict.detail)
}

const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const daysMax = 3_650

function millisecondsOf(text: string): number {
  const [, digits, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
  const milliseconds = Number(digits) * (units[unit ?? ''] ?? Number.NaN)
  if (milliseconds > 0 && milliseconds <= daysMax * units['d']!) return milliseconds
  throw usageError(
    'bad-value',
    `--for: expected a time as 90s, 30m, 24h or 7d, at most ${daysMax}d, got ${JSON.stringify(text)}`,
  )
}

// ---- list ----

interface Running {
  readonly address: string
  readonly peers: readonly PeerStatus[]
  readonly known: readonly ListedNode[]
}

async function list(whom: string | undefined, values: Values, io: Io): Promise<void> {
  if (whom !== undefined) {
    throw usageError('unexpected-argument', `aurex peers list: unexpected argument ${JSON.stringify(whom)}`)
  }
  const bans = openBans(values, io).list()
  const port = values.port ?? portDefault
  const running = await ask(port, io)
  if (values.json) {
    const { address = null, peers = [], known = [] } = running ?? {}
    const banned = bans.map((one) => ({
      target: one.target,
      reason: one.reason,
      ...endOf(one),
      at: formatTimestamp(one.at),
    }))
    io.out(`${JSON.stringify({ node: address, peers, known, bans: banned })}\n`)
    return
  }
  if (running === undefined) io.out(`no node runs at 127.0.0.1:${port}; what it starts with:\n\n`)
  else io.out(`${peersText(running)}\n${knownText(running)}\n`)
  io.out(bansText(bans))
}

/** undefined where no node answers. Throws what the client does when something else goes wrong. */
async function ask(port: number, io: Io): Promise<Running | undefined> {
  try {
    const client = await connect(io.runtime, '127.0.0.1', port, { answerMillisecondsMax })
    try {
      const [peers, known] = await Promise.all([client.peers(), client.nodes()])
      return { address: client.address, peers, known }
    } finally {
      client.close()
    }
  } catch (error) {
    if (error instanceof AurexError && error.code === 'node-unreachable') return undefined
    throw error
  }
}

function peersText({ address, peers }: Running): string {
  if (peers.length === 0) return `peers of ${address}: none\n`
  const lines = peers.map((peer) => {
    const ping = peer.round_trip_ms === null ? '-' : `${peer.round_trip_ms} ms`
    const direction = peer.outbound ? 'out' : 'in'
    return row(peer.node_id, peer.remote.padEnd(21), direction.padEnd(3), String(peer.height).padStart(8), ping)
  })
  return `peers of ${address}: ${peers.length} (node id, remote, who dialled, height, ping)\n${lines.join('')}`
}

function knownText({ known }: Running): string {
  if (known.length === 0) return 'nodes that it reached: none\n'
  const lines = known.map(({ node_id: id, host, port }) => row(id, hostPortText({ host, port })))
  return `nodes that it reached, and itself: ${known.length}\n${lines.join('')}`
}

function bansText(bans: readonly Ban[]): string {
  if (bans.length === 0) return 'banned: none\n'
  const lines = bans.map((one) => row(one.target.padEnd(36), untilText(one).padEnd(30), one.reason))
  return `banned: ${bans.length}\n${lines.join('')}`
}

const row = (...cells: readonly string[]): string => `  ${printable(cells.join(' ')).trimEnd()}\n`
const endOf = ({ until }: Pick<Ban, 'until'>) => ({ until: until === undefined ? null : formatTimestamp(until) })
const untilText = ({ until }: Pick<Ban, 'until'>): string =>
  until === undefined ? 'until it is freed' : `until ${formatTimestamp(until)}`
