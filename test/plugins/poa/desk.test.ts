// What a node answers to `poa.vote` and `poa.votes`.
import { describe, expect, test } from 'bun:test'
import { canonicalJson } from '../../../core/chain/canonical.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import type { ChainDoor, Records } from '../../../core/plugin.ts'
import { formatTimestamp } from '../../../core/chain/timestamp.ts'
import { AurexError } from '../../../core/errors.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import { VoteDesk } from '../../../plugins/poa/questions.ts'
import { Wishes } from '../../../plugins/poa/wishes.ts'
import { addressOf, keyOf, Ring } from './support.ts'

const chainId = 'c'.repeat(64)
const nowUsual = 1_800_000_000_000

/** The desk of the node of A. */
function open(world: Ring, { seen = ['A'], records }: { seen?: string[]; records?: Records } = {}) {
  let changes = 0
  let now = nowUsual
  const wishes = new Wishes(records ?? new MemoryLedger().records('poa'), addressOf('A'))
  const door = { ancestry: () => world.ancestry, changed: () => void changes++ } as unknown as ChainDoor
  const desk = new VoteDesk({
    identity: keyOf('A'),
    chainId,
    authorities: world.authorities,
    wishes,
    door: () => door,
    seen: () => new Set(seen.map(addressOf)),
    now: () => now,
    epoch: 1_000,
  })
  const request = (vote: string, target: string, more: JsonObject = {}, signer = 'A', chain = chainId) => {
    const body = { target: addressOf(target), vote, timestamp: formatTimestamp(now), ...more }
    const signature = keyOf(signer).sign('aurex/poa/1', canonicalJson({ ...body, chain_id: chain }))
    return { ...body, signature } as Parameters<VoteDesk['vote']>[0]
  }
  /** A moment later each time. */
  const ask = (...given: Parameters<typeof request>) => {
    now += 1
    return desk.vote(request(...given))
  }
  return { desk, wishes, ask, request, changes: () => changes, at: (time: number) => (now = time) }
}

const ring = () => new Ring('ABC').grow('BCABCA')

describe('poa.vote', () => {
  test('takes a wish of the one who has the key of this node, and has the producer look again', () => {
    const { ask, wishes, changes } = open(ring())
    expect(ask('add', 'D')).toMatchObject({
      ok: true,
      value: { target: addressOf('D'), vote: 'add', until: 10_006, votes: 0, needed: 2 },
    })
    expect(wishes.all()).toMatchObject([{ target: addressOf('D'), vote: 'add', until: 10_006 }])
    expect(ask('remove', 'C', { blocks: 5 })).toMatchObject({ ok: true, value: { until: 11 } })
    expect(changes()).toBe(2)
  })

  test('a signature of another key, of another chain, or over something else is not taken', () => {
    const { desk, ask, request, wishes } = open(ring())
    expect(ask('add', 'D', {}, 'B')).toMatchObject({ code: 'bad-signature', detail: expect.stringContaining('--key') })
    expect(ask('add', 'D', {}, 'A', 'd'.repeat(64))).toMatchObject({ code: 'bad-signature' })
    expect(desk.vote({ ...request('add', 'D'), vote: 'remove' })).toMatchObject({ code: 'bad-signature' })
    expect(desk.vote({ ...request('add', 'D'), blocks: 9 })).toMatchObject({ code: 'bad-signature' })
    expect(wishes.all()).toEqual([])
  })

  test('a request is taken once, also after a restart, and only while it is fresh', () => {
    const records = new MemoryLedger().records('poa')
    const { desk, request, at } = open(ring(), { records })
    const first = request('add', 'D')
    expect(desk.vote(first)).toMatchObject({ ok: true })
    expect(desk.vote(first)).toMatchObject({ code: 'stale-request' })
    expect(open(ring(), { records }).desk.vote(first)).toMatchObject({ code: 'stale-request' })
    const later = request('add', 'E', { timestamp: formatTimestamp(nowUsual + 5 * 60_000) })
    expect(open(ring()).desk.vote(later)).toMatchObject({ ok: true })
    at(nowUsual - 1)
    expect(desk.vote(later)).toMatchObject({ code: 'stale-request' })
    at(nowUsual + 10 * 60_000 + 1)
    expect(desk.vote(later)).toMatchObject({ code: 'stale-request' })
    expect(desk.vote(request('add', 'E', { timestamp: 'noon' }))).toMatchObject({ code: 'bad-timestamp' })
  })

  test('what makes no sense is declined, and why', () => {
    const { ask } = open(ring())
    expect(ask('add', 'B')).toMatchObject({ code: 'nothing-to-vote' })
    expect(ask('remove', 'D')).toMatchObject({ code: 'nothing-to-vote' })
    expect(ask('withdraw', 'D')).toMatchObject({ code: 'nothing-to-vote' })
    expect(ask('add', 'D', { target: '0'.repeat(64) })).toMatchObject({ code: 'bad-key' })
    expect(open(new Ring('BC').grow('CB')).ask('add', 'D')).toMatchObject({ code: 'not-authority' })
    expect(open(new Ring('A').grow('A')).ask('remove', 'A')).toMatchObject({ code: 'last-authority' })
  })

  test('a wish that was not said yet is withdrawn by forgetting it, one that counts by a vote', () => {
    const world = new Ring('ABC').grow('BC')
    const { ask, wishes } = open(world)
    ask('add', 'D')
    expect(ask('withdraw', 'D')).toMatchObject({ ok: true })
    expect(wishes.all()).toEqual([])
    world.add(world.block('A', { target: addressOf('D'), authorize: true }))
    expect(ask('withdraw', 'D')).toMatchObject({ ok: true, value: { votes: 1 } })
    expect(wishes.all()).toMatchObject([{ vote: 'withdraw' }])
  })

  test('there is an end to how much can be wanted', () => {
    const { desk, request, at, wishes } = open(ring())
    const some = new Wishes(new MemoryLedger().records('poa'), addressOf('A'))
    expect(some.all()).toEqual([])
    for (let n = 0; n < 100; n++) {
      wishes.take({ target: String(n), vote: 'add', since: n, until: 9_999 }, n)
    }
    at(nowUsual + 1)
    expect(desk.vote(request('add', 'D'))).toMatchObject({ code: 'too-many-wishes' })
  })

  test('a ledger that cannot be written is said', () => {
    const records = {
      ...new MemoryLedger().records('poa'),
      get: () => undefined,
      list: () => [],
      write: () => {
        throw new AurexError('storage-full', 'the disk is full')
      },
    } as unknown as Records
    expect(open(ring(), { records }).ask('add', 'D')).toMatchObject({ code: 'storage-unavailable' })
  })
})

describe('a vote that would leave too few up is warned of', () => {
  const warning = (answer: ReturnType<VoteDesk['vote']>) => (answer.ok ? answer.value['warning'] : answer)

  test('one more who is silent: the majority grows', () => {
    // Of ABCD, D has signed nothing; 3 must be up. With E, 3 of 5.
    const three = new Ring('ABCD').grow('BCABCABCA')
    expect(warning(open(three).ask('add', 'E'))).toBeUndefined()
    // Of ABC, C is silent: 2 of 3. With D it would be 3 of 4.
    const two = new Ring('ABC').grow('BABABABA')
    const said = warning(open(two).ask('add', 'D'))
    expect(said).toContain('3 of 4 authorities must be up, and only 2 of them')
    expect(said).toContain(addressOf('D').slice(0, 4))
    // It is connected here, so it is up.
    expect(warning(open(two, { seen: ['A', 'D'] }).ask('add', 'D'))).toBeUndefined()
  })

  test('one less who is up', () => {
    const three = new Ring('ABCDE').grow('BCABCABCABC')
    // 3 of 5 are up; without B it would be 2 of 4, of which 3 must be.
    expect(warning(open(three).ask('remove', 'B'))).toContain('3 of 4 authorities must be up, and only 2 of them')
    expect(warning(open(three).ask('remove', 'D'))).toBeUndefined()
  })
})

describe('poa.votes', () => {
  test('tells authorities in order, what is voted, what this node wants, and who is silent since when', () => {
    const world = new Ring('ABC').grow('BA')
    world.add(world.block('B', { target: addressOf('C'), authorize: false }))
    const { desk, ask } = open(world, { seen: ['A', 'B'] })
    ask('add', 'D')
    const last = (index: number) => ({ index, timestamp: world.branch[index]!.timestamp })
    expect(desk.votes()).toEqual({
      ok: true,
      value: {
        height: 3,
        checkpoint: 1_000,
        needed: 2,
        authorities: [
          { address: addressOf('A'), own: true, in_turn: false, connected: true, last_block: last(2) },
          { address: addressOf('B'), own: false, in_turn: true, connected: true, last_block: last(3) },
          { address: addressOf('C'), own: false, in_turn: false, connected: false, last_block: null },
        ],
        votes: [{ target: addressOf('C'), vote: 'remove', signers: [addressOf('B')], needed: 2 }],
        wishes: [{ target: addressOf('D'), vote: 'add', since: formatTimestamp(nowUsual + 1), until: 10_003 }],
      },
    })
  })
})
