import { describe, expect, test } from 'bun:test'
import { Contributed } from '../../../core/contributions.ts'
import { isObject, type JsonObject } from '../../../core/chain/json.ts'
import { decline, found, refuse } from '../../../core/errors.ts'
import { EvidenceBook } from '../../../core/evidence/book.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import { join, keyOf, Town, type Stranger, type TownNode } from './town.ts'

const nothing = (): void => undefined
const quiet = { debug: nothing, info: nothing, warn: nothing, error: nothing }
const features = ['evidence']

interface WitnessNode extends TownNode {
  readonly book: EvidenceBook
  /** Whether it can judge what is `early`. */
  knows: boolean
  /** Proofs that were read, by their `n`. */
  readonly read: unknown[]
}

/** A proof holds where it says so; `n` tells them apart. */
function witness(town: Town, n: number, ledger = new MemoryLedger()): WitnessNode {
  const host = `10.0.0.${n}`
  const contributed = new Contributed()
  const read: unknown[] = []
  contributed.add('evidence', {
    name: 'test',
    read(proof: JsonObject) {
      read.push(proof['n'])
      if (proof['forged'] === true) return refuse('bad-proof', 'it proves nothing')
      if (proof['early'] === true && !node.knows) return decline('no-authority', 'not known here')
      return found({ address: keyOf(JSON.stringify(proof['n'])).address, what: 'height 1' })
    },
  })
  const { clock } = town.world.host(host)
  const book = new EvidenceBook({ contributed, clock, log: quiet, emit: nothing })
  book.attach(ledger)
  const plain = town.node(host, { evidence: book, settings: { dialNetworks: [] } })
  const node: WitnessNode = Object.assign(plain, { book, read, knows: false })
  return node
}

const proofs = (stranger: Stranger): unknown[] =>
  stranger.heard.flatMap(({ type, proof }) => (type === 'evidence' && isObject(proof) ? [proof['n']] : []))

const evidence = (n: number, more: JsonObject = {}): JsonObject => ({
  type: 'evidence',
  kind: 'test',
  proof: { n, ...more },
})

async function connect(town: Town, ...pairs: readonly (readonly [TownNode, TownNode])[]): Promise<void> {
  for (const [a, b] of pairs) expect(await town.dial(a, b)).toMatchObject({ ok: true })
  await town.world.advance(50)
}

describe('evidence', () => {
  test('threats row 14: what one finds reaches all, is read once by each, and goes over each pair once', async () => {
    const town = new Town()
    const sent: string[] = []
    town.post = (message, from, to) => {
      if (message['type'] === 'evidence') sent.push(`${from}>${to}`)
      return [{ message, after: 5 }]
    }
    const nodes = [1, 2, 3, 4].map((n) => witness(town, n))
    await connect(town, [nodes[0]!, nodes[1]!], [nodes[1]!, nodes[2]!], [nodes[2]!, nodes[3]!])
    expect(nodes[0]!.book.accuse('test', { n: 1 })).toMatchObject({ ok: true })
    await town.world.advance(1_000)
    expect(nodes.map(({ book, read }) => [book.size, read])).toEqual(nodes.map(() => [1, [1]]))
    expect(sent).toEqual([1, 2, 3].map((n) => `10.0.0.${n}>10.0.0.${n + 1}`))
  })

  test('who joins is sent the newest hundred, newest first, at a pace that it may take', async () => {
    const town = new Town()
    const a = witness(town, 1)
    for (let n = 0; n < 120; n++) {
      a.book.accuse('test', { n })
      await town.world.advance(1)
    }
    const { stranger } = await join(town, a, { features })
    stranger.answer('ping', ({ request_id }) => stranger.say({ type: 'pong', request_id: request_id! }))
    stranger.replay()
    await town.world.advance(100)
    expect(proofs(stranger)).toEqual(Array.from({ length: 10 }, (_, i) => 119 - i))
    await town.world.advance(19_000)
    expect(proofs(stranger)).toEqual(Array.from({ length: 100 }, (_, i) => 119 - i))
    // Another node takes all of it.
    const b = witness(town, 2)
    await connect(town, [b, a])
    await town.world.advance(20_000)
    expect([b.book.size, a.left()]).toEqual([100, []])
  })

  test('is sent only to those that understand it', async () => {
    const town = new Town()
    const a = witness(town, 1)
    a.book.accuse('test', { n: 1 })
    const { stranger } = await join(town, a)
    a.book.accuse('test', { n: 2 })
    await town.world.advance(1_000)
    expect(proofs(stranger)).toEqual([])
  })

  test('who sends what proves nothing is dropped; what cannot be judged here is nobody’s fault, and may come again', async () => {
    const town = new Town()
    const a = witness(town, 1)
    const { stranger } = await join(town, a, { features })
    for (let i = 0; i < 2; i++) stranger.say(evidence(1, { early: true }))
    stranger.say({ ...evidence(2), kind: 'unheard-of' })
    stranger.say(evidence(3))
    stranger.say(evidence(3))
    await town.world.advance(50)
    expect([a.read, a.book.size, stranger.codes]).toEqual([[1, 1, 3], 1, []])
    expect(proofs(stranger)).toEqual([])
    stranger.say(evidence(4, { forged: true }))
    await town.world.advance(50)
    expect([stranger.codes, a.left()]).toEqual([['bad-proof'], ['bad-proof']])
  })

  test('of a peer that sends much, no more is read than ten a second after the first hundred', async () => {
    const town = new Town()
    const a = witness(town, 1)
    const { stranger } = await join(town, a, { features })
    for (let n = 0; n < 300; n++) stranger.say(evidence(n, { early: true }))
    await town.world.advance(50)
    expect(a.read).toHaveLength(100)
    await town.world.advance(2_000)
    for (let n = 300; n < 350; n++) stranger.say(evidence(n, { early: true }))
    await town.world.advance(50)
    expect([a.read.length, a.left()]).toEqual([120, []])
  })

  test('what a newcomer cannot judge yet it asks for again, a few times', async () => {
    const town = new Town()
    const [a, b] = [witness(town, 1), witness(town, 2)]
    a.knows = true
    for (const n of [1, 2]) a.book.accuse('test', { n, early: true })
    let asked = 0
    town.post = (message) => {
      if (message['type'] === 'evidence_request') asked++
      return [{ message, after: 5 }]
    }
    b.network.start()
    await connect(town, [b, a])
    await town.world.advance(65_000)
    expect([b.book.size, asked]).toEqual([0, 1])
    b.knows = true
    await town.world.advance(65_000)
    expect([b.book.size, asked, b.left()]).toEqual([2, 2, []])
    await town.world.advance(600_000)
    expect(asked).toBe(2)
    const c = witness(town, 3)
    c.network.start()
    await connect(town, [c, a])
    await town.world.advance(3_600_000)
    expect([c.book.size, asked]).toEqual([0, 7])
  })

  test('a client may ask for it, but hands in none', async () => {
    const town = new Town()
    const ledger = new MemoryLedger()
    const before = witness(town, 1, ledger)
    before.book.accuse('test', { n: 1 })
    // As after a restart.
    const a = witness(town, 2, ledger)
    for (let n = 2; n <= 6; n++) {
      await town.world.advance(10)
      a.book.accuse('test', { n, long: 'x'.repeat(200 * 1024) })
    }
    const client = town.stranger(a)
    client.say(evidence(3))
    client.say({ type: 'evidence_request', request_id: 5 })
    await town.world.advance(50)
    expect(client.codes).toEqual(['peers-only'])
    const list = client.last('evidence_list')!
    const listed = list['evidence'] as JsonObject[]
    // The newest first; of what is too long for who asks it is only told that it is there.
    expect(listed.map(({ proof }) => (isObject(proof) ? proof['n'] : proof))).toEqual([6, 5, 4, 3, null, 1])
    expect(listed.at(-1)).toEqual({
      kind: 'test',
      address: keyOf('1').address,
      what: 'height 1',
      found_at: '2026-11-21T00:00:00.000Z',
      proof: { n: 1 },
    })
    expect(list['request_id']).toBe(5)
    expect(JSON.stringify(list).length).toBeLessThan(1024 * 1024)
  })
})
