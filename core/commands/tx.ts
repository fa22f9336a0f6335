import { join, resolve } from 'node:path'
import { isObject, nestingMax, parseJsonText, type JsonObject } from '../chain/json.ts'
import type { KeyPair } from '../chain/keys.ts'
import { attestTransaction, signTransaction, transactionHash } from '../chain/transaction.ts'
import { exitCode, type ExitCode, type Refusal } from '../errors.ts'
import { openKeyFile, openOrCreate } from '../keyfile.ts'
import type { Command, Io } from './command.ts'
import { dataDirOf } from './datadir.ts'
import { readFlags, usageError, type Flags } from './flags.ts'
import { importRows } from './import.ts'
import { openRows } from './rows.ts'
import { Session } from './session.ts'
import { isBackPressure, isIncluded, Submitter, type Included, type Outcome } from './submission.ts'
import { paint, printable } from './terminal.ts'
import { nodeOf } from './whom.ts'

const help = `Signs transactions and submits them to a node.

  aurex tx --data '{"note":"hello"}' --wait      one, and wait for its block
  aurex tx --from sales.csv                      one a row, values as text
  aurex tx --from sales.ndjson --wait --json     one a line, counts for a script

Usage: aurex tx --data <object> | --from <file> [flags]

  --data <object>    what the transaction says, a JSON object
  --sender <name>    in whose name; without it the key's own address
  --nonce <n>        tells it from another that says the same
  --from <file>      .csv (the first row names the fields) or .ndjson
  --in-flight <n>    lines that are on their way at once (64)
  --wait             until everything is in a block
  --node <address>   host:port of the node (127.0.0.1:13245)
  --timeout <s>      how long to retry after a lost connection (60)
  --key <file>       who signs (client.pem in the data directory, made on
                     first use)
  --data-dir <dir>   the data directory ($XDG_DATA_HOME/aurex)
  --json             JSON instead of text

Sending again is safe: a transaction is recorded once, and the same file again
adds nothing. Where a line repeats an earlier one, its n-th repetition gets the
nonce n. Where the node has no room, lines wait for its next blocks.
Exit code: 0 all is in; 1 something was refused; 69 the node cannot be reached;
75 interrupted, or the node has no room just now.
`

const flags = {
  data: { type: 'string' },
  sender: { type: 'string' },
  nonce: { type: 'integer' },
  from: { type: 'string' },
  'in-flight': { type: 'integer', min: 1, max: 1024 },
  wait: { type: 'boolean' },
  node: { type: 'string' },
  timeout: { type: 'integer', min: 0, max: 1_000_000 },
  key: { type: 'string' },
  'data-dir': { type: 'string' },
  json: { type: 'boolean' },
} as const

type Values = Flags<typeof flags>['values']

const inFlightDefault = 64
const timeoutSecondsDefault = 60

export const command: Command = { name: 'tx', summary: 'sign transactions and submit them to a node', help, run }

async function run(argv: readonly string[], io: Io): Promise<number> {
  const { help: asked, values } = readFlags(argv, { command: 'aurex tx', flags })
  if (asked) {
    io.out(help)
    return exitCode.ok
  }
  const job = jobOf(values, io)
  const node = nodeOf(values.node)
  const key = keyOf(values, io)
  const inFlightMax = values['in-flight'] ?? inFlightDefault
  const timeoutMilliseconds = (values.timeout ?? timeoutSecondsDefault) * 1000
  const session = await Session.open(io, { ...node, timeoutMilliseconds, inFlightMax })
  try {
    if ('rows' in job) {
      const { wait, json } = values
      return await importRows(session, job.rows, { key, inFlightMax, wait, json }, io)
    }
    return await submitOne(session, key, job.data, values, io)
  } finally {
    session.close()
  }
}

function jobOf(values: Values, io: Io) {
  const { data, from, nonce } = values
  if (data === undefined && from === undefined) {
    throw usageError('missing-value', 'aurex tx: expected --data or --from; see: aurex tx --help')
  }
  if (from === undefined) return { data: dataOf(data ?? '') }
  if (data !== undefined) throw usageError('bad-value', 'aurex tx: give --data or --from, not both')
  if (values.sender !== undefined) {
    throw usageError('bad-value', 'aurex tx: --sender belongs to --data; lines of a file are sent by the key itself')
  }
  if (nonce !== undefined) {
    throw usageError('bad-value', 'aurex tx: --nonce belongs to --data; with --from repeated lines get theirs')
  }
  return { rows: openRows(resolve(io.cwd, from), from) }
}

function dataOf(text: string): JsonObject {
  const value = parseJsonText(text, nestingMax - 1)
  if (!value.ok) throw usageError('bad-value', `--data: ${value.detail}; expected an object, as: '{"note":"hello"}'`)
  if (isObject(value.value)) return value.value
  throw usageError('bad-value', `--data: expected a JSON object, as: '{"note":"hello"}', got ${text.slice(0, 40)}`)
}

function keyOf(values: Values, io: Io): KeyPair {
  const { files } = io.runtime
  const warn = (text: string) => io.err(`${paint(io, 'yellow', 'warning:')} ${text}\n`)
  if (values.key !== undefined) {
    const { key, warning } = openKeyFile(files, resolve(io.cwd, values.key))
    if (warning !== undefined) warn(warning)
    return key
  }
  const path = join(dataDirOf(values['data-dir'], io), 'client.pem')
  const { key, warning, created } = openOrCreate(files, path, (length) => io.runtime.random(length))
  if (warning !== undefined) warn(warning)
  if (created) io.err(`made a key for you: ${path} (address ${key.address})\n`)
  return key
}

async function submitOne(session: Session, key: KeyPair, data: JsonObject, values: Values, io: Io): Promise<ExitCode> {
  const { sender, nonce, wait, json } = values
  const chainId = session.chain.chain_id
  const transaction =
    sender === undefined
      ? signTransaction(key, chainId, data, nonce)
      : attestTransaction(key, chainId, sender, data, nonce)
  const hash = transactionHash(transaction, chainId)
  const submitter = new Submitter(session, io)
  const outcome = await submitter.submit(transaction, hash, wait)
  if (outcome.outcome === 'refused') return tellRefused(outcome.refusal, hash, values, io)
  if (!json) io.out(`id     ${hash}\nnode   ${describe(outcome)}\n`)
  const before = outcome.outcome === 'known' ? outcome.before : undefined
  let block = before !== undefined && isIncluded(before) ? before : undefined
  if (wait && block === undefined) {
    const included = await submitter.included(transaction, hash)
    if (!included.ok) return tellRefused(included, hash, values, io, true)
    block = included.value
  }
  if (json) io.out(`${JSON.stringify(resultOf(outcome, hash, block))}\n`)
  else if (block !== undefined) io.out(`block  ${block.blockIndex}  ${block.blockHash}\n`)
  return exitCode.ok
}

type Taken = Exclude<Outcome, { outcome: 'refused' }>

function describe(outcome: Taken): string {
  const said = printable(outcome.receipt.message)
  if (outcome.outcome === 'admitted') return said
  return isIncluded(outcome.before) ? `already in block ${outcome.before.blockIndex}` : `already known: ${said}`
}

function resultOf(outcome: Taken, hash: string, block: Included | undefined): JsonObject {
  const { miner, message } = outcome.receipt
  const status = block === undefined ? 'pending' : block.status
  const where = block === undefined ? {} : { block_index: block.blockIndex, block_hash: block.blockHash }
  return { tx_hash: hash, status, known: outcome.outcome === 'known', ...where, miner, message }
}

/** `told`: its id stands there already, since the node had taken it at first. */
function tellRefused(refusal: Refusal, hash: string, { json }: Values, io: Io, told = false): ExitCode {
  const { code, detail } = refusal
  if (json) io.out(`${JSON.stringify({ tx_hash: hash, status: 'refused', code, error: detail })}\n`)
  else if (!told) io.out(`id     ${hash}\n`)
  io.err(`${paint(io, 'red', 'refused')}: ${printable(code)}: ${printable(detail)}\n`)
  return isBackPressure(refusal) ? exitCode.tryAgain : exitCode.failure
}
