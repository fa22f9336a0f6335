// Random moves, side blocks, records and finals, among them such as must be refused, against a plain model.
import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { Block } from '../../core/chain/block.ts'
import type { OutboxEntry, OwnedChanges, Storage } from '../../core/plugin.ts'
import { makeApplied, makeBlock, makeGenesis } from '../support/blocks.ts'
import { codeOf, type Opened } from './storage.ts'

const genesis = makeGenesis()
const owners = ['signing', 'poa']
const keys = ['a', 'b']
const runs = 40

const records = fc.array(
  fc.record({
    owner: fc.constantFrom(...owners),
    changes: fc.array(fc.tuple(fc.constantFrom(...keys), fc.option(fc.constantFrom('1', '2'), { nil: undefined })), {
      maxLength: 2,
    }),
  }),
  { maxLength: 2 },
)
/** Says nothing, something below, within or above the chain. */
const final = fc.option(fc.nat(12), { nil: undefined })

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('move' as const), undo: fc.nat(3), blocks: fc.nat(3), records, final }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('side' as const), on: fc.nat(), records }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('finalize' as const), height: fc.nat(12) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('prune' as const), keep: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** What a ledger should say, kept without thought for speed. */
class Model {
  chain: Block[] = [genesis.block]
  side: Block[] = []
  final = 0
  readonly records = new Map<string, string>()
  readonly told: Omit<OutboxEntry, 'sequence'>[] = []
  #made = 0

  make(parent: Block): Block {
    this.#made += 1
    return makeBlock(parent, { extra: String(this.#made) })
  }

  tell(kind: OutboxEntry['kind'], { index, current_hash }: Block): void {
    this.told.push({ kind, index, hash: current_hash, body: undefined })
  }

  finalize(height: number): void {
    const block = this.chain[height]
    if (block === undefined || height <= this.final) return
    this.final = height
    this.tell('final', block)
  }

  write(changes: readonly OwnedChanges[]): void {
    for (const { owner, changes: own } of changes) {
      for (const [key, value] of own) {
        if (value === undefined) this.records.delete(`${owner} ${key}`)
        else this.records.set(`${owner} ${key}`, value)
      }
    }
  }

  tips(): string[] {
    const below = new Set(this.side.map((block) => block.prev_hash))
    return this.side.map((block) => block.current_hash).filter((hash) => !below.has(hash))
  }
}

/** Does a step to both. */
function take(each: Exclude<Step, { kind: 'reopen' }>, storage: Storage, model: Model): void {
  switch (each.kind) {
    case 'move': {
      const kept = model.chain.slice(0, Math.max(1, model.chain.length - each.undo))
      const undone = model.chain.slice(kept.length).toReversed()
      const applied: Block[] = []
      for (let n = 0; n < each.blocks; n++) applied.push(model.make(applied.at(-1) ?? kept.at(-1)!))
      const change = {
        undone: undone.map((block) => block.current_hash),
        applied: applied.map((block) => makeApplied(block, BigInt(block.index))),
        returned: [],
        writtenAt: 0,
        records: each.records,
        ...(each.final === undefined ? {} : { final: each.final }),
      }
      if (kept.length <= model.final) return expect(codeOf(() => storage.commit(change))).toBe('storage-failed')
      for (const block of undone) model.tell('undone', block)
      for (const block of applied) model.tell('applied', block)
      model.chain = [...kept, ...applied]
      model.side.push(...undone)
      model.write(each.records)
      if (each.final !== undefined) model.finalize(each.final)
      return storage.commit(change)
    }
    case 'side': {
      const parents = [...model.chain, ...model.side]
      const block = model.make(parents[each.on % parents.length]!)
      model.side.push(block)
      model.write(each.records)
      return storage.keepSide(block, BigInt(block.index), [], each.records)
    }
    case 'finalize':
      model.finalize(each.height)
      return storage.finalize(each.height)
    case 'prune':
      storage.pruneSide(0, each.keep, 1e9)
      // Which of them go is the matter of another test; each that is left has its parent.
      model.side = model.side.filter((block) => storage.header(block.current_hash) !== undefined)
      return expect(model.side.length).toBeLessThanOrEqual(each.keep)
  }
}

function compare(storage: Storage, model: Model): void {
  expect(storage.finalHeight()).toBe(model.final)
  expect(storage.head().header.current_hash).toBe(model.chain.at(-1)!.current_hash)
  expect(storage.counts().sideBlocks).toBe(model.side.length)
  expect(
    storage
      .sideTips()
      .map((tip) => tip.header.current_hash)
      .toSorted(),
  ).toEqual(model.tips().toSorted())
  expect(storage.outbox(0, 1_000).map(({ sequence: _sequence, ...entry }) => entry)).toStrictEqual(model.told)
  for (const owner of owners) {
    for (const key of keys) expect(storage.records(owner).get(key)).toBe(model.records.get(`${owner} ${key}`))
  }
}

export function finalProperties(open: () => Opened): void {
  test('random moves leave the finals, the tips and the records that a plain model leaves', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 14 }), (steps) => {
        const opened = open()
        let storage = opened.storage
        const model = new Model()
        try {
          storage.begin(genesis, genesis.block, 0)
          for (const each of steps) {
            if (each.kind === 'reopen') storage = opened.reopen?.() ?? storage
            else take(each, storage, model)
            compare(storage, model)
          }
          storage = opened.reopen?.() ?? storage
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
