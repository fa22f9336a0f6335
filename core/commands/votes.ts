import * as v from 'valibot'
import type { Client } from '../client.ts'
import { AurexError, exitCode } from '../errors.ts'
import { question } from './question.ts'
import { printable } from './terminal.ts'
import { poaChain } from './vote.ts'

const help = `Shows the authorities of a poa chain, and what they vote.

  aurex votes
  aurex votes --node 127.0.0.1:13246 --json

Usage: aurex votes [--node <address>] [--json]

  --node <address>   host:port of the node (127.0.0.1:13245)
  --json             one JSON object: {node, height, checkpoint, needed,
                     authorities, votes, wishes}

Authorities stand in the order of turns, each with the last block that it made
among the last 1,000, so that you see who is silent since when. Votes count
until the checkpoint that is named. What the node itself still wants to be voted
stands below them.
Exit code 0: it told; 1: the chain has no votes; 69: nobody answers.
`

const count = v.pipe(v.number(), v.safeInteger())
const answerFields = v.object({
  height: count,
  checkpoint: count,
  needed: count,
  authorities: v.array(
    v.object({
      address: v.string(),
      own: v.boolean(),
      in_turn: v.boolean(),
      connected: v.boolean(),
      last_block: v.nullable(v.object({ index: count, timestamp: v.string() })),
    }),
  ),
  votes: v.array(v.object({ target: v.string(), vote: v.string(), signers: v.array(v.string()), needed: count })),
  wishes: v.array(v.object({ target: v.string(), vote: v.string(), since: v.string(), until: count })),
})
type Answer = v.InferOutput<typeof answerFields>

export const command = question({
  name: 'votes',
  summary: 'show the authorities and what they vote (poa)',
  help,
  async ask(client) {
    await poaChain(client)
    return await standing(client)
  },
  text: printableLines,
})

async function standing(client: Client): Promise<Answer> {
  const answer = await client.question({ type: 'poa.votes' })
  if (!answer.ok) throw new AurexError(answer.code, `${client.address}: ${answer.detail}`)
  const shaped = v.safeParse(answerFields, answer.value)
  if (shaped.success) return shaped.output
  const issue = shaped.issues[0]
  throw new AurexError('bad-answer', `${client.address}: ${v.getDotPath(issue) ?? 'the answer'}: ${issue.message}`, {
    exit: exitCode.unavailable,
  })
}

function printableLines(answer: Answer): string {
  const lines = [...authoritiesText(answer), '', ...votesText(answer), ...wishesText(answer)]
  return lines.map((line) => `${printable(line)}\n`).join('')
}

function authoritiesText({ height, needed, authorities }: Answer): string[] {
  const head = `after block ${height}: ${authorities.length} authorities, of which ${needed} must be up`
  return [head, ...authorities.map((one, at) => `  ${String(at + 1).padStart(3)}  ${authorityText(one)}`)]
}

function authorityText({ address, own, in_turn, connected, last_block }: Answer['authorities'][number]): string {
  const last =
    last_block === null ? 'none of the last 1,000 blocks' : `block ${last_block.index}, ${last_block.timestamp}`
  const marks = [in_turn ? 'in turn' : '', own ? 'this node' : connected ? 'connected' : '']
  return [address, last, ...marks.filter((mark) => mark !== '')].join('  ')
}

function votesText({ votes, checkpoint }: Answer): string[] {
  if (votes.length === 0) return ['votes: none']
  const lines = votes.map(
    ({ target, vote, signers, needed }) =>
      `  ${vote} ${target}: ${signers.length} of ${needed} (${signers.map(shortText).join(', ')})`,
  )
  return [`votes, until block ${checkpoint}:`, ...lines]
}

function wishesText({ wishes }: Answer): string[] {
  if (wishes.length === 0) return []
  const lines = wishes.map(
    ({ target, vote, until, since }) => `  ${vote} ${target}: until block ${until}, since ${since}`,
  )
  return ['this node wants:', ...lines]
}

const shortText = (address: string): string => `${address.slice(0, 4)}...${address.slice(-2)}`
