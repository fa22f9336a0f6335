// Are the invariants worth anything? Bugs planted one at a time, from the outside: each must be caught within 200 seeds.
//   bun test ./test/sim/planted.slow.ts
import { expect, mock, test } from 'bun:test'
import * as blocks from '../../core/chain/block.ts'
import { Branches } from '../../core/chain/branch.ts'
import { Chain } from '../../core/chain/chain.ts'
import { Intake } from '../../core/chain/intake.ts'
import { Orphans } from '../../core/chain/orphans.ts'
import type { ChainRules } from '../../core/chain/rules.ts'
import { accepted, found, refuse, type Consensus, type Result, type Storage } from '../../core/index.ts'
import type { LoadedPlugin } from '../../core/plugin.ts'
import { Peer } from '../../core/network/peer.ts'
import { TransactionRelay } from '../../core/network/relay/transactions.ts'
import type { DiskFile } from './disk.ts'
import { powOf, type Engine } from './engines.ts'
import { SimHost } from './host.ts'
import { JournalLedger } from './journal.ts'
import { mixedPlan, type Plan } from './plan.ts'
import { World } from './runtime.ts'
import { plantAuthorityBugs } from './plantedauthorities.ts'
import { plantStateBugs } from './plantedstate.ts'
import { planted, replace, undo } from './planting.ts'
import { Simulation, type Outcome } from './simulation.ts'

/** The simulator's engine with some of its methods replaced. */
const withEngine =
  (change: Partial<Consensus>) =>
  (plan: Plan): Engine => {
    const engine = powOf(plan)
    return {
      ...engine,
      entry(node) {
        const entry = engine.entry(node)
        const setup: LoadedPlugin['setup'] = (...given) => ({
          ...(entry.plugin.setup(...given) as Consensus),
          ...change,
        })
        return { ...entry, plugin: { ...entry.plugin, setup } }
      },
    }
  }

/** A journal that does not wait until records of this kind are on the disk. */
const withoutSyncOf =
  (kind: string) =>
  (file: DiskFile): Storage => {
    let last = ''
    return new JournalLedger({
      ...file,
      append(text) {
        last = text
        file.append(text)
      },
      sync() {
        if (!last.includes(`["${kind}",`)) file.sync()
      },
    })
  }

// ---- what is checked ----

const { readHeader, readSealedHeader, blockText, headerHash } = { ...blocks }

planted('the hash of a block is not checked', ['every stored block is valid', 'no honest peer is banned'], () => {
  let isPlanted = true
  undo.push(() => void (isPlanted = false))
  const lax =
    <T extends blocks.SealedHeader>(read: (value: unknown, rules: ChainRules) => Result<blocks.ReadHeader<T>>) =>
    (value: unknown, rules: ChainRules): Result<blocks.ReadHeader<T>> => {
      const strict = read(value, rules)
      if (strict.ok || strict.code !== 'bad-hash' || !isPlanted) return strict
      const block = value as T
      const mended = read({ ...block, current_hash: headerHash(block, block.nonce) }, rules)
      if (!mended.ok) return mended
      const message = Buffer.from(blockText(block.current_hash))
      return found({ ...mended.value, block, check: { ...mended.value.check, message } })
    }
  void mock.module('../../core/chain/block.ts', () => ({
    ...blocks,
    readHeader: lax(readHeader),
    readSealedHeader: lax(readSealedHeader),
  }))
  return {}
})

planted('the work of a block is not checked', ['every stored block is valid'], () => ({
  engine: withEngine({ verify: () => accepted }),
}))

planted('signatures are not checked', ['every stored block is valid', 'no node fails or logs an error'], () => {
  replace(SimHost.prototype, 'verifyInBackground', () => () => Promise.resolve(true))
  return {}
})

planted(
  'a transaction may be recorded twice',
  ['no transaction is recorded twice', 'no node fails or logs an error'],
  () => {
    replace(Branches.prototype, 'repeatedTransaction', () => () => undefined)
    return {}
  },
)

// ---- what is kept ----

planted('pending transactions are not synced', ['no acknowledged transaction is lost'], () => ({
  openLedger: withoutSyncOf('keepPending'),
}))

planted('blocks are not synced', ['total work of a head never falls', 'no acknowledged transaction is lost'], () => ({
  openLedger: withoutSyncOf('commit'),
}))

planted('a reorganisation is written in two steps', ['total work of a head never falls'], () => ({
  openLedger: (file) =>
    new (class extends JournalLedger {
      override commit(change: Parameters<Storage['commit']>[0]): void {
        if (change.undone.length > 0) super.commit({ ...change, applied: [] })
        super.commit({ ...change, undone: [], returned: [] })
      }
    })(file),
}))

planted('undone transactions do not return', ['no acknowledged transaction is lost'], () => {
  replace(
    Branches.prototype,
    'changeTo',
    (original) =>
      function (this: Branches, ...given) {
        return { ...original.apply(this, given), returned: [] }
      },
  )
  return {}
})

planted('what was pending is not taken up again', ['no acknowledged transaction is lost'], () => {
  replace(Chain.prototype, 'restorePending', () => () => Promise.resolve())
  return {}
})

// ---- what is agreed on ----

planted('a block weighs by who made it and not by its work', ['total work of a head never falls'], () => ({
  engine: withEngine({ weight: ({ miner_id }) => BigInt(1 + Number.parseInt(miner_id[0]!, 16)) }),
}))

planted('a block is marked as seen before it was checked', ['honest heads stay equal after healing'], () => {
  const seen = new WeakMap<Intake, Set<unknown>>()
  replace(
    Intake.prototype,
    'examine',
    (original) =>
      async function (this: Intake, values, from, reads) {
        const marks = seen.get(this) ?? new Set()
        seen.set(this, marks)
        const { current_hash } = values[0] as blocks.Block
        if (values.length === 1 && marks.has(current_hash)) {
          const { prepared } = await original.call(this, [], from)
          return { known: 1, prepared }
        }
        if (from !== 'local') marks.add(current_hash)
        return await original.call(this, values, from, reads)
      },
  )
  return {}
})

// ---- what is said ----

planted('announcements go to and fro for ever', ['queues stay within their limits'], () => {
  replace(
    TransactionRelay.prototype,
    'announced',
    (original) =>
      function (this: TransactionRelay, peer, hashes) {
        original.call(this, peer, hashes)
        for (const hash of hashes) peer.send({ type: 'tx_announce', hashes: [hash, hash] })
      },
  )
  return {}
})

planted('an answer is waited for without end', ['honest heads are equal within 60 s of healing'], () => {
  replace(
    Peer.prototype,
    'ask',
    (original) =>
      function (this: Peer, message, answerType) {
        return original.call(this, message, answerType, Infinity)
      },
  )
  return {}
})

planted('nobody dials again', ['honest heads are equal within 60 s of healing'], () => {
  replace(
    SimHost.prototype,
    'connect',
    (original) =>
      function (this: SimHost, ...given) {
        if (this.clock.monotonic() < 20_000 || !this.address.endsWith('.0.1') || given[1] !== 13_245) {
          return original.apply(this, given)
        }
        return new Promise(() => {})
      },
  )
  return {}
})

planted('orphans are kept without end', ['queues stay within their limits'], () => {
  const { limits } = mixedPlan(1)
  return { nodeLimits: { ...limits, orphan_blocks_max: 1e6, orphan_blocks_per_source_max: 1e6 } }
})

planted('who sends a block too early is banned', ['no honest peer is banned'], () => {
  replace(Orphans.prototype, 'keep', () => () => refuse('orphan', 'the parent is not known here'))
  return {}
})

// ---- what is built on the chain ----

plantStateBugs()

// ---- who may do what ----

plantAuthorityBugs()

// ---- the simulator itself ----

test('a clock that the seed does not decide: two runs differ', async () => {
  const plan = mixedPlan(20)
  const run = (): Promise<Outcome> => new Simulation({ plan, engine: powOf(plan) }).run()
  const sound = [await run(), await run()]
  expect(sound[0]!.trace).toBe(sound[1]!.trace)
  replace(
    World.prototype,
    'schedule',
    (original) =>
      function (this: World, host, milliseconds, go) {
        return original.call(this, host, milliseconds + Math.round(Math.random()), go)
      },
  )
  const planted = [await run(), await run()]
  expect(planted[0]!.trace).not.toBe(planted[1]!.trace)
}, 60_000)
