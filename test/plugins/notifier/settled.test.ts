// Blocks that become final, told from a real ledger.
import { afterEach, expect, test } from 'bun:test'
import { readConfirmation, type JsonObject } from '../../../core/index.ts'
import { Confirmations } from '../../../plugins/gateway/confirmations.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import { makeKey } from '../../support/blocks.ts'
import { branchOn, someTransaction, type ChainWorld } from '../../support/chainworld.ts'
import { eventually } from '../../support/eventually.ts'
import { silentLog } from '../gateway/serverrig.ts'
import { extend, freePort, notify, record, released, shorts, type Listener } from './world.ts'

const { opened, listening, notifying } = released(afterEach)
const at = (port: number): { targets: string[] } => ({ targets: [`ndjson://127.0.0.1:${port}`] })

const told = async (listener: Listener, ...what: readonly string[]): Promise<void> => {
  await eventually(() => listener.heard.length >= what.length, `${what.length} are told`)
  expect(shorts(listener)).toEqual([...what])
}

/** A tree beside block 1 that takes the chain's place, and then the chain's own again, with one block more. */
async function thereAndBack(world: ChainWorld): Promise<void> {
  const [first, second] = [1, 2].map((height) =>
    world.chain.block(world.storage.headerAt(height)!.header.current_hash)!,
  )
  for (const block of branchOn(first!, 3, 'b')) await record(world, block)
  for (const block of branchOn(second!, 3, 'a')) await record(world, block)
  expect(world.storage.headerAt(2)!.header.current_hash).toBe(second!.current_hash)
}

test('a block is told when it is recorded, and once more when it is final: the same, under another id', async () => {
  const world = await opened(1)
  await extend(world, { transactions: [someTransaction(makeKey(3))] })
  const listener = await listening()
  const running = await notifying(world, at(listener.port))
  await told(listener, 'confirmed 1', 'confirmed 2')
  world.storage.finalize(2)
  await extend(world)
  running.look()
  await told(listener, 'confirmed 1', 'confirmed 2', 'final 1', 'final 2', 'confirmed 3')
  for (const [before, after] of [
    [0, 2],
    [1, 3],
  ] as const) {
    const { id, signature, final, ...rest } = listener.heard[before]!
    const more = listener.heard[after]!
    expect(more).toMatchObject(rest)
    expect([final, more['final']]).toEqual([false, true])
    expect(more['id']).toBe((id as string).replace(':applied:', ':final:'))
    expect(more['signature']).not.toBe(signature)
    expect(Object.keys(more)).toEqual(Object.keys(listener.heard[before]!))
    expect(readConfirmation(more)).toMatchObject({ ok: true })
  }
  expect(new Set(listener.heard.map(({ id }) => id)).size).toBe(5)
  expect(running.wakers).toContain('chain:finalized')
})

test('what is final at the first try is told once; somebody else gets the same bytes of it', async () => {
  const world = await opened(3)
  const [early, late] = [await listening(), await listening()]
  const running = await notifying(world, at(early.port))
  await told(early, 'confirmed 1', 'confirmed 2', 'confirmed 3')
  world.storage.finalize(2)
  running.look()
  await told(early, 'confirmed 1', 'confirmed 2', 'confirmed 3', 'final 1', 'final 2')
  await notifying(world, at(late.port))
  await told(late, 'final 1', 'final 2', 'confirmed 3')
  expect(late.raw.slice(0, 2)).toEqual(early.raw.slice(3))
})

test('after an outage what was told before and is final now comes first, then what is new', async () => {
  const world = await opened(2)
  const port = await freePort()
  const listener = await listening(port)
  const first = await notify(world, at(port))
  await told(listener, 'confirmed 1', 'confirmed 2')
  await first.stop()
  for (let n = 0; n < 3; n++) await extend(world)
  world.storage.finalize(1)
  world.storage.finalize(4)
  await notifying(world, at(port))
  await told(listener, 'confirmed 1', 'confirmed 2', 'final 1', 'final 2', 'final 3', 'final 4', 'confirmed 5')
})

test('the content stays as it was when the block becomes final between two tries', async () => {
  const world = await opened(2)
  const port = await freePort()
  const first = await notify(world, at(port))
  await eventually(() => first.lines.length > 0, 'the first try failed')
  await first.stop()
  world.storage.finalize(2)
  const listener = await listening(port)
  await notifying(world, at(port))
  await told(listener, 'confirmed 1', 'final 1', 'final 2')
})

test('a listener or a node that ends on the way changes no byte of what is final, and nothing is missing', async () => {
  const world = await opened(4)
  world.storage.finalize(3)
  const whole = await listening()
  await notifying(world, at(whole.port))
  await told(whole, 'final 1', 'final 2', 'final 3', 'confirmed 4')
  const raw = new Set<string>()
  let takes = 0
  const listener: Listener = await listening(0, () => listener.heard.length < takes)
  for (takes = 1; takes <= 4; takes++) {
    const running = await notify(world, at(listener.port))
    await eventually(() => listener.heard.length === takes, 'one more is taken')
    await running.stop()
  }
  for (const text of listener.raw) raw.add(text)
  expect([...raw]).toEqual(whole.raw)
})

test('with when=final only what is final is told, each once; from now on too', async () => {
  const world = await opened(3)
  world.storage.finalize(1)
  const [all, later] = [await listening(), await listening()]
  const running = await notifying(world, { ...at(all.port), when: 'final' })
  const now = await notifying(world, { ...at(later.port), when: 'final', from: 'now' })
  await told(all, 'final 1')
  world.storage.finalize(3)
  await extend(world)
  for (const one of [running, now]) one.look()
  await told(all, 'final 1', 'final 2', 'final 3')
  await told(later, 'final 2', 'final 3')
  await running.stop()
  // Another mind: what is recorded and not final is told too.
  const other = await notifying(world, at(all.port))
  await extend(world)
  other.look()
  await told(all, 'final 1', 'final 2', 'final 3', 'confirmed 4', 'confirmed 5')
})

test('a block that was undone and came back for good is never told as orphaned', async () => {
  const world = await opened(3)
  const port = await freePort()
  const listener = await listening(port)
  const first = await notify(world, at(port))
  await told(listener, 'confirmed 1', 'confirmed 2', 'confirmed 3')
  await first.stop()
  await thereAndBack(world)
  world.storage.finalize(2)
  await notifying(world, at(port))
  const before = ['confirmed 1', 'confirmed 2', 'confirmed 3', 'orphaned 3']
  await told(listener, ...before, 'confirmed 3', 'confirmed 4', 'confirmed 5', 'final 1', 'final 2')
  expect(new Set(listener.heard.map(({ id }) => id)).size).toBe(9)
})

test('what was recorded once at a final height, and is no more, is not called final', async () => {
  const world = await opened(3)
  const first = world.chain.block(world.storage.headerAt(1)!.header.current_hash)!
  for (const block of branchOn(first, 3, 'b')) await record(world, block)
  world.storage.finalize(3)
  const listener = await listening()
  await notifying(world, at(listener.port))
  const gone = ['confirmed 2', 'confirmed 3', 'orphaned 3', 'orphaned 2']
  await told(listener, 'final 1', ...gone, 'final 2', 'final 3', 'confirmed 4')
})

test('what an older version noted of a target is understood, and what it told is not told once more', async () => {
  const world = await opened(3)
  const listener = await listening()
  const [target] = at(listener.port).targets
  const cursor = { sequence: 2, reported: 2, floor: 0, said: { sequence: 2, final: false } }
  world.storage.records('notifier').write([[`cursor/${target}`, JSON.stringify(cursor)]])
  world.storage.finalize(3)
  await notifying(world, at(listener.port))
  await told(listener, 'final 3')
})

test('what others say is final is all that a node without a chain passes on, where that is wanted', async () => {
  const { storage } = await opened(0)
  const bodies: JsonObject[] = [{ final: false }, { final: true }, {}].map((fields, n) => ({
    type: 'block_confirmation',
    block_index: n + 1,
    id: `theirs ${n}`,
    ...fields,
  }))
  storage.report(
    bodies.map((body, n) => ({ index: n + 1, hash: 'a'.repeat(64), body: JSON.stringify(body) })),
    'gateway',
    [],
  )
  const listener = await listening()
  const all = await listening()
  await notifying({ storage }, { ...at(listener.port), when: 'final' })
  await notifying({ storage }, at(all.port))
  await told(listener, 'final 2')
  await told(all, 'confirmed 1', 'final 2', 'confirmed 3')
})

test('a gateway takes all of it, and passes on each block once, and once more as final', async () => {
  const world = await opened(2)
  const listener = await listening()
  const running = await notifying(world, at(listener.port))
  await told(listener, 'confirmed 1', 'confirmed 2')
  world.storage.finalize(1)
  await extend(world)
  world.storage.finalize(3)
  running.look()
  const whole = ['confirmed 1', 'confirmed 2', 'final 1', 'final 2', 'final 3']
  await told(listener, ...whole)
  const storage = new MemoryLedger()
  const confirmations = new Confirmations({
    signers: { knows: () => true },
    allowUnsigned: false,
    storage,
    forwards: true,
    chainId: () => world.genesis.rules.chainId,
    publish: () => {},
    log: silentLog,
  })
  for (const message of [...listener.heard, ...listener.heard]) expect(confirmations.hear(message).ok).toBe(true)
  const passedOn = await listening()
  await notifying({ storage }, at(passedOn.port))
  await told(passedOn, ...whole)
})
