// A node's own blocks on a chain with an application.
import { afterEach, expect, test } from 'bun:test'
import { Chain } from '../../../core/chain/chain.ts'
import { developmentGenesis } from '../../../core/chain/genesis.ts'
import { transactionHash, type Transaction } from '../../../core/chain/transaction.ts'
import type { CoreEvents } from '../../../core/events.ts'
import { bunRuntime } from '../../../core/bun.ts'
import { decline, type Application, type Consensus } from '../../../core/index.ts'
import { defaultNodeLimits } from '../../../core/limits.ts'
import { Producer } from '../../../core/producer.ts'
import instant from '../../../plugins/instant/index.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import { someTransaction } from '../../support/chainworld.ts'
import { makeContext } from '../../support/context.ts'
import { countersApplication, CountersModel } from '../../support/counters.ts'
import { eventually } from '../../support/eventually.ts'
import { testKey } from '../../support/headers.ts'

const genesis = developmentGenesis('instant', {}, { name: 'counters', parameters: {} })
const { chainId } = genesis.rules
const count = (counter: string, add: number): Transaction => someTransaction(testKey(1), { counter, add }, chainId)
const idOf = (transaction: Transaction): string => transactionHash(transaction, chainId)

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

/** A node that makes a block of whatever is pending. `meddle`: told of every transaction that the application is asked about. */
function node(meddle: (hash: string) => void = () => undefined) {
  const plain = countersApplication()
  const asked: string[] = []
  const application: Application = {
    ...plain,
    apply(transaction, state) {
      asked.push(transaction.hash)
      meddle(transaction.hash)
      return refused.has(transaction.hash) ? decline('changed-its-mind', 'no') : plain.apply(transaction, state)
    },
  }
  const refused = new Set<string>()
  const runtime = bunRuntime()
  const storage = new MemoryLedger()
  storage.begin(genesis, genesis.block, 0, application.opening())
  const { context } = makeContext({ use: {} })
  const consensus = instant.setup(context, { produce: true }, undefined as never) as Consensus
  const warnings: string[] = []
  const facts: (keyof CoreEvents)[] = []
  const nothing = (): void => undefined
  const log = { debug: nothing, info: nothing, warn: (message: string) => void warnings.push(message), error: nothing }
  const emit = (event: keyof CoreEvents): void => void facts.push(event)
  const chain = new Chain({
    genesis,
    consensus,
    application,
    storage,
    runtime,
    limits: defaultNodeLimits,
    log,
    emit,
    changed: (what) => producer.changed(what),
  })
  const producer = new Producer({ chain, consensus, identity: testKey(9), runtime, log })
  ends.push(async () => {
    await producer.stop()
    await chain.close()
  })
  const blocks = () =>
    Array.from({ length: chain.head().header.index }, (_, i) =>
      chain.block(chain.headerAt(i + 1)!.header.current_hash)!,
    )
  return { chain, producer, storage, asked, refused, warnings, facts, blocks }
}

test('each block commits to the state, and is executed once more than at the door and not twice', async () => {
  const { chain, producer, storage, asked, warnings, blocks } = node()
  producer.start()
  const transactions = [count('a', 1), count('a', 2), count('bank', -30), count('a', -3)]
  for (const one of transactions) expect(await chain.submitTransaction(one)).toMatchObject({ ok: true })
  await eventually(() => chain.pendingCount() === 0, 'all is recorded')
  let model = CountersModel.opening()
  for (const block of blocks()) {
    model = model.after(block.transactions)!
    expect(block.state_root).toBe(model.root)
  }
  expect(storage.stateAt('bank', chain.head().header.index)).toBe('70')
  for (const one of transactions) expect(asked.filter((hash) => hash === idOf(one))).toHaveLength(2)
  expect(warnings).toEqual([])
})

test.each([
  ['is declined', (refused: Set<string>, hash: string) => void refused.add(hash)],
  ['makes the application throw', undefined],
])('one that %s although it was taken is dropped, and never keeps a block from being made', async (_what, spoil) => {
  let poison = ''
  const { chain, producer, refused, facts, warnings } = node((hash) => {
    if (hash === poison) throw new Error('a fault of the plugin')
  })
  const [first, bad, last] = [count('a', 5), count('a', -1), count('a', -4)]
  for (const one of [first, bad, last]) expect(await chain.submitTransaction(one)).toMatchObject({ ok: true })
  if (spoil === undefined) poison = idOf(bad)
  else spoil(refused, idOf(bad))
  producer.start()
  await eventually(() => chain.status(idOf(last)).status === 'included', 'the others are recorded')
  expect(chain.status(idOf(first)).status).toBe('included')
  const code = spoil === undefined ? 'application-failed' : 'changed-its-mind'
  expect(chain.status(idOf(bad))).toMatchObject({ status: 'unknown', refusal: { code } })
  expect(facts).toContain('tx:dropped')
  expect(warnings).toEqual([])
})

test('where nothing that is pending holds, no block is made of it', async () => {
  const { chain, producer, refused } = node()
  const bad = count('a', 1)
  expect(await chain.submitTransaction(bad)).toMatchObject({ ok: true })
  refused.add(idOf(bad))
  producer.start()
  await eventually(() => chain.pendingCount() === 0, 'it is dropped')
  expect(await chain.submitTransaction(count('a', 2))).toMatchObject({ ok: true })
  await eventually(() => chain.pendingCount() === 0, 'the next is recorded')
  expect(chain.head().header.index).toBe(1)
})
