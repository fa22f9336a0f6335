// Step by step, as the paper has it: what one node says to what the others say.
import { expect, test } from 'bun:test'
import type { Block } from '../../../core/chain/block.ts'
import { testKey } from '../../support/headers.ts'
import { Lone } from './lone.ts'

/** x is prevoted by all but the last, and precommitted by nobody else. Round 1 has begun. */
async function holdingX(): Promise<{ lone: Lone; x: Block; y: Block }> {
  const lone = new Lone()
  const [x, y] = [lone.block(lone.keys[1]!, 'x'), lone.block(lone.keys[2]!, 'y')]
  await lone.propose(1, 0, x)
  await lone.tell([1, 2], 'prevote', 0, x)
  await lone.tell([2, 3], 'precommit', 0, null)
  expect(lone.votes(x, y)).toEqual(['prevote 0 x', 'precommit 0 x'])
  await lone.world.advance(1_100)
  expect(lone.waitsFor).toContain('in round 1')
  lone.said = []
  return { lone, x, y }
}

test('it prevotes what is proposed, precommits what a quorum prevotes, and decides what a quorum precommits', async () => {
  const lone = new Lone()
  const x = lone.block(lone.keys[1]!, 'x')
  expect(lone.waitsFor).toContain('the proposal of')
  expect(await lone.propose(1, 0, x)).toEqual({ ok: true })
  expect(lone.votes(x)).toEqual(['prevote 0 x'])
  await lone.tell([1], 'prevote', 0, x)
  expect(lone.votes(x)).toHaveLength(1)
  await lone.tell([3], 'prevote', 0, x)
  expect(lone.votes(x)).toEqual(['prevote 0 x', 'precommit 0 x'])
  await lone.tell([1], 'precommit', 0, x)
  expect(lone.submitted).toEqual([])
  await lone.tell([2], 'precommit', 0, x)
  const [decided] = lone.submitted
  expect(decided!.current_hash).toBe(x.current_hash)
  expect(lone.engine.verify(decided!, { parent: lone.branch[0]!, at: (index) => lone.branch[index] })).toEqual({
    ok: true,
  })
  // Until it is recorded it is handed over again; votes are not cast any more.
  await lone.world.advance(3_000)
  expect(lone.submitted.length).toBeGreaterThan(5)
  expect(lone.votes(x)).toHaveLength(2)
})

test('it votes for no block when a step takes too long', async () => {
  const lone = new Lone()
  await lone.world.advance(1_200)
  expect(lone.votes()).toEqual(['prevote 0 nil'])
  await lone.world.advance(60_000)
  expect(lone.votes()).toHaveLength(1)
  await lone.tell([1, 2], 'prevote', 0, null)
  expect(lone.votes()).toEqual(['prevote 0 nil', 'precommit 0 nil'])
  await lone.tell([1, 2], 'precommit', 0, null)
  await lone.world.advance(1_100)
  expect(lone.waitsFor).toContain('in round 1')
})

test('it votes for no block where the others do not agree', async () => {
  const lone = new Lone()
  const x = lone.block(lone.keys[1]!, 'x')
  await lone.propose(1, 0, x)
  await lone.tell([1], 'prevote', 0, x)
  await lone.tell([2], 'prevote', 0, null)
  expect(lone.votes(x)).toEqual(['prevote 0 x'])
  await lone.world.advance(1_100)
  expect(lone.votes(x)).toEqual(['prevote 0 x', 'precommit 0 nil'])
})

test('who holds a block prevotes no other', async () => {
  const { lone, x, y } = await holdingX()
  await lone.propose(2, 1, y)
  expect(lone.votes(x, y)).toEqual([])
  await lone.world.advance(2_000)
  expect(lone.votes(x, y)).toEqual(['prevote 1 nil'])
})

test('unless a quorum prevoted that in a later round, and its prevotes come with it', async () => {
  const { lone, x, y } = await holdingX()
  await lone.tell([1, 2, 3], 'prevote', 1, y)
  await lone.tell([1, 2, 3], 'precommit', 1, null)
  await lone.world.advance(3_000)
  lone.said = []
  await lone.propose(3, 2, y)
  expect(lone.votes(x, y)).toEqual(['prevote 2 y'])

  // Prevotes of an earlier round than that of the block that is held change nothing.
  const other = await holdingX()
  await other.lone.tell([1, 2], 'precommit', 1, null)
  await other.lone.tell([1, 2], 'prevote', 1, null)
  await other.lone.world.advance(3_500)
  other.lone.said = []
  const proof = [1, 2, 3].map((n) => other.lone.vote(n, 'prevote', 0, other.y))
  await other.lone.propose(3, 2, other.y, proof)
  expect(other.lone.votes(other.x, other.y)).toEqual([])
})

test('who holds a block after a restart still does', async () => {
  const { lone, x, y } = await holdingX()
  lone.start()
  await lone.tell([2, 3], 'precommit', 1, null)
  await lone.propose(2, 1, y)
  await lone.world.advance(1_600)
  expect(lone.votes(x, y)).toEqual(['prevote 1 nil'])
})

test('who holds a block proposes that again, with its prevotes, and makes no other', async () => {
  const { lone, x } = await holdingX()
  await lone.tell([1, 2], 'prevote', 3, null)
  expect(lone.waitsFor).not.toBe('nothing')
  const { votes, block } = lone.said.find((one) => one.block !== undefined)!
  expect(block!.current_hash).toBe(x.current_hash)
  expect(votes.map(({ step, round, hash }) => [step, round, hash])).toEqual([
    ['proposal', 3, x.current_hash],
    ...Array.from({ length: 3 }, () => ['prevote', 0, x.current_hash]),
  ])
})

test('whose round it is makes a block when it holds none', async () => {
  const lone = new Lone()
  await lone.tell([1, 2], 'prevote', 3, null)
  expect(lone.waitsFor).toBe('nothing')
})

test('it goes to a later round when more are there than may lie, and not for one', async () => {
  const lone = new Lone()
  await lone.world.advance(10)
  await lone.tell([1], 'prevote', 7, null)
  await lone.tell([1], 'precommit', 9, null)
  expect(lone.waitsFor).toContain('in round 0')
  await lone.tell([2], 'prevote', 6, null)
  expect(lone.waitsFor).toContain('in round 6')
})

test('what was precommitted in the round before is decided, however late it is heard', async () => {
  const lone = new Lone()
  const x = lone.block(lone.keys[1]!, 'x')
  await lone.propose(1, 0, x)
  await lone.tell([1, 2], 'prevote', 0, x)
  await lone.tell([1], 'precommit', 0, x)
  await lone.tell([3], 'precommit', 0, null)
  await lone.world.advance(1_100)
  expect(lone.waitsFor).toContain('in round 1')
  await lone.tell([2], 'precommit', 0, x)
  expect(lone.submitted.map(({ current_hash }) => current_hash)).toEqual([x.current_hash])
})

test('a block that could not be recorded is not prevoted, and whoever sends it is refused', async () => {
  const lone = new Lone()
  const strangers = lone.block(testKey(99), 'x')
  expect(await lone.propose(1, 0, strangers)).toMatchObject({ code: 'not-authority', provable: true })
  const stale = { ...lone.block(lone.keys[1]!, 'y'), prev_hash: 'ab'.repeat(32) }
  expect((await new Lone().propose(1, 0, stale)).ok).toBe(false)
  expect(lone.votes(strangers)).toEqual([])
})

test('a block that nobody proposed is not looked at', async () => {
  const lone = new Lone()
  const x = lone.block(lone.keys[1]!, 'x')
  await lone.propose(1, 0, x)
  expect(lone.votes(x)).toEqual(['prevote 0 x'])
  const other = new Lone()
  expect(await other.propose(2, 0, x)).toMatchObject({ code: 'bad-vote' })
  expect(other.votes(x)).toEqual([])
})

test('after a restart it says the same again, and nothing else at the same place', async () => {
  const lone = new Lone()
  const x = lone.block(lone.keys[1]!, 'x')
  await lone.world.advance(1_200)
  expect(lone.votes(x)).toEqual(['prevote 0 nil'])
  lone.start()
  await lone.propose(1, 0, x)
  await lone.tell([1, 2], 'prevote', 0, x)
  await lone.world.advance(2_000)
  expect(lone.votes(x).filter((one) => one.startsWith('prevote 0'))).toEqual([])
  expect(lone.warned).toEqual([])
  const own = lone.repeated.at(-1)!.votes.filter(({ address }) => address === lone.keys[0]!.address)
  expect(own.find(({ step }) => step === 'prevote')!.hash).toBeNull()
})

test('what is known is said again, the block only to who has not voted for it', async () => {
  const lone = new Lone()
  const x = lone.block(lone.keys[1]!, 'x')
  await lone.propose(1, 0, x)
  await lone.tell([2], 'prevote', 0, x)
  await lone.world.advance(300)
  expect(lone.repeated).toHaveLength(3)
  expect(lone.repeated.map(({ votes }) => votes.length)).toEqual([3, 3, 3])
  expect(lone.repeated.map(({ block }) => block?.extra)).toEqual([undefined, undefined, 'x'])
})

test('a vote of its own in a certificate that it knows nothing of keeps it from signing', async () => {
  const lone = new Lone()
  const x = lone.block(lone.keys[1]!, 'x')
  const votes = [0, 1, 2].map((n) => lone.vote(n, 'precommit', 4, x))
  const signatures = Object.fromEntries(votes.map(({ address, signature }) => [address, signature]))
  await lone.record({ ...x, certificate: { round: 4, signatures } })
  expect(lone.stopped()).toBeDefined()
})
