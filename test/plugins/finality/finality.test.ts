import { describe, expect, test } from 'bun:test'
import type { SealedHeader } from '../../../core/index.ts'
import { Booth, tellMilliseconds } from '../../../plugins/finality/booth.ts'
import { healthOf } from '../../../plugins/finality/figures.ts'
import { Standing } from '../../../plugins/finality/standing.ts'
import { Tally } from '../../../plugins/finality/tally.ts'
import { voteText, type VoteMessage } from '../../../plugins/finality/votes.ts'
import { ancestryOf } from '../../support/headers.ts'
import { dice } from '../../support/dice.ts'
import {
  branchOf,
  chainId,
  checkpointOf,
  FakeChain,
  genesisBranch,
  grown,
  keysOf,
  Net,
  testRules,
  type TestNode,
} from './world.ts'

describe('a chain whose authorities vote', () => {
  test.each([1, 2, 4, 7])('has every block final soon: %d of them', async (count) => {
    const net = new Net(count, { others: 1 })
    let branch = genesisBranch
    for (let height = 1; height <= 5; height++) {
      branch = grown(branch)
      net.take(branch)
      await net.untilFinal(height)
    }
    expect(net.nodes.every(({ finality }) => finality.final().hash === branch[5]!.current_hash)).toBe(true)
    expect(net.nodes.every(({ finality }) => finality.waits() === undefined)).toBe(true)
    expect(net.refusals).toEqual([])
    expect(net.nodes.flatMap(({ logged, accused }) => [...logged, ...accused])).toEqual([])
  })

  test('is quiet when all of it is final: nobody says anything any more', async () => {
    const net = new Net(4, { others: 1 })
    net.take(branchOf(3))
    await net.untilFinal(3)
    await net.world.advance(5_000)
    const said = net.nodes.map((node) => node.said)
    const { events } = net.world
    await net.world.advance(600_000)
    expect(net.nodes.map((node) => node.said)).toEqual(said)
    expect(net.world.events - events).toBeLessThan(20)
    // Two that meet again tell each other once where they are.
    const [a, b] = net.nodes as [TestNode, TestNode]
    net.join(a, b)
    await net.world.advance(60_000)
    expect(net.nodes.map((node) => node.said)).toEqual(said.map((count, at) => (at < 2 ? count + 1 : count)))
  })

  test('goes on being final while blocks come faster than votes', async () => {
    const net = new Net(4)
    let branch = genesisBranch
    const lags: number[] = []
    for (let height = 1; height <= 300; height++) {
      branch = grown(branch)
      // Each node hears of it a little later than the one before.
      const now = branch
      for (const [place, node] of net.nodes.entries()) net.world.at(place * 7, () => node.chain.take(now))
      await net.world.advance(20)
      if (height > 50) lags.push(height - Math.min(...net.finals()))
    }
    // The votes of one target take about 60 ms, and there is a pause of 80 ms between targets.
    expect(Math.max(...lags)).toBeLessThan(40)
  })

  test('votes for checkpoints alone, where not every block is one', async () => {
    const net = new Net(4, { parameters: { checkpoint_every: 5 } })
    net.take(branchOf(12))
    await net.untilFinal(10)
    await net.world.advance(10_000)
    expect(net.finals()).toEqual([10, 10, 10, 10])
  })

  test('stands messages that are lost', async () => {
    const net = new Net(4, { loss: 0.4, seed: 7 })
    let branch = genesisBranch
    for (let height = 1; height <= 10; height++) net.take((branch = grown(branch)))
    await net.untilFinal(10, net.nodes, 600_000)
  })

  test('says again what nobody heard', async () => {
    const net = new Net(2, { others: 1 })
    net.loses = () => true
    net.take(branchOf(1))
    await net.world.advance(1_000)
    net.loses = () => false
    await net.untilFinal(1, net.nodes, 5_000)
  })

  test('tells who missed it what is final, when he says where he is', async () => {
    const net = new Net(2, { others: 1 })
    const [a, b, other] = net.nodes as [TestNode, TestNode, TestNode]
    const branch = branchOf(1)
    net.take(branch)
    await net.untilFinal(1)
    net.loses = (_from, to) => to === other
    net.take(grown(branch))
    await net.untilFinal(2, [a, b])
    await net.world.advance(1_000)
    net.loses = () => false
    expect(other.finality.final().index).toBe(1)
    await net.untilFinal(2, [other], 10_000)
    await net.world.advance(5_000)
    const said = net.nodes.map((node) => node.said)
    await net.world.advance(600_000)
    expect(net.nodes.map((node) => node.said)).toEqual(said)
  })
})

describe('where votes are missing', () => {
  test('one of four may be away; of two that are away the others are told who', async () => {
    const net = new Net(4)
    const [a, b, c, d] = net.nodes as [TestNode, TestNode, TestNode, TestNode]
    d.stop()
    const branch = branchOf(1)
    net.take(branch)
    await net.untilFinal(1, [a, b, c])
    c.stop()
    net.take(grown(branch))
    await net.world.advance(30_000)
    expect(net.finals([a, b])).toEqual([1, 1])
    const waiting = a.finality.waits()!
    const short = ({ key: { address } }: TestNode) => `${address.slice(0, 4)}...${address.slice(-2)}`
    expect(waiting.waitsFor).toBe(`the vote of ${short(c)}, ${short(d)} for block 2: 2 of the 3 that decide have voted`)
    expect(waiting.since).toBeLessThan(net.world.host('10.0.0.1').clock.now() - 29_000)
    expect(waiting.help).toContain('start the nodes')
    // What is said again while it waits is less and less.
    const said = a.said
    await net.world.advance(600_000)
    expect(a.said - said).toBeLessThan(60)
    c.start()
    c.chain.take(grown(branch))
    await net.untilFinal(2, [a, b, c])
    d.start()
    d.chain.take(grown(branch))
    await net.untilFinal(2)
  })

  test('nobody but this node has voted', async () => {
    const net = new Net(4, { others: 1 })
    for (const node of net.nodes.slice(0, 4)) node.stop()
    const other = net.nodes[4]!
    other.chain.take(branchOf(1))
    await net.world.advance(100)
    expect(other.finality.waits()!.waitsFor).toEndWith('for block 1: nobody of a quorum has voted yet')
  })

  test('an authority that is told not to vote does not', async () => {
    const net = new Net(1)
    const [node] = net.nodes as [TestNode]
    node.stop()
    node.start(false)
    node.chain.take(branchOf(1))
    await net.world.advance(10_000)
    expect(node.finality.final().index).toBe(0)
    expect(node.ledger.records('signing').count('')).toBe(0)
  })
})

describe('branches', () => {
  test('votes that split at one height are put together by the next block', async () => {
    const net = new Net(4)
    const [left, right] = [branchOf(1, 'left'), branchOf(1, 'right')]
    net.take(left, net.nodes.slice(0, 2))
    net.take(right, net.nodes.slice(2))
    await net.world.advance(500)
    net.take(left)
    net.take(right)
    await net.world.advance(30_000)
    // Beside the two blocks: the producer is told that it is asked for one more.
    expect(net.nodes.map(({ chain }) => chain.changes)).toEqual([3, 3, 3, 3])
    // Nobody may vote for the other one now: a further block is wanted, and soon.
    expect(net.finals()).toEqual([0, 0, 0, 0])
    const [node] = net.nodes as [TestNode]
    const now = Date.parse(node.chain.branch[1]!.timestamp) + 30_000
    expect(node.finality.wantsBlock(ancestryOf(node.chain.branch), now)).toBe(true)
    net.take(grown(node.chain.branch, { empty: true }))
    await net.untilFinal(2)
    expect(new Set(net.nodes.map(({ finality }) => finality.final().hash)).size).toBe(1)
    expect(net.nodes.flatMap(({ accused }) => accused)).toEqual([])
  })

  test('what is justified beside the chain becomes the chain, and final', async () => {
    const net = new Net(4)
    const [a, b, c, d] = net.nodes as [TestNode, TestNode, TestNode, TestNode]
    const low = branchOf(1, 'low')
    const heavy = branchOf(3, 'heavy')
    net.take(low, [a, b, c])
    d.chain.take(heavy)
    d.chain.take(low)
    await net.untilFinal(1)
    expect(d.chain.branch.at(-1)).toBe(low[1])
  })

  test('a decided block that is not here is fetched from who said so, and again', async () => {
    const net = new Net(4, { others: 1 })
    const late = net.nodes[4]!
    const branch = branchOf(2)
    net.take(branch, net.nodes.slice(0, 4))
    await net.untilFinal(2, net.nodes.slice(0, 4))
    await net.world.advance(10_000)
    const wanted = late.chain.fetched.filter(({ checkpoint }) => checkpoint.hash === branch[2]!.current_hash)
    expect(wanted.length).toBeGreaterThan(1)
    expect(wanted.length).toBeLessThan(20)
    expect(net.nodes.map(({ key }) => key.nodeId)).toContain(wanted[0]!.from)
    expect(late.finality.final().index).toBe(0)
    // It comes beside a longer chain, so that the head alone would not tell.
    late.chain.take(branchOf(5, 'longer'))
    await net.world.advance(100)
    late.chain.take(branch)
    await net.untilFinal(2, [late], 100)
    expect(late.chain.branch.at(-1)).toBe(branch[2])
  })
})

describe('a node that was away', () => {
  test('is told by its peers what is final, on a chain that is quiet', async () => {
    const net = new Net(4, { others: 1 })
    const late = net.nodes[4]!
    late.stop()
    const branch = branchOf(30)
    net.take(branch)
    await net.untilFinal(30, net.nodes.slice(0, 4))
    await net.world.advance(60_000)
    late.chain.take(branch)
    late.start()
    await net.untilFinal(30)
    expect(late.chain.fetched).toEqual([])
  })

  test('for 1,000 blocks checks the certificates on its way, and needs nobody for it', async () => {
    const net = new Net(4, { others: 1 })
    const late = net.nodes[4]!
    const [first] = net.nodes as [TestNode]
    late.stop()
    let branch = genesisBranch
    let certified = 0
    for (let height = 1; height <= 1_000; height++) {
      const finality = first.finality.certificate(ancestryOf(branch))
      if (finality !== undefined) certified++
      branch = grown(branch, { finality })
      net.take(branch.length % 10 === 0 ? branch : branch.slice(0, branch.length - (branch.length % 10)), net.nodes)
      if (height % 10 === 0) await net.world.advance(150)
    }
    expect(certified).toBeGreaterThan(90)
    for (const node of net.nodes.slice(0, 4)) node.stop()
    late.start()
    for (let index = 1; index < branch.length; index++) {
      expect(late.finality.verify(branch[index]!, ancestryOf(branch.slice(0, index)))).toEqual({ ok: true })
    }
    late.chain.take(branch)
    const last = branch.findLast(({ finality }) => finality !== undefined)!.finality!['index'] as number
    expect(last).toBeGreaterThan(950)
    await net.untilFinal(last, [late], 1_000)
    expect(late.finality.final()).toEqual(checkpointOf(branch[last]!))
    // And from its ledger alone, where the record was lost.
    late.ledger.records('finality').write([
      ['final', undefined],
      ['justified', undefined],
    ])
    late.restart()
    await net.untilFinal(last, [late], 1_000)
  }, 20_000)
})

test('a node that fetches what it has missed does not vote before it is through, and learns what is final', async () => {
  const net = new Net(4)
  const [a, b, c, d] = net.nodes as [TestNode, TestNode, TestNode, TestNode]
  const branch = branchOf(20)
  d.finality.hold(true)
  net.take(branch)
  await net.untilFinal(20)
  expect(d.ledger.records('signing').count('')).toBe(0)
  c.stop()
  const next = grown(branch)
  net.take(next)
  await net.world.advance(5_000)
  expect(net.finals([a, b, d])).toEqual([20, 20, 20])
  d.finality.hold(false)
  await net.untilFinal(21, [a, b, d], 1_000)
})

describe('a restart', () => {
  test('changes no answer, and goes on where it was', async () => {
    const net = new Net(4)
    let branch = genesisBranch
    for (let height = 1; height <= 12; height++) {
      branch = grown(branch)
      net.take(branch)
      await net.world.advance(height * 3)
      for (const node of net.nodes) {
        const before = [node.finality.final(), node.finality.justified()]
        node.restart()
        expect([node.finality.final(), node.finality.justified()]).toEqual(before)
        await net.world.advance(height)
      }
    }
    await net.untilFinal(12)
    expect(net.nodes.flatMap(({ accused, logged }) => [...accused, ...logged])).toEqual([])
  })

  test('of all at once, before anybody heard anybody: the votes of the record are said again', async () => {
    const net = new Net(2)
    net.loses = () => true
    net.take(branchOf(1))
    await net.world.advance(500)
    for (const node of net.nodes) node.stop()
    net.loses = () => false
    for (const node of net.nodes) node.start()
    await net.untilFinal(1, net.nodes, 5_000)
  })

  test('at any write: nothing contradictory is ever signed', async () => {
    for (let stopAt = 1; stopAt <= 24; stopAt++) {
      const net = new Net(4, { seed: stopAt })
      const [node] = net.nodes as [TestNode]
      let left = stopAt
      const records = node.ledger.records.bind(node.ledger)
      node.ledger.records = (owner) => {
        const own = records(owner)
        const write: typeof own.write = (changes) => {
          if (left-- === 0) {
            // The process ends between the write and all that follows from it.
            own.write(changes)
            node.stop()
            throw new Error('the process ends here')
          }
          own.write(changes)
        }
        return { ...own, write, get: (key) => own.get(key), list: own.list.bind(own), count: own.count.bind(own) }
      }
      node.restart()
      let branch = genesisBranch
      for (let height = 1; height <= 8; height++) {
        branch = grown(branch, { extra: `${stopAt}` })
        net.take(branch)
        await net.world.advance(120)
      }
      node.ledger.records = records
      expect(node.up).toBe(false)
      // It comes back to another branch, which it would vote for if it did not know what it has signed.
      const { index } = node.finality.final()
      node.chain.take(branchOf(12 - index, 'other', node.chain.branch.slice(0, index + 1)))
      node.start()
      await net.world.advance(100)
      node.chain.take(branch)
      await net.untilFinal(8)
      expect(net.nodes.flatMap(({ accused }) => accused)).toEqual([])
      expect(net.contradictions()).toEqual([])
      expect(node.logged.filter((line) => line.includes('signed'))).toEqual([])
    }
  }, 20_000)

  test('what cannot be read of its record is named', async () => {
    const net = new Net(1)
    const [node] = net.nodes as [TestNode]
    node.chain.take(branchOf(2))
    await net.untilFinal(2)
    const records = node.ledger.records('finality')
    const good = records.get('final')!
    for (const bad of ['{', good.replace('"index":2', '"index":1'), good.replace('commit', 'justify')]) {
      records.write([['final', bad]])
      node.stop()
      expect(() => node.start()).toThrow('the record final of finality')
    }
  })

  test('with a record that holds no vote: nothing is signed on top of it', async () => {
    const net = new Net(1)
    const [node] = net.nodes as [TestNode]
    node.stop()
    const records = node.ledger.records('signing')
    for (const text of [
      '',
      '{',
      '{}',
      voteText('f'.repeat(64), { kind: 'commit', target: { index: 1, hash: chainId } }),
    ]) {
      records.write([['last/finality/justify', JSON.stringify({ place: [1], text })]])
      node.start()
      node.chain.take(branchOf(3))
      await net.world.advance(5_000)
      expect(node.finality.votesTaken).toEqual({ justify: 0, commit: 0 })
      expect(node.logged.splice(0)).toEqual(['this node does not vote'])
      node.stop()
    }
  })

  test('answers wait for the write: a ledger that is full is tried again', async () => {
    const net = new Net(1)
    const [node] = net.nodes as [TestNode]
    const records = node.ledger.records.bind(node.ledger)
    let full = true
    node.ledger.records = (owner) => {
      const own = records(owner)
      const write: typeof own.write = (changes) => {
        if (full && owner === 'finality') throw new Error('no room')
        own.write(changes)
      }
      return { write, get: (key) => own.get(key), list: own.list.bind(own), count: own.count.bind(own) }
    }
    node.restart()
    node.chain.take(branchOf(1))
    await net.world.advance(5_000)
    expect(node.finality.final().index).toBe(0)
    expect(node.logged.some((line) => line.includes('tried again'))).toBe(true)
    full = false
    await net.untilFinal(1)
  })
})

test('a key that is at work elsewhere too signs nothing more here', async () => {
  const net = new Net(4)
  const [a, b] = net.nodes as [TestNode, TestNode]
  net.take(branchOf(3))
  await net.untilFinal(3)
  // The record of an old backup, and the network in between.
  b.stop()
  for (const [key] of b.ledger.records('signing').list('', undefined, 10)) {
    b.ledger.records('signing').write([[key, undefined]])
  }
  b.ledger.records('finality').write([
    ['final', undefined],
    ['justified', undefined],
  ])
  b.start(false)
  await net.untilFinal(3)
  b.stop()
  b.start()
  net.take(branchOf(3, 'x', a.chain.branch))
  await net.world.advance(3_000)
  expect(b.logged.some((line) => line.includes('nothing is signed any more'))).toBe(true)
  expect(net.nodes.flatMap(({ accused }) => accused)).toEqual([])
  await net.untilFinal(6, [a])
})

describe('a chain that halts', () => {
  const halting = { parameters: { stall: 'halt', halt_after: 3 } }

  test('takes no block too far above the last certified one, and goes on when there is a certificate', async () => {
    const net = new Net(2, { ...halting, others: 1 })
    const [a, b] = net.nodes as [TestNode, TestNode]
    b.stop()
    const branch = branchOf(3)
    net.take(branch)
    await net.world.advance(10_000)
    const halted = a.finality.halted(ancestryOf(branch))!
    expect(halted.waitsFor).toBe('finality: block 0 is the last final one, and no block may stand more than 3 above it')
    expect(a.finality.halted(ancestryOf(branch.slice(0, 3)))).toBeUndefined()
    const fourth = grown(branch)
    expect(a.finality.verify(fourth[4]!, ancestryOf(branch))).toMatchObject({ code: 'finality-halted', provable: true })
    b.start()
    b.chain.take(branch)
    await net.untilFinal(3)
    expect(a.finality.halted(ancestryOf(branch))).toBeUndefined()
    const finality = a.finality.certificate(ancestryOf(branch))!
    const good = grown(branch, { finality })
    expect(a.finality.verify(good[4]!, ancestryOf(branch))).toEqual({ ok: true })
    // Without it, it is not taken, however final the block below is by now.
    expect(a.finality.verify(fourth[4]!, ancestryOf(branch))).toMatchObject({ code: 'finality-halted' })
    net.take(good)
    await net.untilFinal(4)
  })

  test('and one that continues does not', async () => {
    const net = new Net(2)
    const [a] = net.nodes as [TestNode]
    const branch = branchOf(200)
    expect(a.finality.halted(ancestryOf(branch))).toBeUndefined()
    expect(a.finality.verify(grown(branch)[201]!, ancestryOf(branch))).toEqual({ ok: true })
  })
})

test('of two finals that contradict each other the first stays, and it is told', async () => {
  const net = new Net(1, { others: 1 })
  const [, node] = net.nodes as [TestNode, TestNode]
  const [left, right] = [branchOf(2, 'left'), branchOf(4, 'right')]
  const say = (header: SealedHeader) => {
    const statement = { kind: 'commit', target: checkpointOf(header) } as const
    const [key] = keysOf(1)
    const signature = key!.sign('aurex/finality/1', voteText(net.rules.chainId, statement))
    return node.hear({ ...statement, signatures: { [key!.address]: signature } }, net.nodes[0]!.view)
  }
  net.nodes[0]!.stop()
  node.chain.take(left)
  node.chain.take(right)
  expect(say(left[2]!)).toEqual({ ok: true })
  await net.untilFinal(2, [node])
  expect(say(right[4]!)).toEqual({ ok: true })
  await net.world.advance(1_000)
  expect(node.finality.final()).toEqual(checkpointOf(left[2]!))
  expect(node.chain.branch.at(-1)).toBe(left[2])
  expect(node.finality.isContradicted).toBe(true)
  expect(node.logged).toEqual([expect.stringContaining('more than a third of the authorities lie')])
  expect(healthOf(node.finality, { now: () => 0 }).check()).toMatchObject({ status: 'fail' })
})

/** A booth of the first of four authorities, whose record is empty, as the clock says. */
function emptyBooth(chain: FakeChain, floor: number, tally = new Tally()) {
  const rules = testRules(4)
  const time = { now: 0 }
  const booth = new Booth({
    rules,
    roundMilliseconds: 1_000,
    signer: {
      address: keysOf(4)[0]!.address,
      sign: () => ({ ok: true, value: '' }),
      last: () => undefined,
      floor: () => floor,
    },
    clock: { monotonic: () => time.now },
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    standing: new Standing(rules, { final: undefined, justified: undefined }),
    tally,
  })
  return { booth, time, tally }
}

test('after signing was resumed, peers have some time to tell what this key signed', () => {
  const chain = new FakeChain()
  chain.take(branchOf(5))
  const { booth, time } = emptyBooth(chain, 3)
  expect(booth.vote(chain)).toBeUndefined()
  time.now = tellMilliseconds - 1
  expect(booth.vote(chain)).toBeUndefined()
  time.now = tellMilliseconds
  expect(booth.vote(chain)?.statement).toMatchObject({ kind: 'justify' })
  expect(emptyBooth(chain, 0).booth.vote(chain)).toBeDefined()
})

test('what others have of this key counts, where the record was lost', () => {
  const [key] = keysOf(4)
  const branch = branchOf(5)
  const chain = new FakeChain()
  chain.take(branch)
  const { booth, tally } = emptyBooth(chain, 0)
  const statement = { kind: 'commit', target: checkpointOf(branchOf(3, 'other')[3]!) } as const
  tally.add({ statement, address: key!.address, signature: '' })
  // From block 0 to block 5: around it.
  expect(booth.vote(chain)).toBeUndefined()
  tally.forget(3)
  expect(booth.vote(chain)?.statement).toMatchObject({ kind: 'justify', target: checkpointOf(branch[5]!) })
})

test('a node that lost its record is told by its peers what its key signed last, however many votes are above it', () => {
  const net = new Net(4)
  const [a, , c, d] = net.nodes as [TestNode, TestNode, TestNode, TestNode]
  d.stop()
  for (const [node, index] of [
    [d, 4],
    [c, 5],
    [c, 6],
    [c, 7],
  ] as const) {
    const statement = { kind: 'commit', target: { index, hash: `${index}`.repeat(64) } } as const
    const signature = node.key.sign('aurex/finality/1', voteText(net.rules.chainId, statement))
    expect(a.finality.hear({ ...statement, signatures: { [node.key.address]: signature } }, c.view)).toEqual({
      ok: true,
    })
  }
  const told: VoteMessage[] = []
  net.say = (_from, to, message) => void (to === d && told.push(message))
  d.up = true
  a.finality.joined(d.key.nodeId)
  expect(told.map(({ target }) => target.index).toSorted((x, y) => x - y)).toEqual([4, 6, 7])
})

test('an authority that votes twice is found out, and the others go on', async () => {
  const net = new Net(4)
  const [a, b, c, liar] = net.nodes as [TestNode, TestNode, TestNode, TestNode]
  liar.stop()
  const branch = branchOf(1)
  net.take(branch, [a, b, c])
  await net.untilFinal(1, [a, b, c])
  for (const hash of ['1'.repeat(64), '2'.repeat(64), '3'.repeat(64)]) {
    const statement = { kind: 'commit', target: { index: 2, hash } } as const
    const signature = keysOf(4)[3]!.sign('aurex/finality/1', voteText(net.rules.chainId, statement))
    const message = { ...statement, signatures: { [liar.key.address]: signature } }
    a.finality.hear(message, b.view)
  }
  expect(a.accused).toHaveLength(1)
  net.take(grown(branch), [a, b, c])
  await net.untilFinal(2, [a, b, c])
})

test.each(Array.from({ length: 12 }, (_, n) => n + 1))(
  'seed %d: partitions, lost messages, branches and restarts, and in the end all of it is final',
  async (seed) => {
    const roll = dice(seed)
    const net = new Net(4 + (seed % 2) * 3, { seed, others: 1, loss: 0.2, roundMilliseconds: 200 })
    const pick = (): TestNode => net.nodes[Math.floor(roll() * net.nodes.length)]!
    const branches = [genesisBranch]
    const everyFinal = new Map<number, string>()
    const look = (): void => {
      for (const { finality, chain } of net.nodes) {
        const { index } = finality.final()
        for (let at = 0; at <= index; at++) {
          const { current_hash } = chain.ancestry(finality.final().hash)!.at(at)!
          expect(everyFinal.get(at) ?? current_hash).toBe(current_hash)
          everyFinal.set(at, current_hash)
        }
      }
    }
    for (let step = 0; step < 80; step++) {
      const node = pick()
      const what = roll()
      if (what < 0.5) {
        const finality = node.finality.certificate(ancestryOf(node.chain.branch))
        const branch = grown(node.chain.branch, { extra: `${step}`, finality })
        branches.push(branch)
        for (const peer of [node, ...net.peersOf(node)]) if (peer === node || roll() < 0.8) peer.chain.take(branch)
      } else if (what < 0.6) {
        node.restart()
      } else if (what < 0.75) {
        const side = new Set(net.nodes.filter(() => roll() < 0.5))
        net.cut = (a, b) => side.has(a) !== side.has(b)
      } else if (what < 0.85) {
        net.cut = () => false
        for (const a of net.nodes) for (const b of net.peersOf(a)) net.join(a, b)
      }
      await net.world.advance(roll() * 400)
      look()
    }
    net.cut = () => false
    for (const branch of branches) net.take(branch)
    for (const a of net.nodes) for (const b of net.peersOf(a)) net.join(a, b)
    // As a producer does, while a block is wanted.
    for (let spare = 0; spare < 20 && Math.min(...net.finals()) < 1; spare++) {
      await net.world.advance(60_000)
      net.take(grown(net.nodes[0]!.chain.branch, { empty: true }))
    }
    const height = net.nodes[0]!.chain.branch.length - 1
    await net.world.advance(120_000)
    net.take(grown(net.nodes[0]!.chain.branch))
    await net.untilFinal(height + 1, net.nodes, 600_000)
    look()
    expect(net.contradictions()).toEqual([])
    expect(net.refusals).toEqual([])
    expect(net.nodes.flatMap(({ accused }) => accused)).toEqual([])
  },
  20_000,
)
