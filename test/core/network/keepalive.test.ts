import { describe, expect, test } from 'bun:test'
import { formatTimestamp } from '../../../core/chain/timestamp.ts'
import { join, keyOf, Town, type End, type Stranger, type TownNode } from './town.ts'

const told = (node: TownNode) => node.facts.filter(([event]) => event === 'clock:differs').map(([, fact]) => fact)
const alarms = ({ logged }: TownNode) => logged.filter(({ level }) => level === 'error').map(({ message }) => message)

/** A peer that answers pings with a clock that is off, after so long. */
function answerPings(town: Town, stranger: Stranger, offset: () => number, after = 0, height = 0): void {
  stranger.answer('ping', (ping) => {
    const timestamp = formatTimestamp(town.world.host('10.9.9.9').clock.now() + offset())
    const pong = { type: 'pong', node_id: 'x', height, timestamp, request_id: ping['request_id']! }
    town.world.host('10.9.9.9').clock.after(after, () => stranger.say(pong))
  })
}

describe('keepalive', () => {
  test('every peer is asked when it joins and every 20 s: round trip, height and clock are known', async () => {
    const town = new Town()
    const [a, b] = [town.node('10.0.0.1'), town.node('10.0.0.2')]
    town.world.host('10.0.0.2').clockOffset = 1_500
    await town.dial(a, b)
    await town.world.advance(50)
    const [ofA, ofB] = [a.network.peers.all()[0]!, b.network.peers.all()[0]!]
    expect(ofA).toMatchObject({ roundTrip: 10, clockOffset: 1_500 })
    expect(ofB).toMatchObject({ roundTrip: 10, clockOffset: -1_500 })
    const pings = () => (ofA.connection as End).sent.filter(({ type }) => type === 'ping')
    expect(pings().length).toBe(1)
    await town.world.advance(60_000)
    expect(pings().length).toBe(4)
    expect([a.network.peers.size, b.network.peers.size]).toEqual([1, 1])
  })

  test('a peer that answers no more is dropped after twice the time of a request, and not banned', async () => {
    const town = new Town()
    const a = town.node('10.0.0.1')
    const { stranger } = await join(town, a)
    await town.world.advance(9_900)
    expect(a.network.peers.size).toBe(1)
    await town.world.advance(200)
    expect(a.left()).toEqual(['no-pong'])
    expect(stranger.codes).toEqual(['no-pong'])
    expect(a.facts.some(([event]) => event === 'peer:banned')).toBe(false)
  })

  test('a peer whose pong stands behind much else is alive as long as something comes', async () => {
    const town = new Town()
    const a = town.node('10.0.0.1')
    const { stranger } = await join(town, a)
    for (let n = 0; n < 20; n++) {
      await town.world.advance(4_000)
      stranger.say({ type: 'peer_list' })
    }
    expect(a.network.peers.size).toBe(1)
    await town.world.advance(60_000)
    expect(a.left()).toEqual(['no-pong'])
  })

  test('a peer that does not know pings is alive all the same', async () => {
    const town = new Town()
    const a = town.node('10.0.0.1')
    const { stranger } = await join(town, a)
    stranger.answer('ping', ({ request_id: id }) =>
      stranger.say({ type: 'ERROR', code: 'unknown-type', error: '?', request_id: id! }),
    )
    await town.world.advance(120_000)
    expect(a.network.peers.size).toBe(1)
  })

  test('a pong tells the height; one that makes no sense tells nothing', async () => {
    const town = new Town()
    const a = town.node('10.0.0.1')
    const { stranger, peer } = await join(town, a)
    stranger.answer('ping', ({ request_id: id }) =>
      stranger.say({ type: 'pong', height: -5, timestamp: 'yesterday', request_id: id! }),
    )
    stranger.replay()
    await town.world.advance(100)
    expect(peer).toMatchObject({ height: 0, clockOffset: undefined })
    // Sync has its own opinion of a peer that claims a height: here it is below what the node has.
    answerPings(town, stranger, () => 0, 0, 0)
    await town.world.advance(20_000)
    expect(peer.clockOffset).toBe(0)
  })
})

describe('threats row 34: a clock an hour off', () => {
  test('an alarm, once; again after an hour, or when it changes much; and a word when it is over', async () => {
    const town = new Town()
    const a = town.node('10.0.0.1')
    const { stranger } = await join(town, a)
    let offset = 60 * 60_000
    answerPings(town, stranger, () => offset)
    stranger.replay()
    await town.world.advance(100)
    expect(told(a)).toEqual([{ milliseconds: expect.any(Number), peers: 1 }])
    expect(Math.abs(Number(told(a)[0]!['milliseconds']) - offset)).toBeLessThan(100)
    expect(alarms(a)).toEqual([expect.stringContaining('3600 s behind')])
    await town.world.advance(30 * 60_000)
    expect(told(a).length).toBe(1)
    await town.world.advance(31 * 60_000)
    expect(told(a).length).toBe(2)
    offset = -5 * 60_000
    await town.world.advance(30_000)
    expect(told(a).length).toBe(3)
    expect(alarms(a)[2]).toContain('300 s ahead')
    offset = 0
    await town.world.advance(30_000)
    expect(told(a).length).toBe(3)
    expect(a.logged.some(({ message }) => message.includes('agrees'))).toBe(true)
    expect(a.network.peers.size).toBe(1)
  })

  test('one liar among three peers raises none', async () => {
    const town = new Town()
    const a = town.node('10.0.0.1')
    for (const [name, offset] of [
      ['x', 0],
      ['y', 100],
      ['liar', 3_600_000],
    ] as const) {
      const { stranger } = await join(town, a, { name })
      answerPings(town, stranger, () => offset)
      stranger.replay()
    }
    await town.world.advance(40_000)
    expect(a.network.peers.get(keyOf('liar').nodeId)!.clockOffset).toBeGreaterThan(3_500_000)
    expect(told(a)).toEqual([])
  })
})
