// Planted bugs of what is built on the chain: the application's state, what is pending on it, the outbox, light peers.
// Part of planted.slow.ts.
import { Executor } from '../../core/chain/executor.ts'
import { PendingRules } from '../../core/chain/pendingrules.ts'
import { PendingState } from '../../core/chain/pendingstate.ts'
import { accepted } from '../../core/index.ts'
import { MemoryLedger } from '../../plugins/memory/index.ts'
import { Outbox } from '../../plugins/memory/outbox.ts'
import { StateVersions } from '../../plugins/memory/state.ts'
import { planted, replace } from './planting.ts'

export function plantStateBugs(): void {
  // ---- the state ----

  planted(
    'the state is not undone with its block',
    ['equal heads have equal states', 'no honest peer is banned', 'no node fails or logs an error'],
    () => {
      replace(StateVersions.prototype, 'undo', () => () => {})
      return {}
    },
  )

  planted('state_root is not checked', ['every stored block is valid'], () => {
    replace(
      Executor.prototype,
      'run',
      (original) =>
        function (this: Executor, blocks, branch) {
          const { good, verdict } = original.call(this, blocks, branch)
          const [, state_root] = /state_root: expected (\w+)/.exec(verdict.ok ? '' : verdict.detail) ?? []
          if (state_root === undefined) return { good, verdict }
          const lie = blocks[good.length]!
          const block = { ...lie.read.block, state_root }
          const taken = this.run(blocks.with(good.length, { ...lie, read: { ...lie.read, block } }), branch)
          taken.good[good.length] = { ...taken.good[good.length]!, read: lie.read }
          return taken
        },
    )
    return {}
  })

  planted(
    'what the application declines is recorded all the same',
    ['every stored block is valid', 'what is pending holds'],
    () => {
      replace(
        Executor.prototype,
        'run',
        (original) =>
          function (this: Executor, blocks, branch) {
            const result = original.call(this, blocks, branch)
            if (result.verdict.ok || result.verdict.code !== 'bad-transaction') return result
            return { good: [...blocks], verdict: { ok: true } }
          },
      )
      return {}
    },
  )

  planted(
    'a block on a side branch is executed without what stands below it there',
    ['no honest peer is banned', 'every stored block is valid', 'honest heads are equal within 60 s of healing'],
    () => {
      replace(
        Executor.prototype,
        'run',
        (original) =>
          function (this: Executor, blocks, branch) {
            return original.call(this, blocks, { ...branch, side: [] })
          },
      )
      return {}
    },
  )

  // ---- what is pending ----

  planted(
    "what is pending is not looked at again after another's block",
    ['what is pending holds', 'what is dropped does not hold', 'no acknowledged transaction is lost'],
    () => {
      replace(
        PendingState.prototype,
        'recorded',
        (original) =>
          function (this: PendingState, transactions) {
            original.call(this, transactions)
            return true
          },
      )
      return {}
    },
  )

  planted('undone transactions come back newest first', ['what is dropped does not hold'], () => {
    replace(
      PendingState.prototype,
      'rebuild',
      (original) =>
        function (this: PendingState, reads) {
          // Without the further passes that make up for it.
          const { held, refused } = original.call(this, reads.slice(0, 1))
          for (const read of reads.slice(1).toReversed()) {
            const verdict = this.take(read)
            if (verdict.ok) held.push(read)
            else refused.push({ hash: read.hash, refusal: verdict })
          }
          return { held, refused }
        },
    )
    return {}
  })

  planted('nobody remembers why something was dropped', ['no acknowledged transaction is lost'], () => {
    replace(PendingRules.prototype, 'dropped', () => () => undefined)
    return {}
  })

  planted('what is pending is not looked at when another comes in', ['what is pending holds'], () => {
    replace(PendingRules.prototype, 'admit', () => () => accepted)
    return {}
  })

  // ---- the outbox ----

  planted('the outbox does not tell what was undone', ['the outbox tells what was recorded'], () => {
    replace(
      Outbox.prototype,
      'add',
      (original) =>
        function (this: Outbox, entry) {
          if (entry.kind !== 'undone') original.call(this, entry)
        },
    )
    return {}
  })

  // ---- light peers ----

  planted('a light peer does not remember its chain', ['light peers learn their chain and take part'], () => {
    replace(
      MemoryLedger.prototype,
      'records',
      (original) =>
        function (this: MemoryLedger, owner) {
          return { ...original.call(this, owner), write: () => {} }
        },
    )
    return {}
  })
}
