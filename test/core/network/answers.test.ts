// What a node says of what is final on its chain, and of what its parts wait for.
import { describe, expect, test } from 'bun:test'
import { Contributed } from '../../../core/contributions.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import { developmentGenesis } from '../../../core/chain/genesis.ts'
import type { NodeStatus } from '../../../core/client.ts'
import { nodeStatusText } from '../../../core/commands/nodestatus.ts'
import { FakeChain } from './fakechain.ts'
import { Town, type TownNode } from './town.ts'

/** What a client is answered. */
async function ask(town: Town, node: TownNode, message: JsonObject, host = '127.0.0.1'): Promise<JsonObject> {
  const client = town.stranger(node, host)
  client.say(message)
  await town.world.runUntil(() => client.heard.length > 0)
  return client.heard[0]!
}

const grown = (blocks: number): FakeChain => {
  const chain = new FakeChain()
  for (let i = 0; i < blocks; i++) chain.grow()
  return chain
}

const waitsForNothing = () => undefined

describe('what is final', () => {
  test('stands in pong, chain_info and node_status; what is justified, where there is finality', async () => {
    const town = new Town()
    const chain = grown(9)
    chain.final = 4
    const hashAt = (index: number): string => chain.blocks[index]!.current_hash
    const final = { index: 4, hash: hashAt(4) }
    const justified = { index: 6, hash: hashAt(6) }
    const finality = { justified: () => justified, waits: waitsForNothing }
    const voted = town.node('10.0.0.1', { chain, finality })
    const begun = town.node('10.0.0.2', { chain: grown(2), finality })
    const atOnce = town.node('10.0.0.3', { chain })
    const plain = town.node('10.0.0.4', { chain: grown(2) })
    for (const type of ['ping', 'chain_info', 'node_status']) {
      expect(await ask(town, voted, { type })).toMatchObject({ height: 9, final, justified })
      expect(await ask(town, begun, { type })).toMatchObject({ final: { index: 0, hash: hashAt(0) }, justified })
      const answers = [await ask(town, atOnce, { type }), await ask(town, plain, { type })]
      expect(answers.map((answer) => [answer['final'], answer['justified']])).toEqual([
        [final, undefined],
        [undefined, undefined],
      ])
    }
  })

  test('is not spoken of where no chain is kept', async () => {
    const town = new Town()
    const light = town.node('10.0.0.1', { chain: undefined, genesis: developmentGenesis('pow', {}) })
    for (const type of ['ping', 'node_status']) {
      expect(await ask(town, light, { type })).not.toHaveProperty('final')
    }
  })

  test('is shown with how far the head is above it', () => {
    const status: NodeStatus = {
      type: 'node_status',
      node_id: 'x',
      node_type: 'full',
      version: '1',
      name: 'aurex',
      height: 12,
      head: 'f'.repeat(64),
      final: { index: 9, hash: 'a'.repeat(64) },
      justified: { index: 11, hash: 'b'.repeat(64) },
      peers: 0,
      syncing: false,
      metrics: [],
      health: [],
    }
    const { justified: _justified, ...plain } = status
    const line = (of: NodeStatus, name: string) =>
      nodeStatusText(of)
        .split('\n')
        .find((one) => one.startsWith(name))
    expect(line(status, 'final')).toMatch(/^final +9, 3 below the head$/)
    expect(line(status, 'justified')).toMatch(/^justified +11$/)
    expect(line({ ...status, final: { index: 12, hash: '' } }, 'final')).toMatch(/^final +12, the head$/)
    expect(line({ ...plain, final: { index: 0, hash: '' } }, 'final')).toMatch(/^final +block 0 alone$/)
    expect(line(plain, 'justified')).toBeUndefined()
  })
})

describe('why_request', () => {
  test('tells what the parts of the node wait for, on its own machine only', async () => {
    const town = new Town()
    const contributed = new Contributed()
    contributed.add('wait', { name: 'notifier:backlog', read: () => ({ waitsFor: 'its target', since: 0 }) })
    const node = town.node('10.0.0.1', {
      contributed,
      finality: { justified: () => ({ index: 0, hash: 'x' }), waits: () => ({ waitsFor: 'a quorum' }) },
      signing: { metKey: waitsForNothing, stopped: () => ({ waitsFor: 'the operator', help: 'look' }) },
      producer: { engine: 'poa', due: () => ({ waitsFor: 'its turn' }) },
      settings: { peers: [{ host: '10.0.0.9', port: 1 }] },
    })
    expect(await ask(town, node, { type: 'why_request', request_id: 3 })).toEqual({
      type: 'why',
      request_id: 3,
      waits: [
        { who: 'network', waits_for: expect.stringContaining('10.0.0.9:1'), help: expect.any(String) },
        { who: 'signing', waits_for: 'the operator', help: 'look' },
        { who: 'poa', waits_for: 'its turn' },
        { who: 'finality', waits_for: 'a quorum' },
        { who: 'notifier:backlog', waits_for: 'its target', since: '1970-01-01T00:00:00.000Z' },
      ],
    })
    expect(await ask(town, node, { type: 'why_request' }, '10.1.1.1')).toMatchObject({ code: 'loopback-only' })
  })

  test('tells of nothing where nothing waits', async () => {
    const town = new Town()
    expect(await ask(town, town.node('10.0.0.1'), { type: 'why_request' })).toEqual({ type: 'why', waits: [] })
  })
})
