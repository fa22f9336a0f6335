import { keyPairOfPem, privatePemOf } from '../../core/chain/keys.ts'
import { signTransaction, type Transaction } from '../../core/chain/transaction.ts'
import { LineClient } from '../support/lines.ts'

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

/**
 * Submits all, over so many connections with so many requests in flight on each; returns how many were accepted a
 * second. A pool without room is waited for, as a client would.
 */
export async function submitAll(
  port: number,
  all: readonly Transaction[],
  connections: number,
  inFlight: number,
): Promise<number> {
  const clients = await Promise.all(Array.from({ length: connections }, () => LineClient.open(port)))
  let next = 0
  const submit = async (client: LineClient): Promise<void> => {
    for (let transaction = all[next++]; transaction !== undefined; transaction = all[next++]) {
      for (;;) {
        const answer = await client.ask({ type: 'NEW_TRANSACTION', ...transaction })
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
