import type { ListedEvidence } from '../client.ts'
import { question } from './question.ts'
import { printable } from './terminal.ts'

const help = `Shows which keys signed what no honest key signs, and the proofs of it.

  aurex evidence
  aurex evidence --node 127.0.0.1:13246
  aurex evidence --json > evidence.json

Usage: aurex evidence [--node <address>] [--json]

  --node <address>   host:port of the node (127.0.0.1:13245)
  --json             one JSON object: {node, consensus, evidence: [{kind,
                     address, what, found_at, proof}]}, the newest first; proof
                     is null where the answer would have become too long

Two blocks of one key for the same turn, or two votes that exclude each other,
mean that the key was copied, or that whoever has it cheats. Every node checks a
proof by itself, keeps it, and passes it on. It stays, whatever becomes of the
key: on a poa chain its authorities vote it out.
Exit code 0: it told; 69: nobody answers.
`

export const command = question({
  name: 'evidence',
  summary: 'show which keys signed what no honest key signs',
  help,
  async ask(client) {
    const [evidence, { consensus }] = await Promise.all([client.evidence(), client.chainInfo()])
    return { consensus, evidence }
  },
  text: ({ consensus, evidence }) => evidenceText(evidence, consensus),
})

/** Key by key: one vote is enough, however much there is against it. */
function evidenceText(evidence: readonly ListedEvidence[], consensus: string): string {
  if (evidence.length === 0)
    return 'there is none: no key is known to have signed two things that contradict each other\n'
  const keys = Object.entries(Object.groupBy(evidence, ({ address }) => address))
  return keys.map(([address, entries]) => keyText(address, entries ?? [], consensus)).join('\n')
}

function keyText(address: string, entries: readonly ListedEvidence[], consensus: string): string {
  const lines = entries.map(({ kind, what, found_at }) => `  ${kind}: ${what}, found ${found_at}`)
  const vote = consensus === 'poa' ? [`  to vote it out: aurex vote remove ${address}`] : []
  return [address, ...lines, ...vote].map((line) => `${printable(line)}\n`).join('')
}
