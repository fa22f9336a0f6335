import { expect, test } from 'bun:test'
import * as v from 'valibot'
import { developmentGenesis } from '../../../core/chain/genesis.ts'
import { defaultNodeLimits } from '../../../core/limits.ts'
import type { Context, Storage } from '../../../core/plugin.ts'
import pow from '../../../plugins/pow/index.ts'
import { consensusContract, type EngineUnderTest } from '../../contract/consensus.ts'
import { sealBranch, testKey } from '../../support/headers.ts'

/** The plugin, set up as core does it, with as much of a context as it needs. */
async function make(table: { difficulty: number; block_time?: number }): Promise<EngineUnderTest> {
  const genesis = developmentGenesis('pow', table)
  const releases: (() => void | Promise<void>)[] = []
  const storage: Pick<Storage, 'openRange' | 'closeRange'> = { openRange: () => 1, closeRange: () => undefined }
  const quiet = () => undefined
  const context = {
    use: { storage },
    node: { name: 'test', dataDir: '', port: 0, version: '0' },
    identity: testKey(7),
    genesis,
    limits: defaultNodeLimits,
    runtime: {
      clock: {
        now: () => Date.now(),
        monotonic: () => performance.now(),
        after: (milliseconds: number, run: () => void) => {
          const timer = setTimeout(run, milliseconds)
          return { cancel: () => clearTimeout(timer) }
        },
      },
    },
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    publish: quiet,
    defer: (release: () => void | Promise<void>) => void releases.push(release),
  }
  const engine = await pow.setup(
    context as unknown as Context<'storage'>,
    v.parse(pow.config, {}),
    v.parse(pow.parameters!, genesis.parameters),
  )
  return {
    engine,
    genesis,
    async dispose() {
      for (const release of releases.toReversed()) await release()
    },
  }
}

consensusContract('pow', () => make({ difficulty: 1 }))
consensusContract('pow with workers', () => make({ difficulty: 3 }))
consensusContract('pow with a block time', () => make({ difficulty: 2, block_time: 10 }))

test('blocks that come early make the next ones harder', async () => {
  const made = await make({ difficulty: 2, block_time: 10 })
  const branch = await sealBranch(made.engine, made.genesis, 6, testKey(7))
  await made.dispose()
  const works = branch.slice(1).map(({ work }) => work)
  expect(works.slice(0, 2)).toEqual([256, 256])
  for (let i = 2; i < works.length; i++) expect(works[i]!).toBeGreaterThan(works[i - 1]!)
})
