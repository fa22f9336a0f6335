// A transaction's id does not cover the key that signs for a name, so a body can be changed under its header: one id, two
// keys. Threats, rows 3, 8 and 9, on core's own chain.
import { afterEach, describe, expect, test } from 'bun:test'
import type { Block } from '../../../core/chain/block.ts'
import { executeBlock, stateRootAfter } from '../../../core/chain/execution.ts'
import { readGenesis } from '../../../core/chain/genesis.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import type { KeyPair } from '../../../core/chain/keys.ts'
import type { Gateways } from '../../../core/chain/rules.ts'
import {
  attestTransaction,
  readTransaction,
  transactionHash,
  type Transaction,
} from '../../../core/chain/transaction.ts'
import { marketApplication } from '../../../plugins/market/application.ts'
import { after, openingState } from '../../contract/application.ts'
import { blockOn, branchOn, chainWorld, type ChainWorld } from '../../support/chainworld.ts'
import { eventually } from '../../support/eventually.ts'
import { testKey } from '../../support/headers.ts'
import { annasKey, ben, bensKey, gateKey } from './people.ts'

const worlds: ChainWorld[] = []
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.dispose()
})

/** A chain of the market, and blocks on it with what they lead to. */
class MarketChain {
  readonly genesis
  readonly application

  constructor(gateways: Gateways) {
    this.genesis = readGenesis(
      {
        name: 'two keys',
        timestamp: '2026-01-01T00:00:00.000Z',
        consensus: 'pow',
        application: 'market',
        pow: { difficulty: 1 },
        gateways: gateways === 'any' ? 'any' : [...gateways],
      },
      'test',
    )
    this.application = marketApplication({ money: 'record' }, gateways)
  }

  async world(): Promise<ChainWorld> {
    const world = await chainWorld({ application: this.application, genesis: this.genesis })
    worlds.push(world)
    return world
  }

  signed = (sender: string, key: KeyPair, data: JsonObject): Transaction =>
    attestTransaction(key, this.genesis.rules.chainId, sender, data)

  idOf = (transaction: Transaction): string => transactionHash(transaction, this.genesis.rules.chainId)

  /** Blocks on each other, from block 1. */
  line(...bodies: readonly (readonly Transaction[])[]): Block[] {
    let state = openingState(this.application)
    let parent = this.genesis.block
    return bodies.map((transactions) => {
      const reads = transactions.map((one) => {
        const read = readTransaction(one, this.genesis.rules)
        if (!read.ok) throw new Error(read.detail)
        return read.value
      })
      const changes = executeBlock(this.application, reads, state)
      if (!changes.ok) throw new Error(changes.detail)
      const state_root = stateRootAfter(parent.state_root, changes.value)
      state = after(state, changes.value)
      parent = blockOn(parent, { transactions, header: { state_root } })
      return parent
    })
  }
}

const register = { action: 'register', public_key: ben }
const buy = { action: 'purchase', asset_id: 'lamp', to: 'shop', price: '5' }

/** The same block with the last of its transactions signed by another key. */
function swapped(chain: MarketChain, block: Block, key: KeyPair): Block {
  const last = block.transactions.at(-1)!
  const other = chain.signed(last.sender, key, last.data)
  expect(chain.idOf(other)).toBe(chain.idOf(last))
  expect(other.public_key_pem).not.toBe(last.public_key_pem)
  return { ...block, transactions: [...block.transactions.slice(0, -1), other] }
}

interface Case {
  readonly what: string
  readonly gateways: Gateways
  readonly bodies: (chain: MarketChain) => readonly (readonly Transaction[])[]
  readonly by: KeyPair
  readonly code: string
  readonly says: string
}

const cases: Case[] = [
  {
    what: 'a purchase of a bound name, signed by a stranger',
    gateways: [gateKey.address],
    bodies: ({ signed }) => [[signed('ben', bensKey, register)], [signed('ben', bensKey, buy)]],
    by: annasKey,
    code: 'bad-transaction',
    says: 'wrong-key',
  },
  {
    what: 'the same, bound in the very block',
    gateways: [gateKey.address],
    bodies: ({ signed }) => [[], [signed('ben', bensKey, register), signed('ben', bensKey, buy)]],
    by: annasKey,
    code: 'bad-transaction',
    says: 'wrong-key',
  },
  {
    what: 'a register, signed by a stranger',
    gateways: [gateKey.address],
    bodies: ({ signed }) => [[], [signed('ben', bensKey, register)]],
    by: annasKey,
    code: 'bad-transaction',
    says: 'bad-register',
  },
  {
    what: 'a purchase by a gateway of what is known, signed by the buyer, whose own word does not do',
    gateways: [gateKey.address],
    bodies: ({ signed }) => [
      [signed('ben', bensKey, register), signed('shop', gateKey, { action: 'mint', asset_id: 'lamp' })],
      [signed('ben', gateKey, buy)],
    ],
    by: bensKey,
    code: 'bad-transaction',
    says: 'not-attested',
  },
  {
    what: 'a register without a key, where anybody signs for names, signed by somebody else',
    gateways: 'any',
    bodies: ({ signed }) => [[], [signed('ben', bensKey, { action: 'register' })]],
    by: annasKey,
    code: 'bad-state-root',
    says: 'state_root',
  },
]

describe.each(cases)('threats rows 3, 8, 9: $what', ({ gateways, bodies, by, code, says }) => {
  const chain = new MarketChain(gateways)
  const [first, second] = chain.line(...bodies(chain)) as [Block, Block]
  const changed = swapped(chain, second, by)
  const refused = { ok: false, code, provable: true }

  /** Recorded as it was made, with the signature of who made it. */
  function expectTrue({ storage }: ChainWorld): void {
    expect(storage.head().header.current_hash).toBe(second.current_hash)
    expect(storage.block(second.current_hash)?.transactions).toEqual(second.transactions)
    for (const { key, value } of storage.stateChanges(second.current_hash)) {
      expect(storage.stateAt(key, 2)).toBe(value)
    }
  }

  test('under the same header it is refused, again too, and the true body is taken afterwards', async () => {
    const world = await chain.world()
    expect(await world.chain.submitBlock(first)).toMatchObject({ ok: true })
    for (let times = 0; times < 2; times++) {
      const verdict = await world.chain.submitBlock(changed)
      expect(verdict).toMatchObject(refused)
      expect(verdict.ok ? '' : verdict.detail).toContain(says)
    }
    expect(world.storage.header(second.current_hash)).toBeUndefined()
    expect(await world.chain.submitBlock(second)).toMatchObject({ ok: true })
    expectTrue(world)
    expect(await world.chain.submitBlock(changed)).toMatchObject({ code: 'known' })
    const again = await world.restart()
    worlds.push(again)
    expectTrue(again)
  })

  test.each([
    ['', false],
    [', while the true one is pending', true],
  ])('with only the signature of the other key, or only the key, it is refused likewise%s', async (_when, pending) => {
    const world = await chain.world()
    expect(await world.chain.submitBlock(first)).toMatchObject({ ok: true })
    for (const one of pending ? second.transactions : []) {
      expect(await world.chain.submitTransaction(one)).toMatchObject({ ok: true })
    }
    const [own, other] = [second.transactions.at(-1)!, changed.transactions.at(-1)!]
    for (const half of [
      { ...own, signature: other.signature },
      { ...own, public_key_pem: other.public_key_pem! },
    ]) {
      const block = { ...second, transactions: [...second.transactions.slice(0, -1), half] }
      expect(await world.chain.submitBlock(block)).toMatchObject({ ok: false, code: 'bad-signature' })
    }
    expect(await world.chain.submitBlock(second)).toMatchObject({ ok: true })
    expectTrue(world)
  })

  test('while the true transactions are pending: the same', async () => {
    const world = await chain.world()
    expect(await world.chain.submitBlock(first)).toMatchObject({ ok: true })
    for (const one of second.transactions) expect(await world.chain.submitTransaction(one)).toMatchObject({ ok: true })
    expect(await world.chain.submitBlock(changed)).toMatchObject(refused)
    expect(world.chain.pendingCount()).toBe(second.transactions.length)
    expect(await world.chain.submitBlock(second)).toMatchObject({ ok: true })
    expect(world.chain.pendingCount()).toBe(0)
    expectTrue(world)
  })

  test('as a branch: what stands below it is taken, and the true one stands on it', async () => {
    const world = await chain.world()
    expect(await world.chain.submitBranch([first, changed])).toMatchObject({ taken: 1, verdict: refused })
    expect(await world.chain.submitBranch([first, second])).toMatchObject({ taken: 2, verdict: { ok: true } })
    expectTrue(world)
  })

  test('beside the recorded chain: refused there too, and the true one becomes the head with what follows', async () => {
    const world = await chain.world()
    const other = branchOn(chain.genesis.block, 3, 'other')
    expect(await world.chain.submitBranch(other)).toMatchObject({ verdict: { ok: true } })
    expect(await world.chain.submitBlock(first)).toMatchObject({ ok: true })
    expect(await world.chain.submitBlock(changed)).toMatchObject(refused)
    expect(world.storage.header(second.current_hash)).toBeUndefined()
    expect(await world.chain.submitBranch([second, ...branchOn(second, 2)])).toMatchObject({ verdict: { ok: true } })
    expect(world.storage.headerAt(2)?.header.current_hash).toBe(second.current_hash)
    expect(world.storage.block(second.current_hash)?.transactions).toEqual(second.transactions)
  })

  test('before its parent is here: whichever waits, the true one gets in', async () => {
    for (const early of [[changed], [changed, second], [second, changed]]) {
      const world = await chain.world()
      for (const block of early) expect((await world.chain.submitBlock(block)).ok).toBe(false)
      expect(await world.chain.submitBlock(first)).toMatchObject({ ok: true })
      await eventually(() => world.chain.orphanCount() === 0, 'what waited was looked at')
      const verdict = await world.chain.submitBlock(second)
      expect(verdict.ok ? 'ok' : verdict.code).toBeOneOf(['ok', 'known'])
      expectTrue(world)
    }
  })
})

test('a second key that may sign as well makes a block that is as good: it leads to the same state', async () => {
  const second = testKey(14)
  const chain = new MarketChain([gateKey.address, second.address])
  const [block] = chain.line([chain.signed('ben', gateKey, buy)]) as [Block]
  const world = await chain.world()
  expect(await world.chain.submitBlock(swapped(chain, block, second))).toMatchObject({ ok: true })
  expect(await world.chain.submitBlock(block)).toMatchObject({ code: 'known' })
  expect(world.storage.head().header.state_root).toBe(block.state_root)
  expect(world.storage.stateAt('asset/lamp', 1)).toBe('{"name":"lamp","owner":"ben"}')
})
