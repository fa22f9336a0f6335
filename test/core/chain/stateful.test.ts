// A chain with an application: what its blocks may hold, what may be pending, and what becomes of it.
import { afterEach, describe, expect, test } from 'bun:test'
import { transactionHash, transactionText, type Transaction } from '../../../core/chain/transaction.ts'
import { auditLedger } from '../../../core/chain/audit.ts'
import type { Block } from '../../../core/chain/block.ts'
import { readGenesis } from '../../../core/chain/genesis.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import { purposes, type KeyPair } from '../../../core/chain/keys.ts'
import { AurexError } from '../../../core/errors.ts'
import type { Application, Storage } from '../../../core/plugin.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import {
  blockOn,
  chainWorld,
  someTransaction,
  type BlockOptions,
  type ChainWorld,
  type WorldOptions,
} from '../../support/chainworld.ts'
import { countersApplication, countersGenesis, CountersModel } from '../../support/counters.ts'
import { eventually } from '../../support/eventually.ts'
import { testKey } from '../../support/headers.ts'

const genesis = countersGenesis()
const { chainId } = genesis.rules
const worlds: ChainWorld[] = []

afterEach(async () => {
  for (const world of worlds.splice(0)) await world.dispose()
})

async function world(options: WorldOptions = {}): Promise<ChainWorld> {
  const made = await chainWorld({ application: countersApplication(), ...options })
  worlds.push(made)
  return made
}

const count = (counter: string, add: number, more: JsonObject = {}): Transaction =>
  someTransaction(testKey(1), { counter, add, ...more }, chainId)
const idOf = (transaction: Transaction): string => transactionHash(transaction, chainId)

/** A block with what its transactions lead to, and the model after it. */
class Line {
  readonly block: Block
  readonly model: CountersModel
  constructor(block: Block = genesis.block, model: CountersModel = CountersModel.opening()) {
    this.block = block
    this.model = model
  }

  with(transactions: readonly Transaction[], options: BlockOptions = {}): Line {
    const model = this.model.after(transactions)
    if (model === undefined) throw new Error('the model does not take these')
    const header = { state_root: model.root, ...options.header }
    return new Line(blockOn(this.block, { ...options, transactions, header }), model)
  }
}

const root = new Line()

async function submit(node: ChainWorld, block: Block): Promise<string> {
  const verdict = await node.chain.submitBlock(block)
  return verdict.ok ? 'ok' : verdict.code
}

async function admit({ chain }: ChainWorld, transaction: Transaction): Promise<string> {
  const result = await chain.submitTransaction(transaction)
  return result.ok ? result.value.status : result.code
}

function agreesWith(node: ChainWorld, { block, model }: Line): void {
  const { storage } = node
  expect(storage.head().header).toMatchObject({ current_hash: block.current_hash, state_root: model.root })
  for (const counter of ['bank', 'a', 'b', 'c']) {
    expect(storage.stateAt(counter, block.index)).toBe(model.counters.get(counter)?.toString())
  }
}

const ledgers = { memory: () => new MemoryLedger(), sqlite: () => 'sqlite' as const }

describe.each(Object.entries(ledgers))('%s: blocks', (_name, ledger) => {
  test('are executed, and the state is what they say, at every height', async () => {
    const node = await world({ ledger: ledger() })
    const one = root.with([count('a', 3), count('bank', -40)])
    const two = one.with([count('a', -3), count('b', 1)])
    const three = two.with([])
    for (const line of [one, two, three]) {
      expect(await submit(node, line.block)).toBe('ok')
      agreesWith(node, line)
    }
    expect(three.model.root).toBe(two.model.root)
    expect(node.storage.stateChanges(two.block.current_hash)).toEqual(two.model.changes)
    expect([0, 1, 2, 3].map((height) => node.storage.stateAt('bank', height))).toEqual(['100', '60', '60', '60'])
    expect([0, 1, 2, 3].map((height) => node.storage.stateAt('a', height))).toEqual([
      undefined,
      '3',
      undefined,
      undefined,
    ])
  })

  test('with a wrong state_root are refused, at the head and beside it, and a good one gets in', async () => {
    const node = await world({ ledger: ledger() })
    const wrong = root.with([count('a', 1)], { header: { state_root: 'f'.repeat(64) } })
    expect(await node.chain.submitBlock(wrong.block)).toMatchObject({ code: 'bad-state-root', provable: true })
    const stale = root.with([count('a', 1)], { header: { state_root: root.model.root } })
    expect(await submit(node, stale.block)).toBe('bad-state-root')
    const good = root.with([count('a', 1)]).with([])
    expect((await node.chain.submitBranch([root.block, good.block])).verdict).toMatchObject({ ok: false })
    const first = root.with([count('a', 1)])
    const second = first.with([])
    for (const { block } of [first, second]) expect(await submit(node, block)).toBe('ok')
    const side = root.with([count('b', 1)], { header: { state_root: 'e'.repeat(64) } })
    expect(await submit(node, side.block)).toBe('bad-state-root')
    expect(node.chain.header(side.block.current_hash)).toBeUndefined()
    agreesWith(node, second)
  })

  test('row 3: with a transaction that the application does not take are the maker’s fault, which is named', async () => {
    const node = await world({ ledger: ledger() })
    const bad = count('a', -1)
    const block = blockOn(genesis.block, { transactions: [count('b', 1), bad] })
    expect(await node.chain.submitBlock(block)).toEqual({
      ok: false,
      code: 'bad-transaction',
      detail: `transaction ${idOf(bad)} of the block: below-zero: a has 0, got -1`,
      provable: true,
    })
    const one = root.with([count('a', 2)])
    const two = one.with([])
    for (const line of [one, two]) await submit(node, line.block)
    // On its own branch there is nothing in `a`, whatever the recorded chain has.
    const side = blockOn(genesis.block, { transactions: [count('a', -2)] })
    expect(await submit(node, side)).toBe('bad-transaction')
    expect(node.facts.filter(({ event }) => event === 'block:refused')).toHaveLength(2)
    agreesWith(node, two)
  })

  test('of a side branch stand on their own state, and become the chain with it', async () => {
    const node = await world({ ledger: ledger() })
    const trunk = root.with([count('a', 5)])
    const main = trunk.with([count('a', -5)])
    const sideOne = trunk.with([count('a', -2), count('bank', -100)])
    const sideTwo = sideOne.with([count('a', -3), count('c', 7)])
    for (const { block } of [trunk, main, sideOne]) expect(await submit(node, block)).toBe('ok')
    agreesWith(node, main.block.current_hash < sideOne.block.current_hash ? main : sideOne)
    expect(await submit(node, sideTwo.block)).toBe('ok')
    agreesWith(node, sideTwo)
    // And back again, by a longer branch on the first.
    const back = main.with([count('b', 1)])
    const top = back.with([count('b', -1)])
    for (const { block } of [back, top]) expect(await submit(node, block)).toBe('ok')
    agreesWith(node, top)
    expect(node.storage.stateAt('a', 1)).toBe('5')
    expect(node.storage.stateChanges(sideTwo.block.current_hash)).toEqual(sideTwo.model.changes)
  })

  test('a hundred at once are executed on each other, each once, up to the first that does not hold', async () => {
    const applied: string[] = []
    const plain = countersApplication()
    const application = {
      ...plain,
      apply: (...[transaction, state]: Parameters<typeof plain.apply>) => {
        applied.push(transaction.hash)
        return plain.apply(transaction, state)
      },
    }
    const node = await world({ ledger: ledger(), application })
    const lines: Line[] = []
    for (let i = 0; i < 100; i++) lines.push((lines.at(-1) ?? root).with([count('a', i % 2 === 0 ? 1 : -1)]))
    const bad = blockOn(lines.at(-1)!.block, { transactions: [count('a', -1)] })
    const result = await node.chain.submitBranch([...lines.map(({ block }) => block), bad])
    expect(result).toMatchObject({ taken: 100, verdict: { code: 'bad-transaction' } })
    agreesWith(node, lines.at(-1)!)
    expect(applied).toHaveLength(101)
    expect(new Set(applied).size).toBe(101)
  })
})

test('without an application nobody looks at a state', async () => {
  const asked: string[] = []
  const wrap = (storage: Storage): Storage =>
    new Proxy(storage, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name)
        if (typeof member !== 'function') return member
        return (...args: unknown[]): unknown => {
          if (String(name).startsWith('state')) asked.push(String(name))
          return Reflect.apply(member, target, args) as unknown
        }
      },
    })
  const node = await chainWorld({ wrap })
  worlds.push(node)
  const transaction = someTransaction()
  expect(await admit(node, transaction)).toBe('admitted')
  const main = blockOn(node.genesis.block, { transactions: [transaction] })
  const side = blockOn(node.genesis.block)
  for (const block of [main, side, blockOn(side)]) expect(await submit(node, block)).toBe('ok')
  const audit = auditLedger({ storage: node.storage, genesis: node.genesis, consensus: node.engine, signatures: true })
  while (audit.next().done !== true);
  expect(asked).toEqual([])
})

test('a trail of headers cannot know the state, and does not ask for zeros', async () => {
  const node = await world()
  const one = root.with([count('a', 1)])
  const { transactions: _none, ...header } = one.block
  expect(await node.chain.trail(chainId)!.extend([header])).toEqual({ ok: true })
  const plain = await chainWorld()
  worlds.push(plain)
  const { transactions: _nothing, ...stateless } = blockOn(plain.genesis.block, {
    header: { state_root: 'a'.repeat(64) },
  })
  expect(await plain.chain.trail(plain.genesis.rules.chainId)!.extend([stateless])).toMatchObject({
    code: 'bad-state-root',
  })
})

describe('who may sign for a name', () => {
  const [gateway, stranger] = [testKey(5), testKey(6)]
  const strict = readGenesis(
    {
      name: 'strict',
      timestamp: '2026-01-01T00:00:00.000Z',
      consensus: 'pow',
      pow: { difficulty: 1 },
      application: 'counters',
      gateways: [gateway.address],
    },
    'test',
  )

  const named = (key: KeyPair, nonce: number): Transaction => {
    const unsigned = { sender: 'alice', data: { counter: 'a', add: 1 }, nonce, public_key_pem: key.pem }
    const text = transactionText(unsigned, strict.rules.chainId)
    return { ...unsigned, signature: key.sign(purposes.transaction, text.slice(purposes.transaction.length + 1)) }
  }

  test('row 3: a key without a right comes as far as the application, which refuses it; nobody is banned for it', async () => {
    const node = await world({ genesis: strict })
    expect(await admit(node, named(gateway, 1))).toBe('admitted')
    expect(await node.chain.submitTransaction(named(stranger, 2))).toEqual({
      ok: false,
      code: 'wrong-key',
      detail: 'nobody signs for a name here',
      provable: false,
    })
    const block = blockOn(strict.block, { transactions: [named(stranger, 3)] })
    expect(await node.chain.submitBlock(block)).toMatchObject({ code: 'bad-transaction', provable: true })
  })

  test('row 3: the key of a recorded transaction cannot be put in the place of another: the good block gets in', async () => {
    const node = await world({ genesis: strict })
    const good = named(gateway, 4)
    const { root: state_root } = CountersModel.opening().after([good])!
    const block = blockOn(strict.block, { transactions: [good], header: { state_root } })
    // The id covers neither the signature nor the key of a name.
    const spoilt = { ...block, transactions: [named(stranger, 4)] }
    expect(await submit(node, spoilt)).toBe('bad-transaction')
    expect(await submit(node, block)).toBe('ok')
  })

  test('row 5: a make-believe signature holds for nobody, and the application does not hear of it', async () => {
    const heard: string[] = []
    const plain = countersApplication()
    const application: Application = {
      ...plain,
      apply: (transaction, state) => {
        heard.push(transaction.hash)
        return plain.apply(transaction, state)
      },
    }
    const node = await world({ genesis: strict, application })
    const signature = Buffer.from(`SIG_${'x'.repeat(60)}`).toString('base64')
    expect(await admit(node, { ...named(gateway, 5), signature })).toBe('bad-signature')
    expect(await admit(node, { ...named(stranger, 5), signature: `SIG_node_${'0'.repeat(64)}` })).toBe('bad-signature')
    expect(heard).toEqual([])
  })
})

describe('what is pending', () => {
  test('is judged with all that is pending already, with the application’s own words', async () => {
    const node = await world()
    expect(await admit(node, count('a', 2))).toBe('admitted')
    expect(await admit(node, count('a', -2))).toBe('admitted')
    expect(await node.chain.submitTransaction(count('a', -1))).toEqual({
      ok: false,
      code: 'below-zero',
      detail: 'a has 0, got -1',
      provable: false,
    })
    expect(node.facts.at(-1)).toEqual({
      event: 'tx:refused',
      fact: { code: 'below-zero', detail: 'a has 0, got -1' },
    })
    expect(node.chain.pendingCount()).toBe(2)
  })

  test('of many that come at the same time exactly those get in that hold together', async () => {
    const node = await world()
    const all = Array.from({ length: 60 }, () => count('bank', -3))
    const results = await Promise.all(all.map((one) => admit(node, one)))
    expect(results.filter((result) => result === 'admitted')).toHaveLength(33)
    expect(results.filter((result) => result === 'below-zero')).toHaveLength(27)
    expect([...node.storage.pending()]).toHaveLength(33)
  })

  test('what could not be written is let go, and does not stand in the way of others', async () => {
    let full = false
    const wrap = (storage: Storage): Storage =>
      new Proxy(storage, {
        get(target, name) {
          const member: unknown = Reflect.get(target, name)
          if (typeof member !== 'function') return member
          if (name !== 'keepPending') return member.bind(target) as unknown
          return (...args: unknown[]): unknown => {
            if (full) throw new AurexError('storage-full', 'no room')
            return Reflect.apply(member, target, args) as unknown
          }
        },
      })
    const node = await world({ wrap })
    expect(await admit(node, count('bank', -60))).toBe('admitted')
    full = true
    const lost = count('bank', -40)
    expect(await Promise.all([admit(node, lost), admit(node, count('a', 1)), admit(node, count('a', 2))])).toEqual([
      'storage-unavailable',
      'storage-unavailable',
      'storage-unavailable',
    ])
    full = false
    expect(await admit(node, count('a', -1))).toBe('below-zero')
    expect(await admit(node, count('bank', -40))).toBe('admitted')
    expect(await admit(node, lost)).toBe('below-zero')
  })

  test('what a block rules out is dropped for good, told, and its status says why', async () => {
    const node = await world()
    const [kept, loses] = [count('a', 1), count('bank', -60)]
    for (const one of [kept, loses]) expect(await admit(node, one)).toBe('admitted')
    const block = root.with([count('bank', -50)])
    expect(await submit(node, block.block)).toBe('ok')
    const refusal = { ok: false, code: 'below-zero', detail: 'bank has 50, got -60', provable: false } as const
    expect(node.chain.status(idOf(loses))).toEqual({ status: 'unknown', refusal })
    expect(node.chain.status(idOf(kept))).toEqual({ status: 'pending' })
    expect(node.facts).toContainEqual({
      event: 'tx:dropped',
      fact: { hash: idOf(loses), code: 'below-zero', detail: 'bank has 50, got -60' },
    })
    expect([...node.storage.pending()].map(({ hash }) => hash)).toEqual([idOf(kept)])
    // It may come again, when there is something to take from.
    expect(await submit(node, block.with([count('bank', 20)]).block)).toBe('ok')
    expect(await admit(node, loses)).toBe('admitted')
    expect(node.chain.status(idOf(loses))).toEqual({ status: 'pending' })
  })

  test('while blocks and transactions come at the same time, what is pending always holds on the head', async () => {
    const node = await world()
    let line = root
    const answers: Promise<string>[] = []
    for (let i = 0; i < 12; i++) {
      for (const add of [-7, 2, -5]) answers.push(admit(node, count('bank', add)))
      const next = line.with([count('bank', i % 3 === 2 ? 9 : -9)])
      expect(await submit(node, next.block)).toBe('ok')
      line = next
      const pending = node.chain.pendingHashes().map((hash) => node.chain.pending(hash)!)
      expect(line.model.after(pending)).toBeDefined()
    }
    const results = await Promise.all(answers)
    expect(new Set(results)).toEqual(new Set(['admitted', 'below-zero']))
    const dropped = node.facts.filter(({ event }) => event === 'tx:dropped').length
    expect(node.chain.pendingCount()).toBe(results.filter((one) => one === 'admitted').length - dropped)
    const kept = [...node.storage.pending()].map(({ hash }) => hash)
    expect(node.chain.pendingHashes().toSorted()).toEqual(kept.toSorted())
  })

  test('a restart takes up what holds and drops the rest', async () => {
    const node = await world()
    const [spend, top] = [count('bank', -100), count('a', 1)]
    for (const one of [spend, top]) expect(await admit(node, one)).toBe('admitted')
    // A row that the rules of today do not take: somebody else’s program wrote it.
    const never = count('c', -1)
    node.storage.keepPending([{ hash: idOf(never), transaction: never, receivedAt: 1 }])
    const again = await node.restart()
    worlds.push(again)
    expect(again.chain.pendingHashes()).toEqual([idOf(spend), idOf(top)])
    expect(again.chain.status(idOf(never))).toMatchObject({ status: 'unknown', refusal: { code: 'below-zero' } })
    expect([...again.storage.pending()].map(({ hash }) => hash)).toEqual([idOf(spend), idOf(top)])
    expect(await admit(again, count('bank', -1))).toBe('below-zero')
  })

  test('what came back from an undone block stands before what was built on it, also after a restart', async () => {
    const node = await world()
    const [gives, takes] = [count('a', 1), count('a', -1)]
    expect(await admit(node, gives)).toBe('admitted')
    const main = root.with([gives])
    expect(await submit(node, main.block)).toBe('ok')
    expect(await admit(node, takes)).toBe('admitted')
    const side = root.with([])
    const better = side.with([])
    for (const { block } of [side, better]) expect(await submit(node, block)).toBe('ok')
    expect(node.chain.pendingHashes()).toEqual([idOf(gives), idOf(takes)])
    expect(node.chain.status(idOf(gives))).toEqual({ status: 'orphaned' })
    expect(node.chain.status(idOf(takes))).toEqual({ status: 'pending' })
    const again = await node.restart()
    worlds.push(again)
    expect(again.chain.pendingHashes()).toEqual([idOf(gives), idOf(takes)])
    expect(again.chain.status(idOf(gives))).toEqual({ status: 'orphaned' })
    expect(await submit(again, better.with([gives]).block)).toBe('ok')
    expect(again.chain.status(idOf(gives))).toMatchObject({ status: 'included', blockIndex: 3, confirmations: 1 })
    expect(again.chain.status(idOf(takes))).toEqual({ status: 'pending' })
  })

  test('what came back is executed in the order in which it was recorded, before all that came later', async () => {
    const node = await world()
    const [spend, earn, again] = [count('bank', -100), count('bank', 60), count('bank', -60)]
    const one = root.with([spend])
    expect(await submit(node, one.block)).toBe('ok')
    expect(await submit(node, one.with([earn]).block)).toBe('ok')
    expect(await admit(node, again)).toBe('admitted')
    let side = root.with([])
    for (let i = 0; i < 3; i++, side = side.with([])) expect(await submit(node, side.block)).toBe('ok')
    expect(node.chain.pendingHashes()).toEqual([spend, earn, again].map(idOf))
  })

  test('what was undone and is ruled out by the better branch is orphaned for good, and says why', async () => {
    const node = await world()
    const spend = count('bank', -100)
    expect(await submit(node, root.with([spend]).block)).toBe('ok')
    const side = root.with([count('bank', -1)])
    for (const { block } of [side, side.with([])]) expect(await submit(node, block)).toBe('ok')
    expect(node.chain.status(idOf(spend))).toMatchObject({ status: 'orphaned', refusal: { code: 'below-zero' } })
    expect([...node.storage.pending()]).toEqual([])
  })

  test('a ledger that cannot be read when the head moves: told, and looked at again later', async () => {
    let broken = false
    const wrap = (storage: Storage): Storage =>
      new Proxy(storage, {
        get(target, name) {
          const member: unknown = Reflect.get(target, name)
          if (typeof member !== 'function') return member
          return (...args: unknown[]): unknown => {
            // From the commit on, until it is mended.
            if (name === 'stateAt' && broken && target.head().header.index > 0) {
              throw new AurexError('storage-failed', 'the disk')
            }
            return Reflect.apply(member, target, args) as unknown
          }
        },
      })
    const node = await world({ wrap })
    expect(await admit(node, count('bank', -60))).toBe('admitted')
    broken = true
    expect(await submit(node, root.with([count('bank', -50)]).block)).toBe('ok')
    expect(node.errors).toEqual(['what is pending could not be looked at again'])
    broken = false
    expect(await admit(node, count('bank', -50))).toBe('admitted')
    expect(node.chain.pendingCount()).toBe(1)
    await eventually(() => [...node.storage.pending()].length === 1, 'only what holds is kept')
  })
})
