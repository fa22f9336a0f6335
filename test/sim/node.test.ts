// The whole node, as it is, on the simulated runtime: nothing in it reaches past the port for a clock, dice or a socket.
import { expect, test } from 'bun:test'
import { developmentGenesis } from '../../core/chain/genesis.ts'
import { keyPairOfPem, privatePemOf } from '../../core/chain/keys.ts'
import { signTransaction } from '../../core/chain/transaction.ts'
import { LineClient } from '../plugins/tcp/bench.ts'
import { simRuntime } from './runtime.ts'
import { startSimNode } from './simnode.ts'

const genesis = developmentGenesis('instant', {})
const alice = keyPairOfPem(privatePemOf(new Uint8Array(32).fill(7)), 'a test')
const address = '10.0.0.1'

/** A node that is given twenty transactions by a client on another host; what was recorded, and the world's trace. */
async function record(seed: number) {
  const world = simRuntime({ seed, startsAt: Date.UTC(2026, 10, 21) })
  const { node } = await startSimNode(world, address, { genesis })
  const client = await world.settled(LineClient.connect(world.host('10.0.0.2'), address, 13_245))
  for (let n = 0; n < 20; n++) {
    client.send({ type: 'NEW_TRANSACTION', ...signTransaction(alice, genesis.rules.chainId, { n }, n) })
    await world.advance(7)
  }
  await world.runUntil(() => client.lines.length === 20)
  await world.advance(1_000)
  client.send({ type: 'chain_info' })
  await world.runUntil(() => client.lines.length === 21)
  const info = client.lines[20]!
  await world.settled(node.stop('the test is over'))
  return { info, codes: new Set(client.codes.slice(0, 20)), trace: world.trace(), nodeId: node.identity.nodeId }
}

test('a node records on the simulated runtime, and the same seed gives the same key, the same blocks and the same trace', async () => {
  const first = await record(11)
  expect(first.codes).toEqual(new Set(['MINING_STARTED']))
  expect(first.info).toMatchObject({ type: 'chain_info', pending: 0 })
  expect(Number(first.info['height'])).toBeGreaterThan(1)
  expect(await record(11)).toEqual(first)
  const other = await record(12)
  expect(other.nodeId).not.toBe(first.nodeId)
  expect(other.trace).not.toBe(first.trace)
})
