// Random commits, undos and reorganisations with state, side blocks and reports, against a plain model.
import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { Block } from '../../core/chain/block.ts'
import type { OutboxEntry, StateEntry, Storage } from '../../core/plugin.ts'
import { makeApplied, makeBlock, makeGenesis } from '../support/blocks.ts'
import type { Opened } from './storage.ts'

const genesis = makeGenesis()
const keys = ['', 'asset/1', 'user/a', 'user/b', 'user/b\u0000', '\ue000', '😀']
const runs = 25

const state = fc
  .dictionary(fc.constantFrom(...keys), fc.option(fc.constantFrom('', '1', '2', '{"a":1}')), { maxKeys: 4 })
  .map((values) => Object.entries(values).map(([key, value]) => ({ key, value: value ?? undefined })))

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('move' as const),
      undo: fc.nat(3),
      /** The blocks that were undone come back before the new ones. */
      again: fc.boolean(),
      blocks: fc.array(state, { maxLength: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('side' as const), state }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('report' as const), index: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

interface Stated {
  readonly block: Block
  readonly state: readonly StateEntry[]
}

/** What a ledger should say, kept without thought for speed. */
class Model {
  readonly chain: Stated[]
  readonly side: Stated[] = []
  readonly told: Omit<OutboxEntry, 'sequence'>[] = []
  #made = 0

  constructor(opening: readonly StateEntry[]) {
    this.chain = [{ block: genesis.block, state: opening }]
  }

  make(parent: Block, changes: readonly StateEntry[]): Stated {
    this.#made += 1
    return { block: makeBlock(parent, { extra: String(this.#made) }), state: changes }
  }

  tell(kind: OutboxEntry['kind'], { index, current_hash }: Block, body?: string): void {
    this.told.push({ kind, index, hash: current_hash, body })
  }

  at(key: string, height: number): string | undefined {
    const below = this.chain.slice(0, height + 1).flatMap((one) => one.state)
    return below.findLast((entry) => entry.key === key)?.value
  }
}

/** Does a step to both. */
function take(each: Exclude<Step, { kind: 'reopen' }>, storage: Storage, model: Model): void {
  switch (each.kind) {
    case 'move': {
      const undone = model.chain.splice(Math.max(1, model.chain.length - each.undo)).toReversed()
      const applied = each.again ? undone.toReversed() : []
      for (const changes of each.blocks) {
        applied.push(model.make((applied.at(-1) ?? model.chain.at(-1)!).block, changes))
      }
      for (const { block } of undone) model.tell('undone', block)
      for (const { block } of applied) model.tell('applied', block)
      model.chain.push(...applied)
      model.side.push(...(each.again ? [] : undone))
      return storage.commit({
        undone: undone.map(({ block }) => block.current_hash),
        applied: applied.map((one) => ({ ...makeApplied(one.block, BigInt(one.block.index)), state: one.state })),
        returned: [],
        writtenAt: 0,
      })
    }
    case 'side': {
      const one = model.make(model.chain[0]!.block, each.state)
      model.side.push(one)
      return storage.keepSide(one.block, 1n, one.state)
    }
    case 'report': {
      const { block } = model.chain[each.index % model.chain.length]!
      model.tell('reported', block, '{}')
      return storage.report([{ index: block.index, hash: block.current_hash, body: '{}' }], 'own', [])
    }
  }
}

/** Everything that the ledger says of state and outbox is what the model says. */
function compare(storage: Storage, model: Model): void {
  for (const key of keys) {
    for (let height = 0; height <= model.chain.length; height++) {
      expect(storage.stateAt(key, height)).toBe(model.at(key, height))
    }
  }
  for (const one of [...model.chain, ...model.side]) {
    const inOrder = one.state.toSorted((a, b) => (a.key < b.key ? -1 : 1))
    expect(storage.stateChanges(one.block.current_hash)).toStrictEqual(inOrder)
  }
  const entries = storage.outbox(0, 1_000)
  expect(entries.map(({ sequence: _sequence, ...entry }) => entry)).toStrictEqual(model.told)
  expect(entries.every(({ sequence }, n) => sequence > (entries[n - 1]?.sequence ?? 0))).toBe(true)
  expect(storage.outboxEnd()).toBe(entries.at(-1)?.sequence ?? 0)
  for (let place = 0; place < entries.length; place++) {
    const { index, sequence } = entries[place]!
    const applied = entries.slice(0, place + 1).findLast((entry) => entry.kind === 'applied' && entry.index === index)
    expect(storage.appliedAt(index, sequence)).toEqual(applied)
  }
}

export function stateProperties(open: () => Opened): void {
  test('random moves leave the state, the changes and the outbox that a plain model leaves', () => {
    fc.assert(
      fc.property(state, fc.array(step, { maxLength: 12 }), (first, steps) => {
        const opened = open()
        let storage = opened.storage
        const model = new Model(first.filter(({ value }) => value !== undefined))
        try {
          storage.begin(genesis, genesis.block, 0, first)
          for (const each of steps) {
            if (each.kind === 'reopen') storage = opened.reopen?.() ?? storage
            else take(each, storage, model)
          }
          compare(storage, model)
          expect(storage.integrity()).toBeUndefined()
        } finally {
          opened.close()
        }
      }),
      { numRuns: runs },
    )
  })
}
