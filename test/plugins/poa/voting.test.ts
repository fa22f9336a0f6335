// The voting cases of EIP-225, with real headers and keys: block by block, and in one batch by one who sees the chain for
// the first time.
import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { afterBallot, majorityOf, tallyOn, type Electorate } from '../../../plugins/poa/votes.ts'
import type { Ballot } from '../../../plugins/poa/seal.ts'
import vectors from '../../vectors/poa-voting/eip225.json'
import { addressOf, each, letterOf, Ring, ring } from './support.ts'

interface VectorBlock {
  readonly signer: string
  readonly vote?: { readonly target: string; readonly authorize: boolean }
  readonly checkpoint?: readonly string[]
}
interface Case {
  readonly n: number
  readonly epoch: number
  readonly signers: readonly string[]
  readonly blocks: readonly VectorBlock[]
  readonly final_signers?: readonly string[]
  readonly failure?: string
}
const cases = vectors.cases as readonly Case[]
const codes: Readonly<Record<string, string>> = {
  unauthorized_signer: 'not-authority',
  recently_signed: 'recently-signed',
}

const ballotOf = ({ vote }: VectorBlock): Ballot | undefined =>
  vote && { target: addressOf(vote.target), authorize: vote.authorize }

/** Every block is verified when it comes; undefined: all were taken. */
function play({ signers, epoch, blocks }: Case): { world: Ring; code?: string } {
  const world = new Ring(signers.join(''), { epoch })
  for (const one of blocks) {
    const header = world.block(one.signer, ballotOf(one))
    if (one.checkpoint !== undefined) {
      expect((header.seal!['authorities'] as string[]).map(letterOf)).toEqual([...one.checkpoint])
    }
    const verdict = world.verify(header)
    if (!verdict.ok) {
      expect(one).toBe(blocks.at(-1)!)
      return { world, code: verdict.code }
    }
    world.branch.push(header)
  }
  return { world }
}

test('there are all 23 of them', () => {
  expect(cases.map(({ n }) => n)).toEqual(Array.from({ length: 23 }, (_, at) => at + 1))
})

describe.each(cases.map((one) => [one.n, one] as const))('EIP-225, case %d', (_n, given) => {
  const { final_signers: final, failure, epoch, signers } = given

  test('block by block, with headers that are verified', () => {
    const { world, code } = play(given)
    expect(code).toBe(failure === undefined ? undefined : codes[failure]!)
    if (final !== undefined) expect(world.names()).toEqual([...final])
  })

  test('in one batch, by one who sees the chain for the first time', () => {
    const { world } = play(given)
    const newcomer = ring(signers.join(''), { epoch })
    if (final !== undefined) expect(world.names(newcomer)).toEqual([...final])
    if (failure === undefined) return
    const last = given.blocks.at(-1)!
    const verdict = world.engine('L', newcomer).verify(world.block(last.signer, ballotOf(last)), world.ancestry)
    expect(verdict).toMatchObject({ ok: false, code: codes[failure]! })
  })

  test('the votes alone, as far as they make sense without turns', () => {
    let electorate: Electorate = { authorities: signers.map(addressOf), votes: [] }
    for (const one of given.blocks) {
      const ballot = ballotOf(one)
      if (one.checkpoint !== undefined) electorate = { ...electorate, votes: [] }
      else if (ballot !== undefined) electorate = afterBallot(electorate, addressOf(one.signer), ballot)
    }
    if (final !== undefined) expect(electorate.authorities.map(letterOf)).toEqual([...final])
  })
})

describe('votes', () => {
  const of = (letters: string): Electorate => ({ authorities: each(letters).map(addressOf), votes: [] })
  const add = (target: string): Ballot => ({ target: addressOf(target), authorize: true })
  const remove = (target: string): Ballot => ({ target: addressOf(target), authorize: false })
  const withdraw = (target: string): Ballot => ({ target: addressOf(target), withdraw: true })

  test('a vote that is taken back does not count any more', () => {
    const once = afterBallot(of('ABC'), addressOf('A'), add('D'))
    const back = afterBallot(once, addressOf('A'), withdraw('D'))
    expect(back.votes).toEqual([])
    expect(afterBallot(back, addressOf('B'), add('D')).authorities.map(letterOf)).toEqual(['A', 'B', 'C'])
    expect(afterBallot(once, addressOf('B'), add('D')).authorities.map(letterOf)).toEqual(['A', 'B', 'C', 'D'])
  })

  test('it takes more than half', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 8].map(majorityOf)).toEqual([1, 2, 2, 3, 3, 4, 4, 5])
  })

  test('whatever is voted: sorted, each once, only votes of authorities, of each one on a target, and no majority is left over from it', () => {
    const letter = fc.constantFrom(...each('ABCDEFGH'))
    const ballots = fc.array(fc.tuple(letter, letter, fc.constantFrom('add', 'remove', 'withdraw')), { maxLength: 60 })
    fc.assert(
      fc.property(ballots, (said) => {
        let electorate = of('ABCD')
        for (const [signer, target, what] of said) {
          if (!electorate.authorities.includes(addressOf(signer))) continue
          const ballot = what === 'withdraw' ? withdraw(target) : what === 'add' ? add(target) : remove(target)
          const before = electorate
          electorate = afterBallot(electorate, addressOf(signer), ballot)
          const { authorities, votes } = electorate
          expect(authorities).toEqual([...new Set(authorities)].sort())
          expect(Math.abs(authorities.length - before.authorities.length)).toBeLessThanOrEqual(1)
          for (const vote of votes) {
            expect(authorities).toContain(vote.signer)
            expect(authorities.includes(vote.target)).toBe(!vote.authorize)
          }
          expect(new Set(votes.map((vote) => `${vote.signer}/${vote.target}`)).size).toBe(votes.length)
          // What was just touched is decided.
          expect(tallyOn(electorate, addressOf(target))?.passes ?? false).toBe(false)
        }
      }),
    )
  })
})
