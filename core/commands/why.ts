import { parseTimestamp } from '../chain/timestamp.ts'
import type { WhyWait } from '../client.ts'
import { question } from './question.ts'
import { printable } from './terminal.ts'

const help = `Tells what a node waits for, and what you could do about it.

  aurex why
  aurex why --node 127.0.0.1:13246
  aurex why --json

Usage: aurex why [--node <address>] [--json]

  --node <address>   host:port of the node (127.0.0.1:13245); it tells this on
                     its own machine only
  --json             one JSON object: {node, waits: [{who, waits_for, since,
                     help}]}; since and help are there where they are known

A node that makes no block has a reason: no transaction is pending, another has
the turn, its clock is not there yet, the ledger cannot be written, signing was
stopped. What keeps the others waiting comes first.
Exit code 0: it told; 69: nobody answers.
`

export const command = question({
  name: 'why',
  summary: 'tell what a node waits for, and what to do about it',
  help,
  ask: async (client) => ({ waits: await client.why() }),
  text: ({ waits }, io) => whyText(waits, io.runtime.clock.now()),
})

function whyText(waits: readonly WhyWait[], now: number): string {
  if (waits.length === 0) return 'it waits for nothing\n'
  return waits.map((wait) => waitText(wait, now)).join('')
}

function waitText({ who, waits_for, since, help: advice }: WhyWait, now: number): string {
  const begun = parseTimestamp(since)
  const long = begun === undefined ? '' : `, for ${durationText(now - begun)}`
  const line = `${printable(`${who} waits for ${waits_for}`)}${long}\n`
  return advice === undefined ? line : `${line}  ${printable(advice)}\n`
}

const units = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
] as const

/** In the largest unit of which there are two: `90 s`, `2 min`. */
function durationText(milliseconds: number): string {
  const [length, unit] = units.find(([one]) => milliseconds >= 2 * one) ?? [1_000, 's']
  return `${Math.max(0, Math.floor(milliseconds / length))} ${unit}`
}
