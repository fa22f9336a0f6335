import { describe, expect, test } from 'bun:test'
import type { SealedHeader } from '../../../core/chain/block.ts'
import { signedHeader, timeOf } from '../../support/headers.ts'
import { consensusContract } from '../../contract/consensus.ts'
import poa from '../../../plugins/poa/index.ts'
import { addressOf, each, keyOf, letterOf, Ring, ring } from './support.ts'

const blockTime = 0.05
consensusContract(poa, {
  parameters: (authorities) => ({ authorities: [...authorities], block_time: blockTime }),
  mayBeAway: 1,
})
consensusContract(poa, {
  name: 'poa on the development chain',
  parameters: () => ({ block_time: blockTime }),
  producers: 1,
  network: false,
})

/** The last block changed, and signed again by its maker. */
function changed(world: Ring, letter: string, change: Partial<SealedHeader>): SealedHeader {
  const { current_hash: _h, signature: _s, nonce, certificate, ...header } = { ...world.block(letter), ...change }
  return signedHeader(header, nonce, keyOf(letter), certificate)
}

describe('refused', () => {
  // Block 5 is the turn of C; B and A have just signed.
  const world = new Ring('ABC').grow('BCAB')
  const refusal = (letter: string, change: Partial<SealedHeader>) => world.verify(changed(world, letter, change))
  const inTurn = { since_turn: 0 }

  test('nothing that keeps the rules', () => {
    expect(world.verify(world.block('C'))).toEqual({ ok: true })
    expect(world.verify(world.block('A'))).toEqual({ ok: true })
  })

  test('threats row 3: a good signature by a key that is no authority is refused by who, and not only by whether', () => {
    expect(world.verify(world.block('D'))).toMatchObject({ code: 'not-authority', provable: true })
    // With all that an authority would say of itself.
    expect(refusal('D', { work: 2, seal: inTurn })).toMatchObject({ code: 'not-authority' })
  })

  test('who has signed one of the last blocks', () => {
    expect(world.verify(world.block('B'))).toMatchObject({ code: 'recently-signed', provable: true })
  })

  test.each([
    ['another work than the turn gives', 'bad-work', { work: 1 }],
    ['another turn than the place gives', 'bad-seal', { seal: { since_turn: 1 } }],
    ['a turn that is none', 'bad-seal', { seal: { since_turn: -1 } }],
    ['no turn', 'bad-seal', { seal: {} }],
    ['a field that nobody knows', 'bad-seal', { seal: { ...inTurn, color: 'red' } }],
    ['a nonce', 'bad-seal', { nonce: 1 }],
    ['a certificate, which no hash covers', 'bad-block', { certificate: {} }],
    ['a vote that says nothing', 'bad-vote', { seal: { ...inTurn, vote: {} } }],
    [
      'a vote of two kinds',
      'bad-vote',
      { seal: { ...inTurn, vote: { target: addressOf('D'), authorize: true, withdraw: true } } },
    ],
    [
      'a vote on what can be no key',
      'bad-vote',
      { seal: { ...inTurn, vote: { target: '01'.padEnd(64, '0'), authorize: true } } },
    ],
    ['a list where there is no checkpoint', 'bad-checkpoint', { seal: { ...inTurn, authorities: [] } }],
    ['a list of what is no text', 'bad-checkpoint', { seal: { ...inTurn, authorities: [1] } }],
  ] as const)('%s: %s', (_what, code, change) => {
    expect(refusal('C', change)).toMatchObject({ ok: false, code, provable: true })
  })

  test('no seal, and no signer_id', () => {
    const { seal: _seal, ...unsealed } = world.block('C')
    expect(world.verify(unsealed)).toMatchObject({ code: 'bad-seal' })
    const { signer_id: _id, ...unnamed } = world.block('C')
    expect(world.verify(unnamed)).toMatchObject({ code: 'bad-block' })
  })

  test('a timestamp earlier than a block time after the one below', () => {
    expect(world.verify(world.block('C', undefined, 999))).toMatchObject({ code: 'too-early', provable: true })
    expect(world.verify(world.block('C', undefined, 1_000))).toEqual({ ok: true })
    const slow = new Ring('ABC', { blockTime: 2.5 })
    slow.add(slow.block('B', undefined, 2_500))
    expect(slow.verify(slow.block('C', undefined, 2_499))).toMatchObject({ code: 'too-early' })
    expect(slow.verify(slow.block('C', undefined, 2_500))).toEqual({ ok: true })
  })
})

describe('a checkpoint', () => {
  const world = () => new Ring('CAB', { epoch: 4 }).grow('BCA')

  test('lists the authorities in the order of turns, and bears no vote', () => {
    const block = world().block('B', { target: addressOf('D'), authorize: true })
    expect(block.seal).toEqual({ since_turn: 0, authorities: each('ABC').map(addressOf) })
    expect(world().verify(block)).toEqual({ ok: true })
  })

  test.each([
    ['no list', 'bad-checkpoint', {}],
    ['one too few', 'bad-checkpoint', { authorities: each('AB').map(addressOf) }],
    ['another order', 'bad-checkpoint', { authorities: each('ACB').map(addressOf) }],
    ['another address', 'bad-checkpoint', { authorities: each('ABD').map(addressOf) }],
    [
      'a vote',
      'bad-vote',
      { authorities: each('ABC').map(addressOf), vote: { target: addressOf('D'), authorize: true } },
    ],
  ] as const)('%s: %s', (_what, code, more) => {
    const here = world()
    expect(here.verify(changed(here, 'B', { seal: { since_turn: 0, ...more } }))).toMatchObject({ code })
  })

  test('spares who starts cold from looking further back, and says the same', () => {
    const here = new Ring('ABC', { epoch: 20 })
    here.add(here.block('B', { target: addressOf('D'), authorize: true }))
    here.add(here.block('C', { target: addressOf('D'), authorize: true }))
    here.grow('ADBC'.repeat(23).slice(0, 90))
    expect(here.head.index).toBe(92)
    let lowest = Infinity
    const { ancestry } = here
    const watched = {
      parent: ancestry.parent,
      at: (index: number) => ((lowest = Math.min(lowest, index)), ancestry.at(index)),
    }
    const cold = ring('ABC', { epoch: 20 }).after(watched)
    const warm = here.authorities.after(here.ancestry)
    expect(cold.authorities.map(letterOf)).toEqual(each('ABCD'))
    expect(cold).toEqual(warm)
    // The last one, and twice as many blocks as there are authorities below it.
    expect(lowest).toBe(80 - 2 * 4 + 1)
  })
})

describe('when a block is due', () => {
  const world = new Ring('ABCDE').grow('BCDEA') // block 6 is the turn of B; A and E rest
  const parentAt = timeOf(world.head)
  const due = (letter: string, now: number, since = now, pending = 1) =>
    world.engine(letter).due(world.ancestry, pending, now, since)

  test('in turn: as soon as there is something, and not before a block time has passed', () => {
    expect(due('B', parentAt + 60_000)).toEqual({ when: parentAt + 60_000 })
    expect(due('B', parentAt + 10)).toEqual({ when: parentAt + 1_000 })
  })

  test('idle: a transaction is waited for', () => {
    for (const letter of 'ABCDEF')
      expect(due(letter, parentAt + 60_000, parentAt + 60_000, 0)).toEqual({ waitsFor: 'a transaction' })
  })

  test('out of turn: each one later than the one before, counted from when there was something', () => {
    const since = parentAt + 60_000
    const waits = ['C', 'D'].map((letter) => (due(letter, since) as { when: number }).when - since)
    expect(waits.toSorted((a, b) => a - b)).toEqual([500, 1_000])
    // As time goes by, it does not move away.
    expect(due('C', since + 10_000, since)).toEqual({ when: since + 10_000 })
    const early = ['C', 'D'].map((letter) => (due(letter, parentAt) as { when: number }).when - parentAt)
    expect(early.toSorted((a, b) => a - b)).toEqual([1_500, 2_000])
  })

  test('who of them is first changes from block to block', () => {
    const here = new Ring('ABCDE')
    const firsts = new Set<string>()
    for (const letter of 'BCDEABCDEABCDEA') {
      here.grow(letter)
      const at = (one: string) => here.engine(one).due(here.ancestry, 1, timeOf(here.head), timeOf(here.head))
      const out = each('ABCDE').filter((one) => {
        const when = at(one)
        return 'when' in when && when.when === timeOf(here.head) + 1_500
      })
      expect(out).toHaveLength(1)
      firsts.add(out[0]!)
    }
    expect(firsts.size).toBeGreaterThan(2)
  })

  test('who has signed lately waits for others, in turn first, and says for whom and how many must be up', () => {
    const short = (letter: string) => `${addressOf(letter).slice(0, 4)}...${addressOf(letter).slice(-2)}`
    expect(due('A', parentAt + 60_000)).toEqual({
      waitsFor: `a block of ${short('B')} (place 2 of 5, in turn), ${short('C')} (place 3 of 5) or ${short('D')} (place 4 of 5)`,
      help: `start the node of ${short('B')}, ${short('C')} or ${short('D')}; 3 of 5 authorities must be up`,
    })
    const seen = new Set([addressOf('A'), addressOf('E'), 'somebody else'])
    const seeing = new Ring('ABCDE', { seen: () => seen }).grow('BCDEA')
    const waits = seeing.engine('A').due(seeing.ancestry, 1, parentAt, parentAt)
    expect(waits).toMatchObject({
      help: expect.stringContaining('3 of 5 authorities must be up, and 2 are seen from here'),
    })
    // Who is up and makes no block is not to be started, but asked.
    seen.add(addressOf('C'))
    expect(seeing.engine('A').due(seeing.ancestry, 1, parentAt, parentAt)).toMatchObject({
      help: expect.stringContaining(
        `start the node of ${short('B')} or ${short('D')}, or ask the node of ${short('C')}, which is up: aurex why; `,
      ),
    })
  })

  test('a key that is no authority waits for those that are', () => {
    expect(due('F', parentAt + 60_000)).toMatchObject({
      waitsFor: expect.stringContaining('in turn'),
      help: expect.stringContaining('is none of theirs'),
    })
    expect(due('A', parentAt + 60_000)).not.toMatchObject({ help: expect.stringContaining('is none of theirs') })
  })

  test('of many, some are named', () => {
    const many = new Ring('ABCDEFGHIJKL').grow('B')
    const waits = many.engine('B').due(many.ancestry, 1, parentAt, parentAt)
    expect(waits).toMatchObject({ waitsFor: expect.stringMatching(/^a block of .* or one of 7 others$/) })
  })

  test('produce off: it waits for others, whatever the turn', () => {
    const off = new Ring('ABC', { config: { produce: false } })
    expect(off.engine('B').due(off.ancestry, 1, parentAt, parentAt)).toEqual({
      waitsFor: 'a block from others: produce is off',
    })
  })

  test('a heartbeat makes an empty block so long after the last one, out of turn a little later', () => {
    const beating = new Ring('ABC', { config: { heartbeat: 30 } }).grow('B')
    const now = timeOf(beating.head)
    expect(beating.engine('C').due(beating.ancestry, 0, now, now)).toEqual({ when: now + 30_000 })
    expect(beating.engine('A').due(beating.ancestry, 0, now, now)).toEqual({ when: now + 30_500 })
    expect(beating.engine('C').due(beating.ancestry, 1, now, now)).toEqual({ when: now + 1_000 })
  })

  test('a vote that is to be said is a reason for a block', () => {
    const here = new Ring('ABC').grow('B')
    here.ballot = { target: addressOf('D'), authorize: true }
    const now = timeOf(here.head) + 5_000
    expect(here.engine('C').due(here.ancestry, 0, now, now)).toEqual({ when: now })
  })

  test('where the last authority was voted out, that is what is said', () => {
    const ended = new Ring('A')
    ended.add(ended.block('A', { target: addressOf('A'), authorize: false }))
    expect(ended.engine('A').due(ended.ancestry, 1, parentAt, parentAt)).toMatchObject({
      waitsFor: 'an authority: none is left',
    })
    expect(ended.verify(ended.block('A'))).toMatchObject({ code: 'not-authority' })
  })
})

describe('the development chain', () => {
  test('whoever signs block 1 is its authority', () => {
    const world = new Ring('')
    expect(world.names()).toEqual([])
    expect(world.engine('D').due(world.ancestry, 1, 5, 5)).toHaveProperty('when')
    expect(world.verify(world.block('B'))).toEqual({ ok: true })
    world.grow('D')
    expect(world.head.work).toBe(2)
    expect(world.names()).toEqual(['D'])
    expect(world.verify(world.block('B'))).toMatchObject({ code: 'not-authority' })
    world.grow('DDD')
    expect(world.names(ring(''))).toEqual(['D'])
  })

  test('its authority lets others in', () => {
    const world = new Ring('')
    world.add(world.block('D', { target: addressOf('A'), authorize: true }))
    expect(world.names()).toEqual(['A', 'D'])
  })
})

test('prepares a vote for the blocks of its own key only', () => {
  const world = new Ring('ABC').grow('B')
  world.ballot = { target: addressOf('D'), authorize: true }
  const header = world.block('C', world.ballot)
  world.ballot = { target: addressOf('D'), authorize: true }
  expect(world.engine('A').prepare(header, world.ancestry).seal).toEqual({ since_turn: 0 })
  expect(world.engine('C').prepare(header, world.ancestry).seal).toHaveProperty('vote')
})

test('one block a key and height', () => {
  const world = new Ring('ABC')
  expect(world.engine('A').turn!(world.block('B'))).toEqual([1])
  expect(world.engine('A').authorities!(world.ancestry).map(letterOf)).toEqual(['A', 'B', 'C'])
})
