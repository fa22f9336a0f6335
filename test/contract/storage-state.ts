// What every storage must do with an application's state and with the outbox. Part of the suite in storage.ts.
import { describe, expect, test } from 'bun:test'
import type { Block } from '../../core/chain/block.ts'
import type { AppliedBlock, Change, OutboxEntry, StateEntry, Storage } from '../../core/plugin.ts'
import { makeApplied, makeBlock, makePending } from '../support/blocks.ts'
import { adding, codeOf, genesis, makeChain, pay, storedAt } from './storage.ts'

export interface Ledgers {
  /** A ledger that was never begun. */
  readonly empty: () => Storage
  readonly begun: (opening?: readonly StateEntry[]) => Storage
  /** The same ledger after a restart, where the driver has such a thing. */
  readonly restarted: (storage: Storage) => Storage
}

/** Entries as `{ key: value }` has them; null removes. */
const stateOf = (values: Readonly<Record<string, string | null>>): StateEntry[] =>
  Object.entries(values).map(([key, value]) => ({ key, value: value ?? undefined }))

/** Blocks on `parent`, each with these changes. */
function makeStated(parent: Block, parentWork: bigint, miner: number, states: readonly StateEntry[][]) {
  return makeChain(parent, states.length, parentWork, miner).map((applied, n) => ({ ...applied, state: states[n]! }))
}

/** An outbox without its sequences, as `applied 1 <hash>`. */
export const told = (entries: readonly OutboxEntry[]): string[] =>
  entries.map(({ kind, index, hash, body }) => `${kind} ${index} ${hash}${body === undefined ? '' : ` ${body}`}`)

const toldOf = (kind: 'applied' | 'undone', blocks: readonly AppliedBlock[]): string[] =>
  blocks.map(({ block }) => `${kind} ${block.index} ${block.current_hash}`)

export function storageState({ empty, begun, restarted }: Ledgers): void {
  const opening = stateOf({ 'user/alice': '10', 'user/bob': '' })
  const branches = () => {
    const losing = makeStated(genesis.block, 0n, 1, [
      stateOf({ 'user/alice': '9', 'user/carol': '1' }),
      stateOf({ 'user/alice': '8' }),
      stateOf({ 'user/alice': null, 'user/dora': 'x' }),
    ])
    const winning = makeStated(losing[0]!.block, 16n, 5, [
      stateOf({ 'user/alice': '80', 'user/bob': null }),
      [],
      stateOf({ 'user/bob': 'back', 'user/carol': '3' }),
    ])
    const change: Change = {
      undone: [losing[2]!.block.current_hash, losing[1]!.block.current_hash],
      applied: winning,
      returned: [],
      writtenAt: storedAt,
    }
    return { losing, winning, change }
  }
  /** What is under a key at each height from 0. */
  const history = (storage: Storage, key: string, heights = 5) =>
    Array.from({ length: heights }, (_, height) => storage.stateAt(key, height))

  describe('state', () => {
    test('the opening is what block 0 leaves, and is written once', () => {
      const storage = begun([...opening, { key: 'never', value: undefined }])
      storage.begin(genesis, genesis.block, storedAt, stateOf({ 'user/alice': '11' }))
      const after = restarted(storage)
      expect(history(after, 'user/alice', 2)).toEqual(['10', '10'])
      expect(after.stateAt('user/bob', 0)).toBe('')
      expect(after.stateAt('user/carol', 0)).toBeUndefined()
      expect(after.stateAt('user/alice', -1)).toBeUndefined()
      expect(after.stateChanges(genesis.rules.chainId)).toEqual(opening)
    })

    test('every version answers, also above the head, and what was removed is gone from there on', () => {
      const { losing } = branches()
      const storage = begun(opening)
      storage.commit(adding(losing[0]!))
      storage.commit(adding(...losing.slice(1)))
      const after = restarted(storage)
      expect(history(after, 'user/alice')).toEqual(['10', '9', '8', undefined, undefined])
      expect(history(after, 'user/bob')).toEqual(['', '', '', '', ''])
      expect(history(after, 'user/dora')).toEqual([undefined, undefined, undefined, 'x', 'x'])
      for (const { block, state } of losing) expect(after.stateChanges(block.current_hash)).toStrictEqual(state)
      expect(after.stateChanges('0'.repeat(64))).toEqual([])
      expect(after.integrity()).toBeUndefined()
    })

    test('undoing is exact, and the blocks that left keep their changes', () => {
      const { losing, winning, change } = branches()
      const storage = begun(opening)
      storage.commit(adding(...losing))
      for (const { block, totalWork, state } of winning) storage.keepSide(block, totalWork, state)
      for (const { block, state } of winning) expect(storage.stateChanges(block.current_hash)).toStrictEqual(state)
      expect(history(storage, 'user/bob')).toEqual(['', '', '', '', ''])
      storage.commit(change)
      const after = restarted(storage)
      expect(history(after, 'user/alice')).toEqual(['10', '9', '80', '80', '80'])
      expect(history(after, 'user/bob')).toEqual(['', '', undefined, undefined, 'back'])
      expect(history(after, 'user/carol')).toEqual([undefined, '1', '1', '1', '3'])
      expect(history(after, 'user/dora')).toEqual(Array(5).fill(undefined))
      for (const { block, state } of [...losing, ...winning]) {
        expect(after.stateChanges(block.current_hash)).toStrictEqual(state)
      }
      expect(after.integrity()).toBeUndefined()
      after.pruneSide(100, 0, 0)
      expect(after.stateChanges(losing[2]!.block.current_hash)).toEqual([])
    })

    test('keys and values are any text, in the order of UTF-16', () => {
      const values = { '': 'empty', '\u0000': '\u0000', __proto__x: '{', 'a\u0000b': 'é', '\uffff': 'last', '😀': '1' }
      const state = stateOf({ ...values, '10': '', '9': '' }).toSorted((a, b) => (a.key < b.key ? -1 : 1))
      expect(state.map(({ key }) => key).slice(-2)).toEqual(['😀', '\uffff'])
      const [one] = makeStated(genesis.block, 0n, 1, [[...state, { key: '__proto__', value: 'own' }]])
      const storage = begun()
      storage.commit(adding(one!))
      for (const { key, value } of one!.state) expect(storage.stateAt(key, 1)).toBe(value)
      const inOrder = one!.state.toSorted((a, b) => (a.key < b.key ? -1 : 1))
      expect(storage.stateChanges(one!.block.current_hash)).toEqual(inOrder)
      storage.commit({ undone: [one!.block.current_hash], applied: [], returned: [], writtenAt: storedAt })
      const after = restarted(storage)
      expect(after.stateChanges(one!.block.current_hash)).toEqual(inOrder)
      for (const { key } of one!.state) expect(after.stateAt(key, 1)).toBeUndefined()
    })

    test('a block that does not fit changes nothing of it, nor of the outbox', () => {
      const { losing } = branches()
      const storage = begun(opening)
      storage.commit(adding(losing[0]!))
      const end = storage.outboxEnd()
      const twice = [...stateOf({ 'user/alice': '1' }), ...stateOf({ 'user/alice': '2' })]
      const lone = stateOf({ 'user/alice': '\ud800' })
      for (const state of [twice, lone, stateOf({ '\udc00': '1' })]) {
        const bad = { ...losing[2]!, state }
        expect(() => storage.commit(adding(losing[1]!, bad))).toThrow()
        expect(() => storage.keepSide(bad.block, 48n, state)).toThrow()
        expect(history(storage, 'user/alice')).toEqual(['10', '9', '9', '9', '9'])
        expect(storage.outboxEnd()).toBe(end)
        expect(storage.counts().sideBlocks).toBe(0)
      }
      storage.commit(adding(losing[1]!))
      expect(history(storage, 'user/alice', 3)).toEqual(['10', '9', '8'])
    })

    test('the changes of side blocks count towards the bytes', () => {
      const plain = makeBlock(genesis.block, { miner: 3 })
      const storage = begun()
      storage.keepSide(plain, 16n, stateOf({ k: 'v'.repeat(5_000) }))
      storage.pruneSide(0, 10, 5_000)
      expect(storage.counts().sideBlocks).toBe(0)
      storage.keepSide(plain, 16n)
      storage.pruneSide(0, 10, 5_000)
      expect(storage.counts().sideBlocks).toBe(1)
    })
  })

  test('what is pending says whether it was recorded before', () => {
    const storage = begun()
    const [one] = makeChain(genesis.block, 1, 0n)
    const returned = one!.block.transactions.map((each) => ({
      ...makePending(genesis, each, storedAt),
      returned: true,
    }))
    const fresh = makePending(genesis, pay(9, 1), storedAt)
    storage.keepPending([fresh])
    storage.commit(adding(one!))
    storage.commit({ undone: [one!.block.current_hash], applied: [], returned, writtenAt: storedAt })
    expect([...restarted(storage).pending()]).toStrictEqual([fresh, ...returned])
  })

  describe('outbox', () => {
    test('is empty at first, and block 0 is not told', () => {
      for (const storage of [empty(), begun(opening)]) {
        expect(storage.outboxEnd()).toBe(0)
        expect(storage.outbox(0, 10)).toEqual([])
        expect(storage.appliedAt(0, 10)).toBeUndefined()
      }
    })

    test('tells what leaves, newest first, then what comes, oldest first', () => {
      const { losing, winning, change } = branches()
      const storage = begun()
      storage.commit(adding(losing[0]!))
      storage.commit(adding(...losing.slice(1)))
      storage.commit(change)
      const after = restarted(storage)
      const entries = after.outbox(0, 100)
      const left = losing.slice(1).toReversed()
      expect(told(entries)).toEqual([
        ...toldOf('applied', losing),
        ...toldOf('undone', left),
        ...toldOf('applied', winning),
      ])
      expect(after.outboxEnd()).toBe(entries.at(-1)!.sequence)
      expect(entries.every((entry) => entry.body === undefined)).toBe(true)
    })

    test('is read in parts, and goes on after a restart', () => {
      const { losing, winning, change } = branches()
      const storage = begun()
      storage.commit(adding(...losing))
      const before = storage.outboxEnd()
      const after = restarted(storage)
      after.commit(change)
      const parts: OutboxEntry[] = []
      for (let part = after.outbox(0, 2); part.length > 0; part = after.outbox(parts.at(-1)!.sequence, 2)) {
        parts.push(...part)
      }
      expect(parts).toEqual([...after.outbox(0, 100)])
      expect(parts.every(({ sequence }, n) => sequence > (parts[n - 1]?.sequence ?? 0))).toBe(true)
      expect(told(after.outbox(before, 100)).slice(2)).toEqual(toldOf('applied', winning))
      expect(after.outbox(after.outboxEnd(), 5)).toEqual([])
      expect(after.outbox(0, 0)).toEqual([])
    })

    test('appliedAt is the block that stood there then, through several reorganisations', () => {
      const { losing, winning, change } = branches()
      const storage = begun()
      storage.commit(adding(...losing))
      const first = storage.outboxEnd()
      storage.commit(change)
      const second = storage.outboxEnd()
      const undone = winning.map(({ block }) => block.current_hash).toReversed()
      storage.commit({ undone, applied: losing.slice(1), returned: [], writtenAt: storedAt })
      const after = restarted(storage)
      const at = (height: number, sequence: number) => after.appliedAt(height, sequence)?.hash
      for (const height of [2, 3]) {
        const [old, other] = [losing[height - 1]!, winning[height - 2]!]
        expect(at(height, first)).toBe(old.block.current_hash)
        expect(at(height, second)).toBe(other.block.current_hash)
        expect(at(height, after.outboxEnd())).toBe(old.block.current_hash)
      }
      expect(at(1, after.outboxEnd())).toBe(losing[0]!.block.current_hash)
      expect(at(1, 0)).toBeUndefined()
      expect(at(4, first)).toBeUndefined()
      expect(at(4, second)).toBe(winning[2]!.block.current_hash)
      expect(after.appliedAt(1, 9_999)).toEqual(after.outbox(0, 1)[0])
      expect(after.integrity()).toBeUndefined()
    })

    test('a commit that is refused tells nothing', () => {
      const { losing, winning, change } = branches()
      const storage = begun()
      storage.commit(adding(...losing))
      const before = storage.outbox(0, 100)
      const late = makeBlock(winning[2]!.block, { transactions: [pay(1, 1), pay(1, 1)] })
      const unfit = { ...change, applied: [...winning, makeApplied(late, 80n)] }
      expect(codeOf(() => storage.commit(unfit))).toBe('storage-failed')
      expect(restarted(storage).outbox(0, 100)).toEqual(before)
    })
  })
}
