import * as v from 'valibot'
import { isHash, type Hash } from '../chain/canonical.ts'
import type { JsonObject } from '../chain/json.ts'
import type { Client } from '../client.ts'
import { AurexError, exitCode } from '../errors.ts'
import type { TransactionStatus } from '../plugin.ts'
import type { Runtime } from '../runtime.ts'
import { askGateway } from './gatewayclient.ts'
import { refusalOf } from './submission.ts'
import { printable } from './terminal.ts'
import type { Whom } from './whom.ts'

/** What became of a transaction, whoever says so. */
export interface Fate {
  readonly status: TransactionStatus['status']
  readonly txHash?: string | undefined
  readonly txId?: string | undefined
  readonly blockIndex?: number | undefined
  readonly blockHash?: string | undefined
  /** Blocks from its own up to the head. */
  readonly confirmations?: number | undefined
  /** Why it will not be recorded, where that is known. */
  readonly code?: string | undefined
  readonly detail?: string | undefined
}

export async function fateAtNode(client: Client, txHash: Hash): Promise<Fate> {
  const status = await client.status(txHash)
  const { code, detail } = refusalOf(status) ?? {}
  return { ...status, txHash, code, detail }
}

const optional = <S extends v.GenericSchema>(schema: S) => v.nullish(schema)
const count = v.pipe(v.number(), v.safeInteger())
const gatewayAnswer = v.object({
  status: v.picklist(['pending', 'included', 'final', 'orphaned', 'unknown']),
  tx_hash: optional(v.string()),
  block_index: optional(count),
  block_hash: optional(v.string()),
  confirmations: optional(count),
  code: optional(v.string()),
  message: optional(v.string()),
})

/** `id`: the transaction's, or the `tx_id` of its purchase. Throws what `askGateway` throws. */
export async function fateAtGateway(runtime: Runtime, whom: Whom, id: string): Promise<Fate> {
  const named: JsonObject = isHash(id) ? { tx_hash: id } : { tx_id: id }
  const shaped = v.safeParse(gatewayAnswer, await askGateway(runtime, whom, { action: 'transaction_status', ...named }))
  if (!shaped.success) {
    const [issue] = shaped.issues
    throw new AurexError(
      'bad-answer',
      `the gateway's answer: ${v.getDotPath(issue) ?? 'all of it'}: ${issue.message}`,
      {
        exit: exitCode.unavailable,
      },
    )
  }
  const { status, tx_hash, block_index, block_hash, confirmations, code, message } = shaped.output
  return {
    status,
    txHash: tx_hash ?? (isHash(id) ? id : undefined),
    txId: isHash(id) ? undefined : id,
    blockIndex: block_index ?? undefined,
    blockHash: block_hash ?? undefined,
    confirmations: confirmations ?? undefined,
    code: code ?? undefined,
    detail: typeof code === 'string' ? (message ?? undefined) : undefined,
  }
}

/** As the wire names the fields; those that are not known are left out. */
export const fateJson = (fate: Fate): object => ({
  tx_id: fate.txId,
  tx_hash: fate.txHash,
  status: fate.status,
  block_index: fate.blockIndex,
  block_hash: fate.blockHash,
  confirmations: fate.confirmations,
  code: fate.code,
  error: fate.detail,
})

/** For a person: the word, what it means, and the ids. */
export function fateText(fate: Fate, enough: number): string {
  const rows: [string, string | undefined][] = [
    [fate.code === undefined ? fate.status : 'refused', sentence(fate, enough)],
    ['id', fate.txHash],
    ['block', fate.blockHash],
  ]
  return rows.flatMap(([name, what]) => (what ? [`${name.padEnd(9)} ${printable(what)}\n`] : [])).join('')
}

function sentence({ status, blockIndex, confirmations = 0, code, detail }: Fate, enough: number): string {
  const why = code === undefined ? '' : `${code}${detail === undefined ? '' : `: ${detail}`}`
  switch (status) {
    case 'pending':
      return 'it is kept and waits for a block'
    case 'included': {
      const depth = confirmations === 1 ? '1 confirmation' : `${confirmations} confirmations`
      return `it is in block ${blockIndex ?? '?'}, ${depth}${confirmations < enough ? ` of ${enough}` : ''}`
    }
    case 'final':
      return `it is in block ${blockIndex ?? '?'}, which can no longer be undone`
    case 'orphaned':
      return code === undefined
        ? 'its block was undone; it waits for another'
        : `its block was undone, and it will not be recorded again: ${why}`
    default:
      return code === undefined ? 'nobody there has had it, or it was given up' : `it will not be recorded: ${why}`
  }
}
