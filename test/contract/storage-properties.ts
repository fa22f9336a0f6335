// Random commits, reorganisations and pending transactions against a model that is too plain to be wrong.
import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { Block } from '../../core/chain/block.ts'
import { canonicalJson } from '../../core/chain/canonical.ts'
import { transactionHash, type Transaction } from '../../core/chain/transaction.ts'
import type { PendingTransaction } from '../../core/plugin.ts'
import { makeApplied, makeBlock, makeGenesis, makePending, makeTransaction } from '../support/blocks.ts'
import type { Opened } from './storage.ts'

const genesis = makeGenesis()
const runs = 25

/** One step: undo so many blocks, then add blocks with these transactions; or keep or drop pending ones. */
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('move' as const),
      undo: fc.nat(3),
      blocks: fc.array(fc.array(fc.nat(19), { maxLength: 3 }), { maxLength: 3 }),
      return: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('keep' as const), ids: fc.array(fc.nat(19)) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drop' as const), ids: fc.array(fc.nat(19)) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
)

const transactions: readonly Transaction[] = Array.from({ length: 20 }, (_, n) =>
  makeTransaction(genesis, n % 4, { note: `number ${n}` }, n),
)
const hashOf = (transaction: Transaction) => transactionHash(transaction, genesis.rules.chainId)

export function storageProperties(open: () => Opened): void {
  test('random moves leave what a plain model leaves', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const opened = open()
        let storage = opened.storage
        storage.begin(genesis, genesis.block, 0)
        const chain: Block[] = [genesis.block]
        const side = new Set<string>()
        const pending = new Map<string, PendingTransaction>()
        let made = 0
        try {
          for (const each of steps) {
            switch (each.kind) {
              case 'move': {
                const undone = chain.splice(Math.max(1, chain.length - each.undo)).toReversed()
                const recorded = new Set(chain.flatMap((block) => block.transactions.map(hashOf)))
                const returned = each.return
                  ? undone.flatMap((block) => block.transactions.map((tx) => makePending(genesis, tx, 5)))
                  : []
                for (const one of returned) if (!pending.has(one.hash)) pending.set(one.hash, one)
                const applied = each.blocks.map((ids) => {
                  const body = [...new Set(ids)].map((n) => transactions[n]!).filter((tx) => !recorded.has(hashOf(tx)))
                  made += 1
                  const block = makeBlock(chain.at(-1)!, { transactions: body, extra: String(made) })
                  for (const tx of body) recorded.add(hashOf(tx))
                  for (const tx of body) pending.delete(hashOf(tx))
                  chain.push(block)
                  return makeApplied(block, BigInt(block.index))
                })
                for (const block of undone) side.add(block.current_hash)
                storage.commit({
                  undone: undone.map((block) => block.current_hash),
                  applied,
                  returned,
                  writtenAt: made,
                })
                break
              }
              case 'keep': {
                const kept = each.ids.map((n) => makePending(genesis, transactions[n]!, n))
                const recorded = new Set(chain.flatMap((block) => block.transactions.map(hashOf)))
                for (const one of kept) {
                  if (!pending.has(one.hash) && !recorded.has(one.hash)) pending.set(one.hash, one)
                }
                storage.keepPending(kept)
                break
              }
              case 'drop': {
                const hashes = each.ids.map((n) => hashOf(transactions[n]!))
                for (const hash of hashes) pending.delete(hash)
                storage.dropPending(hashes)
                break
              }
              case 'reopen':
                storage = opened.reopen?.() ?? storage
            }
          }
          expect(storage.head().header.current_hash).toBe(chain.at(-1)!.current_hash)
          for (const block of chain) {
            expect(canonicalJson(storage.block(block.current_hash))).toBe(canonicalJson(block))
            expect(storage.headerAt(block.index)?.header.current_hash).toBe(block.current_hash)
          }
          expect(storage.headerAt(chain.length)).toBeUndefined()
          for (const tx of transactions) {
            const at = chain.find((block) => block.transactions.some((one) => hashOf(one) === hashOf(tx)))
            expect(storage.locate(hashOf(tx))?.blockIndex).toBe(at?.index)
            expect(storage.transaction(hashOf(tx))?.blockHash).toBe(at?.current_hash)
          }
          expect([...storage.pending()]).toEqual([...pending.values()])
          const count = chain.reduce((sum, block) => sum + block.transactions.length, 0)
          expect(storage.counts()).toEqual({ transactions: count, sideBlocks: side.size })
          for (const hash of side) expect(storage.header(hash)?.recorded).toBe(false)
          expect(storage.integrity()).toBeUndefined()
        } finally {
          opened.close()
        }
      }),
      { numRuns: runs },
    )
  })
}
