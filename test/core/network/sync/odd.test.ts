// Peers that stall, lie or send rubbish while a node catches up.
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { SealedHeader } from '../../../../core/chain/block.ts'
import type { JsonObject } from '../../../../core/chain/json.ts'
import { simRuntime, type World } from '../../../sim/runtime.ts'
import { history, honestReply, OddPeer, rigNode, type Reply, type RigNode } from './rig.ts'

// The world's time is what counts; on a busy machine it takes long to pass.
setDefaultTimeout(60_000)

const blocks = history(1_200)

/** A newcomer with one honest peer and an odd one that came first; they meet and it catches up. */
async function meet(world: World, odd: OddPeer, claimed = blocks.length): Promise<RigNode> {
  const newcomer = await rigNode(world, 1)
  const honest = await rigNode(world, 2, blocks)
  await odd.join(world, newcomer, claimed)
  await newcomer.dial(honest)
  return newcomer
}

async function caughtUp(world: World, node: RigNode, millisecondsMax = 30_000): Promise<void> {
  await world.runUntil(() => node.height === blocks.length, millisecondsMax)
  expect(node.head).toBe(blocks.at(-1)!.current_hash)
}

const goneAfter = async (world: World, odd: OddPeer): Promise<number> => {
  await world.runUntil(() => odd.closedAt !== undefined, 30_000)
  return odd.closedAt! - odd.joinedAt!
}

/** Honest but for what `changed` makes of an answer. */
const but =
  (changed: (answer: JsonObject, question: JsonObject) => JsonObject | undefined): Reply =>
  (question) => {
    const answer = honestReply(blocks)(question)
    return answer && changed(answer, question)
  }

const without = (type: string): Reply => but((answer) => (answer['type'] === type ? undefined : answer))

describe('threats row 16: a lying height', () => {
  const shows: Record<string, { readonly reply: Reply; readonly code: string }> = {
    'answers nothing': {
      reply: (m) => (m['type'] === 'ping' ? { type: 'pong', height: 1e9 } : undefined),
      code: 'sync-stalled',
    },
    'answers no ping either': { reply: () => undefined, code: 'sync-stalled' },
    'has no headers': {
      reply: (m) => honestReply([], () => 1e9)(m),
      code: 'height-not-shown',
    },
    'shows a real chain and claims more': { reply: honestReply(blocks, () => 1e9), code: 'height-not-shown' },
    'answers with errors': {
      reply: (m) =>
        m['type'] === 'ping' ? { type: 'pong', height: 1e9 } : { type: 'ERROR', code: 'busy', error: 'not now' },
      code: 'sync-stalled',
    },
  }
  for (const [name, { reply, code }] of Object.entries(shows)) {
    test(`10^9 is claimed by a peer that ${name}: it is gone within 10 s and another is asked`, async () => {
      const world = simRuntime({ seed: 2 })
      const liar = new OddPeer(9, reply)
      const newcomer = await meet(world, liar, 1e9)
      await caughtUp(world, newcomer)
      expect(await goneAfter(world, liar)).toBeLessThanOrEqual(10_000)
      expect(liar.code).toBe(code)
      expect(newcomer.facts('peer:banned')).toEqual([])
      expect(newcomer.peers).toBe(1)
    })
  }

  test('a node that is at rest drops a liar as well, and goes on', async () => {
    const world = simRuntime({ seed: 3 })
    const node = await rigNode(world, 1, blocks)
    const liar = await new OddPeer(
      9,
      honestReply(blocks, () => 1e9),
    ).join(world, node, 1e9)
    expect(await goneAfter(world, liar)).toBeLessThanOrEqual(10_000)
    expect(node.facts('sync:started')).toEqual([])
  })

  test('twenty liars at once are all gone within 10 s', async () => {
    const world = simRuntime({ seed: 4 })
    const node = await rigNode(world, 1, blocks)
    const liars = Array.from({ length: 20 }, (_, i) => new OddPeer(20 + i, () => undefined))
    for (const liar of liars) await liar.join(world, node, 1e9)
    for (const liar of liars) expect(await goneAfter(world, liar)).toBeLessThanOrEqual(10_000)
  })

  test('who claimed more and reorganised to a shorter chain meanwhile stays', async () => {
    const world = simRuntime({ seed: 5 })
    const node = await rigNode(world, 1, blocks)
    const odd = await new OddPeer(9, honestReply(blocks)).join(world, node, blocks.length + 500)
    await world.advance(40_000)
    expect(odd.closedAt).toBeUndefined()
    expect(node.peers).toBe(1)
  })
})

describe('threats row 16: slow answers and rubbish', () => {
  test('a peer that shows headers and then sends no blocks loses its ranges to others, and then its place', async () => {
    const world = simRuntime({ seed: 6 })
    const odd = new OddPeer(9, without('block_response'))
    const newcomer = await meet(world, odd)
    await caughtUp(world, newcomer, 10_000)
    expect(odd.asked('block_request').length).toBeGreaterThan(0)
    expect(await goneAfter(world, odd)).toBeLessThanOrEqual(10_000)
    expect(odd.code).toBe('sync-stalled')
    expect(newcomer.facts('peer:banned')).toEqual([])
  })

  test('one byte of a header changed: the sender is banned, the others are asked', async () => {
    const world = simRuntime({ seed: 7 })
    const odd = new OddPeer(
      9,
      but((answer) => {
        const { headers } = answer
        if (!Array.isArray(headers) || headers.length < 500) return answer
        return { ...answer, headers: headers.with(400, { ...(headers[400] as JsonObject), extra: 'x' }) }
      }),
    )
    const newcomer = await meet(world, odd)
    await caughtUp(world, newcomer)
    expect(odd.closedAt).toBeDefined()
    expect(newcomer.facts('peer:banned')).not.toEqual([])
    expect(newcomer.peers).toBe(1)
  })

  test('headers that stand on nothing that was named', async () => {
    const world = simRuntime({ seed: 8 })
    const odd = new OddPeer(
      9,
      but((answer) =>
        Array.isArray(answer['headers']) ? { ...answer, headers: answer['headers'].slice(50) } : answer,
      ),
    )
    const newcomer = await meet(world, odd)
    await caughtUp(world, newcomer)
    expect(odd.code).toBe('headers-unconnected')
  })

  const spoilt: Record<string, (block: JsonObject) => JsonObject> = {
    'a body of another block': (block) => ({
      ...block,
      transactions: [{ sender: 'alice', data: {}, signature: 'A'.repeat(86) + '==' }],
    }),
    'a header that does not hash to what it says': (block) => ({ ...block, extra: 'y' }),
    'a signature of somebody else': (block) => ({ ...block, signature: 'A'.repeat(86) + '==' }),
  }
  for (const [name, spoil] of Object.entries(spoilt)) {
    test(`bodies with ${name}: the sender is banned, and the good ones are taken from another`, async () => {
      const world = simRuntime({ seed: 9 })
      const odd = new OddPeer(
        9,
        but((answer) =>
          Array.isArray(answer['blocks'])
            ? { ...answer, blocks: answer['blocks'].map((block, i) => (i === 7 ? spoil(block as JsonObject) : block)) }
            : answer,
        ),
      )
      const newcomer = await meet(world, odd)
      await caughtUp(world, newcomer)
      expect(newcomer.facts('peer:banned')).not.toEqual([])
      expect(odd.closedAt).toBeDefined()
      expect(newcomer.peers).toBe(1)
    })
  }

  test('an answer that is no list: banned', async () => {
    const world = simRuntime({ seed: 10 })
    const odd = new OddPeer(
      9,
      but((answer) => ('headers' in answer ? { ...answer, headers: 'none' } : answer)),
    )
    const newcomer = await meet(world, odd)
    await caughtUp(world, newcomer)
    expect(newcomer.facts('peer:banned')).not.toEqual([])
  })
})

describe('programs that nobody here wrote', () => {
  test('one that relays and answers no request at all stays a peer as long as it claims nothing', async () => {
    const world = simRuntime({ seed: 11 })
    const node = await rigNode(world, 1, blocks)
    const odd = await new OddPeer(9, (m) => (m['type'] === 'ping' ? { type: 'pong' } : undefined)).join(
      world,
      node,
      1_200,
    )
    await world.advance(60_000)
    expect(odd.closedAt).toBeUndefined()
  })

  test('one that sends whole blocks as headers, and null where it has none', async () => {
    const world = simRuntime({ seed: 13 })
    const newcomer = await rigNode(world, 1)
    const honest = honestReply(blocks)
    const odd = new OddPeer(9, (question) => {
      const answer = honest(question)
      if (answer === undefined || !Array.isArray(answer['headers'])) return answer
      const whole = (header: unknown) => blocks[(header as SealedHeader).index - 1] as unknown as JsonObject
      return { ...answer, headers: answer['headers'].length === 0 ? null : answer['headers'].map(whole) }
    })
    await odd.join(world, newcomer, blocks.length)
    await caughtUp(world, newcomer)
    await world.advance(30_000)
    expect(odd.closedAt).toBeUndefined()
  })

  test('one that sends the headers by the hundred, the common block first, and blocks by the ten', async () => {
    const world = simRuntime({ seed: 12 })
    const newcomer = await rigNode(world, 1)
    const honest = honestReply(blocks)
    const odd = new OddPeer(9, (question) => {
      const answer = honest(question)
      if (answer === undefined) return undefined
      const { headers, blocks: bodies } = answer
      if (Array.isArray(headers)) {
        const first = headers[0] as JsonObject | undefined
        const before = blocks.find(({ current_hash }) => current_hash === first?.['prev_hash'])
        return { ...answer, headers: [...(before ? [before] : []), ...headers.slice(0, 100)].map(headerOnly) }
      }
      return Array.isArray(bodies) ? { ...answer, blocks: bodies.slice(0, 10) } : answer
    })
    await odd.join(world, newcomer, blocks.length)
    await caughtUp(world, newcomer)
    expect(odd.closedAt).toBeUndefined()
  })
})

function headerOnly(block: unknown): JsonObject {
  const { transactions: _none, ...header } = block as JsonObject
  return header
}
