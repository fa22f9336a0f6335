import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { developmentGenesis } from '../../../core/chain/genesis.ts'
import instant from '../../../plugins/instant/index.ts'
import { consensusContract } from '../../contract/consensus.ts'
import { makeContext } from '../../support/context.ts'
import { ancestryOf, genesisHeader, sealBranch, testKey } from '../../support/headers.ts'

const genesis = developmentGenesis('instant', {})

// More than one would make different blocks at the same height, at once and without end.
consensusContract(instant, { config: (node) => ({ produce: node === 0 }) })

async function make(config: { produce?: boolean } = {}) {
  const { context } = makeContext({ use: {} })
  return { engine: await instant.setup(context, v.parse(instant.config, config), {}) }
}

describe('instant', () => {
  test('produces as soon as there is a transaction', async () => {
    const { engine } = await make()
    const ancestry = ancestryOf([genesisHeader(genesis)])
    expect(engine.due(ancestry, 1, 99, 99)).toEqual({ when: 99 })
    expect(engine.due(ancestry, 0, 99, 99)).toEqual({ waitsFor: 'a transaction' })
  })

  test('produces nothing where it is told not to', async () => {
    const { engine } = await make({ produce: false })
    expect(engine.due(ancestryOf([genesisHeader(genesis)]), 1, 99, 99)).toHaveProperty('waitsFor')
  })

  test('refuses what is not as it makes it, and says why', async () => {
    const { engine } = await make()
    const branch = await sealBranch(engine, genesis, 1, testKey(7))
    const codeOf = (more: object) => engine.verify({ ...branch[1]!, ...more }, ancestryOf(branch.slice(0, 1)))
    expect(codeOf({})).toEqual({ ok: true })
    expect(codeOf({ work: 2 })).toMatchObject({ code: 'bad-work' })
    expect(codeOf({ nonce: 1 })).toMatchObject({ code: 'bad-seal' })
    for (const field of ['seal', 'certificate', 'signer_id']) {
      expect(codeOf({ [field]: {} })).toMatchObject({ code: 'bad-block' })
    }
  })

  test('stays an example: under a hundred lines', () => {
    const source = readFileSync(new URL('../../../plugins/instant/index.ts', import.meta.url), 'utf8')
    expect(source.split('\n').length).toBeLessThan(100)
  })
})
