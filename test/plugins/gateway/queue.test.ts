import { describe, expect, test } from 'bun:test'
import { transactionHash } from '../../../core/chain/transaction.ts'
import { AurexError } from '../../../core/errors.ts'
import { attestTransaction } from '../../../core/chain/transaction.ts'
import { FakeNode } from '../../core/commands/fakenode.ts'
import { makeKey } from '../../support/blocks.ts'
import { eventually } from '../../support/eventually.ts'
import {
  DeskWorld,
  declined,
  genesis,
  given,
  hurried,
  included,
  keptBy,
  purchase,
  runtime,
  signed,
  taken,
  type DeskWorldOptions,
} from './deskworld.ts'

/** Starts a world, and ends it whatever happens. */
async function inWorld(options: DeskWorldOptions, run: (world: DeskWorld) => Promise<void>): Promise<void> {
  const world = await DeskWorld.start(options)
  try {
    await run(world)
  } finally {
    await world.dispose()
  }
}

const idle = (world: DeskWorld) => eventually(() => keptBy(world.desk) === 0, 'nothing queued')

describe('durable', () => {
  test('a purchase is on the disk before any node hears of it: killed then, it is recorded after the restart', async () => {
    await inWorld({ nodes: 1 }, async (world) => {
      let folder: string | undefined
      world.nodes[0]!.before = ({ type }) => {
        if (type === 'NEW_TRANSACTION') folder ??= world.snapshot()
        return true
      }
      const { hash } = await taken(world.desk.submitPurchase(purchase()))
      await inWorld({ ...hurried, nodes: 1, folder: folder! }, async (after) => {
        await eventually(() => after.nodes[0]!.known.has(hash), 'the node has it')
        expect(await taken(after.desk.submitPurchase(purchase()))).toMatchObject({ hash, nodesReached: 1 })
        expect(await declined(after.desk.submitPurchase(purchase({ price: 1 })))).toStartWith('conflict: ')
      })
    })
  })

  test('row 29: what cannot be written is declined, and no node hears of it', async () => {
    let full = false
    const wrap: DeskWorldOptions['wrap'] = (storage) => ({
      records: (owner) => {
        const records = storage.records(owner)
        const write: typeof records.write = (changes) => {
          if (full) throw new AurexError('storage-full', 'no space left')
          records.write(changes)
        }
        return {
          get: (key) => records.get(key),
          list: (...of) => records.list(...of),
          count: (of) => records.count(of),
          write,
        }
      },
    })
    await inWorld({ wrap }, async ({ desk, nodes }) => {
      await taken(desk.submitPurchase(purchase({ tx_id: 'before' })))
      full = true
      expect(await declined(desk.submitPurchase(purchase({ tx_id: 'full' })))).toMatch(
        /^storage-unavailable: .*no space/,
      )
      full = false
      await taken(desk.submitPurchase(purchase({ tx_id: 'full', price: 2 })))
      expect(given(nodes[0]!).map(({ price }) => price)).toEqual(['12.34', '2'])
    })
  })

  test('what comes together is written together', async () => {
    let writes = 0
    const wrap: DeskWorldOptions['wrap'] = (storage) => ({
      records: (owner) => {
        const records = storage.records(owner)
        const write: typeof records.write = (changes) => {
          writes++
          records.write(changes)
        }
        return {
          get: (key) => records.get(key),
          list: (...of) => records.list(...of),
          count: (of) => records.count(of),
          write,
        }
      },
    })
    await inWorld({ wrap }, async ({ desk }) => {
      await Promise.all(Array.from({ length: 200 }, (_, n) => taken(desk.submitPurchase(purchase({ tx_id: `t${n}` })))))
      expect(writes).toBeLessThan(5)
    })
  })
})

describe('where no node can be reached', () => {
  test('it is kept, over restarts, and given to the first node that comes, in the order of acceptance', async () => {
    await inWorld({ ...hurried, nodes: 1 }, async (world) => {
      world.away(0, true)
      world.nodes[0]!.drop()
      await world.reached(0)
      for (let n = 0; n < 30; n++) {
        const answer = await taken(world.desk.submitPurchase(purchase({ tx_id: `t${n}` })))
        expect(answer).toMatchObject({ nodesReached: 0, message: expect.stringContaining('kept') })
        if (n === 20) await world.restart()
      }
      expect(world.desk.counts()).toEqual({ queued: 30, unsettled: 0, nodes: 0 })
      expect(await world.desk.fate({ txId: 't3' })).toMatchObject({ status: 'pending' })
      world.away(0, false)
      await eventually(() => world.nodes[0]!.known.size === 30, 'all of them')
      const order = [...world.nodes[0]!.known.values()].map(({ transaction }) => transaction.data['tx_id'])
      expect(order).toEqual(Array.from({ length: 30 }, (_, n) => `t${n}`))
    })
  })

  test('the same purchase again is still one', async () => {
    await inWorld({ nodes: 0 }, async ({ desk }) => {
      const first = await taken(desk.submitPurchase(purchase()))
      expect(await taken(desk.submitPurchase(purchase()))).toEqual(first)
      expect(keptBy(desk)).toBe(1)
    })
  })

  test('row 9: a variant with a signature that nobody takes does not stand in the way of a good one', async () => {
    await inWorld({ ...hurried, attest: true, refusedMilliseconds: 500 }, async (world) => {
      const [node] = world.nodes as [FakeNode]
      node.refuse = (transaction) =>
        transaction.public_key_pem === makeKey(66).pem ? { code: 'wrong-key', error: 'who is that?' } : undefined
      world.away(0, true)
      node.drop()
      await world.reached(0)
      const data = { action: 'data', of: 'alice' }
      const spoilt = attestTransaction(makeKey(66), genesis.rules.chainId, 'alice', data)
      await taken(world.desk.submitTransaction({ ...spoilt }))
      const { hash } = await taken(world.desk.submitTransaction({ sender: 'alice', data }))
      expect(transactionHash(spoilt, genesis.rules.chainId)).toBe(hash)
      world.away(0, false)
      await eventually(() => node.known.has(hash), 'the good one is taken')
      node.fates.set(hash, included(6))
      await idle(world)
    })
  })

  test('beyond the limit it is declined', async () => {
    await inWorld({ nodes: 0, queueTransactionsMax: 5 }, async ({ desk }) => {
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, n) => desk.submitPurchase(purchase({ tx_id: `t${n}` }))),
      )
      expect(answers.filter((answer) => answer.ok)).toHaveLength(5)
      expect(answers.flatMap((answer) => (answer.ok ? [] : [answer.code]))).toEqual(Array(3).fill('queue-full'))
      // One that is kept already needs no room.
      expect(await taken(desk.submitPurchase(purchase({ tx_id: 't0' })))).toMatchObject({ nodesReached: 0 })
    })
  })

  test('without storage it is declined, and not remembered', async () => {
    await inWorld({ nodes: 0, storage: 'none' }, async ({ desk }) => {
      expect(await declined(desk.submitPurchase(purchase()))).toStartWith('unreachable: no node can be reached')
      expect(await declined(desk.submitPurchase(purchase({ price: 1 })))).toStartWith('unreachable: ')
    })
  })
})

test('without storage a purchase that was taken is remembered', async () => {
  await inWorld({ storage: 'none' }, async ({ desk, nodes }) => {
    const first = await taken(desk.submitPurchase(purchase()))
    expect(await taken(desk.submitPurchase(purchase()))).toEqual(first)
    expect(await declined(desk.submitPurchase(purchase({ price: 1 })))).toStartWith('conflict: ')
    expect(nodes[0]!.known.size).toBe(1)
    expect(await desk.fate({ txId: 'order-1' })).toMatchObject({ status: 'pending', txHash: first.hash })
  })
})

describe('refusals', () => {
  const passing = ['mempool-full', 'sender-quota', 'storage-unavailable', 'busy', 'stopping', 'internal']
  test.each(passing)('%s passes: it is kept, and given again', async (code) => {
    await inWorld(hurried, async ({ desk, nodes: [node] }) => {
      node!.refuse = () => ({ code, error: 'later' })
      const { hash, message } = await taken(desk.submitPurchase(purchase()))
      expect(message).toContain(code)
      expect(keptBy(desk)).toBe(1)
      node!.refuse = () => undefined
      await eventually(() => node!.known.has(hash), 'taken at last')
    })
  })

  test('one that lasts, by all who answer, is passed on, and nothing is kept', async () => {
    await inWorld({ nodes: 2 }, async (world) => {
      for (const node of world.nodes) node.refuse = () => ({ code: 'not-owner', error: 'the lamp is not yours' })
      expect(await declined(world.desk.submitPurchase(purchase()))).toBe('not-owner: the lamp is not yours')
      expect(await declined(world.desk.submitTransaction({ ...signed() }))).toStartWith('not-owner: ')
      expect([...world.records('queue/'), ...world.records('tx/')]).toEqual([])
      expect(keptBy(world.desk)).toBe(0)
    })
  })

  test('where one node takes it, the refusal of another does not count', async () => {
    await inWorld({ nodes: 2 }, async ({ desk, nodes }) => {
      nodes[0]!.refuse = () => ({ code: 'not-owner', error: 'no' })
      expect(await taken(desk.submitPurchase(purchase()))).toMatchObject({ nodesReached: 1, nodesTotal: 2 })
    })
  })

  test('where one node has no room, the refusal of another does not decide', async () => {
    await inWorld({ nodes: 2 }, async ({ desk, nodes }) => {
      nodes[0]!.refuse = () => ({ code: 'not-owner', error: 'no' })
      nodes[1]!.refuse = () => ({ code: 'mempool-full', error: 'no' })
      expect(await taken(desk.submitPurchase(purchase()))).toMatchObject({ nodesReached: 0 })
    })
  })

  test('where a node said nothing, which may have it, its tx_id is not free', async () => {
    await inWorld({ nodes: 2 }, async (world) => {
      world.nodes[0]!.refuse = () => ({ code: 'not-owner', error: 'no' })
      world.nodes[1]!.before = ({ type }) => type !== 'NEW_TRANSACTION'
      expect(await declined(world.desk.submitPurchase(purchase()))).toStartWith('not-owner: ')
      expect(await declined(world.desk.submitPurchase(purchase({ price: 1 })))).toStartWith('conflict: ')
    })
  })

  test('what was kept and then every node refuses for long is given up, and its fate tells why, after a restart too', async () => {
    await inWorld({ ...hurried, refusedMilliseconds: 2_000 }, async (world) => {
      const [node] = world.nodes as [FakeNode]
      node.refuse = () => ({ code: 'busy', error: 'later' })
      const { hash } = await taken(world.desk.submitPurchase(purchase()))
      node.refuse = () => ({ code: 'not-owner', error: 'the lamp is sold' })
      await idle(world)
      expect(world.log).toMatchObject([{ message: expect.stringContaining('given up'), fields: { hash } }])
      expect(world.figures.figures().metrics).toContainEqual({ name: 'gateway_given_up_total', labels: {}, value: 1 })
      await world.restart()
      await world.reached(1)
      const told = { status: 'unknown', code: 'not-owner', message: 'the lamp is sold' }
      expect(await world.desk.fate({ txHash: hash })).toMatchObject(told)
      expect(await world.desk.fate({ txId: 'order-1' })).toMatchObject(told)
      // Times change: the same purchase may be tried again, and another body may not.
      node.refuse = () => undefined
      expect(await declined(world.desk.submitPurchase(purchase({ price: 1 })))).toStartWith('conflict: ')
      expect(await taken(world.desk.submitPurchase(purchase()))).toMatchObject({ hash, nodesReached: 1 })
      expect(await world.desk.fate({ txHash: hash })).toMatchObject({ status: 'pending' })
    })
  })

  test('what was kept is not answered otherwise while it is, whatever a node says when it comes again', async () => {
    await inWorld({ nodes: 1 }, async ({ desk, nodes: [node] }) => {
      node!.refuse = () => ({ code: 'busy', error: 'later' })
      const { hash } = await taken(desk.submitPurchase(purchase()))
      node!.refuse = () => ({ code: 'not-owner', error: 'I am behind' })
      expect(await taken(desk.submitPurchase(purchase()))).toMatchObject({
        nodesReached: 0,
        message: expect.stringContaining('not-owner'),
      })
      expect(keptBy(desk)).toBe(1)
      node!.refuse = () => undefined
      expect(await taken(desk.submitPurchase(purchase()))).toMatchObject({ hash, nodesReached: 1 })
    })
  })

  test('it is not given up while a node that may have it does not say', async () => {
    await inWorld({ ...hurried, nodes: 2, refusedMilliseconds: 500 }, async (world) => {
      const [one, other] = world.nodes as [FakeNode, FakeNode]
      for (const node of world.nodes) node.refuse = () => ({ code: 'busy', error: 'later' })
      await taken(world.desk.submitPurchase(purchase()))
      other.stop()
      one.refuse = () => ({ code: 'not-owner', error: 'no' })
      const before = given(one).length
      await eventually(() => given(one).length > before + 3, 'it was refused several times')
      expect(keptBy(world.desk)).toBe(1)
      world.away(1, true)
      await idle(world)
    })
  })
})

describe('followed until it is settled', () => {
  test('a node that does not know it any more gets it again', async () => {
    await inWorld(hurried, async ({ desk, nodes: [node] }) => {
      const { hash } = await taken(desk.submitPurchase(purchase()))
      for (const fate of ['unknown', 'orphaned']) {
        const before = given(node!).length
        node!.known.clear()
        node!.fates.set(hash, { status: fate })
        await eventually(() => given(node!).length > before && node!.known.has(hash), `given again: ${fate}`)
        node!.fates.clear()
      }
    })
  })

  test('in a block it is followed until the block is deep, or final', async () => {
    await inWorld(hurried, async (world) => {
      const [node] = world.nodes as [FakeNode]
      const deep = await taken(world.desk.submitPurchase(purchase({ tx_id: 'deep' })))
      const final = await taken(world.desk.submitPurchase(purchase({ tx_id: 'final' })))
      const shallow = await taken(world.desk.submitPurchase(purchase({ tx_id: 'shallow' })))
      node.fates.set(deep.hash, included(6))
      node.fates.set(final.hash, included(1, 'final'))
      node.fates.set(shallow.hash, included(5))
      await eventually(() => keptBy(world.desk) === 1, 'two are settled')
      const askedOf = (hash: string) => node.received.filter(({ tx_hash }) => tx_hash === hash).length
      const before = [deep, final, shallow].map(({ hash }) => askedOf(hash))
      await eventually(() => askedOf(shallow.hash) > before[2]! + 1, 'the third is asked about on and on')
      // And the others never more.
      expect([deep, final].map(({ hash }) => askedOf(hash))).toEqual(before.slice(0, 2))
      expect(world.records('queue/').map(([key]) => key.slice(6, 70))).toEqual([shallow.hash])
      expect(given(node)).toHaveLength(3)
      expect(world.records('tx/')).toHaveLength(3)
    })
  })

  test('one node on a branch of its own does not settle it', async () => {
    await inWorld({ ...hurried, nodes: 3 }, async ({ desk, nodes }) => {
      const { hash } = await taken(desk.submitPurchase(purchase()))
      nodes[0]!.fates.set(hash, included(9))
      const asked = (place: number) => nodes[place]!.received.filter(({ tx_hash }) => tx_hash === hash).length
      await eventually(() => asked(0) > 0, 'it said so')
      const before = asked(0) + asked(1) + asked(2)
      await eventually(() => asked(0) + asked(1) + asked(2) > before + 2, 'it is followed on')
      nodes[1]!.fates.set(hash, included(7))
      nodes[2]!.fates.set(hash, included(6))
      await eventually(() => keptBy(desk) === 0, 'settled')
    })
  }, 15_000)

  test('a restart goes on where it was', async () => {
    await inWorld(hurried, async (world) => {
      const [node] = world.nodes as [FakeNode]
      const { hash } = await taken(world.desk.submitPurchase(purchase()))
      await world.restart()
      expect(keptBy(world.desk)).toBe(1)
      node.known.clear()
      await eventually(() => node.known.has(hash), 'given again')
      node.fates.set(hash, included(6))
      await idle(world)
      expect(world.records('queue/')).toEqual([])
    })
  })

  test('thousands of them cost a node at most 500 questions a second', async () => {
    const node = await FakeNode.start(runtime)
    const world = await DeskWorld.start({ nodes: 0 })
    try {
      const bodies = Array.from({ length: 3_000 }, (_, n) => purchase({ tx_id: `t${n}` }))
      await Promise.all(bodies.map((body) => taken(world.desk.submitPurchase(body))))
      expect(keptBy(world.desk)).toBe(3_000)
      world.nodes.push(node)
      world.tell('peer:joined')
      const started = performance.now()
      await eventually(() => given(node).length >= 1_000, 'a thousand are given')
      // A second's worth was saved up.
      const allowed = 500 + ((performance.now() - started) / 1_000) * 500
      expect(given(node).length).toBeLessThan(allowed + 64 + 50)
    } finally {
      await world.dispose()
    }
  })
})
