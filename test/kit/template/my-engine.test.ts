// Run by: aurex test ./my-engine.test.ts
import { expect, test } from 'bun:test'
import { consensusContract, Crew } from 'aurex/testing'
import engine from './my-engine.ts'

// What every engine must do, alone and in a network of four that loses messages, is torn apart and loses its power. With
// `{ mayBeAway: 1 }` it demands that three go on while the fourth is away: these do not yet.
consensusContract(engine)

// And what only this one does. A crew is a few of its nodes on one branch of headers, without a network.
test('three authorities take turns', async () => {
  const crew = await Crew.of(engine, { producers: 3 })
  for (let height = 1; height <= 6; height++) await crew.sealNext()
  const [first, second, third] = crew.keys.map(({ nodeId }) => nodeId)
  const producers = crew.branch.slice(1).map((header) => header.miner_id)
  expect(producers).toEqual([second!, third!, first!, second!, third!, first!])
  await crew.dispose()
})
