import { describe, expect, test } from 'bun:test'
import { AdmissionDesk } from '../../../core/chain/admission.ts'
import { developmentGenesis } from '../../../core/chain/genesis.ts'
import { Mempool } from '../../../core/chain/mempool.ts'
import { readTransaction, type ReadTransaction } from '../../../core/chain/transaction.ts'
import { AurexError, decline } from '../../../core/errors.ts'
import { defaultNodeLimits } from '../../../core/limits.ts'
import { someTransaction } from '../../support/chainworld.ts'

const genesis = developmentGenesis('pow', { difficulty: 1 })

function next(): ReadTransaction {
  const read = readTransaction(someTransaction(), genesis.rules)
  if (!read.ok) throw new Error(read.detail)
  return read.value
}

/** A desk over a ledger that only counts, and a clock that stands until it is told to go on. */
function rig() {
  const soon: (() => void)[] = []
  const timers = new Set<() => void>()
  const kept: (readonly string[])[] = []
  const lost: (readonly string[])[] = []
  const located: string[] = []
  const recorded = new Set<string>()
  const state = { verifying: 0, head: 'one', full: false }
  const mempool = new Mempool(defaultNodeLimits)
  const desk = new AdmissionDesk({
    storage: {
      head: () => ({ header: { ...genesis.block, current_hash: state.head }, totalWork: 0n, recorded: true }),
      keepPending(transactions) {
        if (state.full) throw new AurexError('storage-full', 'no room')
        kept.push(transactions.map(({ hash }) => hash))
      },
      locate(hash) {
        located.push(hash)
        return recorded.has(hash) ? { blockIndex: 1, position: 0 } : undefined
      },
    },
    mempool,
    verifying: () => state.verifying,
    limits: defaultNodeLimits,
    clock: {
      now: () => 7,
      monotonic: () => 7,
      soon: (run) => void soon.push(run),
      after(_milliseconds, run) {
        timers.add(run)
        return { cancel: () => void timers.delete(run) }
      },
    },
    admitted: () => undefined,
    storageFailed: () => undefined,
    lost: (entries) => void lost.push(entries.map(({ read }) => read.hash)),
  })
  /** Lets a turn of the event loop pass. */
  const turn = () => soon.splice(0).forEach((run) => run())
  const timeOut = () => timers.forEach((run) => run())
  return { desk, mempool, state, kept, lost, located, recorded, timers, turn, timeOut }
}

describe('what is verified at about the same time is written in one commit', () => {
  test('at once when nothing more is being verified', async () => {
    const { desk, kept, located, timers, turn } = rig()
    const [one, two] = [next(), next()]
    const answers = [desk.admit(one, undefined), desk.admit(two, undefined)]
    expect(kept).toEqual([])
    turn()
    expect(kept).toEqual([[one.hash, two.hash]])
    expect((await Promise.all(answers)).map((answer) => answer.ok && answer.value.status)).toEqual([
      'admitted',
      'admitted',
    ])
    // The head has not moved since it was asked whether they are recorded.
    expect(located).toEqual([])
    expect(timers.size).toBe(0)
  })

  test('when as many wait as are still being verified', async () => {
    const { desk, state, kept, turn } = rig()
    const [one, two] = [next(), next()]
    state.verifying = 2
    void desk.admit(one, undefined)
    turn()
    expect(kept).toEqual([])
    void desk.admit(two, undefined)
    turn()
    expect(kept).toEqual([[one.hash, two.hash]])
    await desk.settled()
  })

  test('with many still being verified, when the timer runs out', async () => {
    const { desk, state, kept, turn, timeOut } = rig()
    const one = next()
    state.verifying = 100
    void desk.admit(one, undefined)
    turn()
    expect(kept).toEqual([])
    timeOut()
    expect(kept).toEqual([[one.hash]])
    await desk.settled()
  })

  test('a turn that was asked for before the timer ran out writes nothing twice', async () => {
    const { desk, kept, turn, timeOut } = rig()
    void desk.admit(next(), undefined)
    timeOut()
    turn()
    expect(kept).toHaveLength(1)
    await desk.settled()
  })
})

test('what a block recorded meanwhile is included, and the rest is kept', async () => {
  const { desk, state, kept, recorded, mempool, turn } = rig()
  const [one, two] = [next(), next()]
  const answers = [desk.admit(one, undefined), desk.admit(two, undefined)]
  state.head = 'two'
  recorded.add(one.hash)
  turn()
  expect((await Promise.all(answers)).map((answer) => answer.ok && answer.value.status)).toEqual([
    'included',
    'admitted',
  ])
  expect(kept).toEqual([[two.hash]])
  expect([...mempool.entries()].map(({ read }) => read.hash)).toEqual([two.hash])
})

test('one on its way in that may not come in any more is told so, and is not written', async () => {
  const { desk, kept, mempool, turn } = rig()
  const [one, two] = [next(), next()]
  const answers = [desk.admit(one, undefined), desk.admit(two, undefined)]
  expect([...desk.waiting()].map(({ read }) => read.hash)).toEqual([one.hash, two.hash])
  const refusal = decline('below-zero', 'the head moved')
  desk.refuse(one.hash, refusal)
  expect(desk.pendingAnswer(one.hash)).toBeUndefined()
  turn()
  expect(await Promise.all(answers)).toMatchObject([refusal, { ok: true }])
  expect(kept).toEqual([[two.hash]])
  expect(mempool.size).toBe(1)
  await desk.settled()
})

test('nobody is told of a transaction that could not be written, and the next one may be', async () => {
  const { desk, state, lost, mempool, turn } = rig()
  state.full = true
  const unwritten = next()
  const answer = desk.admit(unwritten, undefined)
  turn()
  expect(lost).toEqual([[unwritten.hash]])
  expect(await answer).toMatchObject({ ok: false, code: 'storage-unavailable' })
  expect(mempool.size).toBe(0)
  state.full = false
  const later = desk.admit(next(), undefined)
  turn()
  expect(await later).toMatchObject({ ok: true })
})
