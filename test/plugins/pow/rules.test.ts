import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import * as v from 'valibot'
import type { SealedHeader } from '../../../core/chain/block.ts'
import { developmentGenesis } from '../../../core/chain/genesis.ts'
import { powEngine, type Sealer } from '../../../plugins/pow/engine.ts'
import { retarget } from '../../../plugins/pow/asert.ts'
import { difficultyOf, meetsTarget, target, verifyHeader, workAt } from '../../../plugins/pow/rules.ts'
import { configSchema, parametersSchema, type PowConfig } from '../../../plugins/pow/schema.ts'
import { ancestryOf, draftAfter, genesisHeader, signedHeader, testKey, timeOf } from '../../support/headers.ts'

const key = testKey(1)
const hex = (value: bigint) => value.toString(16).padStart(64, '0')

describe('the target', () => {
  test.each([0, 1, 2, 3, 4, 7, 13])('of work 16^%d is met by exactly so many leading zero hex digits', (digits) => {
    const work = 16 ** digits
    expect(meetsTarget('0'.repeat(digits) + 'f'.repeat(64 - digits), work)).toBe(true)
    if (digits > 0) expect(meetsTarget('0'.repeat(digits - 1) + '1' + '0'.repeat(64 - digits), work)).toBe(false)
    expect(difficultyOf(work)).toBe(digits)
  })

  test('of work 1 takes every hash', () => {
    expect(meetsTarget('f'.repeat(64), 1)).toBe(true)
    expect(target(1)).toBe(2n ** 256n)
  })

  test('is not met by a hash that equals it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 2 ** 52 }), (work) => {
        const bound = 2n ** 256n / BigInt(work)
        expect(meetsTarget(hex(bound), work)).toBe(false)
        expect(meetsTarget(hex(bound - 1n), work)).toBe(true)
      }),
    )
  })

  test('is rounded down: work 3', () => {
    expect(target(3)).toBe(BigInt(`0x${'5'.repeat(64)}`))
    expect(meetsTarget('5'.repeat(64), 3)).toBe(false)
    expect(meetsTarget(`${'5'.repeat(63)}4`, 3)).toBe(true)
  })
})

describe('the parameters', () => {
  const parse = (value: unknown) => v.safeParse(parametersSchema, value)

  test('default to difficulty 4 and nothing else, so that the genesis holds nothing that was not written', () => {
    expect(parse({})).toMatchObject({ success: true, output: { difficulty: 4 } })
    expect(Object.keys(v.parse(parametersSchema, { block_time: 10 })).toSorted()).toEqual(['block_time', 'difficulty'])
  })

  test.each([
    [{ difficulty: 14 }],
    [{ difficulty: -1 }],
    [{ difficulty: 1.5 }],
    [{ difficulty: '4' }],
    [{ block_time: 0 }],
    [{ block_time: 1.5 }],
    [{ half_life: 100 }],
    [{ blocktime: 10 }],
  ])('%j is refused', (value) => {
    expect(parse(value).success).toBe(false)
  })
})

/** A branch whose blocks follow each other after so many seconds, with the work that the rules give. */
function branchOf(parameters: v.InferInput<typeof parametersSchema>, seconds: readonly number[]): SealedHeader[] {
  const parsed = v.parse(parametersSchema, parameters)
  const branch = [genesisHeader(developmentGenesis('pow', {}))]
  for (const after of seconds) {
    const draft = draftAfter(branch, key, timeOf(branch.at(-1)!) + after * 1000)
    branch.push(signedHeader({ ...draft, work: workAt(ancestryOf(branch), parsed) }, 0, key))
  }
  return branch
}
const works = (branch: readonly SealedHeader[]) => branch.slice(1).map(({ work }) => work)

describe('the work of a block', () => {
  test('is constant without a block_time', () => {
    expect(works(branchOf({ difficulty: 3 }, [1, 1, 100, 1e6, 0]))).toEqual([4096, 4096, 4096, 4096, 4096])
  })

  test('is 16^difficulty for the first two blocks, and follows the time between blocks from the third', () => {
    const [first, second, third, fourth] = works(branchOf({ difficulty: 4, block_time: 10 }, [1e7, 5, 10, 10]))
    expect([first, second]).toEqual([65_536, 65_536])
    // Block 2 came 5 s after block 1: half a block time early at the default half life of 20 block times.
    expect(third).toBe(retarget(65_536, 5_000, { blockTime: 10_000, halfLife: 200_000 }))
    expect(third).toBeGreaterThan(65_536)
    expect(fourth).toBe(third)
  })

  test('never falls below a sixteenth of the genesis’s, however late the blocks are', () => {
    const late = works(
      branchOf(
        { difficulty: 2, block_time: 10, half_life: 10 },
        Array.from({ length: 12 }, () => 1e5),
      ),
    )
    expect(late.at(-1)).toBe(16)
    expect(Math.min(...late)).toBe(16)
  })

  test('takes the half life from the genesis where it is given', () => {
    const [, , third] = works(branchOf({ difficulty: 4, block_time: 10, half_life: 10 }, [1, 0, 0]))
    expect(third).toBe(131_072)
  })

  test('is the same whoever computes it, on any branch with the same timestamps', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 20 }), (seconds) => {
        const parameters = { difficulty: 4, block_time: 10 }
        expect(works(branchOf(parameters, seconds))).toEqual(works(branchOf(parameters, seconds)))
      }),
      { numRuns: 20 },
    )
  })

  test('is not guessed when an ancestor is missing', () => {
    const branch = branchOf({ difficulty: 1, block_time: 10 }, [1, 1, 1])
    const ancestry = { parent: branch[3]!, at: () => undefined }
    expect(() => workAt(ancestry, v.parse(parametersSchema, { block_time: 10 }))).toThrow('not in the ledger')
  })
})

describe('verify', () => {
  const parameters = v.parse(parametersSchema, { difficulty: 1 })
  const branch = [genesisHeader(developmentGenesis('pow', {}))]
  const draft = { ...draftAfter(branch, key), work: 16 }
  const nonces = Array.from({ length: 200 }, (_, nonce) => signedHeader(draft, nonce, key))
  const good = nonces.find(({ current_hash }) => current_hash.startsWith('0'))!
  const bad = nonces.find(({ current_hash }) => !current_hash.startsWith('0'))!
  const verify = (header: SealedHeader) => verifyHeader(header, ancestryOf(branch), parameters)

  test('takes a hash below the target and refuses one that is not', () => {
    expect(verify(good)).toEqual({ ok: true })
    expect(verify(bad)).toMatchObject({ ok: false, code: 'bad-seal', provable: true })
  })

  test('looks at the work first: what the header claims does not count', () => {
    for (const work of [1, 15, 17, 256, Number.MAX_SAFE_INTEGER]) {
      expect(verify({ ...bad, work, seal: {} })).toMatchObject({ ok: false, code: 'bad-work' })
    }
  })

  test.each([{ seal: {} }, { certificate: null }, { signer_id: key.nodeId }])(
    'refuses %j, which it has no use for',
    (more) => {
      expect(verify({ ...good, ...more })).toMatchObject({ ok: false, code: 'bad-block' })
    },
  )
})

describe('due', () => {
  const idle: Sealer = { seal: () => Promise.resolve(undefined) }
  const branch = [genesisHeader(developmentGenesis('pow', {}))]
  const parentTime = timeOf(branch[0]!)
  const due = (config: Partial<PowConfig>, pending: number) =>
    powEngine({ difficulty: 1 }, v.parse(configSchema, config), idle).due(ancestryOf(branch), pending, 5, 5)

  test('now with a transaction, never without', () => {
    expect(due({}, 1)).toEqual({ when: 5 })
    expect(due({}, 0)).toEqual({ waitsFor: 'a transaction' })
  })

  test('for an empty block so long after the last one', () => {
    expect(due({ mine_empty_after: 2.5 }, 0)).toEqual({ when: parentTime + 2500 })
  })

  test('never where mining is off', () => {
    for (const pending of [0, 1]) expect(due({ mine: false, mine_empty_after: 1 }, pending)).toHaveProperty('waitsFor')
  })
})
