import { describe, expect, spyOn, test } from 'bun:test'
import * as fc from 'fast-check'
import { sealedHeaderOf, type Block } from '../../../../core/chain/block.ts'
import type { JsonObject } from '../../../../core/chain/json.ts'
import { readTransaction, type Transaction } from '../../../../core/chain/transaction.ts'
import type { Stranger } from '../town.ts'
import {
  blockOn,
  genesis,
  hashOf,
  heard,
  isOneOf,
  newTransaction,
  RelayTown,
  relayTypes,
  some,
  type RelayNode,
} from './rig.ts'

const sentBlocks = (town: RelayTown) =>
  town.sent.filter(({ message }) => isOneOf(message, 'new_block', 'compact_block'))

const short = (block: Block, of: readonly Transaction[] = block.transactions): JsonObject =>
  ({
    type: 'compact_block',
    node_id: 'x',
    data: sealedHeaderOf(block),
    short_ids: of.map((one) => hashOf(one).slice(0, 16)).join(''),
  }) as unknown as JsonObject

const whole = (block: Block): JsonObject => ({ type: 'new_block', node_id: 'x', data: block }) as unknown as JsonObject

const has = (node: RelayNode, block: Block): boolean => node.chain.header(block.current_hash)?.recorded === true

async function submit(node: RelayNode, ...blocks: readonly Block[]): Promise<void> {
  const { verdict } = await node.chain.submitBranch(blocks)
  if (!verdict.ok) throw new Error(`${verdict.code}: ${verdict.detail}`)
}

/** Answers as a node that has these blocks. */
function serve(peer: Stranger, ...blocks: readonly Block[]): void {
  const find = ({ hash }: JsonObject) => blocks.find(({ current_hash }) => current_hash === hash)
  peer.answer('block_request', (question) =>
    peer.say({
      type: 'block_response',
      request_id: question['request_id']!,
      blocks: [find(question)].filter((block) => block !== undefined) as unknown as JsonObject[],
    }),
  )
  peer.answer('block_transactions_request', (question) => {
    const positions = question['positions'] as number[]
    const transactions = positions.map((position) => find(question)!.transactions[position]!) as unknown as JsonObject[]
    peer.say({ type: 'block_transactions', request_id: question['request_id']!, hash: question['hash']!, transactions })
  })
}

describe('among nodes', () => {
  test('a block at one end of a line of eight reaches all at once, over each pair once, and never goes back', async () => {
    const town = new RelayTown()
    const nodes = await town.line(8)
    await town.world.advance(100)
    const block = blockOn(genesis.block, some(3))
    const at = town.world.elapsed
    void submit(nodes[0]!, block)
    await town.world.runUntil(() => nodes.every((node) => has(node, block)), 1_000)
    expect(town.world.elapsed - at).toBe(7 * 5)
    await town.world.advance(5_000)
    expect(sentBlocks(town).map(({ from, to }) => `${from}>${to}`)).toEqual(
      Array.from({ length: 7 }, (_, i) => `10.0.0.${i + 1}>10.0.0.${i + 2}`),
    )
    expect(town.of('ERROR')).toEqual([])
  })

  test('where all know each other, each is sent it, at the most once by each', async () => {
    const town = new RelayTown()
    const nodes = Array.from({ length: 5 }, (_, i) => town.relayNode(i + 1))
    for (const [i, a] of nodes.entries()) for (const b of nodes.slice(i + 1)) await town.join(a, b)
    await town.world.advance(100)
    const block = blockOn(genesis.block, some(3))
    await town.world.settled(submit(nodes[2]!, block))
    await town.world.advance(2_000)
    expect(nodes.every((node) => has(node, block))).toBe(true)
    const pairs = sentBlocks(town).map(({ from, to }) => `${from}>${to}`)
    expect(new Set(pairs).size).toBe(pairs.length)
    expect(pairs.filter((pair) => pair.endsWith('>10.0.0.3'))).toEqual([])
  })

  test('blocks whose transactions are pending everywhere travel in short, the others whole', async () => {
    const town = new RelayTown()
    const nodes = await town.line(3)
    const transactions = some(20)
    for (const one of transactions) void nodes[0]!.chain.submitTransaction(one)
    await town.world.runUntil(() => nodes.every(({ chain }) => chain.pendingCount() === 20))
    const first = blockOn(genesis.block, transactions)
    const second = blockOn(first)
    const third = blockOn(second, some(5))
    for (const block of [first, second, third]) {
      await town.world.settled(submit(nodes[2]!, block))
      await town.world.runUntil(() => nodes.every((node) => has(node, block)), 1_000)
    }
    const types = (from: string) =>
      sentBlocks(town)
        .filter((one) => one.from === from)
        .map(({ message }) => message['type'])
    expect(types('10.0.0.3')).toEqual(['compact_block', 'new_block', 'new_block'])
    expect(types('10.0.0.2')).toEqual(['compact_block', 'new_block', 'new_block'])
    expect(town.of('block_transactions_request')).toEqual([])
    expect(town.of('block_request')).toEqual([])
  })

  test('a block right after its transactions: they are on their way, so that it comes whole', async () => {
    const town = new RelayTown()
    const [a, b] = (await town.line(2)) as [RelayNode, RelayNode]
    const transactions = some(10)
    for (const one of transactions) void a.chain.submitTransaction(one)
    await town.world.runUntil(() => town.of('tx_announce').length === 1)
    const block = blockOn(genesis.block, transactions)
    await town.world.settled(submit(a, block))
    await town.world.runUntil(() => has(b, block), 100)
    expect(sentBlocks(town).map(({ message }) => message['type'])).toEqual(['new_block'])
  })

  test('a branch of a few blocks is passed on whole, of a longer one the head, and nothing of what was undone', async () => {
    const town = new RelayTown()
    const [a, b] = (await town.line(2)) as [RelayNode, RelayNode]
    const branch = (length: number, extra: string) => {
      const blocks: Block[] = []
      for (let i = 0; i < length; i++) blocks.push(blockOn(blocks.at(-1) ?? genesis.block, [], extra))
      return blocks
    }
    const indexesSent = () => sentBlocks(town).map(({ message }) => (message['data'] as JsonObject)['index'])
    await town.world.settled(submit(a, ...branch(2, 'first')))
    await town.world.advance(100)
    const heavier = branch(4, 'second')
    await town.world.settled(submit(a, ...heavier))
    await town.world.advance(100)
    expect(has(b, heavier[3]!)).toBe(true)
    expect(indexesSent()).toEqual([1, 2, 1, 2, 3, 4])
    const heaviest = branch(30, 'third')
    await town.world.settled(submit(a, ...heaviest))
    await town.world.runUntil(() => has(b, heaviest[29]!), 20_000)
    expect(indexesSent()).toEqual([1, 2, 1, 2, 3, 4, 30])
  })

  test('while a node fetches a long chain it passes nothing on; when it is there, its head', async () => {
    const town = new RelayTown()
    const [full, empty, behind] = [town.relayNode(1), town.relayNode(2), town.relayNode(3)]
    const blocks: Block[] = []
    for (let i = 0; i < 500; i++) blocks.push(blockOn(blocks.at(-1) ?? genesis.block))
    await town.world.settled(submit(full, ...blocks))
    await town.join(empty, behind)
    await town.join(full, empty)
    await town.world.runUntil(() => has(behind, blocks.at(-1)!), 30_000)
    const passedOn = sentBlocks(town).filter(({ from }) => from === '10.0.0.2')
    expect(passedOn.length).toBe(1)
    expect(passedOn[0]!.message['data']).toMatchObject({ index: 500 })
  })

  test('lost, doubled and reordered messages are harmless: all end at the same head, and nobody is dropped', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 - 1 }), async (seed) => {
        const town = new RelayTown(seed)
        const nodes = await town.line(4)
        const dice = town.world.host('10.7.7.7')
        town.watch((message) => {
          const [fate, after] = dice.random(2) as unknown as [number, number]
          const again = { message, after: 5 + after }
          if (!isOneOf(message, ...relayTypes)) return [{ message, after: 5 }]
          return fate < 40 ? [] : fate < 90 ? [again, { message, after: 5 }] : [again]
        })
        let head = genesis.block
        for (let i = 0; i < 12; i++) {
          const transactions = some(4)
          for (const one of transactions) void nodes[i % 4]!.chain.submitTransaction(one)
          await town.world.advance(700)
          head = blockOn(head, transactions)
          void submit(nodes[0]!, head)
        }
        await town.world.runUntil(() => nodes.every((node) => has(node, head)), 300_000)
        expect(nodes.map(({ network }) => network.peers.size)).toEqual([1, 2, 2, 1])
      }),
      { numRuns: 5 },
    )
  })
})

describe('a whole block of a peer', () => {
  test('is taken in silence, twice as well, and what is nobody’s fault is not answered', async () => {
    const town = new RelayTown()
    const node = town.relayNode(1)
    const peer = await town.peer(node)
    const block = blockOn(genesis.block, some(2))
    const early = { ...blockOn(block), timestamp: '2099-01-01T00:00:00.000Z' }
    peer.say(whole(block))
    peer.say(whole(block))
    await town.world.advance(50)
    peer.say(whole(blockOn(blockOn(blockOn(block)))))
    await town.world.advance(50)
    expect(has(node, block)).toBe(true)
    expect(peer.codes).toEqual([])
    expect(node.network.peers.all()[0]!.height).toBe(4)
    expect(heard(peer, 'block_request').length).toBe(1)
    // Its hash does not cover the time any more.
    peer.say(whole(early))
    await town.world.advance(50)
    expect([peer.codes, peer.isClosed]).toEqual([['bad-hash'], true])
  })

  test('threats row 9: a spoilt copy of a good block from one peer does not keep the good one of another out', async () => {
    const town = new RelayTown()
    const node = town.relayNode(1)
    const [bad, good] = [await town.peer(node, 'a'), await town.peer(node, 'bb')]
    const [one, other] = some(2)
    const block = blockOn(genesis.block, [one!])
    // The block's hash covers the id of a transaction, which does not cover its signature.
    bad.say(whole({ ...block, transactions: [{ ...one!, signature: other!.signature }] }))
    good.say(whole(block))
    await town.world.runUntil(() => has(node, block), 200)
    await town.world.advance(50)
    expect([bad.codes, bad.isClosed, good.isClosed]).toEqual([['bad-signature'], true, false])
  })

  test('the same block from many peers at once is checked once', async () => {
    const town = new RelayTown()
    const node = town.relayNode(1)
    const peers = [await town.peer(node, 'a'), await town.peer(node, 'bb'), await town.peer(node, 'ccc')]
    const block = blockOn(genesis.block, some(5))
    const checks = spyOn(node.chain, 'submitBlock')
    for (const peer of peers) peer.say(whole(block))
    await town.world.advance(100)
    expect(checks).toHaveBeenCalledTimes(1)
    expect(has(node, block)).toBe(true)
  })

  test('a peer without our extras is sent whole blocks', async () => {
    const town = new RelayTown()
    const node = town.relayNode(1)
    const [plain, extra] = [await town.peer(node, 'a', []), await town.peer(node, 'bb')]
    const transactions = some(4)
    for (const one of transactions) void node.chain.submitTransaction(one)
    await town.world.advance(2_000)
    const block = blockOn(genesis.block, transactions)
    await town.world.settled(submit(node, block))
    await town.world.advance(50)
    expect(heard(plain, 'new_block')).toEqual([{ ...whole(block), node_id: node.key.nodeId }])
    expect(heard(extra, 'compact_block')).toEqual([{ ...short(block), node_id: node.key.nodeId }])
  })
})

describe('a compact block', () => {
  async function scene(pending: number, missing: number) {
    const town = new RelayTown()
    const node = town.relayNode(1)
    const [peer, other] = [await town.peer(node, 'a'), await town.peer(node, 'bb')]
    const transactions = some(pending + missing)
    for (const one of transactions.slice(0, pending)) void node.chain.submitTransaction(one)
    await town.world.advance(50)
    const block = blockOn(genesis.block, transactions)
    return { town, node, peer, other, block, transactions }
  }

  test('is put together from what is pending, and passed on', async () => {
    const { town, node, peer, other, block } = await scene(8, 0)
    peer.say(short(block))
    await town.world.runUntil(() => has(node, block), 50)
    await town.world.advance(2_000)
    expect(heard(peer, 'block_transactions_request')).toEqual([])
    expect(heard(peer, 'new_block')).toEqual([])
    expect(heard(other, 'new_block').length + heard(other, 'compact_block').length).toBe(1)
  })

  test('what is missing is asked for by its place', async () => {
    const { town, node, peer, block } = await scene(8, 2)
    serve(peer, block)
    peer.say(short(block))
    await town.world.runUntil(() => has(node, block), 50)
    expect(heard(peer, 'block_transactions_request')).toMatchObject([{ hash: block.current_hash, positions: [8, 9] }])
    expect(heard(peer, 'block_request')).toEqual([])
  })

  test('transactions that come right before it are waited for, not asked for', async () => {
    const { town, node, peer, block, transactions } = await scene(8, 2)
    for (const one of transactions.slice(8)) peer.say(newTransaction(one))
    peer.say(short(block))
    await town.world.runUntil(() => has(node, block), 50)
    expect(heard(peer, 'block_transactions_request')).toEqual([])
  })

  test('transactions that another block recorded just now are found', async () => {
    const { town, node, peer, block, transactions } = await scene(8, 0)
    await town.world.settled(submit(node, blockOn(genesis.block, transactions, 'a rival')))
    const above = blockOn(block)
    peer.say(short(block))
    peer.say(whole(above))
    await town.world.runUntil(() => has(node, above), 100)
    expect(heard(peer, 'block_transactions_request')).toEqual([])
  })

  test('who does not send what is missing has 2 s; then the whole block comes from another that has it', async () => {
    const { town, node, peer, other, block } = await scene(8, 2)
    serve(other, block)
    peer.say(short(block))
    other.say(short(block))
    const at = town.world.elapsed
    await town.world.runUntil(() => has(node, block), 3_000)
    expect(town.world.elapsed - at).toBeLessThan(2_100)
    expect(heard(other, 'block_transactions_request')).toEqual([])
    expect(heard(other, 'block_request').length).toBe(1)
    expect([peer.isClosed, other.isClosed]).toEqual([false, false])
  })

  test('another transaction that begins alike: the whole block is fetched, and nobody is to blame', async () => {
    const { town, node, peer, block, transactions } = await scene(8, 0)
    serve(peer, block)
    const read = (one: Transaction) => {
      const result = readTransaction(one, genesis.rules)
      if (!result.ok) throw new Error(result.detail)
      return result.value
    }
    const pending = new Map(transactions.map((one) => [hashOf(one).slice(0, 16), read(one)]))
    pending.set(hashOf(transactions[3]!).slice(0, 16), read(some(1)[0]!))
    spyOn(node.chain, 'pendingByPrefix').mockImplementation((prefix) => pending.get(prefix))
    peer.say(short(block))
    await town.world.runUntil(() => has(node, block), 100)
    expect(heard(peer, 'block_request').length).toBe(1)
    expect(peer.isClosed).toBe(false)
  })

  test('what was sent as missing is rubbish: the whole block is fetched', async () => {
    const { town, node, peer, block } = await scene(8, 2)
    serve(peer, block)
    peer.answer('block_transactions_request', ({ request_id }) =>
      peer.say({ type: 'block_transactions', request_id: request_id!, transactions: [{}, { sender: 7 }] }),
    )
    peer.say(short(block))
    await town.world.runUntil(() => has(node, block), 100)
    expect(peer.isClosed).toBe(false)
  })

  test('whose parent is not here is fetched whole, and its parents too', async () => {
    const { town, node, peer, block } = await scene(3, 0)
    const second = blockOn(block, some(2))
    const third = blockOn(second, some(2))
    serve(peer, block, second, third)
    peer.say(short(third))
    await town.world.runUntil(() => has(node, third), 500)
    expect(peer.isClosed).toBe(false)
  })

  test('threats row 9: a made-up header under the hash of a good block does not keep it out, and costs its sender', async () => {
    const { town, node, peer, other, block } = await scene(8, 0)
    const made = short(block)
    peer.say({ ...made, data: { ...(made['data'] as JsonObject), extra: 'other' } })
    other.say(short(block))
    await town.world.runUntil(() => has(node, block), 50)
    await town.world.advance(50)
    expect([peer.codes, peer.isClosed, other.isClosed]).toEqual([['bad-hash'], true, false])
  })

  test('a peer may have a few in the making: what is beyond is not kept', async () => {
    const { town, node, peer } = await scene(0, 0)
    const rivals = Array.from({ length: 20 }, (_, i) => blockOn(genesis.block, some(1), `rival ${i}`))
    for (const rival of rivals) peer.say(short(rival))
    await town.world.advance(60_000)
    // Four of them, each by its transactions and then whole; nothing was answered.
    expect(heard(peer, 'block_transactions_request').length).toBe(4)
    expect(node.chain.head().header.index).toBe(0)
    expect(peer.isClosed).toBe(false)
  })

  test('more short ids than a block may hold are refused', async () => {
    const { town, peer, block } = await scene(1, 0)
    peer.say({ ...short(block), short_ids: 'ab'.repeat(8).repeat(5_001) })
    await town.world.advance(50)
    expect([peer.codes, peer.isClosed]).toEqual([['too-large'], true])
  })

  test('transactions of a block that is here are sent by their place', async () => {
    const { town, node, peer, block } = await scene(0, 5)
    await town.world.settled(submit(node, block))
    const ask = (hash: string, positions: number[], request_id: number) =>
      peer.say({ type: 'block_transactions_request', hash, positions, request_id })
    ask(block.current_hash, [4, 1], 1)
    ask(block.current_hash, [5], 2)
    ask('ab'.repeat(32), [0], 3)
    ask(block.current_hash, [-1], 4)
    await town.world.advance(50)
    const answers = peer.heard.filter(({ type }) => type === 'ERROR' || type === 'block_transactions')
    expect(answers.map(({ code }) => code)).toEqual([undefined, 'bad-message', 'unknown-block', 'bad-message'])
    expect(answers.slice(0, 3).map(({ request_id }) => request_id)).toEqual([1, 2, 3])
    expect(answers[0]!['transactions']).toEqual([
      block.transactions[4],
      block.transactions[1],
    ] as unknown as JsonObject[])
  })
})
