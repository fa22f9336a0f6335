// Two blocks of one key for one turn become evidence, and a block of this node's own key from elsewhere stops its signing.
import { afterEach, expect, test } from 'bun:test'
import { sealedHeaderOf, type Block } from '../../core/chain/block.ts'
import type { SignedBlock } from '../../core/chain/chain.ts'
import { Contributed } from '../../core/contributions.ts'
import { AurexError } from '../../core/errors.ts'
import { blockProof } from '../../core/evidence/blocks.ts'
import type { Consensus } from '../../core/plugin.ts'
import { signingOwner } from '../../core/signing/record.ts'
import { watchSigned } from '../../core/signedblocks.ts'
import { MemoryLedger } from '../../plugins/memory/ledger.ts'
import { makeBlock, makeKey } from '../support/blocks.ts'
import { testServices } from '../support/services.ts'
import { genesis, lab, labEngine } from './chain/lab.ts'

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

const engine = {
  turn: ({ index }: { readonly index: number }) => [index],
  authorities: () => [makeKey(1).address, makeKey(2).address],
}

/** As a node of key 1 has it. */
function watched(storage = new MemoryLedger()) {
  const contributed = new Contributed()
  const { signing, evidence } = testServices(makeKey(1), contributed)
  storage.begin(genesis, genesis.block, 0)
  signing.attach(storage)
  evidence.attach(storage)
  const consensus = labEngine(engine)
  const releases: (() => void)[] = []
  const defer = (release: () => void): void => void releases.push(release)
  const tell = watchSigned({ genesis, consensus, storage, signing, evidence, contributed, defer })
  const told: SignedBlock[] = []
  const node = lab({ storage, engine, signed: (block) => (told.push(block), tell(block)) })
  ends.push(() => node.stop())
  return { node, signing, evidence, contributed, releases, told, storage }
}

const of = (miner: number, extra: string, parent: Block = genesis.block): Block =>
  makeBlock(parent, { miner, extra, work: 5 })

test('two blocks of one key and turn are evidence, one of which was recorded before this process', async () => {
  const storage = new MemoryLedger()
  const before = watched(storage)
  const [one, other] = [of(2, 'one'), of(2, 'other')]
  await before.node.chain.submitBlock(one)
  await before.node.chain.submitBlock(makeBlock(one, { miner: 1 }), 'local', undefined, [])
  expect(before.evidence.size).toBe(0)
  const { node, evidence, contributed, releases } = watched(storage)
  await node.chain.submitBlock(other)
  expect(evidence.all()).toMatchObject([{ kind: 'block', address: makeKey(2).address, what: 'height 1' }])
  // By a key that is no authority it is nothing.
  for (const extra of ['one', 'other']) await node.chain.submitBlock(of(3, extra))
  expect(evidence.size).toBe(1)
  for (const release of releases) release()
  expect(contributed.all('evidence')).toEqual([])
})

test('a block that is declined counts too, if its signature is good', async () => {
  const { node, evidence, told } = watched()
  const first = of(2, 'first')
  await node.chain.submitBlock(first)
  const twice = { ...first, transactions: [] }
  await node.chain.submitBlock(twice)
  expect(told).toHaveLength(1)
  const forged = { ...of(2, 'forged'), signature: first.signature }
  expect(await node.chain.submitBlock(forged)).toMatchObject({ code: 'bad-signature' })
  expect(told).toHaveLength(1)
  const other = { ...of(2, 'other') }
  // It has a state, which this chain does not know.
  expect(await node.chain.submitBlock(other)).toEqual({ ok: true })
  expect(told).toHaveLength(2)
  expect(evidence.size).toBe(1)
})

test("blocks of this node's own that it did not make stop its signing; those that it made do not", async () => {
  const { node, signing, storage } = watched()
  const own = of(1, 'own')
  const reserved = signing.reserveBlock([1], own.current_hash)
  await node.chain.submitBlock(own, 'local', undefined, reserved.ok ? reserved.value : [])
  expect(storage.records(signingOwner).count('')).toBeGreaterThan(0)
  // It comes back to it, and is known.
  await node.chain.submitBlock(own, 'a peer')
  expect(signing.stopped()).toBeUndefined()
  await node.chain.submitBlock(of(2, 'of another', own), 'a peer')
  expect(signing.stopped()).toBeUndefined()
  await node.chain.submitBlock(of(1, 'elsewhere', own), 'a peer')
  expect(signing.stopped()).toMatchObject({ waitsFor: expect.stringContaining('chain/block 2') })
})

test('a block of its own that could not be written proves nothing against this node', async () => {
  let full = true
  class Full extends MemoryLedger {
    override commit(...args: Parameters<MemoryLedger['commit']>): void {
      if (full) throw new AurexError('storage-full', 'no room')
      super.commit(...args)
    }
  }
  const { node, signing, evidence } = watched(new Full())
  const submitOwn = async (block: Block) => {
    const reserved = signing.reserveBlock([block.index], block.current_hash)
    return await node.chain.submitBlock(block, 'local', undefined, reserved.ok ? reserved.value : [])
  }
  // Nobody has seen it, and its place is free: the next attempt signs another.
  expect(await submitOwn(of(1, 'lost'))).toMatchObject({ code: 'storage-unavailable' })
  full = false
  expect(await submitOwn(of(1, 'written'))).toEqual({ ok: true })
  expect(evidence.all()).toEqual([])
  expect(signing.stopped()).toBeUndefined()
})

test('headers by a key that is no authority never make the engine look far back', async () => {
  const storage = new MemoryLedger()
  storage.begin(genesis, genesis.block, 0)
  const chain: Block[] = []
  for (let i = 0; i < 1_100; i++) chain.push(makeBlock(chain.at(-1) ?? genesis.block, { miner: 2 }))
  const applied = chain.map((block, i) => ({ block, hashes: [], receivedAt: [], totalWork: BigInt(i + 1) }))
  storage.commit({ undone: [], applied, returned: [], writtenAt: 0 })
  const asked: number[] = []
  const authorities: Consensus['authorities'] = ({ parent }) => {
    asked.push(parent.index)
    // Key 3 was one, long ago and until a while ago.
    return [makeKey(2), ...(parent.index < 1_050 ? [makeKey(3)] : [])].map(({ address }) => address)
  }
  const contributed = new Contributed()
  const { signing, evidence } = testServices(makeKey(1), contributed)
  signing.attach(storage)
  evidence.attach(storage)
  const consensus = labEngine({ ...engine, authorities })
  watchSigned({ genesis, consensus, storage, signing, evidence, contributed, defer: () => undefined })
  const accuse = (miner: number, on: number) => {
    const [first, second] = ['one', 'other'].map((extra) => sealedHeaderOf(of(miner, extra, chain[on - 1])))
    return evidence.accuse('block', blockProof(first!, second!))
  }
  for (const on of [1, 50, 99]) expect(accuse(3, on)).toMatchObject({ ok: false, code: 'no-authority' })
  expect(Math.min(...asked)).toBe(1_100)
  expect(accuse(3, 1_000)).toEqual({ ok: true })
  expect(accuse(4, 1_000)).toMatchObject({ ok: false, code: 'no-authority' })
  // Who is one now may be accused of anything.
  expect(accuse(2, 50)).toEqual({ ok: true })
})
