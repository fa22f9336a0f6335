// What a block costs on the wire, with and without short ids: twenty whole nodes, every byte of theirs counted.
import { expect, test } from 'bun:test'
import type { Block } from '../../../../core/chain/block.ts'
import type { JsonObject } from '../../../../core/chain/json.ts'
import type { Runtime, Socket, SocketHandlers } from '../../../../core/runtime.ts'
import { startNode } from '../../../../core/node.ts'
import instant from '../../../../plugins/instant/index.ts'
import { LineClient } from '../../../plugins/tcp/bench.ts'
import { simRuntime } from '../../../sim/runtime.ts'
import { pluginEntry, simNodeOptions, simPort } from '../../../sim/simnode.ts'
import { blockOn, genesis, newTransaction, some } from './rig.ts'

const nodesCount = 20
const transactionsPerBlock = 100
const blockTypes = ['new_block', 'compact_block', 'block_transactions_request', 'block_transactions']

/** Bytes of the lines that arrived, by the type of their message. */
class Counter {
  readonly #bytes = new Map<string, number>()

  runtime(host: Runtime): Runtime {
    return {
      clock: host.clock,
      files: host.files,
      random: (length) => host.random(length),
      resolve: (name) => host.resolve(name),
      verifyInBackground: (check) => host.verifyInBackground(check),
      http: (url, request) => host.http(url, request),
      verifyByRuleInBackground: (check) => host.verifyByRuleInBackground(check),
      listen: (name, port, handlers) => host.listen(name, port, this.#watched(handlers)),
      connect: (name, port, handlers, max) => host.connect(name, port, this.#watched(handlers), max),
    }
  }

  of(types: readonly string[]): number {
    return types.reduce((sum, type) => sum + (this.#bytes.get(type) ?? 0), 0)
  }

  clear(): void {
    this.#bytes.clear()
  }

  #watched(handlers: SocketHandlers): SocketHandlers {
    const begun = new WeakMap<Socket, string>()
    return {
      ...handlers,
      data: (socket, bytes) => {
        const lines = ((begun.get(socket) ?? '') + Buffer.from(bytes).toString()).split('\n')
        begun.set(socket, lines.pop()!)
        for (const line of lines) this.#count(line)
        handlers.data(socket, bytes)
      },
    }
  }

  #count(line: string): void {
    const { type } = JSON.parse(line) as { type: string }
    this.#bytes.set(type, (this.#bytes.get(type) ?? 0) + Buffer.byteLength(line) + 1)
  }
}

test('a block of 100 pending transactions costs a node less than a third with short ids', async () => {
  const world = simRuntime({ seed: 5 })
  const counter = new Counter()
  const addressOf = (n: number) => `10.0.0.${n + 1}`
  for (let n = 0; n < nodesCount; n++) {
    const peers = n === 0 ? [] : [{ host: addressOf(n >> 1), port: simPort }]
    const options = simNodeOptions(world, addressOf(n), {
      genesis,
      engine: pluginEntry(instant, { produce: false }),
      peers,
    })
    await world.settled(startNode({ ...options, runtime: counter.runtime(options.runtime) }))
  }
  await world.advance(120_000)
  const client = await world.settled(LineClient.connect(world.host('10.1.0.1'), addressOf(7), simPort))

  /** Bytes a node for a block that is handed to one of them; whether its transactions were pending everywhere. */
  async function cost(parent: Block, arePending: boolean): Promise<{ block: Block; bytes: number }> {
    const transactions = some(transactionsPerBlock, {
      action: 'transfer',
      to: 'bob',
      amount: '12.34',
      note: 'x'.repeat(64),
    })
    if (arePending) for (const one of transactions) client.send(newTransaction(one))
    await world.advance(5_000)
    counter.clear()
    const block = blockOn(parent, transactions)
    client.send({ type: 'new_block', node_id: 'x', data: block } as unknown as JsonObject)
    await world.advance(5_000)
    for (let n = 0; n < nodesCount; n++) {
      const asker = await world.settled(LineClient.connect(world.host('10.1.0.2'), addressOf(n), simPort))
      asker.send({ type: 'chain_info' })
      await world.runUntil(() => asker.lines.length === 1)
      expect(asker.lines[0]).toMatchObject({ height: block.index, head: block.current_hash, pending: 0 })
    }
    // The one that came from the client is nobody's relay.
    const handed = Buffer.byteLength(JSON.stringify({ type: 'new_block', node_id: 'x', data: block })) + 1
    return { block, bytes: Math.round((counter.of(blockTypes) - handed) / nodesCount) }
  }

  const whole = await cost(genesis.block, false)
  const short = await cost(whole.block, true)
  const body = Buffer.byteLength(JSON.stringify(whole.block))
  console.log(
    `${nodesCount} nodes, blocks of ${transactionsPerBlock} transactions and ${body} bytes: ${whole.bytes} bytes a node ` +
      `a block whole, ${short.bytes} with short ids (1 in ${(whole.bytes / short.bytes).toFixed(1)})`,
  )
  expect(whole.bytes).toBeGreaterThan(body * 0.9)
  expect(short.bytes).toBeLessThan(whole.bytes / 3)
  expect(counter.of(['block_transactions_request'])).toBe(0)
}, 60_000)
