import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { JsonObject } from '../../../core/chain/json.ts'
import { Ballots, ballotText, type Vote } from '../../../core/signing/ballots.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import { makeContext } from '../../support/context.ts'
import { testKey } from '../../support/headers.ts'
import { testServices } from '../../support/services.ts'

const chainId = 'cd'.repeat(32)
const [x, y] = ['aa'.repeat(32), 'bb'.repeat(32)]
const keys = [1, 2, 3, 4].map(testKey)
const addresses = keys.map(({ address }) => address)
const steps = ['proposal', 'prevote', 'precommit'] as const
const height = 9

function rig(key = keys[0]!, ledger = new MemoryLedger()) {
  const services = testServices(key)
  services.signing.attach(ledger)
  const accused: JsonObject[] = []
  const warned: string[] = []
  const { context, contributed } = makeContext({
    use: {},
    identity: key,
    signer: services.signing.signerOf('lab'),
    accuse: (_kind, proof) => {
      accused.push(proof)
      return { ok: true }
    },
    log: { debug: () => {}, info: () => {}, warn: (message) => void warned.push(message), error: () => {} },
  })
  const ballots = new Ballots({ context, plugin: 'lab', chainId, steps })
  ballots.begin(height, addresses)
  return { ballots, accused, warned, ledger, context, kind: contributed.all('evidence')[0]! }
}

type Said = Pick<Vote, 'step' | 'round' | 'hash'>
function voteOf(n: number, said: Said, at = height): Vote {
  const key = keys[n]!
  const whole = { ...said, height: at }
  return { ...whole, address: key.address, signature: key.sign('aurex/lab/1', ballotText(chainId, whole)) }
}

describe('ballots', () => {
  test('are counted: more than two thirds of the authorities who say the same agree', () => {
    const { ballots } = rig()
    expect(ballots.quorum).toBe(3)
    expect(ballots.agreed('prevote')).toBeUndefined()
    ballots.vote('prevote', x)
    ballots.take(voteOf(1, { step: 'prevote', round: 0, hash: x }))
    ballots.take(voteOf(2, { step: 'prevote', round: 0, hash: null }))
    expect(ballots.agreed('prevote')).toBeUndefined()
    expect(ballots.missing('prevote')).toEqual([addresses[3]!])
    ballots.take(voteOf(3, { step: 'prevote', round: 0, hash: x }))
    const agreed = ballots.agreed('prevote')!
    expect(agreed.hash).toBe(x)
    expect(Object.keys(agreed.certificate.signatures)).toEqual([addresses[0]!, addresses[1]!, addresses[3]!])
    expect(ballots.verify(agreed.certificate, { step: 'prevote', height, hash: x }, addresses)).toEqual({ ok: true })
    for (const other of [{ step: 'precommit' }, { height: height + 1 }, { hash: y }, { hash: null }]) {
      const said = { step: 'prevote', height, hash: x, ...other }
      expect(ballots.verify(agreed.certificate, said, addresses)).toMatchObject({ code: 'bad-certificate' })
    }
  })

  test('prove nothing with too few signatures, a stranger among them, another round or an odd shape', () => {
    const { ballots } = rig()
    for (const n of [1, 2, 3]) ballots.take(voteOf(n, { step: 'prevote', round: 2, hash: x }))
    const { round, signatures } = ballots.agreed('prevote', 2)!.certificate
    const said = { step: 'prevote', height, hash: x }
    const { [addresses[1]!]: one, ...two } = signatures
    const odd: unknown[] = [
      { round, signatures: two },
      { round, signatures: { ...signatures, [testKey(9).address]: one } },
      { round, signatures: { ...two, [addresses[0]!]: one } },
      { round: 1, signatures },
      { round, signatures, more: 1 },
      { round: -1, signatures },
      { signatures },
      { round, signatures: [] },
      null,
      'x',
    ]
    for (const certificate of odd) {
      expect(ballots.verify(certificate, said, addresses)).toMatchObject({ ok: false, code: 'bad-certificate' })
    }
  })

  test('of strangers, of other heights, of rounds far away and with wrong signatures are not taken', () => {
    const { ballots } = rig()
    const good = voteOf(1, { step: 'prevote', round: 0, hash: x })
    const { address, signature } = { ...good, address: testKey(9).address }
    expect(ballots.take({ ...good, address })).toMatchObject({ provable: false })
    expect(ballots.take(voteOf(1, { step: 'prevote', round: 0, hash: x }, height + 1))).toMatchObject({
      provable: false,
    })
    expect(ballots.take(voteOf(1, { step: 'prevote', round: 1_001, hash: x }))).toMatchObject({ provable: false })
    expect(ballots.take({ ...good, hash: y })).toMatchObject({ code: 'bad-vote', provable: true })
    expect(ballots.take({ ...good, signature: signature.replace(/^./, 'A') })).toMatchObject({ ok: false })
    expect(ballots.take({ ...good, step: 'shout' })).toMatchObject({ code: 'bad-vote' })
    expect(ballots.all()).toEqual([])
    expect(ballots.take(good)).toEqual({ ok: true })
    expect(ballots.take(good)).toMatchObject({ ok: false, provable: false })
  })

  test('of the first step are for the proposer of a round alone, and for a block', () => {
    const { ballots } = rig()
    const proposer = addresses.indexOf(ballots.proposer(3))
    expect(proposer).toBe((height + 3) % 4)
    const proposal = { step: 'proposal', round: 3, hash: x }
    expect(ballots.take(voteOf((proposer + 1) % 4, proposal))).toMatchObject({ code: 'bad-vote' })
    expect(ballots.take(voteOf(proposer, { ...proposal, hash: null }))).toMatchObject({ code: 'bad-vote' })
    expect(ballots.take(voteOf(proposer, proposal))).toEqual({ ok: true })
  })

  test('tell how far so many are that one of them tells the truth', () => {
    const { ballots } = rig()
    expect(ballots.reached()).toBe(-1)
    ballots.take(voteOf(1, { step: 'prevote', round: 900, hash: null }))
    expect(ballots.reached()).toBe(-1)
    ballots.take(voteOf(2, { step: 'prevote', round: 4, hash: null }))
    expect(ballots.reached()).toBe(4)
    ballots.take(voteOf(3, { step: 'precommit', round: 6, hash: null }))
    expect(ballots.reached()).toBe(6)
  })

  test('that contradict each other are evidence, whichever came first', () => {
    const { ballots, accused, kind } = rig()
    const [first, second] = [x, y].map((hash) => voteOf(2, { step: 'precommit', round: 1, hash }))
    ballots.take(first!)
    expect(ballots.take(second!)).toMatchObject({ ok: false, provable: false })
    expect(accused).toEqual([{ first, second }] as never)
    expect(kind.name).toBe('lab')
    for (const proof of [
      { first, second },
      { first: second, second: first },
    ]) {
      expect(kind.read(proof as never)).toEqual({
        ok: true,
        value: { address: addresses[2]!, what: `height ${height}` },
      })
    }
    const none: unknown[] = [
      { first, second: first },
      { first, second: voteOf(2, { step: 'precommit', round: 2, hash: y }) },
      { first, second: voteOf(2, { step: 'prevote', round: 1, hash: y }) },
      { first, second: voteOf(3, { step: 'precommit', round: 1, hash: y }) },
      { first, second: { ...second!, signature: first!.signature } },
      { first },
      {},
    ]
    for (const proof of none) expect(kind.read(proof as never)).toMatchObject({ code: 'bad-evidence', provable: true })
    const address = testKey(9).address
    const ofStranger = { first: { ...first!, address }, second: { ...second!, address } }
    expect(kind.read(ofStranger as never)).toMatchObject({ code: 'no-authority', provable: false })
  })

  test('of this node are said again after a restart, in the round that it was in', () => {
    const { ballots, ledger } = rig()
    const said = [ballots.vote('prevote', x), ballots.vote('precommit', x)]
    ballots.round = 1
    said.push(ballots.vote('prevote', null))
    const again = rig(keys[0], ledger).ballots
    expect(again.round).toBe(1)
    expect(again.all().map(({ step, round, hash }) => [step, round, hash])).toEqual([
      ['prevote', 1, null],
      ['precommit', 0, x],
    ])
    expect(said).toEqual(expect.arrayContaining([...again.all()]))
    expect(again.isSaid('prevote')).toBe(true)
    expect(again.isSaid('precommit')).toBe(false)
  })

  test('never contradict each other, however often the node starts again', () => {
    const moves = fc.array(
      fc.record({
        step: fc.constantFrom(...steps),
        round: fc.nat(3),
        hash: fc.constantFrom(x, y, null),
        crash: fc.boolean(),
      }),
      { maxLength: 30 },
    )
    fc.assert(
      fc.property(moves, (all) => {
        const ledger = new MemoryLedger()
        let { ballots } = rig(keys[0], ledger)
        const said = new Map<string, Vote['hash']>()
        for (const { step, round, hash, crash } of all) {
          if (crash) ballots = rig(keys[0], ledger).ballots
          const vote = ballots.vote(step, hash, round)
          if (vote === undefined) continue
          const place = `${step}/${round}`
          if (said.has(place)) expect(vote.hash).toBe(said.get(place)!)
          said.set(place, vote.hash)
        }
      }),
      { numRuns: 50 },
    )
  })

  test('are not signed by who is no authority, nor when a signature of its own was met that is not on record', () => {
    const stranger = rig(testKey(9))
    expect(stranger.ballots.vote('prevote', x)).toBeUndefined()
    expect(stranger.warned).toEqual([])

    const { ballots, warned } = rig()
    ballots.take(voteOf(0, { step: 'precommit', round: 5, hash: x }))
    expect([ballots.vote('prevote', x), ballots.vote('precommit', x)]).toEqual([undefined, undefined])
    expect(warned).toHaveLength(1)
  })

  test('in the certificate of a block are met as well', () => {
    const others = rig(keys[1]).ballots
    for (const n of [0, 1, 2]) others.take(voteOf(n, { step: 'precommit', round: 0, hash: x }, height))
    const { certificate } = others.agreed('precommit')!
    const { ballots, context } = rig()
    ballots.meet(certificate, { step: 'precommit', height, hash: x })
    expect(context.signer.stopped()).toBeDefined()
    expect(ballots.vote('prevote', x)).toBeUndefined()

    const honest = rig()
    honest.ballots.vote('precommit', x)
    honest.ballots.meet(certificate, { step: 'precommit', height, hash: x })
    expect(honest.context.signer.stopped()).toBeUndefined()
  })
})
