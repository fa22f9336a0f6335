import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { developmentGenesis } from '../../../core/chain/genesis.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import { FakeChain } from './fakechain.ts'
import { ackOf, challengesOf, handshakeOf, keyOf, Town, type End, type Stranger, type TownNode } from './town.ts'

const one = '10.0.0.1'
const two = '10.0.0.2'
/** Sorted by node id: the lower one's connection is kept where both dial. */
const [lower, higher] = [keyOf('a'), keyOf('b')].toSorted((x, y) => (x.nodeId < y.nodeId ? -1 : 1)) as [
  ReturnType<typeof keyOf>,
  ReturnType<typeof keyOf>,
]

class OtherChain extends FakeChain {
  override readonly genesis = developmentGenesis('pow', { difficulty: 2 })
}

/** A program that shakes hands in the protocol's words alone, as opener. */
async function shake(town: Town, to: TownNode, key = keyOf('stranger'), more: JsonObject = {}): Promise<Stranger> {
  const stranger = town.stranger(to)
  const own = handshakeOf(key, new FakeChain(), more)
  stranger.say(own)
  await town.world.runUntil(() => stranger.heard.length > 0)
  const theirs = stranger.last('handshake')
  if (theirs !== undefined) stranger.say(ackOf(key, own, theirs))
  await town.world.advance(50)
  return stranger
}

describe('two nodes', () => {
  test('both have each other as peers, know where the other listens, and tell it', async () => {
    const town = new Town()
    const [a, b] = [town.node(one), town.node(two)]
    const dialled = await town.dial(a, b)
    expect(dialled).toMatchObject({
      ok: true,
      value: { nodeId: b.key.nodeId, height: 0, nodeType: 'full', listens: { host: two, port: 13_245 } },
    })
    await town.world.advance(10)
    const [ofA, ofB] = [a.network.peers.get(b.key.nodeId)!, b.network.peers.get(a.key.nodeId)!]
    expect([ofA.outbound, ofB.outbound]).toEqual([true, false])
    expect(ofB.facts).toMatchObject({ key: { address: a.key.address }, listens: { host: one, port: 13_245 } })
    expect(ofA.facts.features.has('compact_block')).toBe(true)
    expect(a.facts[0]).toEqual(['peer:joined', { nodeId: b.key.nodeId, host: two, outbound: true, height: 0 }])
    expect(b.facts[0]).toEqual(['peer:joined', { nodeId: a.key.nodeId, host: one, outbound: false, height: 0 }])
    for (const { connection } of [ofA, ofB]) expect(connection).toMatchObject({ promoted: 1 })
  })

  test('when one of them stops, both forget the other and say the same reason', async () => {
    const town = new Town()
    const [a, b] = [town.node(one), town.node(two)]
    await town.dial(a, b)
    await a.network.stop()
    await town.world.advance(100)
    expect([a.network.peers.size, b.network.peers.size]).toEqual([0, 0])
    expect([a.left(), b.left()]).toEqual([['stopping'], ['stopping']])
    expect(await town.dial(a, b)).toMatchObject({ ok: false, code: 'stopping' })
    expect(await town.dial(b, a)).toMatchObject({ ok: false, code: 'stopping' })
  })

  test('a connection that breaks is told as disconnected, and the node can be dialled again', async () => {
    const town = new Town()
    const [a, b] = [town.node(one), town.node(two)]
    await town.dial(a, b)
    const { connection } = a.network.peers.all()[0]!
    ;(connection as End).cut()
    expect([a.left(), b.left()]).toEqual([['disconnected'], ['disconnected']])
    expect(await town.dial(a, b)).toMatchObject({ ok: true })
  })

  test('dial answers why it failed: nobody there, no chain, no transport that dials', async () => {
    const town = new Town()
    const a = town.node(one)
    const gone = town.world.settled(a.network.dial({ host: '10.0.0.77', port: 1 }))
    expect(await gone).toMatchObject({ ok: false, code: 'connect-failed' })
    const gateway = town.node('10.0.0.5', { chain: undefined })
    expect(await town.dial(gateway, a)).toMatchObject({ ok: false, code: 'no-chain' })
    expect(await town.dial(a, gateway)).toMatchObject({ ok: false, code: 'no-chain' })
    expect(a.network.peers.size).toBe(0)
  })
})

describe('threats row 18: both sides say the same reason', () => {
  /** What the dialling node is told, and what both sides have logged and told by event. */
  async function refusal(town: Town, from: TownNode, to: TownNode) {
    const result = await town.dial(from, to)
    await town.world.advance(100)
    expect([from.network.peers.size, to.network.peers.size]).toEqual([0, 0])
    expect(from.refused()).toEqual(from.loggedCodes())
    expect(to.refused()).toEqual(to.loggedCodes())
    return [result.ok ? 'ok' : result.code, from.refused(), to.refused()]
  }
  const same = (code: string) => [code, [code], [code]]

  test('wrong-chain', async () => {
    const town = new Town()
    const to = town.node(two, { chain: new OtherChain() })
    expect(await refusal(town, town.node(one), to)).toEqual(same('wrong-chain'))
  })

  test('wrong-version', async () => {
    const town = new Town()
    town.post = (message, from) => [
      { message: from === one && message['type'] === 'handshake' ? { ...message, version: 2 } : message, after: 5 },
    ]
    expect(await refusal(town, town.node(one), town.node(two))).toEqual(same('wrong-version'))
  })

  test('self: our own id, by whatever address', async () => {
    const town = new Town()
    const a = town.node(one)
    const result = await town.dial(a, a)
    await town.world.advance(100)
    expect(result).toMatchObject({ ok: false, code: 'self' })
    expect(a.refused()).toEqual(['self', 'self'])
    expect(a.logged.filter(({ level }) => level === 'error')).toEqual([])
    // A copied key, in another process.
    const copy = town.node(two, { key: a.key })
    expect(await refusal(town, copy, town.node('10.0.0.3', { key: a.key }))).toEqual(same('self'))
  })

  test('banned: by node id, and by address', async () => {
    const town = new Town()
    const [a, b] = [town.node(one), town.node(two)]
    b.network.bans.ban(a.key.nodeId, 'a test')
    expect(await refusal(town, a, b)).toEqual(same('banned'))
    const c = town.node('10.0.0.3')
    c.network.bans.ban(one, 'a test')
    expect(await town.dial(a, c)).toMatchObject({ ok: false, code: 'banned' })
    // It is also seen by who dials, once the other side has said who it is.
    expect(await town.dial(b, a)).toMatchObject({ ok: false, code: 'banned' })
  })

  test('not-allowed: with a list, only those on it, by node id or address', async () => {
    const town = new Town()
    const [friend, other] = [town.node(one), town.node('10.0.0.3')]
    const byId = town.node(two, { settings: { allow: [friend.key.nodeId] } })
    expect(await refusal(town, other, byId)).toEqual(same('not-allowed'))
    expect(await town.dial(friend, byId)).toMatchObject({ ok: true })
    const byAddress = town.node('10.0.0.4', { settings: { allow: [friend.key.address] } })
    expect(await town.dial(friend, byAddress)).toMatchObject({ ok: true })
    expect(await town.dial(byAddress, other)).toMatchObject({ ok: false, code: 'not-allowed' })
  })

  test('too-many-peers, whoever dialled; nobody takes itself for a peer on the way', async () => {
    const town = new Town()
    const full = town.node(two, { limits: { peers_max: 1 } })
    expect(await town.dial(full, town.node('10.0.0.3'))).toMatchObject({ ok: true })
    const late = town.node(one)
    expect(await town.dial(late, full)).toMatchObject({ ok: false, code: 'too-many-peers' })
    expect(await town.dial(full, late)).toMatchObject({ ok: false, code: 'too-many-peers' })
    await town.world.advance(100)
    expect([late.refused(), full.refused()]).toEqual([['too-many-peers'], ['too-many-peers']])
    expect(late.facts.map(([event]) => event)).toEqual(['peer:refused'])
    expect(full.network.peers.size).toBe(1)
  })

  test('a full house has room for peers that the operator named, and not for more than were named', async () => {
    const town = new Town()
    const friend = town.node(one)
    const settings = { peers: [{ host: one, port: 13_245 }] }
    const full = town.node(two, { limits: { peers_max: 1 }, settings })
    await town.dial(town.node('10.0.0.3'), full)
    expect(await town.dial(friend, full)).toMatchObject({ ok: true })
    expect(await town.dial(town.node('10.0.0.4'), full)).toMatchObject({ ok: false, code: 'too-many-peers' })
    // Who claims to listen where a named peer does gets no more than that peer's place.
    const claimed = await shake(town, full, keyOf('claims it'), { listen_addr: '10.9.9.9:1' })
    expect(claimed.codes).toEqual(['too-many-peers'])
    expect(full.network.peers.size).toBe(2)
  })

  test('as many come beside a full house as were named', async () => {
    const town = new Town()
    const settings = { peers: [{ host: '10.9.9.9', port: 1 }] }
    const full = town.node(two, { limits: { peers_max: 1 }, settings })
    const codes = []
    for (const name of ['a', 'b', 'c']) {
      const { codes: told } = await shake(town, full, keyOf(name), { listen_addr: 'x:1' })
      codes.push(told)
    }
    expect(codes).toEqual([[], [], ['too-many-peers']])
  })

  test('bad-signature: a proof that is forged, or of other challenges', async () => {
    for (const forger of [one, two]) {
      const town = new Town()
      const forged = keyOf('somebody else').sign('aurex/handshake/1', 'x')
      town.post = (message, from) => [
        {
          message: from === forger && message['type'] === 'handshake_ack' ? { ...message, signature: forged } : message,
          after: 5,
        },
      ]
      expect((await refusal(town, town.node(one), town.node(two))).slice(0, 1)).toEqual(['bad-signature'])
    }
  })

  test('bad-signature: a handshake that was recorded and is replayed', async () => {
    const town = new Town()
    const [a, b] = [town.node(one), town.node(two)]
    const recorded: JsonObject[] = []
    town.post = (message, from) => {
      if (from === one) recorded.push(message)
      return [{ message, after: 5 }]
    }
    await town.dial(a, b)
    await a.network.stop()
    await town.world.advance(100)
    const replayer = town.stranger(b)
    for (const message of recorded.filter(({ type }) => type === 'handshake' || type === 'handshake_ack'))
      replayer.say(message)
    await town.world.advance(100)
    expect(replayer.codes).toEqual(['bad-signature'])
    expect(replayer.isClosed).toBe(true)
    expect(b.network.peers.size).toBe(0)
    expect(b.facts.some(([event]) => event === 'peer:banned')).toBe(false)
  })

  test("bad-signature: an id that is not the key's, a key of small order, a signature for another purpose", async () => {
    const town = new Town()
    const b = town.node(two)
    const key = keyOf('stranger')
    const chain = new FakeChain()
    const smallOrder = `-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----\n`
    for (const more of [{ node_id: keyOf('victim').nodeId }, { public_key_pem: smallOrder }, { public_key_pem: 'x' }]) {
      const stranger = town.stranger(b)
      stranger.say(handshakeOf(key, chain, more))
      await town.world.advance(50)
      expect(stranger.codes).toEqual(['bad-signature'])
      expect(stranger.isClosed).toBe(true)
    }
    const stranger = town.stranger(b)
    const own = handshakeOf(key, chain)
    stranger.say(own)
    await town.world.advance(50)
    const challenges = challengesOf(own, stranger.last('handshake')!)
    stranger.say({ type: 'handshake_ack', signature: key.sign('aurex/block/1', challenges) })
    await town.world.advance(50)
    expect(stranger.codes).toEqual(['bad-signature'])
  })

  test('handshake-slow: the whole of it within 5 s, from whichever side it is slow', async () => {
    const town = new Town()
    const b = town.node(two)
    const stranger = town.stranger(b)
    await town.world.advance(4_000)
    // Who opened the connection may be a client: the time runs from its first handshake.
    stranger.say(handshakeOf(keyOf('stranger'), new FakeChain()))
    await town.world.advance(4_990)
    expect(stranger.codes).toEqual([])
    await town.world.advance(50)
    expect(stranger.codes).toEqual(['handshake-slow'])
    expect(stranger.isClosed).toBe(true)
    const silent = town.listen('10.0.0.9')
    const began = town.world.elapsed
    const dialled = b.network.dial({ host: '10.0.0.9', port: 1 })
    expect(await town.world.settled(dialled)).toMatchObject({ ok: false, code: 'handshake-slow' })
    expect(town.world.elapsed - began).toBe(5_000)
    await town.world.advance(50)
    expect(silent.codes).toEqual(['handshake-slow'])
    expect(b.loggedCodes()).toEqual(['handshake-slow', 'handshake-slow'])
  })

  test('disconnected: the other side closes in the middle of it', async () => {
    const town = new Town()
    const b = town.node(two)
    const rude = town.listen('10.0.0.9')
    const dialled = b.network.dial({ host: '10.0.0.9', port: 1 })
    await town.world.advance(50)
    rude.connection!.close('rude')
    expect(await town.world.settled(dialled)).toMatchObject({ ok: false, code: 'disconnected' })
    expect(b.refused()).toEqual(['disconnected'])
    // What is no node may be dialled for ever: whoever dials it says so once.
    expect(b.logged.filter(({ level }) => level === 'info')).toEqual([])
  })
})

describe('programs that say no more than the protocol', () => {
  test('as opener: gets the proof at once, before it has sent its own, and is a peer after its own', async () => {
    const town = new Town()
    const b = town.node(two)
    const stranger = town.stranger(b)
    const key = keyOf('stranger')
    const own = handshakeOf(key, new FakeChain(), { listen_addr: '0.0.0.0:4000' })
    stranger.say(own)
    await town.world.advance(50)
    expect(stranger.heard.map(({ type }) => type)).toEqual(['handshake', 'handshake_ack'])
    expect(b.network.peers.size).toBe(0)
    stranger.say(ackOf(key, own, stranger.last('handshake')!))
    await town.world.advance(50)
    // The host that it names is anybody's; the port is its own.
    expect(b.network.peers.get(key.nodeId)?.facts.listens).toEqual({ host: '10.9.9.9', port: 4000 })
    expect(stranger.codes).toEqual([])
  })

  test('as answerer', async () => {
    const town = new Town()
    const b = town.node(two)
    const stranger = town.listen('10.0.0.9')
    const key = keyOf('stranger')
    const dialled = b.network.dial({ host: '10.0.0.9', port: 99 })
    await town.world.advance(50)
    const theirs = stranger.last('handshake')!
    const own = handshakeOf(key, new FakeChain(), { height: 7, node_type: 'other' })
    stranger.say(own)
    await town.world.runUntil(() => stranger.last('handshake_ack') !== undefined)
    expect(b.network.peers.size).toBe(0)
    stranger.say(ackOf(key, theirs, own))
    const value = { listens: { host: '10.0.0.9', port: 99 }, height: 7, nodeType: 'other' }
    expect(await town.world.settled(dialled)).toMatchObject({ ok: true, value })
  })

  test('what is optional may be missing, what is unknown is not looked at', async () => {
    const town = new Town()
    const b = town.node(two)
    const key = keyOf('stranger')
    const { node_type: _type, listen_addr: _addr, ...least } = handshakeOf(key, new FakeChain())
    const stranger = town.stranger(b)
    const own = { ...least, features: 'none', agent: { name: 'x' }, listen_addr: ':99' }
    stranger.say(own)
    await town.world.advance(50)
    stranger.say(ackOf(key, own, stranger.last('handshake')!))
    await town.world.advance(50)
    expect(b.network.peers.get(key.nodeId)?.facts.listens).toEqual({ host: '10.9.9.9', port: 99 })
  })

  test('a handshake may come after requests, and requests after a handshake are answered', async () => {
    const town = new Town()
    const b = town.node(two)
    const stranger = town.stranger(b)
    const key = keyOf('stranger')
    const own = handshakeOf(key, new FakeChain())
    stranger.say({ type: 'ping', request_id: 1 })
    stranger.say(own)
    stranger.say({ type: 'ping', request_id: 2 })
    await town.world.advance(50)
    stranger.say(ackOf(key, own, stranger.last('handshake')!))
    stranger.say({ type: 'ping', request_id: 3 })
    await town.world.advance(50)
    expect(stranger.heard.filter(({ type }) => type === 'pong').map(({ request_id }) => request_id)).toEqual([1, 2, 3])
    expect(b.network.peers.size).toBe(1)
  })

  test('a second handshake is declined and costs nothing', async () => {
    const town = new Town()
    const b = town.node(two)
    const stranger = await shake(town, b)
    expect(b.network.peers.size).toBe(1)
    stranger.say(handshakeOf(keyOf('stranger'), new FakeChain()))
    stranger.say({ type: 'handshake_ack', signature: 'x' })
    stranger.say({ type: 'handshake_ack' })
    await town.world.advance(50)
    expect(stranger.codes).toEqual(['unexpected-handshake', 'unexpected-handshake', 'unexpected-handshake'])
    expect(b.network.peers.size).toBe(1)
    expect(stranger.isClosed).toBe(false)
  })

  test("a proof without a handshake is declined on a client's connection, and ends one that was dialled", async () => {
    const town = new Town()
    const b = town.node(two)
    const client = town.stranger(b)
    client.say({ type: 'handshake_ack', signature: 'x' })
    await town.world.advance(50)
    expect(client.codes).toEqual(['unexpected-handshake'])
    expect(client.isClosed).toBe(false)
    const answerer = town.listen('10.0.0.9')
    const dialled = b.network.dial({ host: '10.0.0.9', port: 1 })
    await town.world.advance(50)
    answerer.say({ type: 'handshake_ack', signature: keyOf('x').sign('aurex/handshake/1', '') })
    expect(await town.world.settled(dialled)).toMatchObject({ ok: false, code: 'bad-signature' })
  })

  test('a handshake that is misshapen is refused as a bad message, and closed', async () => {
    const town = new Town()
    const b = town.node(two)
    const bad: JsonObject[] = [
      { version: '1' },
      { challenge: 'AB'.repeat(32) },
      { challenge: 'ab' },
      { height: -1 },
      { height: 1.5 },
      { chain_id: 5 },
      { node_id: null },
      { public_key_pem: 'x'.repeat(1000) },
    ]
    for (const more of bad) {
      const stranger = town.stranger(b)
      stranger.say(handshakeOf(keyOf('stranger'), new FakeChain(), more))
      await town.world.advance(50)
      expect([stranger.codes, stranger.isClosed]).toEqual([['bad-message'], true])
    }
    expect(b.facts.some(([event]) => event === 'peer:banned')).toBe(false)
  })
})

test('whatever is lost, repeated or overtaken on the way, nobody unproven is a peer, and nothing breaks', async () => {
  const fate = fc.oneof(
    { weight: 6, arbitrary: fc.constant([5]) },
    { weight: 1, arbitrary: fc.constant([]) },
    { weight: 2, arbitrary: fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 3 }) },
  )
  await fc.assert(
    fc.asyncProperty(fc.infiniteStream(fate), fc.nat({ max: 30 }), fc.boolean(), async (fates, offset, liar) => {
      const town = new Town()
      const [a, b] = [town.node(one, { key: lower }), town.node(two, { key: higher })]
      const forged = keyOf('liar').sign('aurex/handshake/1', 'x')
      town.post = (message, from) =>
        [...(fates.next().value as number[])].map((after) => ({
          message:
            liar && from === one && message['type'] === 'handshake_ack' ? { ...message, signature: forged } : message,
          after,
        }))
      const dials = [b.network.dial({ host: one, port: 1 })]
      await town.world.advance(offset)
      dials.push(a.network.dial({ host: two, port: 1 }))
      await town.world.settled(Promise.all(dials))
      await town.world.advance(20)
      if (liar) expect(b.network.peers.get(a.key.nodeId)).toBeUndefined()
      for (const { network, logged } of [a, b]) {
        expect(network.peers.size).toBeLessThanOrEqual(1)
        expect(logged.filter(({ level }) => level === 'error')).toEqual([])
      }
      for (const { facts } of [a, b]) expect(facts.some(([event]) => event === 'peer:banned')).toBe(false)
      // When the line is sound again they find each other, or have.
      town.post = (message) => [{ message, after: 5 }]
      await town.world.advance(40_000)
      if (a.network.peers.size + b.network.peers.size < 2) {
        await town.dial(a, b)
        await town.world.advance(15_000)
      }
      expect([a.network.peers.size, b.network.peers.size]).toEqual([1, 1])
    }),
    { numRuns: 150 },
  )
})

describe('duplicates', () => {
  test('dialled twice from the same side: the second is refused on both sides, the first stays', async () => {
    const town = new Town()
    const [a, b] = [town.node(one), town.node(two)]
    await town.dial(a, b)
    const first = a.network.peers.all()[0]
    expect(await town.dial(a, b)).toMatchObject({ ok: false, code: 'duplicate' })
    await town.world.advance(100)
    expect([a.refused(), b.refused()]).toEqual([['duplicate'], ['duplicate']])
    expect(a.network.peers.all()).toEqual([first!])
    expect([a.left(), b.left()]).toEqual([[], []])
  })

  test('many dials at once between the same two: one stays', async () => {
    const town = new Town()
    const [a, b] = [town.node(one, { key: lower }), town.node(two, { key: higher })]
    const dial = (from: TownNode, to: TownNode) => from.network.dial({ host: to.host, port: 13_245 })
    const all = await town.world.settled(
      Promise.all([dial(a, b), dial(a, b), dial(b, a), dial(b, a), dial(a, b), dial(b, a)]),
    )
    await town.world.advance(5_000)
    expect(all.some(({ ok }) => ok)).toBe(true)
    expect([a.network.peers.size, b.network.peers.size]).toEqual([1, 1])
    expect(a.network.peers.all()[0]!.outbound).toBe(true)
    expect(b.network.peers.all()[0]!.outbound).toBe(false)
  })

  test('both dial at the same time, at any offset: both keep the connection of the lower id, or the one that was complete', async () => {
    for (let offset = 0; offset <= 40; offset += 1) {
      const town = new Town(offset)
      const [a, b] = [town.node(one, { key: lower }), town.node(two, { key: higher })]
      const first = b.network.dial({ host: one, port: 13_245 })
      await town.world.advance(offset)
      const second = a.network.dial({ host: two, port: 13_245 })
      await town.world.settled(Promise.all([first, second]))
      await town.world.advance(5_000)
      const [ofA, ofB] = [a.network.peers.all(), b.network.peers.all()]
      expect([ofA.length, ofB.length]).toEqual([1, 1])
      expect(ofA[0]!.outbound).toBe(!ofB[0]!.outbound)
      // After 20 ms the first opener knows that it was taken, and 15 ms are gone before it decides about the other's.
      expect(ofA[0]!.outbound).toBe(offset < 5)
      // They are two ends of one connection: what one says the other hears.
      const pong = ofA[0]!.ask({ type: 'ping' }, 'pong', 1_000)
      expect(await town.world.settled(pong)).toMatchObject({ ok: true })
    }
  })

  test('many dials both ways, each connection with delays of its own: one stays, and nobody has to dial again', async () => {
    const dial = fc.record({ from: fc.nat({ max: 1 }), at: fc.nat({ max: 300 }) })
    const delays = fc.infiniteStream(fc.nat({ max: 200 }))
    await fc.assert(
      fc.asyncProperty(fc.array(dial, { minLength: 2, maxLength: 5 }), delays, async (dials, times) => {
        const town = new Town()
        town.inOrder = true
        town.post = (message) => [{ message, after: times.next().value as number }]
        const [a, b] = [town.node(one, { key: lower }), town.node(two, { key: higher })]
        for (const { from, at } of dials) {
          town.world.host(one).clock.after(at, () => {
            void (from === 0 ? a : b).network.dial({ host: from === 0 ? two : one, port: 13_245 })
          })
        }
        await town.world.advance(9_000)
        const [ofA, ofB] = [a.network.peers.all(), b.network.peers.all()]
        expect([ofA.length, ofB.length]).toEqual([1, 1])
        expect((ofA[0]!.connection as End).other).toBe(ofB[0]!.connection as End)
      }),
      { numRuns: 300 },
    )
  })

  test('a node that comes back while its old connection hangs gets in within seconds', async () => {
    const town = new Town()
    const b = town.node(two)
    const key = keyOf('stranger')
    const old = await shake(town, b, key)
    // It is gone without a word: nothing arrives there and nothing comes from there.
    old.connection!.other.sent.length = 0
    old.message = () => undefined
    const again = await shake(town, b, key)
    expect(again.codes).toEqual([])
    await town.world.advance(2_100)
    expect(b.left()).toEqual(['duplicate'])
    expect(b.network.peers.all().map(({ connection }) => connection.id)).toEqual([again.connection!.other.id])
  })

  test('nobody keeps a node out, or ends its connection, by claiming its id', async () => {
    const town = new Town()
    const [a, b] = [town.node(one), town.node(two, { limits: { peers_max: 1 } })]
    const liars = [1, 2, 3].map(() => town.stranger(b))
    for (const liar of liars) liar.say(handshakeOf(a.key, new FakeChain()))
    await town.world.advance(100)
    expect(await town.dial(a, b)).toMatchObject({ ok: true })
    for (const liar of liars)
      liar.say({ type: 'handshake_ack', signature: keyOf('liar').sign('aurex/handshake/1', '') })
    await town.world.advance(100)
    for (const liar of liars) expect(liar.codes).toEqual(['bad-signature'])
    expect(b.network.peers.get(a.key.nodeId)).toBeDefined()
    expect(b.left()).toEqual([])
  })
})

describe('who says that it is this very node', () => {
  /** A node, and where it was told that its key is in use. */
  function owner(town: Town, host: string = one, name = 'owner') {
    const met: string[] = []
    const signing = { metKey: (where: string) => void met.push(where), stopped: () => undefined }
    return { met, node: town.node(host, { key: keyOf(name), signing }) }
  }
  const errors = ({ logged }: TownNode) => logged.filter(({ level }) => level === 'error').map(({ fields }) => fields)

  test('and proves it is another process: both sides log it and stop signing', async () => {
    const town = new Town()
    const [a, b] = [owner(town), owner(town, two)]
    expect(await town.dial(a.node, b.node)).toMatchObject({ ok: false, code: 'self' })
    await town.world.advance(100)
    expect([a.met, b.met]).toEqual([['10.0.0.2:13245'], [expect.stringMatching(/^10\.0\.0\.1:\d+$/)]])
    for (const { node, met } of [a, b]) {
      expect(errors(node)).toEqual([{ code: 'self', remote: met[0] }])
      expect([node.refused(), node.network.peers.size, node.network.bans.list().length]).toEqual([['self'], 0, 0])
    }
  })

  test('is this process itself: nothing happens, whatever stands between', async () => {
    const town = new Town()
    const a = owner(town)
    town.inOrder = true
    town.post = (message) => [{ message, after: 200 }]
    expect(await town.dial(a.node, a.node)).toMatchObject({ ok: false, code: 'self' })
    await town.world.advance(1_000)
    expect([a.met, errors(a.node)]).toEqual([[], []])
  })

  const claim = (a: ReturnType<typeof owner>, features: string[] = ['proves_same_key']): JsonObject =>
    handshakeOf(a.node.key, new FakeChain(), { challenge: 'c'.repeat(64), features })

  test('and would not prove it is refused at once', async () => {
    const town = new Town()
    const a = owner(town)
    const stranger = town.stranger(a.node)
    stranger.say(claim(a, []))
    await town.world.advance(50)
    expect([stranger.heard.length, stranger.codes, stranger.isClosed, a.met]).toEqual([1, ['self'], true, []])
  })

  test('without a proof it is refused as before: one that says nothing more, one by another key, our own repeated', async () => {
    for (const more of [[], ['answerer_decides']]) {
      for (const proof of ['none', 'wrong', 'repeated'] as const) {
        const town = new Town()
        const a = owner(town)
        const stranger = town.stranger(a.node)
        stranger.say(claim(a, ['proves_same_key', ...more]))
        await town.world.advance(50)
        const [theirs, ack] = [stranger.last('handshake')!, stranger.last('handshake_ack')!]
        if (proof === 'wrong') stranger.say(ackOf(keyOf('other'), claim(a), theirs))
        if (proof === 'repeated') stranger.say(ack)
        await town.world.advance(6_000)
        expect([stranger.codes, stranger.isClosed, a.met, errors(a.node)]).toEqual([['self'], true, [], []])
      }
    }
  })

  test('where it was dialled, it cannot prove it with what this node signed either', async () => {
    const town = new Town()
    const a = owner(town)
    const stranger = town.listen(two)
    const dialled = a.node.network.dial({ host: two, port: 13_245 })
    await town.world.runUntil(() => stranger.heard.length > 0)
    stranger.say(claim(a))
    await town.world.runUntil(() => stranger.last('handshake_ack') !== undefined)
    stranger.say(stranger.last('handshake_ack')!)
    expect(await town.world.settled(dialled)).toMatchObject({ ok: false, code: 'self' })
    expect(a.met).toEqual([])
  })

  test('who repeats in one handshake what this node said in another is refused, whoever it says it is', async () => {
    for (const name of ['owner', 'stranger']) {
      const town = new Town()
      const a = owner(town)
      const dialled = town.listen(two)
      void a.node.network.dial({ host: two, port: 13_245 })
      await town.world.runUntil(() => dialled.heard.length > 0)
      const challenge = dialled.last('handshake')!['challenge'] as string
      const second = town.stranger(a.node)
      second.say(handshakeOf(keyOf(name), new FakeChain(), { challenge }))
      await town.world.advance(50)
      expect([second.codes, second.heard.length, a.met]).toEqual([['self'], 1, []])
      // In the same one it is no better.
      dialled.say(handshakeOf(keyOf(name), new FakeChain(), { challenge }))
      await town.world.advance(50)
      expect([dialled.codes, dialled.last('handshake_ack'), a.met]).toEqual([['self'], undefined, []])
    }
  })

  test('an older program that has the key refuses at once, and that is all', async () => {
    const town = new Town()
    const a = owner(town)
    const older = town.listen(two)
    older.answer('handshake', () => older.say({ type: 'ERROR', code: 'self', error: 'this is the node itself' }))
    expect(await town.dial(a.node, { host: two } as TownNode)).toMatchObject({ ok: false, code: 'self' })
    expect([a.met, a.node.refused()]).toEqual([[], ['self']])
  })
})
