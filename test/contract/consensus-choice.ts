// Which of several chains is the best must follow from the chains alone: an engine's weights and ranks under core's fork
// choice, in a real chain on a ledger in memory.
import { describe, expect, test } from 'bun:test'
import { bunRuntime } from '../../core/bun.ts'
import { sealedHeaderOf, type Block, type SealedHeader } from '../../core/chain/block.ts'
import { Chain } from '../../core/chain/chain.ts'
import type { Hash } from '../../core/chain/canonical.ts'
import { defaultNodeLimits } from '../../core/limits.ts'
import type { LoadedPlugin } from '../../core/plugin.ts'
import { MemoryLedger } from '../../plugins/memory/ledger.ts'
import { Dice } from '../sim/dice.ts'
import { eventually } from '../support/eventually.ts'
import { timeOf } from '../support/headers.ts'
import { Crew, type ConsensusOptions } from './consensus-crew.ts'

const orders = 8
const silent = (): void => {}

export function choiceContract(plugin: LoadedPlugin, options: ConsensusOptions): void {
  describe('of several chains', () => {
    test('every block weighs at least 1, the same in whatever order and at whatever node it is asked', async () => {
      await using tree = await treeOf(plugin, options)
      const weights = tree.headers.map((header) => tree.crew.engine.weight(header))
      for (const { engine } of tree.crew.members) {
        expect(
          tree.headers
            .toReversed()
            .map((header) => engine.weight(header))
            .toReversed(),
        ).toEqual(weights)
      }
      for (const weight of weights) {
        // Without types a number passes for one, until it is added to another.
        expect(typeof weight).toBe('bigint')
        expect(weight).toBeGreaterThanOrEqual(1n)
      }
    })

    test('the same is chosen in whatever order they arrive, and what a chain weighs is the sum of its blocks', async () => {
      await using tree = await treeOf(plugin, options)
      const dice = new Dice('orders of arrival')
      const heads = new Set<Hash>()
      for (let order = 0; order < orders; order++) {
        const { head, totalWork } = await arrive(dice.shuffled(tree.headers), tree.crew)
        heads.add(head.current_hash)
        expect(totalWork).toBe(tree.weightOf(head))
      }
      expect([...heads]).toHaveLength(1)
    })
  })
}

interface Tree extends AsyncDisposable {
  readonly crew: Crew
  /** Of all branches, each once. */
  readonly headers: readonly SealedHeader[]
  weightOf(head: SealedHeader): bigint
}

/** Competing branches, of honest engines that did not hear of each other; one where nothing competes with what is final. */
async function treeOf(plugin: LoadedPlugin, options: ConsensusOptions): Promise<Tree> {
  const trunk = await Crew.of(plugin, options)
  await grow(trunk, 4, 1_000)
  const crews = [trunk]
  if (trunk.engine.finalAtOnce !== true) {
    for (const [from, length, step] of [
      [0, 3, 1_700],
      [0, 4, 2_300],
      [2, 2, 2_900],
      [2, 1, 3_100],
    ] as const) {
      const crew = await Crew.of(plugin, options, trunk.branch.slice(0, from + 1))
      await grow(crew, length, step)
      crews.push(crew)
    }
  }
  const byHash = new Map(crews.flatMap(({ branch }) => branch.slice(1)).map((one) => [one.current_hash, one]))
  return {
    crew: trunk,
    headers: [...byHash.values()],
    weightOf(head) {
      let sum = 0n
      for (let at: SealedHeader | undefined = head; at !== undefined; at = byHash.get(at.prev_hash)) {
        sum += trunk.engine.weight(at)
      }
      return sum
    },
    [Symbol.asyncDispose]: async () => {
      for (const crew of crews) await crew.dispose()
    },
  }
}

/** `step`: milliseconds between blocks, which tells branches apart. */
async function grow(crew: Crew, length: number, step: number): Promise<void> {
  for (let block = 0; block < length; block++) await crew.sealNext(timeOf(crew.head) + step)
}

/** A chain that is given these blocks, one after the other; what it made of them. */
async function arrive(headers: readonly SealedHeader[], { genesis, engine }: Crew) {
  const storage = new MemoryLedger()
  storage.begin(genesis, genesis.block, 0)
  const last = Math.max(...headers.map(timeOf))
  const real = bunRuntime()
  const chain = new Chain({
    genesis,
    consensus: engine,
    storage,
    runtime: { ...real, clock: { ...real.clock, now: () => last + 1_000 } },
    limits: defaultNodeLimits,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    emit: silent,
    changed: silent,
  })
  for (const header of headers) {
    const verdict = await chain.submitBlock({ ...header, transactions: [] } satisfies Block)
    if (!verdict.ok && verdict.code !== 'orphan')
      throw new Error(`block ${header.index}: ${verdict.code}: ${verdict.detail}`)
  }
  await eventually(
    () => headers.every(({ current_hash: hash }) => storage.header(hash) !== undefined),
    'what came before its parent is taken when that is here',
  )
  const head = chain.head()
  await chain.close()
  return { head: sealedHeaderOf(head.header), totalWork: head.totalWork }
}
