import { describe, expect, test } from 'bun:test'
import type { Ancestry, JsonObject, KeyPair, SealedHeader } from '../../../core/index.ts'
import {
  certificateDepthMax,
  certificateOf,
  Certificates,
  readCertificate,
} from '../../../plugins/finality/certificate.ts'
import { voteText, type Ballot, type Statement } from '../../../plugins/finality/votes.ts'
import { makeKey } from '../../support/blocks.ts'
import { ancestryOf, genesisHeader } from '../../support/headers.ts'
import { branchOf, chainId, checkpointOf, genesis, grown, isSigned, keysOf, testRules } from './world.ts'

const count = 4
const rules = testRules(count)
const keys = keysOf(count)

function signed(statement: Statement, signers: readonly KeyPair[] = keys.slice(0, 3), chain = chainId): Ballot {
  const text = voteText(chain, statement)
  return { statement, signatures: new Map(signers.map((key) => [key.address, key.sign('aurex/finality/1', text)])) }
}
const commitTo = (header: SealedHeader): Statement => ({ kind: 'commit', target: checkpointOf(header) })
const certify = (header: SealedHeader): JsonObject => certificateOf(signed(commitTo(header)), rules)

const branch = branchOf(6)
const good = certify(branch[5]!)
const signatures = good['signatures'] as Readonly<Record<string, string>>

function judge(finality: JsonObject, on: readonly SealedHeader[] = branch, by = rules) {
  return new Certificates(by, isSigned).verify(grown(on, { finality }).at(-1)!, ancestryOf(on))
}

describe('a certificate in a header', () => {
  test('is an index, a hash and a quorum of signatures, in the order of addresses', () => {
    expect(judge(good)).toEqual({ ok: true })
    expect(Object.keys(good)).toEqual(['index', 'hash', 'signatures'])
    expect(Object.keys(signatures)).toEqual(keys.slice(0, 3).map(({ address }) => address))
    const read = readCertificate(good, rules)
    expect(read.ok && certificateOf(read.value, rules)).toEqual(good)
  })

  test('of a ballot that everybody signed has no more than a quorum', () => {
    expect(certificateOf(signed(commitTo(branch[5]!), [...keys].toReversed()), rules)).toEqual(good)
  })

  const [first, second, third] = keys.map(({ address }) => address) as [string, string, string]
  const without = (address: string): JsonObject => {
    const { [address]: _gone, ...rest } = signatures
    return rest
  }
  const of = (signers: readonly KeyPair[], statement: Statement = commitTo(branch[5]!), chain = chainId): JsonObject =>
    Object.fromEntries(signed(statement, signers, chain).signatures)
  const justify: Statement = { kind: 'justify', source: checkpointOf(branch[4]!), target: checkpointOf(branch[5]!) }

  test.each<[string, JsonObject]>([
    ['no index', { hash: good['hash']!, signatures }],
    ['an index of another height', { ...good, index: 4 }],
    ['an index above the parent', { ...good, index: 7 }],
    ['an index that is no number', { ...good, index: '5' }],
    ['index 0', { index: 0, hash: chainId, signatures }],
    ['a fraction as index', { ...good, index: 4.5 }],
    ['no hash', { index: 5, signatures }],
    ['the hash of another block', { ...good, hash: branch[4]!.current_hash }],
    ['a hash in capitals', { ...good, hash: branch[5]!.current_hash.toUpperCase() }],
    ['no signatures', { index: 5, hash: good['hash']! }],
    ['an empty list of signatures', { ...good, signatures: {} }],
    ['signatures as a list', { ...good, signatures: [] }],
    ['one signature too few', { ...good, signatures: without(first) }],
    ['one signature too many', { ...good, signatures: of(keys) }],
    ['the signature of a stranger', { ...good, signatures: of([keys[0]!, keys[1]!, makeKey(77)]) }],
    ['a signature under another name', { ...good, signatures: { ...signatures, [first]: signatures[second]! } }],
    ['a signature of a commit to another block', { ...good, signatures: of(keys.slice(0, 3), commitTo(branch[4]!)) }],
    ['signatures of justify votes', { ...good, signatures: of(keys.slice(0, 3), justify) }],
    [
      'signatures for another chain',
      { ...good, signatures: of(keys.slice(0, 3), commitTo(branch[5]!), 'f'.repeat(64)) },
    ],
    [
      'a signature with a bit less',
      { ...good, signatures: { ...signatures, [third]: `B${signatures[third]!.slice(1)}` } },
    ],
    [
      'a signature with stray bits',
      { ...good, signatures: { ...signatures, [third]: `${signatures[third]!.slice(0, 85)}R==` } },
    ],
    ['a signature that is none', { ...good, signatures: { ...signatures, [third]: 'SIG_node_hash' } }],
    ['a field more', { ...good, extra: 1 }],
  ])('is refused with %s', (_what, finality) => {
    expect(judge(finality)).toMatchObject({ ok: false, code: 'bad-finality', provable: true })
  })

  test('signed for another purpose is refused', () => {
    const text = voteText(chainId, commitTo(branch[5]!))
    const wrong = Object.fromEntries(keys.slice(0, 3).map((key) => [key.address, key.sign('aurex/block/1', text)]))
    expect(judge({ ...good, signatures: wrong })).toMatchObject({ code: 'bad-finality' })
  })

  test('of a block that is no checkpoint is refused', () => {
    expect(judge(good, branch, testRules(count, { checkpoint_every: 2 }))).toMatchObject({ code: 'bad-finality' })
    expect(judge(certify(branch[4]!), branch, testRules(count, { checkpoint_every: 2 }))).toEqual({ ok: true })
  })

  test('of a block on another branch is refused', () => {
    const other = branchOf(3, 'other', branch.slice(0, 4))
    expect(judge(certify(branch[5]!), other)).toMatchObject({ code: 'bad-finality' })
    expect(judge(certify(branch[3]!), other)).toEqual({ ok: true })
  })

  test('is refused where its branch has certified as much before, and taken on another branch', () => {
    const certified = grown(grown(branch, { finality: certify(branch[4]!) }))
    for (const index of [3, 4]) {
      expect(judge(certify(branch[index]!), certified)).toMatchObject({ code: 'bad-finality' })
    }
    expect(judge(certify(branch[5]!), certified)).toEqual({ ok: true })
    expect(judge(certify(branch[4]!), grown(branch))).toEqual({ ok: true })
  })

  test('is judged alike whatever was judged before', () => {
    const certificates = new Certificates(rules, isSigned)
    const certified = grown(branch, { finality: certify(branch[4]!) })
    const branches = [branch, certified, grown(certified), branchOf(2, 'x', branch), branch.slice(0, 6)]
    const cases = branches.flatMap((on) =>
      [3, 4, 5].map((index) => [grown(on, { finality: certify(branch[index]!) }), on] as const),
    )
    const alone = cases.map(([block, on]) => new Certificates(rules, isSigned).verify(block.at(-1)!, ancestryOf(on)))
    for (let round = 0; round < 3; round++) {
      const order = round === 1 ? cases.toReversed() : cases
      const together = order.map(([block, on]) => certificates.verify(block.at(-1)!, ancestryOf(on)))
      expect(round === 1 ? together.toReversed() : together).toEqual(alone)
    }
  })

  test('costs its signatures once', () => {
    let checks = 0
    const certificates = new Certificates(rules, (...vote) => ++checks > 0 && isSigned(...vote))
    const block = grown(branch, { finality: good }).at(-1)!
    for (let i = 0; i < 5; i++) expect(certificates.verify(block, ancestryOf(branch))).toEqual({ ok: true })
    expect(checks).toBe(3)
  })

  test('that is forged makes nobody look through the headers below', () => {
    const long = branchOf(300)
    let looks = 0
    const ancestry: Ancestry = { parent: long.at(-1)!, at: (index) => (looks++, long[index]) }
    const certificates = new Certificates(rules, isSigned)
    const real = certify(long[2]!)
    const [last] = Object.keys(real['signatures'] as object).toReversed()
    const forged = { ...real, signatures: { ...(real['signatures'] as JsonObject), [last!]: signatures[last!]! } }
    const verify = (finality: JsonObject) => certificates.verify(grown(long, { finality }).at(-1)!, ancestry)
    expect(verify(forged)).toMatchObject({ code: 'bad-finality' })
    expect(looks).toBeLessThan(3)
    expect(verify(real)).toEqual({ ok: true })
    expect(looks).toBeGreaterThan(290)
  })

  test('stands at most so far above what it certifies', () => {
    const low = branch[1]!
    const ancestryAt = (height: number): Ancestry => ({
      parent: { ...genesisHeader(genesis), index: height - 1, current_hash: 'e'.repeat(64) },
      at: (index) => (index === 1 ? low : { ...genesisHeader(genesis), index, current_hash: `${index}` }),
    })
    const certificates = new Certificates(rules, isSigned)
    const highest = 1 + certificateDepthMax
    expect(certificates.isNews(ancestryAt(highest), checkpointOf(low))).toEqual({ ok: true })
    expect(certificates.isNews(ancestryAt(highest + 1), checkpointOf(low))).toMatchObject({ code: 'bad-finality' })
  })
})

describe('on a chain that halts', () => {
  const halting = testRules(count, { stall: 'halt', halt_after: 5 })

  test('an old certificate does not let it go on', () => {
    expect(judge(certify(branch[2]!), branch, halting)).toEqual({ ok: true })
    expect(judge(certify(branch[1]!), branch, halting)).toMatchObject({ code: 'finality-halted' })
  })

  test('a block without one is judged by those below it', () => {
    const certificates = new Certificates(halting, isSigned)
    const verify = (on: readonly SealedHeader[]) => certificates.verify(grown(on).at(-1)!, ancestryOf(on))
    expect(verify(branchOf(4))).toEqual({ ok: true })
    expect(verify(branchOf(5))).toMatchObject({ code: 'finality-halted' })
    const five = branchOf(5)
    const on = grown(five, { finality: certify(five[3]!) })
    expect(verify(on)).toEqual({ ok: true })
    expect(verify(branchOf(1, '', on))).toEqual({ ok: true })
    expect(verify(branchOf(2, '', on))).toMatchObject({ code: 'finality-halted' })
  })

  test('a block that records nothing may stand as high as it likes, so that split votes find a height to meet at', () => {
    const certificates = new Certificates(halting, isSigned)
    const five = branchOf(5)
    const sixth = grown(five, { empty: true })
    expect(certificates.verify(sixth.at(-1)!, ancestryOf(five))).toEqual({ ok: true })
    expect(certificates.verify(grown(sixth).at(-1)!, ancestryOf(sixth))).toMatchObject({ code: 'finality-halted' })
    const certified = grown(sixth, { empty: true, finality: certify(sixth[1]!) })
    expect(certificates.verify(certified.at(-1)!, ancestryOf(sixth))).toEqual({ ok: true })
  })
})
