import { join, resolve } from 'node:path'
import * as v from 'valibot'
import { canonicalJson } from '../chain/canonical.ts'
import { excerpt, type JsonObject } from '../chain/json.ts'
import { publicKeyOf, type KeyPair } from '../chain/keys.ts'
import { formatTimestamp } from '../chain/timestamp.ts'
import { connect, type Client } from '../client.ts'
import { AurexError, exitCode, suggestion } from '../errors.ts'
import { openKeyFile, type OpenedKey } from '../keyfile.ts'
import type { Command, Io } from './command.ts'
import { dataDirOf } from './datadir.ts'
import { readFlags, usageError, type Flags } from './flags.ts'
import { paint, printable } from './terminal.ts'
import { nodeOf } from './whom.ts'

const help = `Votes an authority of a poa chain in or out, with the key of its node.

  aurex vote add <address>
  aurex vote remove <address> --node 127.0.0.1:13246
  aurex vote withdraw <address>
  aurex vote add <address> --key authority.pem --blocks 500

Usage: aurex vote add|remove|withdraw <address> [flags]

  <address>          whom the vote is on (aurex key show prints it)
  --key <file>       the key of the node, where it is not in the data directory
  --data-dir <dir>   of the node ($XDG_DATA_HOME/aurex)
  --node <address>   host:port of the node, on this machine (127.0.0.1:13245)
  --blocks <n>       for how many blocks the node says so, at most (10000)
  --json             one JSON object: {node, target, vote, until, votes, needed,
                     warning}

A node says what it votes in the blocks that it makes, one vote a block, and
again after votes have expired. More than half of the authorities must vote the
same. Each operator does this on the machine of his own node; withdraw takes his
own vote back. A warning means that too few would be up to make blocks after it.
Exit code 0: taken; 1: the node does not take it, and says why; 69: nobody
answers.
`

const flags = {
  key: { type: 'string' },
  'data-dir': { type: 'string' },
  node: { type: 'string' },
  blocks: { type: 'integer', min: 1 },
  json: { type: 'boolean' },
} as const

type Values = Flags<typeof flags>['values']

const actions = ['add', 'remove', 'withdraw']

const answerFields = v.object({
  target: v.string(),
  vote: v.string(),
  until: v.number(),
  votes: v.number(),
  needed: v.number(),
  warning: v.optional(v.string()),
})
type Answer = v.InferOutput<typeof answerFields>

export const command: Command = {
  name: 'vote',
  summary: 'vote an authority in or out (poa)',
  help,
  async run(argv, io) {
    const {
      help: asked,
      values,
      positionals: [vote, target],
    } = readFlags(argv, { command: 'aurex vote', flags, positionals: ['add|remove|withdraw', 'address'] })
    if (asked) {
      io.out(help)
      return exitCode.ok
    }
    const request = requestOf(vote, target, values)
    const { host, port } = nodeOf(values.node)
    const client = await connect(io.runtime, host, port)
    try {
      const chainId = await poaChain(client)
      const answer = await send(client, signed(request, keyOf(values, port, io), chainId, io))
      print(client.address, answer, values, io)
      return exitCode.ok
    } finally {
      client.close()
    }
  },
}

/** The id of the node's chain. Throws `not-poa` where its engine knows no votes. */
export async function poaChain(client: Client): Promise<string> {
  const { consensus, chain_id: chainId, genesis_name: name } = await client.chainInfo()
  if (consensus === 'poa') return chainId
  throw new AurexError(
    'not-poa',
    `${client.address}: its chain ${printable(name)} has the engine ${printable(consensus)}; only authorities of a poa ` +
      'chain vote; name another node with --node host:port',
  )
}

function requestOf(vote: string | undefined, target: string | undefined, values: Values): JsonObject {
  if (vote === undefined || !actions.includes(vote)) {
    const got = vote === undefined ? '' : `, got ${JSON.stringify(vote)}${suggestion(vote, actions)}`
    throw usageError('missing-argument', `aurex vote: expected add, remove or withdraw${got}; see: aurex vote --help`)
  }
  if (target === undefined) throw usageError('missing-argument', `aurex vote ${vote}: on whom? Give an address`)
  const key = publicKeyOf(target)
  if (!key.ok) throw usageError('bad-value', `aurex vote ${vote}: ${excerpt(target)}: ${key.detail}`)
  return { target, vote, ...(values.blocks === undefined ? {} : { blocks: values.blocks }) }
}

function keyOf(values: Values, port: number, io: Io): KeyPair {
  if (values.key !== undefined && values['data-dir'] !== undefined) {
    throw usageError('bad-value', 'aurex vote: name the key by --key, or by --data-dir, not both')
  }
  const path =
    values.key === undefined ? join(dataDirOf(values['data-dir'], io), `node_${port}.pem`) : resolve(io.cwd, values.key)
  const { key, warning } = keyFileOf(path, values, io)
  if (warning !== undefined) warn(warning, io)
  return key
}

/** A new key, which is what others are told to make where there is none, would be no authority's. */
function keyFileOf(path: string, values: Values, io: Io): OpenedKey {
  try {
    return openKeyFile(io.runtime.files, path)
  } catch (error) {
    if (values.key !== undefined || !(error instanceof AurexError) || error.code !== 'no-key-file') throw error
    const advice = 'a node that was started with --key or --data-dir wants the same here'
    throw new AurexError('no-key-file', `${path}: no such file, so the key of the node is elsewhere; ${advice}`, {
      exit: exitCode.config,
    })
  }
}

/** With the time, and the chain, so that it can be used once only: plugins/poa/README.md. */
function signed(request: JsonObject, key: KeyPair, chainId: string, io: Io): JsonObject {
  const timed = { ...request, timestamp: formatTimestamp(io.runtime.clock.now()) }
  const signature = key.sign('aurex/poa/1', canonicalJson({ ...timed, chain_id: chainId }))
  return { ...timed, signature }
}

async function send(client: Client, request: JsonObject): Promise<Answer> {
  const answer = await client.question({ ...request, type: 'poa.vote' })
  if (!answer.ok) throw new AurexError(answer.code, `${client.address}: ${answer.detail}`)
  const shaped = v.safeParse(answerFields, answer.value)
  if (shaped.success) return shaped.output
  throw new AurexError('bad-answer', `${client.address}: ${shaped.issues[0].message}`, { exit: exitCode.unavailable })
}

function print(node: string, answer: Answer, { json }: Values, io: Io): void {
  if (json) return io.out(`${JSON.stringify({ node, ...answer })}\n`)
  const { target, vote, until, votes, needed, warning } = answer
  io.out(`${vote} ${target}: the node votes so in the next blocks that it makes, until height ${until}\n`)
  io.out(`counted on this address so far: ${votes}; needed: ${needed}; see: aurex votes\n`)
  if (warning !== undefined) warn(printable(warning), io)
}

const warn = (text: string, io: Io): void => io.err(`${paint(io, 'yellow', 'warning:')} ${text}\n`)
