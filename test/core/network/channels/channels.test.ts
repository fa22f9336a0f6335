import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { JsonObject } from '../../../../core/chain/json.ts'
import { accepted, decline, refuse, type Verdict } from '../../../../core/errors.ts'
import { developmentGenesis } from '../../../../core/chain/genesis.ts'
import { join, type Stranger } from '../town.ts'
import { inLine, inMesh, NoteTown, type NoteNode } from './rig.ts'

const features = ['paper.note']
const texts = (node: NoteNode): string[] => node.given.map(({ text }) => text)
const say = (text: string, more: JsonObject = {}): JsonObject => ({ type: 'paper.note', text, ...more })
const notesOf = (stranger: Stranger): unknown[] =>
  stranger.heard.filter(({ type }) => type === 'paper.note').map(({ text }) => text)

describe('gossip', () => {
  test('what one says reaches all of a line, over each pair once, and never goes back', async () => {
    const town = new NoteTown()
    const nodes = [1, 2, 3, 4, 5].map((n) => town.noteNode(n))
    await town.connect(...inLine(nodes))
    nodes[0]!.channel.broadcast({ text: 'hello', n: 1 })
    await town.world.advance(1_000)
    expect(nodes.map(texts)).toEqual([[], ['hello'], ['hello'], ['hello'], ['hello']])
    expect(town.sent).toEqual([1, 2, 3, 4].map((n) => `10.0.0.${n}>10.0.0.${n + 1}`))
  })

  test('where all know each other, each plugin is given it once, and no pair carries it twice in a direction', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 2 ** 31 - 1 }),
        fc.integer({ min: 2, max: 7 }),
        async (seed, count) => {
          const town = new NoteTown(seed)
          const nodes = Array.from({ length: count }, (_, i) => town.noteNode(i + 1))
          await town.connect(...inMesh(nodes))
          nodes[seed % count]!.channel.broadcast({ text: 'hello' })
          await town.world.advance(1_000)
          expect(nodes.map((node) => node.given.length)).toEqual(nodes.map((_, i) => (i === seed % count ? 0 : 1)))
          expect(new Set(town.sent).size).toBe(town.sent.length)
        },
      ),
      { numRuns: 10 },
    )
  })

  test('what was declined is neither passed on nor remembered: it is taken when it comes again', async () => {
    const town = new NoteTown()
    let isKnown = false
    const judge = (): Verdict => (isKnown ? accepted : decline('unknown-block', 'not yet'))
    const [a, b, c] = [town.noteNode(1), town.noteNode(2, { judge }), town.noteNode(3)]
    await town.connect([a, b], [b, c])
    a.channel.broadcast({ text: 'early' })
    await town.world.advance(100)
    expect([texts(b), texts(c), b.network.peers.size]).toEqual([['early'], [], 2])
    isKnown = true
    // Its plugin says it again: to everybody, also to those that are thought to have it.
    a.channel.broadcast({ text: 'early' })
    await town.world.advance(100)
    expect([texts(b), texts(c)]).toEqual([['early', 'early'], ['early']])
  })

  test('copies that come while the first is in work are given only where that was not accepted', async () => {
    for (const verdict of [accepted, decline('later', 'not now')]) {
      const town = new NoteTown()
      const { promise, resolve } = Promise.withResolvers<Verdict>()
      const node = town.noteNode(1, { judge: () => (node.given.length === 1 ? promise : accepted) })
      const [one, two] = [
        await join(town, node, { name: 'a', features }),
        await join(town, node, { name: 'b', features }),
      ]
      one.stranger.say(say('x'))
      await town.world.advance(20)
      two.stranger.say(say('x'))
      await town.world.advance(20)
      expect(node.given).toHaveLength(1)
      resolve(verdict)
      await town.world.advance(20)
      expect(node.given).toHaveLength(verdict.ok ? 1 : 2)
      // Both have it: neither is sent it.
      expect([notesOf(one.stranger), notesOf(two.stranger)]).toEqual([[], []])
    }
  })

  test('what stands beside the fields of its schema makes no new message of it, and is not passed on', async () => {
    const town = new NoteTown()
    const [a, b] = [town.noteNode(1), town.noteNode(2)]
    await town.connect([a, b])
    const { stranger } = await join(town, a, { features })
    for (let i = 0; i < 20; i++) stranger.say(say('x', { more: i, request_id: i }))
    await town.world.advance(200)
    expect([texts(a), texts(b)]).toEqual([['x'], ['x']])
    expect(town.sent.filter((pair) => pair === '10.0.0.1>10.0.0.2')).toHaveLength(1)
    expect(b.given).toEqual([{ text: 'x' }])
  })

  test('what was accepted is not given again, and does not outlive a bounded memory', async () => {
    const town = new NoteTown()
    const node = town.noteNode(1, { limits: { peer_channel_messages_per_second_max: 1_000_000 } })
    const { stranger } = await join(town, node, { features })
    for (const text of ['a', 'b', 'a', 'a', 'b']) stranger.say(say(text))
    await town.world.advance(50)
    expect(texts(node)).toEqual(['a', 'b'])
    for (let n = 0; n < 33_000; n++) stranger.say(say('many', { n }))
    await town.world.advance(50)
    stranger.say(say('a'))
    await town.world.advance(50)
    expect(node.given.filter(({ text }) => text === 'a')).toHaveLength(2)
  })
})

describe('without gossip', () => {
  test('it is heard as often as it is said, and passed on by nobody', async () => {
    const town = new NoteTown()
    const options = { channel: {} }
    const [a, b, c] = [town.noteNode(1, options), town.noteNode(2, options), town.noteNode(3, options)]
    await town.connect([a, b], [b, c])
    for (let i = 0; i < 3; i++) a.channel.broadcast({ text: 'x' })
    await town.world.advance(100)
    expect([texts(b), texts(c)]).toEqual([['x', 'x', 'x'], []])
  })
})

describe('to whom', () => {
  test('send says it to one; to nobody where there is no such peer', async () => {
    const town = new NoteTown()
    const [a, b, c] = [town.noteNode(1), town.noteNode(2), town.noteNode(3)]
    await town.connect([a, b], [a, c])
    a.channel.send(c.key.nodeId, { text: 'to c' })
    a.channel.send('00000000-0000-8000-8000-000000000000', { text: 'to nobody' })
    await town.world.advance(100)
    expect([texts(b), texts(c)]).toEqual([[], ['to c']])
  })

  test('only those that named it in their handshake are sent it, and no light peer by itself', async () => {
    const town = new NoteTown()
    const a = town.noteNode(1)
    const light = town.noteNode(2, { chain: undefined, genesis: developmentGenesis('pow', {}) })
    const without = town.node('10.0.0.3')
    await town.connect([light, a], [without, a])
    const { stranger } = await join(town, a, { features })
    a.channel.broadcast({ text: 'x' })
    await town.world.advance(100)
    expect([notesOf(stranger), texts(light)]).toEqual([['x'], []])
    expect(town.sent).toEqual(['10.0.0.1>10.9.9.9'])
    // Who names it gets an answer, light or not.
    a.channel.send(light.key.nodeId, { text: 'y' })
    a.channel.send(without.key.nodeId, { text: 'y' })
    await town.world.advance(100)
    expect([texts(light), town.sent.length]).toEqual([['y'], 2])
  })

  test('a client is told to shake hands first, and its message is not heard', async () => {
    const town = new NoteTown()
    const a = town.noteNode(1)
    const client = town.stranger(a)
    client.say(say('x'))
    await town.world.advance(20)
    expect([client.codes, a.given]).toEqual([['peers-only'], []])
  })

  test('what a plugin’s own schema does not take is not said', async () => {
    const a = new NoteTown().noteNode(1)
    expect(() => a.channel.broadcast({ text: 'x'.repeat(101) })).toThrow(/paper\.note: text: .*its own schema/)
    expect(() => a.channel.send('x', { text: 7 as never })).toThrow(/paper\.note: text/)
  })

  test('a peer gets what plugins say no faster than it has to take it; of too much the oldest is given up', async () => {
    const town = new NoteTown()
    const [a, b] = [town.noteNode(1), town.noteNode(2)]
    await town.connect([a, b])
    for (let n = 0; n < 5_000; n++) a.channel.broadcast({ text: 'x', n })
    await town.world.advance(60_000)
    // 400 at once, and of what is left the newest 1,000.
    expect(b.given.map(({ n }) => n)).toEqual([
      ...Array.from({ length: 400 }, (_, n) => n),
      ...Array.from({ length: 1_000 }, (_, n) => 4_000 + n),
    ])
    expect([a.left(), b.left()]).toEqual([[], []])
    expect(a.logged.filter(({ message }) => message.includes('given up'))).toHaveLength(1)
  })
})

describe('threats row 33: what a plugin does wrong harms nobody', () => {
  const wrong: Record<string, () => Verdict | Promise<Verdict>> = {
    throws: () => {
      throw new Error('the plugin is broken')
    },
    rejects: () => Promise.reject(new Error('the plugin is broken')),
    'answers with nothing': () => undefined as never,
    'never ends': () => new Promise(() => undefined),
  }
  for (const [what, fail] of Object.entries(wrong)) {
    test(`hear ${what}: its log says so once, nobody is to blame, and other messages are heard`, async () => {
      const town = new NoteTown()
      const node = town.noteNode(1, { judge: ({ text }) => (text === 'bad' ? fail() : accepted) })
      const { stranger } = await join(town, node, { features })
      for (let n = 0; n < 50; n++) stranger.say(say('bad', { n }))
      stranger.say(say('good'))
      await town.world.advance(15_000)
      expect(texts(node).at(-1)).toBe('good')
      expect(node.ofPlugins.filter(({ level }) => level === 'error')).toMatchObject([
        { plugin: 'paper', fields: { type: 'paper.note' } },
      ])
      expect([node.left(), stranger.codes]).toEqual([[], []])
      stranger.say({ type: 'ping', request_id: 1 })
      await town.world.advance(20)
      expect(stranger.last('pong')).toMatchObject({ request_id: 1 })
    })
  }

  test('hear that never ends is not given more than it may have in work', async () => {
    const town = new NoteTown()
    const node = town.noteNode(1, { judge: () => new Promise(() => undefined) })
    const { stranger } = await join(town, node, { features })
    for (let round = 0; round < 20; round++) {
      for (let n = 0; n < 200; n++) stranger.say(say('x', { n: round * 200 + n }))
      await town.world.advance(11_000)
      stranger.say({ type: 'pong', request_id: 1 })
    }
    expect(node.given.length).toBe(1_000)
  })
})

describe('a peer', () => {
  test('that says what no honest program says is dropped and kept out; what is nobody’s fault is not answered', async () => {
    const town = new NoteTown()
    const judge = ({ text }: { text: string }): Verdict =>
      text === 'forged' ? refuse('bad-signature', 'nobody signed it') : decline('known', 'it is known')
    const node = town.noteNode(1, { judge })
    const { stranger, key } = await join(town, node, { features })
    stranger.say(say('old'))
    stranger.say({ type: 'paper.note', text: 7 })
    await town.world.advance(50)
    expect([stranger.codes, node.left()]).toEqual([['bad-message'], []])
    stranger.say(say('forged'))
    await town.world.advance(50)
    expect([stranger.codes, node.left()]).toEqual([['bad-message', 'bad-signature'], ['bad-signature']])
    expect(node.network.bans.find(key.nodeId, '10.9.9.9')).toBeDefined()
  })

  test('threats row 33: that floods a channel is dropped, not kept out, and the others are heard all the time', async () => {
    const town = new NoteTown()
    const node = town.noteNode(1)
    const [flood, honest] = [
      await join(town, node, { name: 'flood', host: '10.9.9.1', features }),
      await join(town, node, { name: 'honest', host: '10.9.9.2', features }),
    ]
    for (let n = 0; n < 5_000; n++) {
      flood.stranger.say(say('junk', { n }))
      if (n % 500 === 0) honest.stranger.say(say('news', { n }))
    }
    await town.world.advance(100)
    expect(node.left()).toEqual(['too-many-messages'])
    expect(node.facts.some(([event]) => event === 'peer:banned')).toBe(false)
    expect(texts(node).filter((text) => text === 'junk')).toHaveLength(2_000)
    expect(texts(node).filter((text) => text === 'news')).toHaveLength(10)
    // What came of it to the other peer is bounded as well: what may go at once, and what may wait.
    await town.world.advance(60_000)
    expect(notesOf(honest.stranger).length).toBeLessThanOrEqual(1_400)
  })

  test('its messages of channels are counted by themselves', async () => {
    const town = new NoteTown()
    const node = town.noteNode(1, {
      limits: { peer_messages_per_second_max: 2, peer_channel_messages_per_second_max: 20 },
    })
    const { stranger } = await join(town, node, { features })
    for (let n = 0; n < 100; n++) stranger.say(say('x', { n }))
    for (let n = 0; n < 10; n++) stranger.say({ type: 'chain_info' })
    await town.world.advance(50)
    expect([node.given.length, node.left()]).toEqual([100, []])
    stranger.say(say('y'))
    stranger.say(say('z'))
    await town.world.advance(5)
    expect(node.left()).toEqual(['too-many-messages'])
  })
})
