import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { readGenesis } from '../../../core/chain/genesis.ts'
import type { Context, CoreEvents } from '../../../core/index.ts'
import plugin from '../../../plugins/finality/index.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import { makeContext } from '../../support/context.ts'
import { keysOf } from './world.ts'

const [key] = keysOf(4)
const table = { authorities: keysOf(4).map(({ address }) => address) }
const chain = readGenesis(
  { name: 'test', timestamp: '2026-01-01T00:00:00.000Z', consensus: 'pow', finality: table },
  'test',
)

function setUp(more: Partial<Context<'storage'>> = {}) {
  const storage = new MemoryLedger()
  const heard: (keyof CoreEvents)[] = []
  const made = makeContext<'storage'>({
    use: { storage },
    genesis: chain,
    identity: key!,
    on: (event) => void heard.push(event),
    ...more,
  })
  const setup = () => plugin.setup(made.context, v.parse(plugin.config, {}), v.parse(plugin.parameters!, table))
  return { ...made, heard, setup }
}

describe('the plugin', () => {
  test('says in a line what it is', () => {
    expect(plugin.summary.length).toBeLessThanOrEqual(55)
    expect(v.parse(plugin.config, {})).toEqual({ vote: true, round_milliseconds: 1_000 })
    expect(v.safeParse(plugin.config, { votes: true }).success).toBe(false)
  })

  test('fills the slot: block 0 is justified and final, until somebody votes', async () => {
    const { setup, heard, contributed, release } = setUp()
    const finality = await setup()
    expect(finality.final()).toEqual({ index: 0, hash: chain.rules.chainId })
    expect(finality.justified()).toEqual(finality.final())
    expect(finality.waits()).toBeUndefined()
    expect(heard).toEqual(['peer:joined', 'sync:started', 'sync:ended'])
    expect(contributed.all('evidence').map(({ name }) => name)).toEqual(['finality'])
    const { metrics, faults } = contributed.figures()
    expect(faults).toEqual([])
    expect(metrics).toEqual([
      { name: 'finality_height', labels: {}, value: 0 },
      { name: 'finality_lag_blocks', labels: {}, value: 0 },
      { name: 'finality_votes_total', labels: { kind: 'justify' }, value: 0 },
      { name: 'finality_votes_total', labels: { kind: 'commit' }, value: 0 },
    ])
    expect(contributed.findings()).toEqual([{ name: 'finality:quorum', status: 'pass', output: '' }])
    await release()
  })

  test('needs a chain', () => {
    const { setup } = setUp({ genesis: undefined })
    expect(setup).toThrow('load an engine too')
  })
})
