// What every storage must do. Run against each driver: `storageContract('memory', () => ...)`.
import { afterEach, describe, expect, test } from 'bun:test'
import { canonicalJson } from '../../core/chain/canonical.ts'
import { sealedHeaderOf, type Block } from '../../core/chain/block.ts'
import { AurexError } from '../../core/errors.ts'
import type { AppliedBlock, Change, PendingTransaction, StateEntry, Storage } from '../../core/plugin.ts'
import { makeApplied, makeBlock, makeGenesis, makeKey, makePending, makeTransaction } from '../support/blocks.ts'
import { storageFinal } from './storage-final.ts'
import { finalProperties } from './storage-final-properties.ts'
import { storageProperties } from './storage-properties.ts'
import { storageRecords } from './storage-records.ts'
import { storageState } from './storage-state.ts'
import { stateProperties } from './storage-state-properties.ts'

export interface Opened {
  readonly storage: Storage
  /** Closes the storage and opens what it left; only where something is left. */
  reopen?(): Storage
  close(): void
}

export const storedAt = Date.parse('2026-11-21T01:02:03.456Z')

export const genesis = makeGenesis()

/** A change that only adds blocks. */
export const adding = (...applied: readonly AppliedBlock[]): Change => ({
  undone: [],
  applied,
  returned: [],
  writtenAt: storedAt,
})

export const pay = (n: number, nonce: number) =>
  makeTransaction(genesis, n, { action: 'pay', amount: '1.50', from: 'alice', to: 'bob' }, nonce)

/** `count` blocks on `parent`, each with two transactions of its own. */
export function makeChain(parent: Block, count: number, parentWork: bigint, miner = 1): AppliedBlock[] {
  const chain: AppliedBlock[] = []
  let head = parent
  for (let step = 1; step <= count; step++) {
    const nonce = miner * 1_000_000 + head.index * 10
    head = makeBlock(head, { miner, transactions: [pay(miner, nonce), pay(miner + 1, nonce + 1)] })
    chain.push(makeApplied(head, parentWork + BigInt(step * 16), storedAt - 1_000))
  }
  return chain
}

/** The code of the `AurexError` that `run` throws. */
export function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof AurexError) return error.code
    throw error
  }
  return 'nothing was thrown'
}

/** Everything that a storage answers, as one text: equal texts mean equal ledgers. */
export function answersOf(storage: Storage, blocks: readonly Block[]): string {
  return canonicalJson({
    genesis: storage.genesis() ?? null,
    head: readable(storage.head()),
    counts: storage.counts(),
    nodes: storage.nodes(),
    pending: [...storage.pending()],
    final: storage.finalHeight(),
    tips: storage
      .sideTips()
      .map(readable)
      .toSorted((a, b) => (a!.header.current_hash < b!.header.current_hash ? -1 : 1)),
    blocks: blocks.map(({ index, current_hash }) => ({
      at: readable(storage.headerAt(index)),
      header: readable(storage.header(current_hash)),
      block: storage.block(current_hash) ?? null,
      body: storage.transactionsAt(index),
      state: storage.stateChanges(current_hash).map(({ key, value }) => [key, value ?? null]),
    })),
    outbox: storage.outbox(0, 10_000).map(({ body, ...entry }) => ({ ...entry, body: body ?? null })),
  })
}

const readable = (stored: ReturnType<Storage['header']>) =>
  stored === undefined ? null : { ...stored, totalWork: String(stored.totalWork) }

export function storageContract(name: string, open: () => Opened): void {
  describe(`storage: ${name}`, () => {
    let opened: Opened | undefined
    afterEach(() => {
      opened?.close()
      opened = undefined
    })

    const empty = (): Storage => {
      opened = open()
      return opened.storage
    }
    const begun = (opening?: readonly StateEntry[]): Storage => {
      const storage = empty()
      storage.begin(genesis, genesis.block, storedAt, opening)
      return storage
    }
    /** The same ledger after a restart, where the driver has such a thing. */
    const restarted = (storage: Storage): Storage => opened?.reopen?.() ?? storage

    describe('begin', () => {
      test('an empty ledger has no genesis and no head', () => {
        const storage = empty()
        expect(storage.genesis()).toBeUndefined()
        expect(codeOf(() => storage.head())).toBe('storage-failed')
        expect(codeOf(() => storage.commit(adding()))).toBe('storage-failed')
        expect(storage.counts()).toEqual({ transactions: 0, sideBlocks: 0 })
        expect(storage.headerAt(0)).toBeUndefined()
        expect(storage.location.length).toBeGreaterThan(0)
      })

      test('writes block 0 and binds the ledger', () => {
        const storage = restarted(begun())
        expect(storage.genesis()).toBe(genesis.text)
        expect(storage.head()).toEqual({ header: sealedHeaderOf(genesis.block), totalWork: 0n, recorded: true })
        expect(storage.block(genesis.rules.chainId)).toEqual(genesis.block)
        expect(storage.transactionsAt(0)).toEqual([])
      })

      test('again with the same genesis changes nothing; another is refused', () => {
        const storage = begun()
        const [first] = makeChain(genesis.block, 1, 0n)
        storage.commit(adding(first!))
        storage.begin(genesis, genesis.block, storedAt + 5)
        expect(storage.head().header.index).toBe(1)
        const other = makeGenesis('pow', { difficulty: 2 })
        expect(codeOf(() => storage.begin(other, other.block, storedAt))).toBe('wrong-genesis')
        expect(storage.genesis()).toBe(genesis.text)
      })
    })

    describe('commit', () => {
      test('gives back what was committed, by height and by hash', () => {
        const storage = begun()
        const chain = makeChain(genesis.block, 5, 0n)
        storage.commit(adding(chain[0]!))
        storage.commit(adding(...chain.slice(1)))
        const after = restarted(storage)
        for (const { block, totalWork, hashes, receivedAt } of chain) {
          expect(canonicalJson(after.block(block.current_hash))).toBe(canonicalJson(block))
          expect(canonicalJson(after.headerAt(block.index)?.header)).toBe(canonicalJson(sealedHeaderOf(block)))
          expect(after.header(block.current_hash)?.totalWork).toBe(totalWork)
          expect(after.header(block.current_hash)?.recorded).toBe(true)
          for (const [position, hash] of hashes.entries()) {
            const place = { blockIndex: block.index, position }
            expect(after.locate(hash)).toEqual(place)
            const recorded = {
              ...place,
              hash,
              blockHash: block.current_hash,
              transaction: block.transactions[position]!,
              receivedAt: receivedAt[position]!,
            }
            expect(after.transaction(hash)).toEqual(recorded)
            expect(after.transactionsAt(block.index)[position]).toEqual(recorded)
          }
        }
        expect(after.head().header.current_hash).toBe(chain[4]!.block.current_hash)
        expect(after.counts()).toEqual({ transactions: 10, sideBlocks: 0 })
        expect(after.integrity()).toBeUndefined()
      })

      test('keeps optional fields, odd texts and great numbers as they are', () => {
        const storage = begun()
        const data = {
          text: 'line\nbreak \u0000 "quoted" \u2028 😀 \u00e9 e\u0301',
          deep: [[[{ a: null, b: [true, false, 1e-7, -0.5, 1e21] }]]],
          constructor: 'a name of every object',
          '': '',
        }
        const key = makeKey(7)
        const named = { ...makeTransaction(genesis, 7, data), sender: 'a\u0000b', public_key_pem: key.pem }
        const transactions = [
          named,
          makeTransaction(genesis, 3, {}, -(2 ** 53 - 1)),
          makeTransaction(genesis, 3, data, 0),
        ]
        const full = makeBlock(genesis.block, {
          transactions,
          signer: true,
          nonce: 2 ** 53 - 1,
          work: 2 ** 53 - 1,
          extra: '~ tag "1" \\',
          seal: { round: 3, constructor: { vote: null } },
          finality: { source: 0, target: 0 },
          certificate: [{ signature: 'x' }, null],
        })
        const bare = makeBlock(full, { work: 1, certificate: null })
        const totalWork = 2n ** 200n + 1n
        storage.commit(adding(makeApplied(full, totalWork), makeApplied(bare, totalWork + 1n)))
        const after = restarted(storage)
        for (const block of [full, bare]) {
          expect(canonicalJson(after.block(block.current_hash))).toBe(canonicalJson(block))
          expect(Object.keys(after.block(block.current_hash)!).sort()).toEqual(Object.keys(block).sort())
        }
        expect(after.head().totalWork).toBe(totalWork + 1n)
      })

      test('knows nothing of what was never written', () => {
        const storage = begun()
        const [block] = makeChain(genesis.block, 1, 0n)
        for (const hash of [block!.block.current_hash, '', 'zz', "' OR 1", 'A'.repeat(64)]) {
          expect(storage.block(hash)).toBeUndefined()
          expect(storage.header(hash)).toBeUndefined()
          expect(storage.transaction(hash)).toBeUndefined()
          expect(storage.locate(hash)).toBeUndefined()
        }
        for (const index of [1, -1, 0.5, 2 ** 40]) {
          expect(storage.headerAt(index)).toBeUndefined()
          expect(storage.transactionsAt(index)).toEqual([])
        }
      })

      test('takes the transactions that it records out of the pending ones', () => {
        const storage = begun()
        const [block] = makeChain(genesis.block, 1, 0n)
        const waits = makePending(genesis, pay(9, 1), storedAt)
        const comes = makePending(genesis, block!.block.transactions[0]!, storedAt)
        storage.keepPending([comes, waits])
        storage.commit(adding(block!))
        expect([...restarted(storage).pending()]).toEqual([waits])
      })
    })

    describe('reorganisation', () => {
      const losing = makeChain(genesis.block, 3, 0n, 1)
      const winning = makeChain(losing[0]!.block, 3, 16n, 5)
      const everyBlock = [genesis.block, ...[...losing, ...winning].map(({ block }) => block)]
      const returned = losing
        .slice(1)
        .flatMap(({ block }) => block.transactions.map((transaction) => makePending(genesis, transaction, storedAt)))
      const switched: Change = {
        undone: [losing[2]!.block.current_hash, losing[1]!.block.current_hash],
        applied: winning,
        returned,
        writtenAt: storedAt,
      }

      test('undone blocks stay beside, their transactions return, applied side blocks are recorded', () => {
        const before = begun()
        before.commit(adding(...losing))
        for (const { block, totalWork } of winning) before.keepSide(block, totalWork)
        expect(before.counts()).toEqual({ transactions: 6, sideBlocks: 3 })
        before.commit(switched)
        const storage = restarted(before)
        expect(storage.head().header).toEqual(sealedHeaderOf(winning[2]!.block))
        expect(storage.head().totalWork).toBe(winning[2]!.totalWork)
        expect(storage.counts()).toEqual({ transactions: 8, sideBlocks: 2 })
        for (const { block, totalWork, hashes } of losing.slice(1)) {
          expect(canonicalJson(storage.block(block.current_hash))).toBe(canonicalJson(block))
          expect(storage.header(block.current_hash)).toEqual({
            header: sealedHeaderOf(block),
            totalWork,
            recorded: false,
          })
          for (const hash of hashes) expect(storage.transaction(hash)).toBeUndefined()
        }
        expect([...storage.pending()]).toEqual(returned)
        expect(storage.headerAt(2)?.header.current_hash).toBe(winning[0]!.block.current_hash)
        expect(storage.integrity()).toBeUndefined()
      })

      test('and back again is as if nothing had happened', () => {
        const storage = begun()
        storage.commit(adding(...losing))
        storage.commit(switched)
        storage.commit({
          undone: winning.map(({ block }) => block.current_hash).toReversed(),
          applied: losing.slice(1),
          returned: [],
          writtenAt: storedAt,
        })
        expect(storage.head().header.current_hash).toBe(losing[2]!.block.current_hash)
        expect([...storage.pending()]).toEqual([])
        expect(storage.counts()).toEqual({ transactions: 6, sideBlocks: 3 })
        for (const { block } of losing) expect(storage.block(block.current_hash)).toEqual(block)
      })

      test('a transaction may come again in another block of the new branch', () => {
        const storage = begun()
        storage.commit(adding(...losing))
        const again = makeBlock(losing[1]!.block, { miner: 8, transactions: losing[2]!.block.transactions })
        storage.commit({ ...switched, undone: [losing[2]!.block.current_hash], applied: [makeApplied(again, 49n)] })
        expect(storage.transaction(losing[2]!.hashes[1]!)?.blockHash).toBe(again.current_hash)
        // What is recorded is not pending, whatever was said to return.
        const recorded = new Set(again.transactions)
        expect([...storage.pending()].filter(({ transaction }) => recorded.has(transaction))).toEqual([])
      })

      test('what does not fit changes nothing', () => {
        const storage = begun()
        storage.commit(adding(...losing))
        storage.keepPending([makePending(genesis, pay(9, 1), storedAt)])
        storage.keepSide(winning[0]!.block, winning[0]!.totalWork)
        const before = answersOf(storage, everyBlock)
        const double = makeBlock(losing[2]!.block, { miner: 6, transactions: [pay(30, 1), pay(30, 1)] })
        const fresh = makeBlock(losing[2]!.block, { miner: 6, transactions: [pay(31, 1)] })
        const replay = makeBlock(fresh, { miner: 6, transactions: [pay(32, 1), losing[0]!.block.transactions[1]!] })
        const unfit: Record<string, Change> = {
          'undone is not the head': { ...switched, undone: [losing[1]!.block.current_hash] },
          'undone in the wrong order': { ...switched, undone: switched.undone.toReversed() },
          'undone is unknown': { ...switched, undone: ['0'.repeat(64)] },
          'undoes block 0': {
            ...switched,
            undone: [...losing.map(({ block }) => block.current_hash).toReversed(), genesis.rules.chainId],
            applied: [],
          },
          'the parent is not the head': adding(winning[0]!),
          'a gap between applied blocks': { ...switched, applied: [winning[0]!, winning[2]!] },
          'recorded already': adding(losing[2]!),
          'a transaction twice in a block': adding(makeApplied(double, 64n)),
          'a transaction of an earlier block, in the second block': adding(
            makeApplied(fresh, 64n),
            makeApplied(replay, 80n),
          ),
          'a hash too few': adding({ ...makeApplied(fresh, 64n), hashes: [] }),
          'a time too few': adding({ ...makeApplied(fresh, 64n), receivedAt: [] }),
          'a wrong index': adding(makeApplied({ ...fresh, index: 9 }, 64n)),
        }
        for (const [what, change] of Object.entries(unfit)) {
          expect(`${what}: ${codeOf(() => storage.commit(change))}`).toBe(`${what}: storage-failed`)
          expect(answersOf(storage, everyBlock)).toBe(before)
        }
        expect(storage.locate(makeApplied(fresh, 0n).hashes[0]!)).toBeUndefined()
        storage.commit(switched)
        expect(storage.head().header.current_hash).toBe(winning[2]!.block.current_hash)
      })
    })

    describe('pending transactions', () => {
      const many = (count: number, from = 0): PendingTransaction[] =>
        Array.from({ length: count }, (_, n) => makePending(genesis, pay(n % 8, from + n), storedAt + n))

      test('stay in order, once each, and outlive a restart', () => {
        const storage = begun()
        const all = many(1_203)
        storage.keepPending(all.slice(0, 1_100))
        storage.keepPending(all.slice(1_000))
        storage.keepPending([{ ...all[3]!, receivedAt: 1 }])
        storage.keepPending([])
        const after = restarted(storage)
        expect([...after.pending()]).toEqual(all)
        after.dropPending(all.slice(0, 1_200).map(({ hash }) => hash))
        after.dropPending(['0'.repeat(64)])
        expect([...after.pending()]).toEqual(all.slice(1_200))
        after.keepPending(all.slice(0, 1))
        expect([...after.pending()].map(({ hash }) => hash)).toEqual(
          [...all.slice(1_200), all[0]!].map(({ hash }) => hash),
        )
      })

      test('all of them or none', () => {
        const storage = begun()
        const [good, bad] = many(2)
        const unsayable = { ...bad!, transaction: { ...bad!.transaction, data: { text: '\ud800' } } }
        expect(() => storage.keepPending([good!, unsayable])).toThrow()
        expect([...storage.pending()]).toEqual([])
      })

      test('one that is recorded is not pending too', () => {
        const storage = begun()
        const [block] = makeChain(genesis.block, 1, 0n)
        storage.commit(adding(block!))
        storage.keepPending([makePending(genesis, block!.block.transactions[0]!, storedAt)])
        expect([...storage.pending()]).toEqual([])
      })

      test('may be dropped while they are read', () => {
        const storage = begun()
        storage.keepPending(many(1_100))
        let seen = 0
        for (const { hash } of storage.pending()) {
          if (seen % 100 === 0) storage.dropPending([hash])
          seen += 1
        }
        expect(seen).toBe(1_100)
        expect([...storage.pending()]).toHaveLength(1_089)
      })
    })

    describe('side blocks', () => {
      const bytesOf = (block: Block) => Buffer.byteLength(canonicalJson(block))
      // Alike but for the miner, so equally large; the work tells them apart as numbers, not as texts.
      const side = [9n, 10n, 100n, 2n ** 70n, 2n ** 70n].map((totalWork, n) => ({
        block: makeBlock(genesis.block, { miner: 10 + n, transactions: [pay(10 + n, 1)] }),
        totalWork,
      }))
      const kept = (): Storage => {
        const storage = begun()
        for (const { block, totalWork } of side) storage.keepSide(block, totalWork)
        return storage
      }
      const left = (storage: Storage) => side.map(({ block }) => storage.header(block.current_hash) !== undefined)
      /** Of the two that weigh the same, the one with the higher hash is dropped first. */
      const higherIsThird = side[3]!.block.current_hash > side[4]!.block.current_hash

      test('are found by hash, and not in the recorded chain', () => {
        const storage = kept()
        storage.keepSide(side[0]!.block, 77n)
        storage.keepSide(genesis.block, 0n)
        const after = restarted(storage)
        for (const { block, totalWork } of side) {
          expect(after.block(block.current_hash)).toEqual(block)
          expect(after.header(block.current_hash)).toEqual({
            header: sealedHeaderOf(block),
            totalWork,
            recorded: false,
          })
          expect(after.locate(makeApplied(block, 0n).hashes[0]!)).toBeUndefined()
        }
        expect(after.header(genesis.rules.chainId)?.recorded).toBe(true)
        expect(after.headerAt(1)).toBeUndefined()
        expect(after.counts()).toEqual({ transactions: 0, sideBlocks: 5 })
      })

      test('go by height first, with all that stands on them', () => {
        const storage = kept()
        const above = makeBlock(side[0]!.block)
        storage.keepSide(above, 25n)
        storage.pruneSide(1, 100, 1e9)
        expect(storage.counts().sideBlocks).toBe(6)
        storage.pruneSide(2, 100, 1e9)
        expect(storage.counts().sideBlocks).toBe(0)
      })

      test('a block that carries another outstays it, however light it is', () => {
        const storage = kept()
        const above = makeBlock(side[0]!.block)
        storage.keepSide(above, 2n ** 71n)
        storage.pruneSide(0, 2, 1e9)
        expect(left(storage)).toEqual([true, false, false, false, false])
        expect(storage.block(above.current_hash)).toEqual(above)
        storage.pruneSide(0, 1, 1e9)
        expect(storage.block(above.current_hash)).toBeUndefined()
        expect(left(storage)).toEqual([true, false, false, false, false])
      })

      test('then the lightest, until the count fits', () => {
        const storage = kept()
        storage.pruneSide(0, 5, 1e9)
        expect(left(storage)).toEqual([true, true, true, true, true])
        storage.pruneSide(0, 3, 1e9)
        expect(left(storage)).toEqual([false, false, true, true, true])
        storage.pruneSide(0, 1, 1e9)
        expect(left(restarted(storage))).toEqual([false, false, false, !higherIsThird, higherIsThird])
      })

      test('but what is to be kept, with all below it, goes for its height alone', () => {
        const storage = kept()
        const above = makeBlock(side[0]!.block)
        storage.keepSide(above, 2n ** 71n)
        storage.pruneSide(0, 0, 0, [above.current_hash, side[1]!.block.current_hash, 'f'.repeat(64)])
        expect(left(storage)).toEqual([true, true, false, false, false])
        const after = restarted(storage)
        expect(after.counts().sideBlocks).toBe(3)
        after.pruneSide(2, 100, 1e9, [above.current_hash])
        expect(after.counts().sideBlocks).toBe(0)
      })

      test('then the lightest, until the bytes fit', () => {
        const storage = kept()
        const bytes = side.map(({ block }) => bytesOf(block))
        const all = bytes.reduce((sum, each) => sum + each, 0)
        storage.pruneSide(0, 100, all)
        expect(storage.counts().sideBlocks).toBe(5)
        storage.pruneSide(0, 100, all - 1)
        expect(left(storage)).toEqual([false, true, true, true, true])
        storage.pruneSide(0, 100, all - bytes[0]! - bytes[1]! - 1)
        expect(left(storage)).toEqual([false, false, false, true, true])
        storage.pruneSide(0, 100, 0)
        expect(storage.counts().sideBlocks).toBe(0)
      })
    })

    test('nodes are kept once each, with what was said last', () => {
      const storage = begun()
      const node = (n: number, status: string) => ({
        node_id: makeKey(n).nodeId,
        host: '127.0.0.1',
        port: 13_245 + n,
        node_type: 'peer',
        status,
        last_seen: storedAt + n,
      })
      storage.saveNode(node(1, 'active'))
      storage.saveNode(node(2, 'active'))
      storage.saveNode({ ...node(1, 'gone'), host: 'example.com', last_seen: storedAt + 9 })
      expect(restarted(storage).nodes()).toEqual([
        { ...node(1, 'gone'), host: 'example.com', last_seen: storedAt + 9 },
        node(2, 'active'),
      ])
    })

    test('ranges get ids that are not used again', () => {
      const storage = begun()
      const first = storage.openRange({ worker: 'a', start: 0, end: 1_000 }, storedAt)
      const second = storage.openRange({ worker: 'b', start: 1_000, end: 2 ** 53 - 1 }, storedAt)
      storage.closeRange(first, true, 77)
      storage.closeRange(second, false, undefined)
      storage.closeRange(12_345, false, undefined)
      expect(restarted(storage).openRange({ worker: 'a', start: 0, end: 1 }, storedAt)).toBeGreaterThan(second)
      expect(second).toBeGreaterThan(first)
    })

    storageState({ empty, begun, restarted })
    storageRecords({ empty, begun, restarted })
    storageFinal({ empty, begun, restarted })
    storageProperties(open)
    stateProperties(open)
    finalProperties(open)
  })
}
