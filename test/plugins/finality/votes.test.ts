import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { accepted, decline, type JsonObject, type SealedHeader, type Verdict } from '../../../core/index.ts'
import { proofOf, voteEvidence } from '../../../plugins/finality/evidence.ts'
import { Exchange, windowCheckpoints } from '../../../plugins/finality/exchange.ts'
import { Noted } from '../../../plugins/finality/noted.ts'
import { quorumOf } from '../../../plugins/finality/rules.ts'
import { parametersSchema } from '../../../plugins/finality/schema.ts'
import { Standing } from '../../../plugins/finality/standing.ts'
import { Tally, votesPerAuthorityMax } from '../../../plugins/finality/tally.ts'
import {
  messageSchema,
  readBallot,
  statementOfText,
  voteText,
  type Statement,
  type Vote,
  type VoteMessage,
} from '../../../plugins/finality/votes.ts'
import { makeKey } from '../../support/blocks.ts'
import { branchOf, chainId, isSigned, keysOf, testRules } from './world.ts'

const rules = testRules(4)
const keys = keysOf(4)
const [a, b, c, d] = keys as [(typeof keys)[0], (typeof keys)[0], (typeof keys)[0], (typeof keys)[0]]
const hash = (n: number): string => String(n).padStart(64, '0')
const commit = (index: number, at = index): Statement => ({ kind: 'commit', target: { index, hash: hash(at) } })
const justify = (from: number, to: number, at = to): Statement => ({
  kind: 'justify',
  source: { index: from, hash: from === 0 ? chainId : hash(from) },
  target: { index: to, hash: hash(at) },
})
const cast = (statement: Statement, key = a): Vote => ({
  statement,
  address: key.address,
  signature: key.sign('aurex/finality/1', voteText(chainId, statement)),
})
const message = (statement: Statement, ...signers: typeof keys): VoteMessage => ({
  ...statement,
  signatures: Object.fromEntries(signers.map((key) => [key.address, cast(statement, key).signature])),
})

describe('the parameters', () => {
  const addresses = keys.map(({ address }) => address)
  const parse = (more: object) => v.safeParse(parametersSchema, { authorities: addresses, ...more })

  test('default to every block, and to a chain that goes on', () => {
    expect(parse({})).toMatchObject({ success: true, output: { checkpoint_every: 1, stall: 'continue' } })
    expect(testRules(4, { stall: 'halt' }).haltAfter).toBe(100)
    expect(testRules(4).haltAfter).toBeUndefined()
  })

  test.each<[string, object]>([
    ['no authorities', { authorities: [] }],
    ['more than 100', { authorities: Array.from({ length: 101 }, () => addresses[0]) }],
    ['one twice', { authorities: [addresses[0], addresses[1], addresses[0]] }],
    ['what is no address', { authorities: ['alice'] }],
    ['a key of small order', { authorities: ['01'.padEnd(64, '0')] }],
    ['checkpoint_every 0', { checkpoint_every: 0 }],
    ['checkpoint_every 10,001', { checkpoint_every: 10_001 }],
    ['an unknown stall', { stall: 'stop' }],
    ['halt_after on a chain that continues', { halt_after: 5 }],
    ['halt_after below checkpoint_every', { stall: 'halt', halt_after: 5, checkpoint_every: 6 }],
    ['checkpoint_every above the default of halt_after', { stall: 'halt', checkpoint_every: 101 }],
    ['an unknown key', { authority: addresses }],
  ])('are refused with %s', (_what, more) => {
    expect(parse(more).success).toBe(false)
  })

  test.each([
    [1, 1],
    [2, 2],
    [3, 3],
    [4, 3],
    [5, 4],
    [6, 5],
    [7, 5],
    [10, 7],
    [100, 67],
  ])('%d authorities have a quorum of %d', (count, quorum) => {
    expect(quorumOf(count)).toBe(quorum)
    // Two quorums share more than may lie.
    expect(2 * quorum - count).toBeGreaterThan(Math.floor((count - 1) / 3))
  })
})

describe('a vote', () => {
  test('is signed as canonical JSON with the chain in it', () => {
    expect(voteText('c', commit(7))).toBe(`{"chain_id":"c","kind":"commit","target":{"hash":"${hash(7)}","index":7}}`)
    expect(statementOfText(voteText(chainId, justify(3, 7)), rules)).toEqual(justify(3, 7))
    expect(statementOfText(voteText(hash(1), justify(3, 7)), rules)).toBeUndefined()
  })

  const good = message(justify(3, 7), a)
  test.each<[string, object]>([
    ['an unknown kind', { ...good, kind: 'final' }],
    ['an unknown field', { ...good, round: 1 }],
    ['no target', { kind: 'commit', signatures: good.signatures }],
    ['an unknown field in the target', { ...good, target: { ...good.target, work: 1 } }],
    ['a negative index', { ...good, target: { ...good.target, index: -1 } }],
    ['a short hash', { ...good, target: { index: 7, hash: '00' } }],
    ['no signatures', { ...good, signatures: {} }],
    ['a long signature', { ...good, signatures: { [a.address]: 'A'.repeat(89) } }],
    [
      '101 signatures',
      { ...good, signatures: Object.fromEntries(Array.from({ length: 101 }, (_, n) => [hash(n), 'A'.repeat(88)])) },
    ],
  ])('with %s is no message', (_what, value) => {
    expect(v.safeParse(messageSchema, value).success).toBe(false)
  })

  test.each<[string, VoteMessage]>([
    ['a commit with a source', { ...message(commit(7), a), source: { index: 3, hash: hash(3) } }],
    ['a link without one', { kind: 'justify', target: good.target, signatures: good.signatures }],
    ['a link from above', message(justify(9, 7), a)],
    ['a link to itself', message(justify(7, 7), a)],
    ['a vote for block 0', message(commit(0), a)],
    ['a link from another block 0', { ...good, source: { index: 0, hash: hash(0) } }],
  ])('%s is provably wrong', (_what, value) => {
    expect(readBallot(value, rules)).toMatchObject({ code: 'bad-vote', provable: true })
  })

  test('for what is no checkpoint is provably wrong, by a stranger is nobody’s fault', () => {
    const by5 = testRules(4, { checkpoint_every: 5 })
    expect(readBallot(message(justify(5, 10), a), by5).ok).toBe(true)
    expect(readBallot(message(justify(5, 9), a), by5)).toMatchObject({ code: 'bad-vote' })
    expect(readBallot(message(justify(4, 10), a), by5)).toMatchObject({ code: 'bad-vote' })
    expect(readBallot(message(commit(7), makeKey(77)), rules)).toMatchObject({
      code: 'unknown-authority',
      provable: false,
    })
  })
})

describe('the tally', () => {
  test('keeps two votes of a key at a height, and the highest of all', () => {
    const tally = new Tally()
    expect(tally.add(cast(commit(5)))).toEqual({ ok: true })
    expect(tally.add(cast(commit(5)))).toMatchObject({ code: 'known' })
    expect(tally.add(cast(commit(5, 50)))).toEqual({ ok: true })
    expect(tally.add(cast(commit(5, 51)))).toMatchObject({ code: 'too-many-votes' })
    expect(tally.add(cast(justify(0, 5)))).toEqual({ ok: true })
    for (let index = 6; index < 300; index++) tally.add(cast(commit(index)))
    expect(tally.votesOf(a.address)).toHaveLength(votesPerAuthorityMax + 1)
    expect(tally.add(cast(commit(5)))).toMatchObject({ code: 'old-vote' })
    expect(tally.above(0)).toHaveLength(votesPerAuthorityMax + 1)
    expect(tally.above(0)[0]!.statement).toEqual(commit(299))
    tally.forget(298)
    expect(tally.above(0).map(({ statement }) => statement)).toEqual([commit(299)])
  })

  test('what one fills with lies takes no room from the others', () => {
    const tally = new Tally()
    tally.add(cast(commit(1), b))
    for (let index = 2; index < 1_000; index++) tally.add(cast(commit(index), d))
    expect(tally.signatureOf(commit(1), b.address)).toBeString()
  })

  test('adds up the votes for the same thing alone', () => {
    const tally = new Tally()
    for (const key of [a, b, c]) tally.add(cast(justify(0, 5), key))
    tally.add(cast(justify(1, 5), d))
    expect(tally.of(justify(0, 5))!.signatures.size).toBe(3)
    expect(tally.of(justify(1, 5))!.signatures.size).toBe(1)
    expect(tally.of(commit(5))).toBeUndefined()
  })
})

describe('what is heard', () => {
  function exchange(height = 10, verdict: () => Verdict = () => accepted) {
    const accused: JsonObject[] = []
    const met: string[] = []
    const standing = new Standing(rules, { final: undefined, justified: undefined })
    let checks = 0
    const made = new Exchange({
      rules,
      isSigned: (...vote) => ++checks > 0 && isSigned(...vote),
      signer: { address: d.address, met: (track, place) => void met.push(`${track} ${place.join()}`) },
      clock: { monotonic: () => 0 },
      standing,
      tally: new Tally(),
      accuse: (proof) => (accused.push(proof), verdict()),
      height: () => height,
    })
    const from = { nodeId: b.nodeId, address: b.address, nodeType: 'full', listens: undefined }
    return { hear: (one: VoteMessage) => made.hear(one, from), accused, met, standing, checks: () => checks }
  }

  test('is checked once', () => {
    const { hear, checks } = exchange()
    expect(hear(message(commit(5), a))).toEqual({ ok: true })
    expect(hear(message(commit(5), a))).toMatchObject({ code: 'known', provable: false })
    expect(hear(message(commit(5), a, b))).toEqual({ ok: true })
    expect(checks()).toBe(2)
  })

  test('is refused with a bad signature, also beside good and known ones', () => {
    const { hear, standing } = exchange()
    const bad = {
      ...message(commit(5), a, b),
      signatures: { ...message(commit(5), a, b).signatures, [c.address]: cast(commit(6), c).signature },
    }
    expect(hear(bad)).toMatchObject({ code: 'bad-signature', provable: true })
    expect(hear(message(commit(5), a))).toEqual({ ok: true })
    expect(hear({ ...bad, signatures: { [a.address]: cast(commit(6)).signature } })).toMatchObject({
      code: 'bad-signature',
    })
    expect(standing.missing({ has: () => false, at: () => undefined })).toEqual([])
  })

  test('is not taken from far above this chain, unless it is a quorum', () => {
    const { hear, standing, checks } = exchange()
    const far = 10 + windowCheckpoints + 1
    expect(hear(message(commit(far), a))).toMatchObject({ code: 'far-vote', provable: false })
    expect(checks()).toBe(0)
    expect(hear(message(commit(far - 1), a))).toEqual({ ok: true })
    expect(hear(message(commit(1_000_000), a, b, c))).toEqual({ ok: true })
    expect(standing.missing({ has: () => false, at: () => undefined })[0]!.statement).toEqual(commit(1_000_000))
  })

  test('a quorum counts even where a liar in it has no room left for his part', () => {
    const { hear, standing } = exchange()
    for (const at of [51, 52]) hear(message(commit(5, at), a))
    expect(hear(message(commit(5), a))).toMatchObject({ code: 'too-many-votes' })
    expect(hear(message(commit(5), a, b, c))).toEqual({ ok: true })
    expect(standing.missing({ has: () => false, at: () => undefined })[0]!.statement).toEqual(commit(5))
  })

  test('accuses who contradicts himself', () => {
    const { hear, accused } = exchange()
    hear(message(justify(2, 9), a))
    hear(message(justify(3, 8), a))
    hear(message(justify(2, 9), b))
    // Another that goes around the same one proves nothing new.
    hear(message(justify(2, 10), a))
    expect(accused).toEqual([proofOf(cast(justify(2, 9)), cast(justify(3, 8)))])
  })

  test('about what is final is not taken, and proves still who lies', () => {
    const { hear, accused, standing, checks } = exchange()
    hear(message(commit(5), a))
    const signatures = new Map(Object.entries(message(commit(5), a, b, c).signatures))
    standing.adopt({ final: { statement: commit(5), signatures }, justified: undefined })
    expect(hear(message(commit(5, 55), b))).toMatchObject({ code: 'old-vote', provable: false })
    expect(checks()).toBe(1)
    const forged = { ...message(commit(5, 56), a), signatures: { [a.address]: cast(commit(5)).signature } }
    expect(hear(forged)).toMatchObject({ code: 'bad-signature', provable: true })
    expect(accused).toEqual([])
    expect(hear(message(commit(5, 55), a))).toMatchObject({ code: 'old-vote' })
    expect(accused).toEqual([proofOf(cast(commit(5)), cast(commit(5, 55)))])
  })

  test('and has no room any more costs no signature, however often it comes', () => {
    const { hear, checks, accused } = exchange(votesPerAuthorityMax)
    for (let height = 2; height < votesPerAuthorityMax + 2; height++) hear(message(commit(height), a, b))
    const before = checks()
    const old = message(commit(1), a, b)
    for (let i = 0; i < 5; i++) expect(hear(old)).toMatchObject({ code: 'old-vote', provable: false })
    expect(checks()).toBe(before)
    // A quorum counts all the same, once.
    expect(hear(message(commit(1), a, b, c))).toEqual({ ok: true })
    expect(checks()).toBe(before + 3)
    for (let i = 0; i < 5; i++) hear(message(commit(1), a, b, c))
    expect(checks()).toBe(before + 3)
    expect(accused).toEqual([])
  })

  test('proves a lie once, however often it comes; where that could not be kept, it is told again', () => {
    let verdict: Verdict = decline('storage-unavailable', 'full')
    const { hear, accused, checks, standing } = exchange(10, () => verdict)
    for (const at of [51, 52]) hear(message(commit(5, at), a))
    expect(accused).toHaveLength(1)
    hear(message(commit(5, 53), a))
    expect(accused).toHaveLength(2)
    verdict = accepted
    for (let at = 54; at < 60; at++) hear(message(commit(5, at), a))
    expect(accused).toHaveLength(3)
    const before = checks()
    const signatures = new Map(Object.entries(message(commit(5), a, b, c).signatures))
    standing.adopt({ final: { statement: commit(5), signatures }, justified: undefined })
    for (let at = 60; at < 70; at++) hear(message(commit(5, at), a))
    expect([accused.length, checks()]).toEqual([3, before])
  })

  test('of this node’s own key is met', () => {
    const { hear, met } = exchange()
    hear(message(commit(5), a, d))
    expect(met).toEqual(['commit 5'])
  })
})

test('of the certificates in headers the highest is noted, and the highest with this node’s own vote', () => {
  const noted = new Noted(a.address)
  const header = (index: number, signers: typeof keys): SealedHeader => ({
    ...branchOf(1)[1]!,
    finality: { index, hash: hash(index), signatures: { ...message(commit(index), ...signers).signatures } },
  })
  expect(noted.add(branchOf(1)[1]!)).toBe(false)
  for (const [index, signers] of [
    [3, [a, b, c]],
    [9, [b, c, d]],
    [5, [a, b, c]],
  ] as const)
    noted.add(header(index, signers))
  expect(noted.take().map(({ index }) => index)).toEqual([9, 5])
  expect(noted.take()).toEqual([])
})

describe('evidence', () => {
  const kind = voteEvidence(rules, isSigned)
  const read = (first: Vote, second: Vote) => kind.read(proofOf(first, second))

  test.each<[string, Statement, Statement]>([
    ['two justify votes at height 5', justify(0, 5), justify(2, 5, 55)],
    ['two commit votes at height 5', commit(5), commit(5, 55)],
    ['a vote around height 5', justify(1, 8), justify(2, 5)],
    ['a vote around height 5', commit(5), justify(4, 6)],
  ])('of %s names the key, in either order', (what, one, other) => {
    expect(read(cast(one), cast(other))).toEqual({ ok: true, value: { address: a.address, what } })
    expect(read(cast(other), cast(one))).toEqual({ ok: true, value: { address: a.address, what } })
  })

  test.each<[string, Vote, Vote]>([
    ['the same vote twice', cast(commit(5)), cast(commit(5))],
    ['votes that go together', cast(justify(0, 5)), cast(justify(5, 6))],
    ['a link and a commit at one height', cast(justify(0, 5)), cast(commit(5, 55))],
    ['two sources of one target', cast(justify(0, 5)), cast(justify(1, 5))],
    ['votes of two keys', cast(commit(5)), cast(commit(5, 55), b)],
    ['a bad signature', cast(commit(5)), { ...cast(commit(5, 55)), signature: cast(commit(5)).signature }],
  ])('is not %s: provably', (_what, first, second) => {
    expect(read(first, second)).toMatchObject({ ok: false, provable: true })
  })

  test('against a stranger is not taken, and anything else is refused', () => {
    const stranger = makeKey(77)
    expect(read(cast(commit(5), stranger), cast(commit(5, 55), stranger))).toMatchObject({ code: 'unknown-authority' })
    const proof = proofOf(cast(commit(5)), cast(commit(5, 55)))
    for (const bad of [{}, { ...proof, third: 1 }, { first: proof['first']! }, { ...proof, second: [] }]) {
      expect(kind.read(bad as JsonObject)).toMatchObject({ code: 'bad-evidence', provable: true })
    }
  })
})
