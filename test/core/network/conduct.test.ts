// What a peer may do, and what becomes of one that does more.
import { describe, expect, test } from 'bun:test'
import { sha256Hex, zeroHash } from '../../../core/chain/canonical.ts'
import { defaultNodeLimits } from '../../../core/limits.ts'
import { MessageRate } from '../../../core/network/rate.ts'
import { simRuntime } from '../../sim/runtime.ts'
import { FakeChain } from './fakechain.ts'
import { handshakeOf, join, Town, type End } from './town.ts'

describe('messages a second', () => {
  test('a burst of five seconds, then as many as come back', async () => {
    const world = simRuntime({ seed: 1 })
    const rate = new MessageRate(100, world.host('10.0.0.1').clock)
    const taken = () => {
      let count = 0
      while (count < 10_000 && rate.take({ type: 'ping' }).ok) count++
      return count
    }
    expect(taken()).toBe(500)
    expect(rate.take({ type: 'ping' })).toMatchObject({ code: 'too-many-messages', provable: false })
    await world.advance(250)
    expect(taken()).toBe(25)
    await world.advance(60_000)
    expect(taken()).toBe(500)
  })

  test('asking for what was announced or sent is not counted, as often as there was something', () => {
    const rate = new MessageRate(1, simRuntime({ seed: 1 }).host('10.0.0.1').clock)
    rate.sent({ type: 'tx_announce', hashes: ['a', 'b', 'c'] })
    rate.sent({ type: 'compact_block' })
    rate.sent({ type: 'ping' })
    const ask = () => rate.take({ type: 'tx_request' }).ok
    // Four that were called for, and the burst of five.
    expect([...Array(10)].map(ask)).toEqual([...Array<boolean>(9).fill(true), false])
  })

  test('nor is what some programs say to each transaction and block that they are sent', () => {
    const rate = new MessageRate(1, simRuntime({ seed: 1 }).host('10.0.0.1').clock)
    rate.sent({ type: 'NEW_TRANSACTION' })
    rate.sent({ type: 'new_block' })
    const say = (type: string) => rate.take({ type }).ok
    expect([say('MINING_STARTED'), say('ERROR')]).toEqual([true, true])
    expect([...Array(6)].map(() => say('ERROR'))).toEqual([...Array<boolean>(5).fill(true), false])
  })

  test('a peer beyond it is dropped, not banned, and what still comes from it is not looked at', async () => {
    const town = new Town()
    const a = town.node('10.0.0.1')
    const { stranger, peer } = await join(town, a)
    for (let n = 0; n < 700; n++) stranger.say({ type: 'chain_info', request_id: n })
    await town.world.advance(50)
    expect(stranger.codes).toEqual(['too-many-messages'])
    expect(stranger.heard.filter(({ type }) => type === 'chain_info').length).toBeLessThanOrEqual(500)
    expect(a.left()).toEqual(['too-many-messages'])
    expect(a.facts.some(([event]) => event === 'peer:banned')).toBe(false)
    expect(peer.connection).toMatchObject({ closedFor: 'too-many-messages' })
  })

  test('answers to our own questions are not counted', async () => {
    const town = new Town()
    const a = town.node('10.0.0.1', { limits: { peer_messages_per_second_max: 1 } })
    const { stranger, peer } = await join(town, a)
    stranger.answer('block_request', ({ request_id: id }) =>
      stranger.say({ type: 'block_response', blocks: [], request_id: id! }),
    )
    for (let n = 0; n < 50; n++) {
      const answer = peer.ask({ type: 'block_request', from: 1, to: 1 }, 'block_response', 1_000)
      expect(await town.world.settled(answer)).toMatchObject({ ok: true })
    }
    expect(a.network.peers.size).toBe(1)
  })

  test('transactions that were asked for are not counted, and no more than were asked for', async () => {
    const town = new Town()
    const a = town.node('10.0.0.1', { limits: { peer_messages_per_second_max: 2 } })
    const { stranger, peer } = await join(town, a)
    peer.transactionsExpected = 40
    const send = (from: number, count: number) => {
      for (let n = from; n < from + count; n++) {
        stranger.say({ type: 'NEW_TRANSACTION', sender: 'alice', data: { n }, signature: 'x' })
      }
    }
    send(0, 40)
    await town.world.advance(50)
    expect(a.left()).toEqual([])
    send(40, 40)
    await town.world.advance(50)
    expect(a.left()).toEqual(['too-many-messages'])
  })

  test('they are read while what the peer sent before is still worked on: that may wait for them', async () => {
    const town = new Town()
    const chain = new FakeChain()
    const a = town.node('10.0.0.1', { chain })
    const { stranger, peer } = await join(town, a)
    stranger.say({ type: 'NEW_TRANSACTION', sender: 'alice', data: { hold: true }, signature: 'x' })
    await town.world.runUntil(() => chain.held.length === 1)
    stranger.answer('block_request', ({ request_id: id }) =>
      stranger.say({ type: 'block_response', blocks: [], request_id: id! }),
    )
    const answer = peer.ask({ type: 'block_request', from: 1, to: 1 }, 'block_response', 1_000)
    expect(await town.world.settled(answer)).toMatchObject({ ok: true })
  })

  test('a client is not limited here', async () => {
    const town = new Town()
    const a = town.node('10.0.0.1')
    const client = town.stranger(a)
    for (let n = 0; n < 700; n++) client.say({ type: 'chain_info' })
    await town.world.advance(50)
    expect(client.heard.length).toBe(700)
  })
})

describe('what no honest program sends', () => {
  /** More short ids than a block may hold transactions. */
  const bad = {
    type: 'compact_block',
    node_id: '',
    data: { current_hash: zeroHash, prev_hash: zeroHash },
    short_ids: '0'.repeat(5_001 * 16),
  }

  test('a message of another shape is told to a peer, and nothing else: it may be another program', async () => {
    const town = new Town()
    const a = town.node('10.0.0.1')
    const { stranger } = await join(town, a, { host: '10.9.9.9' })
    stranger.say({ type: 'block_request', hash: 'no hash', request_id: 1 })
    await town.world.advance(100)
    expect([stranger.codes, stranger.isClosed, a.left(), a.network.bans.list()]).toEqual([
      ['bad-message'],
      false,
      [],
      [],
    ])
  })

  test('from a peer, once: told, closed, banned by id and address; nothing after it is processed', async () => {
    const town = new Town()
    const a = town.node('10.0.0.1')
    const { stranger, key } = await join(town, a)
    stranger.say(bad)
    stranger.say({ type: 'chain_info' })
    await town.world.advance(100)
    expect(stranger.codes).toEqual(['too-large'])
    expect(stranger.last('chain_info')).toBeUndefined()
    expect(stranger.isClosed).toBe(true)
    expect(a.left()).toEqual(['too-large'])
    const banned = a.facts.filter(([event]) => event === 'peer:banned').map(([, { target }]) => target)
    expect(banned).toEqual([key.nodeId, '10.9.9.9'])
    expect(a.network.bans.find(key.nodeId, '10.0.0.77')).toBeDefined()
    expect(a.network.bans.find(undefined, '10.9.9.9')).toBeDefined()
    const until = town.world.host('10.0.0.1').clock.now() + defaultNodeLimits.ban_milliseconds
    expect(a.network.bans.list()[0]!.until! - until).toBeLessThanOrEqual(0)
    expect((await join(town, a).catch(() => undefined)) === undefined).toBe(true)
  })

  test('a transport that still hands over what came after is not listened to', async () => {
    const town = new Town()
    const a = town.node('10.0.0.1')
    const { key, peer } = await join(town, a)
    const { handlers } = peer.connection as End
    for (const message of [bad, handshakeOf(key, new FakeChain())])
      handlers!.message(Buffer.from(JSON.stringify(message)))
    await town.world.advance(100)
    expect([a.left(), a.refused()]).toEqual([['too-large'], []])
  })

  test('from a peer on loopback: its id is banned, and loopback is not', async () => {
    const town = new Town()
    const a = town.node('10.0.0.1')
    const { stranger, key } = await join(town, a, { host: '127.0.0.1' })
    stranger.say(bad)
    await town.world.advance(100)
    expect(a.network.bans.list().map(({ target }) => target)).toEqual([key.nodeId])
  })

  test('from a client: the tenth', async () => {
    const town = new Town()
    const a = town.node('10.0.0.1')
    const client = town.stranger(a)
    for (let n = 0; n < 12; n++) client.say({ type: 'block_request', hash: 'no hash' })
    await town.world.advance(100)
    expect(client.codes.length).toBe(10)
    expect(client.isClosed).toBe(true)
    expect(a.network.bans.list()).toEqual([])
  })

  test('threats row 23: a client is closed at its first signature that was checked and is by nobody', async () => {
    const transaction = { type: 'NEW_TRANSACTION', sender: 'a', data: { refuse: 'bad-signature' } }
    const town = new Town()
    const a = town.node('10.0.0.1')
    const client = town.stranger(a)
    // Not even base64: that costs this node nothing.
    client.say({ ...transaction, signature: 'x' })
    client.say({ type: 'chain_info' })
    client.say({ ...transaction, signature: Buffer.alloc(64).toString('base64') })
    client.say({ type: 'chain_info' })
    await town.world.advance(100)
    expect(client.heard.map(({ type, code }) => code ?? type)).toEqual(['bad-signature', 'chain_info', 'bad-signature'])
    expect(client.isClosed).toBe(true)
  })

  test('a line that was cut off in the middle is no fault: an honest program died there', async () => {
    const town = new Town()
    const a = town.node('10.0.0.1')
    const { stranger, peer } = await join(town, a)
    ;(peer.connection as End).handlers!.message(Buffer.from('{"type":"new_bl'))
    await town.world.advance(100)
    expect(a.left()).toEqual(['bad-json'])
    expect(stranger.isClosed).toBe(true)
    expect(a.network.bans.list()).toEqual([])
  })

  test('framing that is broken drops a peer without a ban, and says which', async () => {
    const town = new Town()
    const a = town.node('10.0.0.1')
    const { stranger, peer } = await join(town, a)
    ;(peer.connection as End).handlers!.broken('too-slow', 'a test')
    await town.world.advance(100)
    expect([a.left(), stranger.codes, a.network.bans.list()]).toEqual([['too-slow'], ['too-slow'], []])
  })
})

describe('leaving', () => {
  test('the reason is what the other side said last, and only that', async () => {
    const town = new Town()
    const a = town.node('10.0.0.1')
    const one = await join(town, a, { name: 'one' })
    one.stranger.say({ type: 'ERROR', code: 'stale', error: 'earlier' })
    one.stranger.say({ type: 'chain_info' })
    await town.world.advance(20)
    one.stranger.connection!.close('x')
    await town.world.advance(100)
    const two = await join(town, a, { name: 'two' })
    two.stranger.say({ type: 'ERROR', code: 'too-many-peers', error: 'now' })
    two.stranger.connection!.close('x')
    await town.world.advance(100)
    expect(a.left()).toEqual(['disconnected', 'too-many-peers'])
  })

  test('questions that wait are answered: disconnected', async () => {
    const town = new Town()
    const a = town.node('10.0.0.1')
    const { stranger, peer } = await join(town, a)
    const answer = peer.ask({ type: 'block_request', hash: sha256Hex('x') }, 'block_response', 5_000)
    stranger.connection!.cut()
    expect(await answer).toMatchObject({ ok: false, code: 'disconnected' })
  })
})

test('what a peer has is remembered for its newest 8,192 transactions and blocks', async () => {
  const town = new Town()
  const a = town.node('10.0.0.1')
  const { peer } = await join(town, a)
  for (let n = 0; n < 20_000; n++) {
    peer.nowHas(String(n))
    if (n % 997 === 0) expect(peer.has(String(Math.max(0, n - 8_191)))).toBe(true)
  }
  expect([peer.has('3000'), peer.has('19999')]).toEqual([false, true])
})

test('peer_status shows the peers, and node_status the node, on the machine of the node itself and nowhere else', async () => {
  const town = new Town()
  const a = town.node('10.0.0.1')
  const { key } = await join(town, a)
  await town.world.advance(3_000)
  const [near, far] = [town.stranger(a, '127.0.0.1'), town.stranger(a)]
  for (const client of [near, far]) {
    client.say({ type: 'peer_status', request_id: 1 })
    client.say({ type: 'node_status' })
  }
  await town.world.advance(100)
  expect(far.codes).toEqual(['loopback-only', 'loopback-only'])
  expect(near.last('node_status')).toMatchObject({ node_id: a.key.nodeId, peers: 1 })
  expect(near.last('peer_status')).toEqual({
    type: 'peer_status',
    request_id: 1,
    peers: [
      {
        node_id: key.nodeId,
        address: key.address,
        remote: expect.stringMatching(/^10\.9\.9\.9:\d+$/),
        outbound: false,
        node_type: 'full',
        height: 0,
        clock_offset_ms: null,
        round_trip_ms: null,
        connected_ms: expect.any(Number),
      },
    ],
  })
})
