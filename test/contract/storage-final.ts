// What every storage must do with what is final, with the tips beside the chain, and with records that come with a block.
// Part of the suite in storage.ts.
import { describe, expect, test } from 'bun:test'
import type { OwnedChanges, Storage } from '../../core/plugin.ts'
import { makeApplied, makeBlock, makePending } from '../support/blocks.ts'
import { adding, answersOf, codeOf, genesis, makeChain, pay, storedAt } from './storage.ts'
import { told, type Ledgers } from './storage-state.ts'

export function storageFinal({ empty, begun, restarted }: Ledgers): void {
  const chain = makeChain(genesis.block, 4, 0n)
  const hash = (height: number) => chain[height - 1]!.block.current_hash
  const blocks = [genesis.block, ...chain.map(({ block }) => block)]

  const signed = (height: number): OwnedChanges => ({ owner: 'signing', changes: [['block', `[${height}]`]] })
  const undoing = (...heights: readonly number[]) => ({ ...adding(), undone: heights.map(hash) })
  const finals = (storage: Storage) => told(storage.outbox(0, 100).filter(({ kind }) => kind === 'final'))
  const recorded = (): Storage => {
    const storage = begun()
    storage.commit(adding(...chain))
    return storage
  }

  describe('what is final', () => {
    test('is nothing at first, and without a chain', () => {
      for (const storage of [empty(), begun()]) {
        for (const height of [0, 1, -1]) storage.finalize(height)
        expect([storage.finalHeight(), storage.outboxEnd()]).toEqual([0, 0])
      }
    })

    test('goes up, is told once, and outlives a restart', () => {
      const storage = recorded()
      storage.finalize(2)
      const after = restarted(storage)
      expect(after.finalHeight()).toBe(2)
      after.finalize(3)
      for (const height of [3, 2, 1, 0, -1, 2.5, 3.5, 5, 2 ** 40, Number.NaN, Infinity]) after.finalize(height)
      const again = restarted(after)
      expect(again.finalHeight()).toBe(3)
      expect(told(again.outbox(4, 100))).toEqual([`final 2 ${hash(2)}`, `final 3 ${hash(3)}`])
      expect(again.outboxEnd()).toBe(again.outbox(4, 100)[1]!.sequence)
      expect(again.appliedAt(2, again.outboxEnd())?.sequence).toBe(2)
      expect(again.integrity()).toBeUndefined()
    })

    test('may come with the very blocks that it is about, behind them in the outbox', () => {
      const storage = begun()
      storage.commit({ ...adding(...chain.slice(0, 3)), final: 3 })
      storage.commit({ ...adding(chain[3]!), final: 2 })
      const after = restarted(storage)
      expect(after.finalHeight()).toBe(3)
      expect(told(after.outbox(0, 100))).toEqual([
        ...[1, 2, 3].map((height) => `applied ${height} ${hash(height)}`),
        `final 3 ${hash(3)}`,
        `applied 4 ${hash(4)}`,
      ])
      after.commit({ ...adding(), final: 5 })
      expect(after.finalHeight()).toBe(3)
      expect(after.integrity()).toBeUndefined()
    })

    test('counts what a change leaves, not what was there before', () => {
      const storage = recorded()
      storage.commit({ ...undoing(4), final: 4 })
      expect(storage.finalHeight()).toBe(0)
      const other = makeBlock(chain[2]!.block, { miner: 7 })
      storage.commit({ ...adding(makeApplied(other, 80n)), final: 4 })
      expect(finals(restarted(storage))).toEqual([`final 4 ${other.current_hash}`])
    })

    test('is never undone, and whoever tries changes nothing', () => {
      const storage = recorded()
      storage.finalize(3)
      const before = answersOf(storage, blocks)
      const instead = makeApplied(makeBlock(chain[1]!.block, { miner: 7 }), 1_000n)
      for (const change of [undoing(4, 3), undoing(4, 3, 2, 1), { ...undoing(4, 3), applied: [instead] }]) {
        const tried = { ...change, records: [signed(3)], final: 4 }
        expect(codeOf(() => storage.commit(tried))).toBe('storage-failed')
        expect(answersOf(storage, blocks)).toBe(before)
        expect(storage.records('signing').count('')).toBe(0)
      }
      const after = restarted(storage)
      after.commit(undoing(4))
      expect(codeOf(() => after.commit(undoing(3)))).toBe('storage-failed')
      expect([after.head().header.index, after.finalHeight()]).toEqual([3, 3])
      expect(after.integrity()).toBeUndefined()
    })
  })

  describe('the tips beside the chain', () => {
    const tips = (storage: Storage) =>
      storage
        .sideTips()
        .map(({ header }) => header.current_hash)
        .toSorted()
    const hashes = (...of: readonly { readonly current_hash: string }[]) => of.map((one) => one.current_hash).toSorted()

    test('are those on which no other stands, with their work', () => {
      const storage = recorded()
      expect(storage.sideTips()).toEqual([])
      const low = makeBlock(genesis.block, { miner: 5 })
      const left = makeBlock(low, { miner: 5, transactions: [pay(5, 1)] })
      const right = makeBlock(low, { miner: 6 })
      const lone = makeBlock(chain[3]!.block, { miner: 7 })
      for (const one of [low, left, right, lone]) storage.keepSide(one, 2n ** 70n + BigInt(one.index))
      const after = restarted(storage)
      expect(tips(after)).toEqual(hashes(left, right, lone))
      for (const tip of after.sideTips()) expect(tip).toEqual(after.header(tip.header.current_hash)!)
      expect(after.sideTips().every((tip) => !tip.recorded)).toBe(true)
    })

    test('go with what is pruned and with what is recorded, and come with what is undone', () => {
      const storage = recorded()
      const low = makeBlock(genesis.block, { miner: 5 })
      const high = makeBlock(low, { miner: 5 })
      storage.keepSide(low, 1n)
      storage.keepSide(high, 2n)
      storage.pruneSide(0, 1, 1e9)
      expect(tips(storage)).toEqual(hashes(low))
      storage.keepSide(high, 2n)
      storage.commit({ ...undoing(4, 3, 2, 1), applied: [makeApplied(low, 1n)] })
      expect(tips(restarted(storage))).toEqual(hashes(high, chain[3]!.block))
    })
  })

  describe('records that come with a block', () => {
    const record = (storage: Storage) => storage.records('signing').get('block')
    const side = makeBlock(genesis.block, { miner: 5 })

    test('are written with its commit, each owner’s own', () => {
      const storage = begun()
      storage.records('signing').write([['gone', 'x']])
      const other: OwnedChanges = { owner: 'poa', changes: [['block', 'other']] }
      const gone: OwnedChanges = { owner: 'signing', changes: [['gone', undefined]] }
      storage.commit({ ...adding(chain[0]!), records: [signed(1), other, gone, { owner: 'none', changes: [] }] })
      const after = restarted(storage)
      expect(after.records('signing').list('', undefined, 9)).toEqual([['block', '[1]']])
      expect(after.records('poa').list('', undefined, 9)).toEqual([['block', 'other']])
    })

    test('are written with a block beside the chain, also one that is here already', () => {
      const storage = begun()
      storage.commit(adding(chain[0]!))
      storage.keepSide(side, 1n, [], [signed(1)])
      expect(record(restarted(storage))).toBe('[1]')
      const after = restarted(storage)
      after.keepSide(side, 1n, [], [signed(2)])
      expect(record(after)).toBe('[2]')
      after.keepSide(chain[0]!.block, 16n, [], [signed(3)])
      expect([record(restarted(after)), restarted(after).counts().sideBlocks]).toEqual(['[3]', 1])
    })

    test('are not there where the block is not, nor the block without them', () => {
      const storage = begun()
      storage.commit({ ...adding(chain[0]!), records: [signed(1)] })
      const lone: OwnedChanges = { owner: 'signing', changes: [['k', '\ud800']] }
      const waits = makePending(genesis, pay(9, 1), storedAt)
      const unsayable = { ...waits, transaction: { ...waits.transaction, data: { text: '\ud800' } } }
      const twice = [1, 2].map((n) => ({ key: 'k', value: String(n) }))
      const odd = { ...side, extra: '\ud800' }
      const before = answersOf(storage, [...blocks, side])
      for (const [what, run] of Object.entries({
        'a record that is no Unicode': () => storage.commit({ ...adding(chain[1]!), records: [signed(2), lone] }),
        'a block that does not fit': () => storage.commit({ ...adding(chain[2]!), records: [signed(3)] }),
        'the second of two': () => storage.commit({ ...adding(chain[1]!, chain[3]!), records: [signed(3)], final: 2 }),
        'what returns': () => storage.commit({ ...undoing(1), returned: [unsayable], records: [signed(2)] }),
        'state twice': () => storage.commit({ ...adding({ ...chain[1]!, state: twice }), records: [signed(2)] }),
        'beside, a record': () => storage.keepSide(side, 1n, [], [signed(2), lone]),
        'beside, state twice': () => storage.keepSide(side, 1n, twice, [signed(2)]),
        'beside, a block': () => storage.keepSide(odd, 1n, [], [signed(2)]),
      })) {
        expect(run, what).toThrow()
        expect(`${what}: ${answersOf(storage, [...blocks, side])}`).toBe(`${what}: ${before}`)
        expect(`${what}: ${record(storage)}`).toBe(`${what}: [1]`)
      }
      expect(record(restarted(storage))).toBe('[1]')
    })
  })
}
