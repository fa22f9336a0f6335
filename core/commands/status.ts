import { isHash } from '../chain/canonical.ts'
import type { JsonObject } from '../chain/json.ts'
import { connect } from '../client.ts'
import { exitCode, type ExitCode } from '../errors.ts'
import { pause, type Command, type Io } from './command.ts'
import { fateAtGateway, fateAtNode, fateJson, fateText, type Fate } from './fate.ts'
import { readFlags, usageError, type Flags } from './flags.ts'
import { askGateway } from './gatewayclient.ts'
import { nodeStatusText, table } from './nodestatus.ts'
import { interrupted, isLoss, Session } from './session.ts'
import { gatewayOf, nodeOf } from './whom.ts'

const help = `Tells what became of a transaction, or how a node is.

  aurex status                                   how the node here is
  aurex status 5e62...c1                         what became of a transaction
  aurex status 5e62...c1 --wait                  the same, once it is in a block
  aurex status --gateway 127.0.0.1:5000 order-7  of a purchase, by its tx_id

Usage: aurex status [<transaction>] [flags]

  <transaction>        its id, 64 hex digits; at a gateway its tx_id will do
  --node <address>     host:port of the node (127.0.0.1:13245); how it is, it
                       tells on its own machine only
  --gateway <address>  ask a gateway instead (port 5000)
  --confirmations <n>  blocks from its own up to the head that are enough (1)
  --wait               until there are so many, or it is final or refused
  --timeout <s>        how long to wait for a node that was lost, or for one
                       that does not know the transaction (60)
  --json               one JSON object

A transaction is pending (kept, in no block yet), included (in a block that
could still be undone), final (in one that cannot), orphaned (its block was
undone, it waits for another) or unknown.
Exit code: 0 it is in a block, deep enough, or the node is well; 1 it is refused
or unknown, or a part of the node has failed; 69 nobody answers; 75 not yet.
`

const flags = {
  node: { type: 'string' },
  gateway: { type: 'string' },
  confirmations: { type: 'integer', min: 1, max: 1_000_000 },
  wait: { type: 'boolean' },
  timeout: { type: 'integer', min: 0, max: 1_000_000 },
  json: { type: 'boolean' },
} as const

type Values = Flags<typeof flags>['values']

const timeoutSecondsDefault = 60
const pollMillisecondsMin = 100
const pollMillisecondsMax = 1_000

export const command: Command = {
  name: 'status',
  summary: 'tell what became of a transaction, or how a node is',
  help,
  async run(argv, io) {
    const {
      help: asked,
      values,
      positionals: [whose],
    } = readFlags(argv, { command: 'aurex status', flags, positionals: ['the id of a transaction'] })
    if (asked) {
      io.out(help)
      return exitCode.ok
    }
    if (values.node !== undefined && values.gateway !== undefined) {
      throw usageError('bad-value', 'aurex status: give --node or --gateway, not both')
    }
    if (whose !== undefined) return await ofTransaction(whose, values, io)
    for (const flag of ['wait', 'confirmations'] as const) {
      if (values[flag]) throw usageError('missing-argument', `--${flag}: of which transaction? Give its id`)
    }
    return await (values.gateway === undefined ? ofNode(values, io) : ofGateway(values, io))
  },
}

// ---- a transaction ----

/** Answers what became of it, however often it is asked. */
interface Witness {
  ask(): Promise<Fate>
  close(): void
}

async function ofTransaction(whose: string, values: Values, io: Io): Promise<ExitCode> {
  const witness = await (values.gateway === undefined
    ? nodeWitness(whose, values, io)
    : gatewayWitness(whose, values, io))
  const enough = values.confirmations ?? 1
  try {
    const fate = values.wait ? await settled(witness, enough, values, io) : await witness.ask()
    io.out(values.json ? `${JSON.stringify(fateJson(fate))}\n` : fateText(fate, enough))
    return codeOf(fate, enough)
  } finally {
    witness.close()
  }
}

async function nodeWitness(hash: string, values: Values, io: Io): Promise<Witness> {
  const shown = JSON.stringify(hash.slice(0, 80))
  if (!isHash(hash)) {
    throw usageError(
      'bad-value',
      `aurex status: expected a transaction's id, 64 lowercase hex digits, got ${shown}; ` +
        "a purchase's tx_id is known to the gateway that took it: --gateway host:port",
    )
  }
  const timeoutMilliseconds = timeoutOf(values)
  const session = await Session.open(io, { ...nodeOf(values.node), timeoutMilliseconds, inFlightMax: 1 })
  return { ask: () => session.ask((client) => fateAtNode(client, hash)), close: () => session.close() }
}

/** Each question has a connection of its own, so a gateway that was lost is asked again where there is time to wait. */
async function gatewayWitness(id: string, values: Values, io: Io): Promise<Witness> {
  if (id === '' || id.length > txIdCharactersMax) {
    throw usageError('bad-value', `aurex status: a tx_id has 1 to ${txIdCharactersMax} characters, got ${id.length}`)
  }
  const whom = gatewayOf(values.gateway)
  const patience = new Patience(io, values.wait ? timeoutOf(values) : 0)
  const ask = async (): Promise<Fate> => {
    for (;;) {
      try {
        const fate = await fateAtGateway(io.runtime, whom, id)
        patience.renew()
        return fate
      } catch (error) {
        if (!isLoss(error) || patience.isOver()) throw error
        await moment(io, pollMillisecondsMax)
      }
    }
  }
  return { ask, close: () => undefined }
}

/** Longer ones no gateway takes. */
const txIdCharactersMax = 256

/** Asks until the answer will not become another, or until a transaction that nobody knows was waited for in vain. */
async function settled(witness: Witness, enough: number, values: Values, io: Io): Promise<Fate> {
  const patience = new Patience(io, timeoutOf(values))
  for (let wait = pollMillisecondsMin; ; wait = Math.min(wait * 2, pollMillisecondsMax)) {
    const fate = await witness.ask()
    if (codeOf(fate, enough) === exitCode.ok || fate.code !== undefined) return fate
    if (fate.status !== 'unknown') patience.renew()
    else if (patience.isOver()) return fate
    await moment(io, wait)
  }
}

function codeOf({ status, confirmations = 0, code }: Fate, enough: number): ExitCode {
  if (status === 'final' || (status === 'included' && confirmations >= enough)) return exitCode.ok
  return status === 'unknown' || code !== undefined ? exitCode.failure : exitCode.tryAgain
}

/** How long something may stay as it should not be. */
class Patience {
  readonly #io: Io
  readonly #milliseconds: number
  #since: number | undefined

  constructor(io: Io, milliseconds: number) {
    this.#io = io
    this.#milliseconds = milliseconds
  }

  renew(): void {
    this.#since = undefined
  }

  isOver(): boolean {
    const now = this.#io.runtime.clock.monotonic()
    this.#since ??= now
    return now - this.#since >= this.#milliseconds
  }
}

async function moment(io: Io, milliseconds: number): Promise<void> {
  await pause(io, milliseconds)
  if (io.signal.aborted) throw interrupted()
}

const timeoutOf = ({ timeout = timeoutSecondsDefault }: Values): number => timeout * 1000

// ---- a node, a gateway ----

async function ofNode(values: Values, io: Io): Promise<ExitCode> {
  const { host, port } = nodeOf(values.node)
  const client = await connect(io.runtime, host, port)
  try {
    const status = await client.nodeStatus()
    io.out(values.json ? `${JSON.stringify(status)}\n` : nodeStatusText(status))
    return status.health.some((part) => part.status === 'fail') ? exitCode.failure : exitCode.ok
  } finally {
    client.close()
  }
}

async function ofGateway(values: Values, io: Io): Promise<ExitCode> {
  const said: JsonObject = await askGateway(io.runtime, gatewayOf(values.gateway), { action: 'health' })
  io.out(
    values.json ? `${JSON.stringify(said)}\n` : table(Object.entries(said).map(([key, value]) => [key, text(value)])),
  )
  return said['status'] === 'ok' ? exitCode.ok : exitCode.failure
}

const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))
