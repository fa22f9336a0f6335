import type { NodeProcess } from '../support/process.ts'
import { keyPairOfPem, privatePemOf } from '../../core/chain/keys.ts'
import { signTransaction, type Transaction } from '../../core/chain/transaction.ts'
import { LineClient } from '../support/lines.ts'
import { cpuMicroseconds } from './row.ts'

const senders = Array.from({ length: 200 }, (_, i) =>
  keyPairOfPem(privatePemOf(new Uint8Array(32).fill(i + 1)), 'bench key'),
)

/** Signed transactions of about 390 bytes on the wire, by 200 senders in turn. */
export function signMany(chainId: string, count: number, from = 0): Transaction[] {
  return Array.from({ length: count }, (_, i) => {
    const data = { action: 'data', item: `item ${from + i}`, note: 'a line of about the usual length', price: '12.34' }
    return signTransaction(senders[(from + i) % senders.length]!, chainId, data, from + i)
  })
}

export interface Run {
  readonly perSecond: number
  /** Of processor time for each transaction, on all threads: the node's, and that of this load generator beside it. */
  readonly nodeMicroseconds: number
  readonly loadMicroseconds: number
}

/** `submitAll`, and what it cost the node's process and this one. Linux only. */
export async function measuredSubmission(
  { ready, process: { pid } }: NodeProcess,
  all: readonly Transaction[],
  connections: number,
  inFlight: number,
): Promise<Run> {
  const before = [cpuMicroseconds(pid), cpuMicroseconds(process.pid)] as const
  const perSecond = await submitAll(ready.port, all, connections, inFlight)
  return {
    perSecond,
    nodeMicroseconds: (cpuMicroseconds(pid) - before[0]) / all.length,
    loadMicroseconds: (cpuMicroseconds(process.pid) - before[1]) / all.length,
  }
}

/**
 * Submits all, over so many connections with so many requests in flight on each; returns how many were accepted a
 * second. A pool without room is waited for, as a client would. The lines are made before the clock starts: on a small
 * machine what the load costs is taken from the node.
 */
export async function submitAll(
  port: number,
  all: readonly Transaction[],
  connections: number,
  inFlight: number,
): Promise<number> {
  const lines = all.map((transaction) => `${JSON.stringify({ type: 'NEW_TRANSACTION', ...transaction })}\n`)
  const clients = await Promise.all(Array.from({ length: connections }, () => LineClient.open(port)))
  let next = 0
  const submit = async (client: LineClient): Promise<void> => {
    for (let line = lines[next++]; line !== undefined; line = lines[next++]) {
      for (;;) {
        const answer = await client.askLine(line)
        if (answer['type'] === 'MINING_STARTED') break
        if (answer['code'] !== 'mempool-full' && answer['code'] !== 'sender-quota')
          throw new Error(JSON.stringify(answer))
        await Bun.sleep(5)
      }
    }
  }
  const started = performance.now()
  await Promise.all(clients.flatMap((client) => Array.from({ length: inFlight }, () => submit(client))))
  const seconds = (performance.now() - started) / 1_000
  for (const client of clients) client.close()
  return all.length / seconds
}

/** Waits until nothing is pending any more. */
export async function drained(port: number): Promise<void> {
  const client = await LineClient.open(port)
  while (Number((await client.ask({ type: 'chain_info' }))['pending']) > 0) await Bun.sleep(20)
  client.close()
}
