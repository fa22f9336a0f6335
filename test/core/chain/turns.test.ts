// A node's own blocks where an engine has turns: one block a turn, on whatever branch it may.
import { afterEach, describe, expect, test } from 'bun:test'
import { headerOf, type Block } from '../../../core/chain/block.ts'
import { developmentGenesis } from '../../../core/chain/genesis.ts'
import { stalledMilliseconds } from '../../../core/chain/site.ts'
import { signTransaction, type Transaction } from '../../../core/chain/transaction.ts'
import type { Consensus, Due } from '../../../core/plugin.ts'
import { signingOwner } from '../../../core/signing/record.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import { makeBlock, makeKey, makeTransaction } from '../../support/blocks.ts'
import { countersApplication, CountersModel } from '../../support/counters.ts'
import { eventually } from '../../support/eventually.ts'
import { genesis, lab, ToldFinality, type Lab, type LabOptions } from './lab.ts'
import { sealed } from './made.ts'

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

/** Counts how often the engine is asked, so that a loop shows. */
function authority(options: LabOptions & { readonly due?: Consensus['due'] } = {}) {
  let asked = 0
  const due: Consensus['due'] = (ancestry, pending, now, since): Due => {
    asked++
    return options.due?.(ancestry, pending, now, since) ?? (pending > 0 ? { when: now } : { waitsFor: 'a transaction' })
  }
  const node = lab({ ...options, engine: { turn: ({ index }) => [index], due, ...options.engine } })
  ends.push(() => node.stop())
  return Object.assign(node, { asked: () => asked })
}

let made = 0
const submit = async ({ chain }: Lab): Promise<void> =>
  expect(await chain.submitTransaction(makeTransaction(genesis, 1, { n: made++ }))).toMatchObject({ ok: true })

const others = (parent: Block, works: readonly number[], extra: string): Block[] => {
  const row: Block[] = []
  for (const work of works) row.push(makeBlock(row.at(-1) ?? parent, { work, extra, miner: 2 }))
  return row
}

/** Whatever is under way gets its turns of the event loop. */
const idle = async (): Promise<void> => {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('a block of this node', () => {
  test('is written together with the record that it was signed', async () => {
    const writes: unknown[] = []
    class Watched extends MemoryLedger {
      override commit(...args: Parameters<MemoryLedger['commit']>): void {
        const [{ applied, records = [] }] = args
        writes.push([applied.at(-1)!.block.current_hash, records])
        super.commit(...args)
      }
    }
    const node = authority({ storage: new Watched() })
    node.producer.start()
    await submit(node)
    await eventually(() => node.chain.head().header.index === 1, 'the block is recorded')
    const last = node.signing.signerOf('chain').last('block')
    expect(last).toEqual({ place: [1], text: node.head() })
    expect(writes).toEqual([[node.head(), [{ owner: signingOwner, changes: [expect.anything()] }]]])
  })

  test('is kept beside with its record too, and others hear of it', async () => {
    const node = authority()
    const [rival] = others(genesis.block, [9], 'rival')
    const beside: unknown[] = []
    node.chain.watch({ beside: ({ current_hash }, from) => void beside.push([current_hash, from]) })
    await node.chain.submitBlock(rival)
    const kept = makeBlock(genesis.block, { extra: 'mine', work: 1 })
    const reserved = node.signing.reserveBlock([1], kept.current_hash)
    expect(reserved.ok).toBe(true)
    const records = reserved.ok ? reserved.value : []
    expect(await node.chain.submitBlock(kept, 'local', undefined, records)).toEqual({ ok: true })
    expect(node.chain.header(kept.current_hash)?.recorded).toBe(false)
    expect(node.signing.signerOf('chain').last('block')).toEqual({ place: [1], text: kept.current_hash })
    expect(beside).toEqual([[kept.current_hash, 'local']])
  })

  test('that is refused leaves no record', async () => {
    let good = true
    const node = authority({
      engine: { verify: () => (good ? { ok: true } : { ok: false, code: 'no', detail: '', provable: true }) },
    })
    good = false
    node.producer.start()
    await submit(node)
    await eventually(() => node.lines.length > 0, 'it is told')
    expect(node.signing.signerOf('chain').last('block')).toBeUndefined()
    // It is not tried again before its time, whatever comes.
    for (let n = 0; n < 5; n++) await submit(node)
    await idle()
    expect(node.lines).toHaveLength(1)
    good = true
    node.clock.turn(1_000)
    await eventually(() => node.chain.head().header.index === 1, 'it is made')
  })
})

describe('a place that is taken', () => {
  /** It has signed at height 1, on a branch that lost. */
  async function signedElsewhere(options: Parameters<typeof authority>[0] = {}) {
    const node = authority(options)
    const own = makeBlock(genesis.block, { extra: 'own', work: 1 })
    const reserved = node.signing.reserveBlock([1], own.current_hash)
    expect(await node.chain.submitBlock(own, 'local', undefined, reserved.ok ? reserved.value : [])).toEqual({
      ok: true,
    })
    return { node, own }
  }

  test('is waited for, without a loop and without a word in the log', async () => {
    const { node, own } = await signedElsewhere()
    const rival = makeBlock(genesis.block, { extra: 'rival', work: 2, miner: 2 })
    await node.chain.submitBlock(rival)
    expect(node.head()).toBe(rival.current_hash)
    const higher = makeBlock(rival, { extra: 'higher', work: 1, miner: 2 })
    // The record of height 2 is written with a block that never came to be: as after a crash.
    node.storage.records(signingOwner).write([[lastKey(node), JSON.stringify({ place: [2], text: 'ab'.repeat(32) })]])
    node.producer.start()
    await submit(node)
    await idle()
    const asked = node.asked()
    expect(node.producer.why()).toMatchObject({
      waitsFor: expect.stringContaining('block 2 of somebody else'),
      since: node.clock.now(),
    })
    await idle()
    expect(node.asked() - asked).toBeLessThan(3)
    expect(node.lines).toEqual([])
    expect(node.clock.timers).toBe(1)
    await node.chain.submitBlock(higher)
    node.clock.turn(20)
    await eventually(() => node.chain.head().header.index === 3, 'with the next head it goes on')
    expect(node.chain.header(own.current_hash)?.recorded).toBe(false)
  })

  test('makes it build on the highest tip once the head is stalled, until that is the head', async () => {
    const { node, own } = await signedElsewhere()
    const [rival] = others(genesis.block, [5], 'rival')
    await node.chain.submitBlock(rival)
    node.storage.records(signingOwner).write([[lastKey(node), JSON.stringify({ place: [2], text: 'ab'.repeat(32) })]])
    const side = others(own, [1, 1], 'side')
    for (const block of side) await node.chain.submitBlock(block)
    const beside: string[] = []
    node.chain.watch({ beside: ({ index }) => void beside.push(`${index}`) })
    expect(node.head()).toBe(rival!.current_hash)
    node.producer.start()
    await submit(node)
    await idle()
    node.clock.turn(stalledMilliseconds - 1)
    await idle()
    expect(beside).toEqual([])
    node.clock.turn(1)
    await eventually(() => beside.length > 0, 'a block is built beside')
    expect(beside).toEqual(['4'])
    // The next weighs as much as the head, so that the hash decides; with one more it is heavier.
    await eventually(() => {
      node.clock.turn(20)
      return node.chain.head().header.index >= 4
    }, 'the branch is the recorded one')
    expect(node.chain.headerAt(3)?.header.current_hash).toBe(side[1]!.current_hash)
    expect(node.lines).toEqual([])
    // What is pending stands in it once.
    expect(node.chain.pendingCount()).toBe(0)
  })

  test('makes it build there too where its engine wants a block although nothing is pending', async () => {
    const { node, own } = await signedElsewhere({ due: (_ancestry, _pending, now) => ({ when: now }) })
    await node.chain.submitBlock(others(genesis.block, [5], 'rival')[0])
    node.storage.records(signingOwner).write([[lastKey(node), JSON.stringify({ place: [2], text: 'ab'.repeat(32) })]])
    const beside: string[] = []
    node.chain.watch({ beside: ({ index }) => void beside.push(`${index}`) })
    node.producer.start()
    await idle()
    // The higher branch comes when the head stands already.
    for (const block of others(own, [1, 1], 'side')) await node.chain.submitBlock(block)
    expect(beside).toEqual(['2', '3'])
    node.clock.turn(stalledMilliseconds - 1)
    await idle()
    expect(beside).toEqual(['2', '3'])
    node.clock.turn(1)
    await eventually(() => beside.length > 2, 'a block is built beside')
    expect(beside[2]).toBe('4')
    await node.producer.stop()
    expect(node.lines).toEqual([])
  })

  test('makes it say its block again while the head is stalled, each time after as long', async () => {
    const { node, own } = await signedElsewhere({ due: () => ({ waitsFor: 'somebody else' }) })
    const [rival] = others(genesis.block, [4], 'rival')
    await node.chain.submitBlock(rival)
    const said: string[] = []
    node.chain.watch({ sayAgain: ({ current_hash }) => void said.push(current_hash) })
    node.producer.start()
    node.clock.turn(10 * stalledMilliseconds)
    expect(said).toEqual([])
    await submit(node)
    node.clock.turn(stalledMilliseconds - 1)
    expect(said).toEqual([])
    node.clock.turn(1)
    expect(said).toEqual([own.current_hash])
    // More transactions are no reason to say it more often.
    for (let n = 0; n < 3; n++) await submit(node)
    expect(said).toHaveLength(1)
    node.clock.turn(2 * stalledMilliseconds)
    expect(said).toHaveLength(3)
    await node.chain.submitBlock(makeBlock(rival!, { miner: 2 }))
    node.clock.turn(stalledMilliseconds - 1)
    expect(said).toHaveLength(3)
  })

  test('says nothing again while its block is on the recorded chain', async () => {
    const { node, own } = await signedElsewhere({ due: () => ({ waitsFor: 'somebody else' }) })
    const said: string[] = []
    node.chain.watch({ sayAgain: ({ current_hash }) => void said.push(current_hash) })
    node.producer.start()
    await submit(node)
    node.clock.turn(3 * stalledMilliseconds)
    expect(node.head()).toBe(own.current_hash)
    expect(said).toEqual([])
  })

  test('is waited for too if it is taken while the block is made', async () => {
    let seals = 0
    const node: ReturnType<typeof authority> = authority({
      engine: {
        seal: async () => {
          seals++
          const record = { place: [1], text: 'ab'.repeat(32) }
          node.storage.records(signingOwner).write([['last/chain/block', JSON.stringify(record)]])
          return { nonce: 0 }
        },
      },
    })
    node.producer.start()
    await submit(node)
    await eventually(() => seals > 0, 'it is sealed')
    await idle()
    expect(seals).toBe(1)
    expect(node.signing.signerOf('chain').last('block')?.text).toBe('ab'.repeat(32))
    expect(node.producer.why()).toMatchObject({ waitsFor: expect.stringContaining('block 1 of somebody else') })
    expect(node.lines).toEqual([])
    expect(node.chain.head().header.index).toBe(0)
  })
})

/** Under which key the record of blocks stands. */
function lastKey(node: Lab): string {
  const keys = node.storage
    .records(signingOwner)
    .list('', undefined, 100)
    .map(([key]) => key)
  const found = keys.find((key) => key.endsWith('chain/block'))
  if (found === undefined) throw new Error(`no record of blocks among ${keys.join()}`)
  return found
}

describe('a finality', () => {
  test('puts its certificate into the draft before the engine sees it', async () => {
    const finality = new ToldFinality()
    const seen: unknown[] = []
    const node = authority({ finality, engine: { prepare: (draft) => (seen.push(draft.finality), draft) } })
    finality.next = { good: true }
    node.producer.start()
    await submit(node)
    await eventually(() => node.chain.head().header.index === 1, 'the block is recorded')
    expect(node.chain.head().header.finality).toEqual({ good: true })
    expect(new Set(seen)).toEqual(new Set([finality.next]))
  })

  test('that halts the chain makes it wait, and go on when it says so', async () => {
    const finality = new ToldFinality()
    const node = authority({ finality })
    finality.halts = { waitsFor: 'votes of two authorities', help: 'start them' }
    node.producer.start()
    await submit(node)
    await idle()
    expect(node.chain.due()).toEqual(finality.halts)
    expect(node.producer.why()).toMatchObject(finality.halts)
    expect(node.chain.head().header.index).toBe(0)
    finality.halts = undefined
    finality.tell({})
    await eventually(() => node.chain.head().header.index === 1, 'it goes on')
  })

  test('may want a block although nothing is pending', async () => {
    const finality = new ToldFinality()
    const heard: number[][] = []
    const node = authority({
      finality,
      due: (_ancestry, pending, now, since) => {
        heard.push([pending, since - now])
        return pending > 0 ? { when: now } : { waitsFor: 'a transaction' }
      },
    })
    node.producer.start()
    expect(heard).toEqual([[0, 0]])
    finality.wants = true
    const head = new Promise<void>((resolve) =>
      node.chain.watch({
        moved: () => {
          finality.wants = false
          resolve()
        },
      }),
    )
    node.chain.changed()
    await head
    expect(heard[1]).toEqual([1, 0])
    expect(node.chain.head().header.index).toBe(1)
    expect(node.chain.block(node.head())?.transactions).toEqual([])
  })

  test('wants it since one moment, however often that is asked: who waits from then on comes to its end', () => {
    const finality = new ToldFinality()
    const since: number[] = []
    const node = authority({
      finality,
      due: (_ancestry, pending, now, from) => {
        if (pending > 0) since.push(from)
        return { when: now + 60_000 }
      },
    })
    finality.wants = true
    node.chain.due()
    const [first] = since
    node.clock.turn(1_000)
    node.chain.due()
    expect(since).toEqual([first!, first!])
  })

  test('may want one on a chain that halts: it holds nothing, whatever is pending', async () => {
    const finality = new ToldFinality()
    const node = authority({ finality })
    finality.halts = { waitsFor: 'votes' }
    finality.wants = true
    await submit(node)
    node.chain.watch({ moved: () => void (finality.wants = false) })
    node.producer.start()
    await eventually(() => node.chain.head().header.index === 1, 'an empty block is made')
    expect(node.chain.block(node.head())?.transactions).toEqual([])
    expect(node.chain.pendingCount()).toBe(1)
    expect(node.chain.due()).toEqual(finality.halts)
  })
})

test('without turns a head is never stalled: nothing is built beside, and no timer runs', async () => {
  const asked: number[] = []
  const due: Consensus['due'] = ({ parent }) => {
    asked.push(parent.index)
    return { waitsFor: 'a block of others' }
  }
  const node = lab({ engine: { due } })
  ends.push(() => node.stop())
  for (const block of others(genesis.block, [1, 1], 'side')) await node.chain.submitBlock(block)
  await node.chain.submitBlock(makeBlock(genesis.block, { work: 9 }))
  node.producer.start()
  await submit(node)
  expect(node.clock.timers).toBe(0)
  node.clock.turn(2 * stalledMilliseconds)
  node.chain.changed()
  expect(new Set(asked)).toEqual(new Set([1]))
})

test('an engine hears since when the oldest transaction is pending', async () => {
  const heard: number[] = []
  const node = authority({
    due: (_ancestry, _pending, now, since) => {
      heard.push(now - since)
      return { waitsFor: 'nothing that comes' }
    },
  })
  node.producer.start()
  await submit(node)
  node.clock.turn(700)
  await submit(node)
  expect(heard.at(-1)).toBe(700)
})

describe('what an engine proposes', () => {
  test('is the block as it will be, signed, but for its certificate', async () => {
    let proposed: Block | undefined
    const node = lab({
      engine: {
        seal: async (_header, _signal, propose) => {
          proposed = propose()
          return { nonce: 0, certificate: { votes: 3 } }
        },
      },
    })
    ends.push(() => node.stop())
    node.producer.start()
    await submit(node)
    await eventually(() => node.chain.head().header.index === 1, 'the block is recorded')
    expect(node.chain.block(node.head())).toEqual({ ...proposed!, certificate: { votes: 3 } })
  })

  test('is not signed where it would have to be recorded first', async () => {
    const node = authority({
      engine: {
        seal: async (_header, _signal, propose) => {
          propose()
          return { nonce: 0 }
        },
      },
    })
    const warned: string[] = node.lines
    node.producer.start()
    await submit(node)
    await eventually(() => warned.length > 0, 'it is told')
    expect(node.chain.head().header.index).toBe(0)
  })
})

test('says what it waits for, and since when', async () => {
  const node = authority()
  expect(node.producer.why()).toBeUndefined()
  node.producer.start()
  const started = node.clock.now()
  node.clock.turn(500)
  expect(node.producer.why()).toEqual({ waitsFor: 'a transaction', since: started })
  node.producer.hold(true)
  expect(node.producer.why()).toMatchObject({ waitsFor: expect.stringContaining('peers') })
  node.producer.hold(false)
  const later = authority({ due: (_ancestry, _pending, now) => ({ when: now + 4_000 }) })
  later.producer.start()
  expect(later.producer.why()).toEqual({ when: later.clock.now() + 4_000 })
})

test('a draft beside the recorded chain holds what holds there, and drops nothing', async () => {
  const counters = developmentGenesis('lab', {}, { name: 'counters', parameters: {} })
  const { chainId } = counters.rules
  const count = (counter: string, add: number) => signTransaction(makeKey(1), chainId, { counter, add }, made++)
  const node = lab({ genesis: counters, application: countersApplication() })
  ends.push(() => node.stop())
  const blockOf = (parent: Block, work: number, ...transactions: Transaction[]): Block => {
    const after = modelOf(parent).after(transactions)!
    const header = { ...headerOf(makeBlock(parent, { transactions, work, miner: 2 })), state_root: after.root }
    const block = sealed(header, transactions, makeKey(2), 0)
    models.set(block, after)
    return block
  }
  const models = new Map<Block, CountersModel>()
  const modelOf = (block: Block): CountersModel => models.get(block) ?? CountersModel.opening()
  const [shared, ahead] = [count('b', 1), count('a', 5)]
  const main = blockOf(counters.block, 9, ahead)
  const side = blockOf(counters.block, 1, shared)
  for (const block of [main, side]) expect(await node.chain.submitBlock(block)).toEqual({ ok: true })
  const [needsMain, anywhere] = [count('a', -5), count('bank', -60)]
  for (const one of [shared, needsMain, anywhere]) {
    expect(await node.chain.submitTransaction(one)).toMatchObject({ ok: true })
  }
  const tip = node.chain.header(side.current_hash)!
  const draft = node.chain.draft(1_000_000, tip)
  expect(draft.reads.map(({ transaction }) => transaction)).toEqual([anywhere])
  expect(draft.stateRoot).toBe(modelOf(side).after([anywhere])!.root)
  expect(draft.dropped).toBe(0)
  expect(node.chain.pendingCount()).toBe(3)
  expect(node.chain.draft(1_000_000).reads).toHaveLength(3)
  // And the block that is made of it is good.
  expect(await node.chain.submitBlock(blockOf(side, 1, anywhere))).toEqual({ ok: true })
})
