import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { JsonObject } from '../../../../core/chain/json.ts'
import {
  blockOn,
  blocksOn,
  genesis,
  heard,
  hashOf,
  isOneOf,
  newTransaction,
  RelayTown,
  relayTypes,
  some,
  type RelayNode,
} from './rig.ts'

const submit = async (node: RelayNode, ...transactions: ReturnType<typeof some>) => {
  for (const result of await Promise.all(transactions.map((one) => node.chain.submitTransaction(one, 'a client')))) {
    if (!result.ok) throw new Error(`${result.code}: ${result.detail}`)
  }
}

const hashesOf = (messages: readonly JsonObject[]) => messages.flatMap(({ hashes }) => hashes as string[])

describe('among nodes', () => {
  test('a transaction at one end of a line of eight reaches all, over each pair of them once and in one direction', async () => {
    const town = new RelayTown()
    const nodes = await town.line(8)
    await town.world.advance(100)
    const [one] = some(1)
    void submit(nodes[0]!, one!)
    await town.world.runUntil(() => nodes.every(({ chain }) => chain.pending(hashOf(one!)) !== undefined), 1_000)
    await town.world.advance(5_000)
    const pairs = (type: string) => town.of(type).map(({ from, to }) => `${from}>${to}`)
    const forth = Array.from({ length: 7 }, (_, i) => `10.0.0.${i + 1}>10.0.0.${i + 2}`)
    expect(pairs('NEW_TRANSACTION')).toEqual(forth)
    expect(pairs('tx_announce')).toEqual(forth)
    expect(pairs('tx_request')).toEqual(Array.from({ length: 7 }, (_, i) => `10.0.0.${i + 2}>10.0.0.${i + 1}`))
    expect(town.of('MINING_STARTED')).toEqual([])
    expect(town.of('ERROR')).toEqual([])
  })

  test('where all know each other, each fetches it once', async () => {
    const town = new RelayTown()
    const nodes = Array.from({ length: 5 }, (_, i) => town.relayNode(i + 1))
    for (const [i, a] of nodes.entries()) for (const b of nodes.slice(i + 1)) await town.join(a, b)
    const transactions = some(50)
    for (const [i, one] of transactions.entries()) void submit(nodes[i % 5]!, one)
    await town.world.runUntil(() => nodes.every(({ chain }) => chain.pendingCount() === 50), 3_000)
    await town.world.advance(5_000)
    const arrivals = town.of('NEW_TRANSACTION').map(({ to, message }) => `${to} ${message['signature'] as string}`)
    expect(arrivals.length).toBe(50 * 4)
    expect(new Set(arrivals).size).toBe(arrivals.length)
  })

  test('mempools of two nodes that meet agree', async () => {
    const town = new RelayTown()
    const [a, b] = [town.relayNode(1), town.relayNode(2)]
    const [both, ofA, ofB] = [some(20), some(1_500), some(700)]
    void submit(a, ...both, ...ofA)
    void submit(b, ...both, ...ofB)
    await town.world.runUntil(() => a.chain.pendingCount() === 1_520 && b.chain.pendingCount() === 720)
    await town.join(a, b)
    await town.world.runUntil(() => a.chain.pendingCount() === 2_220 && b.chain.pendingCount() === 2_220, 5_000)
    expect(new Set(a.chain.pendingHashes())).toEqual(new Set(b.chain.pendingHashes()))
    expect(town.of('NEW_TRANSACTION').length).toBe(2_200)
  })

  test('under load there are few and large announcements, and no one waits for them from idle', async () => {
    const town = new RelayTown()
    const [a, b] = (await town.line(2)) as [RelayNode, RelayNode]
    await town.world.advance(1_000)
    const began = town.world.elapsed
    const transactions = some(600)
    for (const one of transactions) {
      void submit(a, one)
      await town.world.advance(1)
    }
    await town.world.runUntil(() => b.chain.pendingCount() === 600, 2_000)
    const announcements = town.of('tx_announce')
    // Forty at once, then thirty a second.
    expect(announcements.length).toBeLessThanOrEqual(40 + ((town.world.elapsed - began) / 1_000) * 30 + 1)
    expect(town.of('tx_request').length).toBeLessThanOrEqual(announcements.length + 1)
    town.sent.length = 0
    await town.world.advance(2_000)
    const [late] = some(1)
    const at = town.world.elapsed
    void submit(a, late!)
    await town.world.runUntil(() => b.chain.pending(hashOf(late!)) !== undefined)
    // Three messages of 5 ms each.
    expect(town.world.elapsed - at).toBe(15)
  })

  test('lost, doubled and reordered messages are harmless: in the end all have all of it, and nobody is dropped', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 - 1 }), async (seed) => {
        const town = new RelayTown(seed)
        const nodes = await town.line(4)
        const dice = town.world.host('10.7.7.7')
        town.watch((message) => {
          const [fate, after] = dice.random(2) as unknown as [number, number]
          const again = { message, after: 5 + after }
          if (!isOneOf(message, ...relayTypes)) return [{ message, after: 5 }]
          return fate < 50 ? [] : fate < 100 ? [again, { message, after: 5 }] : [again]
        })
        for (const [i, one] of some(40).entries()) void submit(nodes[i % 4]!, one)
        await town.world.runUntil(() => nodes.every(({ chain }) => chain.pendingCount() === 40), 900_000)
        expect(nodes.map(({ network }) => network.peers.size)).toEqual([1, 2, 2, 1])
      }),
      { numRuns: 5 },
    )
  })

  test('what hangs on one node is announced again after 30 s', async () => {
    const town = new RelayTown()
    const [a, b] = (await town.line(2)) as [RelayNode, RelayNode]
    town.watch((message) => (message['type'] === 'tx_announce' ? [] : [{ message, after: 5 }]))
    const [one] = some(1)
    void submit(a, one!)
    await town.world.advance(20_000)
    expect(b.chain.pendingCount()).toBe(0)
    town.watch()
    await town.world.runUntil(() => b.chain.pendingCount() === 1, 45_000)
  })

  test('what is pending again since its block was undone is announced at once, to those who are believed to have it too', async () => {
    const town = new RelayTown()
    const [a, b] = (await town.line(2)) as [RelayNode, RelayNode]
    const [one] = some(1)
    town.watch((message) => (isOneOf(message, ...relayTypes) ? [] : [{ message, after: 5 }]))
    void submit(a, one!)
    await town.world.advance(1_000)
    await town.world.settled(a.chain.submitBlock(blockOn(genesis.block, [one!])))
    await town.world.advance(1_000)
    town.watch()
    await town.world.settled(a.chain.submitBranch(blocksOn(genesis.block, 2, 'better')))
    expect(a.chain.status(hashOf(one!))).toEqual({ status: 'orphaned' })
    await town.world.runUntil(() => b.chain.pendingCount() === 1, 2_000)
  })
})

describe('one peer', () => {
  test('a peer is not told of what it sent, and is told of what others sent', async () => {
    const town = new RelayTown()
    const node = town.relayNode(1)
    const [first, second] = [await town.peer(node, 'a'), await town.peer(node, 'bb')]
    const [one] = some(1)
    first.answer('tx_request', () => first.say(newTransaction(one!)))
    first.say({ type: 'tx_announce', hashes: [hashOf(one!)] })
    await town.world.advance(100)
    expect(hashesOf(heard(first, 'tx_request'))).toEqual([hashOf(one!)])
    expect(heard(first, 'tx_announce')).toEqual([])
    expect(hashesOf(heard(second, 'tx_announce'))).toEqual([hashOf(one!)])
    expect(heard(first, 'MINING_STARTED')).toEqual([])
  })

  test('one that sends a transaction without being asked is answered as a client', async () => {
    const town = new RelayTown()
    const node = town.relayNode(1)
    const [peer, other] = [await town.peer(node, 'a'), await town.peer(node, 'bb')]
    const [one] = some(1)
    peer.say({ ...newTransaction(one!), request_id: 4 })
    await town.world.advance(100)
    expect(heard(peer, 'MINING_STARTED')).toMatchObject([{ tx_hash: hashOf(one!), request_id: 4 }])
    expect(hashesOf(heard(other, 'tx_announce'))).toEqual([hashOf(one!)])
    other.say({ type: 'tx_request', hashes: [hashOf(one!), 'ab'.repeat(32)] })
    await town.world.advance(100)
    expect(heard(other, 'NEW_TRANSACTION')).toMatchObject([{ signature: one!.signature }])
  })

  test('a client may ask for transactions, and may not announce any', async () => {
    const town = new RelayTown()
    const node = town.relayNode(1)
    const [one] = some(1)
    void submit(node, one!)
    await town.world.advance(50)
    const client = town.stranger(node)
    client.say({ type: 'tx_request', hashes: [hashOf(one!)] })
    client.say({ type: 'tx_announce', hashes: [hashOf(one!)] })
    client.say({ type: 'tx_request', hashes: ['XYZ'] })
    client.say({
      type: 'compact_block',
      data: { current_hash: 'ab'.repeat(32), prev_hash: 'ab'.repeat(32) },
      short_ids: '',
    })
    await town.world.advance(50)
    expect(client.heard.map(({ type, code }) => code ?? type)).toEqual([
      'NEW_TRANSACTION',
      'peers-only',
      'bad-message',
      'peers-only',
    ])
  })

  test('threats row 9: an invalid variant from one peer does not keep the good one of another out', async () => {
    const town = new RelayTown()
    const node = town.relayNode(1)
    const [bad, good] = [await town.peer(node, 'a'), await town.peer(node, 'bb')]
    const [one, other] = some(2)
    // The id does not cover the signature: the same id, and another's signature.
    const spoilt = { ...one!, signature: other!.signature }
    bad.answer('tx_request', () => bad.say(newTransaction(spoilt)))
    good.answer('tx_request', () => good.say(newTransaction(one!)))
    bad.say({ type: 'tx_announce', hashes: [hashOf(one!)] })
    await town.world.advance(3)
    good.say({ type: 'tx_announce', hashes: [hashOf(one!)] })
    await town.world.runUntil(() => node.chain.pending(hashOf(one!)) !== undefined, 500)
    await town.world.advance(100)
    expect(bad.isClosed).toBe(true)
    expect(bad.codes).toEqual(['bad-signature'])
    expect(good.isClosed).toBe(false)
    expect(node.network.peers.size).toBe(1)
  })

  test('a peer that announces and does not send: after 2 s the next one is asked, and it is asked once', async () => {
    const town = new RelayTown()
    const node = town.relayNode(1)
    const [silent, honest] = [await town.peer(node, 'a'), await town.peer(node, 'bb')]
    const transactions = some(30)
    const hashes = transactions.map(hashOf)
    honest.answer('tx_request', () => transactions.forEach((one) => honest.say(newTransaction(one))))
    silent.say({ type: 'tx_announce', hashes })
    await town.world.advance(100)
    honest.say({ type: 'tx_announce', hashes })
    const at = town.world.elapsed
    await town.world.runUntil(() => node.chain.pendingCount() === 30, 3_000)
    expect(town.world.elapsed - at).toBeLessThan(2_100)
    expect(hashesOf(heard(silent, 'tx_request'))).toEqual(hashes)
    expect(hashesOf(heard(honest, 'tx_request'))).toEqual(hashes)
    expect(silent.isClosed).toBe(false)
  })

  test('a peer that leaves owes nothing: others are asked at once', async () => {
    const town = new RelayTown()
    const node = town.relayNode(1)
    const [silent, honest] = [await town.peer(node, 'a'), await town.peer(node, 'bb')]
    const [one] = some(1)
    honest.answer('tx_request', () => honest.say(newTransaction(one!)))
    silent.say({ type: 'tx_announce', hashes: [hashOf(one!)] })
    honest.say({ type: 'tx_announce', hashes: [hashOf(one!)] })
    await town.world.advance(50)
    silent.connection!.cut()
    await town.world.runUntil(() => node.chain.pendingCount() === 1, 100)
  })

  test('one that never sends what it announces is dropped, without a ban', async () => {
    const town = new RelayTown()
    const node = town.relayNode(1)
    const peer = await town.peer(node)
    const invented = (n: number) =>
      Array.from({ length: 1_000 }, (_, i) => (n * 1_000 + i).toString(16).padStart(64, '0'))
    for (let n = 0; n < 5; n++) peer.say({ type: 'tx_announce', hashes: invented(n) })
    await town.world.advance(1_900)
    // No more than two thousand are asked for at once.
    expect(hashesOf(heard(peer, 'tx_request')).length).toBe(2_000)
    await town.world.runUntil(() => peer.isClosed, 10_000)
    expect(peer.codes).toEqual(['announced-not-sent'])
    const again = await town.peer(node)
    expect(again.isClosed).toBe(false)
  })

  test('a flood of announcements is bounded, and leaves room for what an honest peer announces', async () => {
    const town = new RelayTown()
    const node = town.relayNode(1, { mempool_transactions_max: 100 })
    const flood = await town.peer(node, 'a')
    const honest = await town.peer(node, 'bb')
    const invented = (n: number) =>
      Array.from({ length: 3_000 }, (_, i) => (n * 3_000 + i).toString(16).padStart(64, '0'))
    for (let n = 0; n < 20; n++) flood.say({ type: 'tx_announce', hashes: invented(n) })
    await town.world.advance(50)
    // Of twice what fits into the mempool one peer gets half.
    expect(hashesOf(heard(flood, 'tx_request')).length).toBe(100)
    const [one] = some(1)
    honest.answer('tx_request', () => honest.say(newTransaction(one!)))
    honest.say({ type: 'tx_announce', hashes: [hashOf(one!)] })
    await town.world.runUntil(() => node.chain.pendingCount() === 1, 500)
  })

  test('a program that knows of no limit announces, and asks for, all that it has in one message', async () => {
    const town = new RelayTown()
    const node = town.relayNode(1)
    const peer = await town.peer(node)
    const theirs = new Map(some(3_000).map((one) => [hashOf(one), one]))
    peer.answer('tx_request', ({ hashes }) => {
      for (const hash of hashes as string[]) peer.say(newTransaction(theirs.get(hash)!))
    })
    peer.say({ type: 'tx_announce', hashes: [...theirs.keys()] })
    await town.world.runUntil(() => node.chain.pendingCount() === 3_000, 5_000)
    const other = await town.peer(node, 'bb')
    other.say({ type: 'tx_request', hashes: [...theirs.keys()] })
    await town.world.runUntil(() => heard(other, 'NEW_TRANSACTION').length === 3_000, 5_000)
    expect([...peer.codes, ...other.codes]).toEqual([])
  })

  test.each(['MINING_STARTED', 'ERROR'])(
    'a program that answers each transaction with %s stays a peer',
    async (type) => {
      const town = new RelayTown()
      const node = town.relayNode(1)
      const peer = await town.peer(node)
      peer.answer('NEW_TRANSACTION', () => peer.say({ type, code: 'busy', error: 'no', miner: 'it', message: 'yes' }))
      peer.answer('tx_announce', ({ hashes }) => peer.say({ type: 'tx_request', hashes: hashes! }))
      void submit(node, ...some(2_000))
      await town.world.runUntil(() => heard(peer, 'NEW_TRANSACTION').length === 2_000, 5_000)
      await town.world.advance(1_000)
      expect([peer.codes, peer.isClosed]).toEqual([[], false])
    },
  )

  test('transactions are sent no faster than they are taken', async () => {
    const town = new RelayTown()
    const node = town.relayNode(1)
    const peer = await town.peer(node)
    const transactions = some(100)
    void submit(node, ...transactions)
    await town.world.advance(100)
    const end = peer.connection!.other as { full?: boolean }
    end.full = true
    peer.say({ type: 'tx_request', hashes: transactions.map(hashOf) })
    await town.world.advance(1_000)
    expect(heard(peer, 'NEW_TRANSACTION')).toEqual([])
    end.full = false
    await town.world.advance(100)
    expect(heard(peer, 'NEW_TRANSACTION').length).toBe(100)
  })
})
