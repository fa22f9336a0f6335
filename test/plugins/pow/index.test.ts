import { expect, test } from 'bun:test'
import pow from '../../../plugins/pow/index.ts'
import { consensusContract, type ConsensusOptions } from '../../contract/consensus.ts'
import { Crew } from '../../contract/consensus-crew.ts'

const withTable = (table: { difficulty: number; block_time?: number }): ConsensusOptions => ({
  parameters: () => table,
})

// So little work is done without threads.
consensusContract(pow, { ...withTable({ difficulty: 1 }), mayBeAway: 1 })
consensusContract(pow, { ...withTable({ difficulty: 3 }), name: 'pow with workers', network: false })
consensusContract(pow, {
  ...withTable({ difficulty: 2, block_time: 10 }),
  name: 'pow with a block time',
  network: false,
})

test('blocks that come early make the next ones harder', async () => {
  const crew = await Crew.of(pow, withTable({ difficulty: 2, block_time: 10 }))
  while (crew.head.index < 6) await crew.sealNext()
  await crew.dispose()
  const works = crew.branch.slice(1).map(({ work }) => work)
  expect(works.slice(0, 2)).toEqual([256, 256])
  for (let i = 2; i < works.length; i++) expect(works[i]!).toBeGreaterThan(works[i - 1]!)
})
