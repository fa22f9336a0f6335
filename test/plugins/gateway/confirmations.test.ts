// What nodes say of their blocks: whose word counts, what is forwarded, and that it is kept.
import { describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { signConfirmation } from '../../../core/chain/confirmation.ts'
import { sha256Hex, type Confirmation, type JsonObject, type PeerView, type Storage } from '../../../core/index.ts'
import { Confirmations, type ConfirmationsParts } from '../../../plugins/gateway/confirmations.ts'
import { heightsKept } from '../../../plugins/gateway/heard.ts'
import { Signers } from '../../../plugins/gateway/signers.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import { openLedger } from '../../../plugins/sqlite/index.ts'
import { makeKey } from '../../support/blocks.ts'
import { silentLog } from './serverrig.ts'

const chainId = 'cd'.repeat(32)
const [nodeA, nodeB, stranger] = [makeKey(1), makeKey(2), makeKey(9)]
const hashOf = (name: string): string => sha256Hex(Buffer.from(name))

function said(by: typeof nodeA, block: string, extra: Partial<Confirmation> = {}): JsonObject {
  const unsigned: Confirmation = {
    type: 'block_confirmation',
    block_index: 7,
    block_hash: hashOf(block),
    miner_id: nodeB.nodeId,
    node_id: by.nodeId,
    timestamp: '2026-11-21T01:02:03.456Z',
    chain_id: chainId,
    ...extra,
  }
  return signConfirmation(by, unsigned) as unknown as JsonObject
}
const orphaned = { type: 'block_orphaned' } as const
const without = (message: JsonObject, ...names: readonly string[]): JsonObject =>
  Object.fromEntries(Object.entries(message).filter(([name]) => !names.includes(name)))

function rig(parts: Partial<ConfirmationsParts> = {}) {
  const storage = new MemoryLedger()
  const published: JsonObject[] = []
  const logged: string[] = []
  const peers: PeerView[] = [nodeA, nodeB].map(({ nodeId, address }) => ({
    nodeId,
    address,
    nodeType: 'full',
    listens: undefined,
  }))
  const confirmations = new Confirmations({
    signers: new Signers({ confirmers: [], network: { peers: () => peers }, storage: undefined }),
    allowUnsigned: false,
    storage,
    forwards: true,
    chainId: () => chainId,
    publish: (news) => void published.push(news),
    log: { ...silentLog, info: (message, fields) => void logged.push(`${message} ${String(fields?.['block_hash'])}`) },
    ...parts,
  })
  const hear = (message: JsonObject): string => {
    const verdict = confirmations.hear(message)
    return verdict.ok ? 'taken' : verdict.code
  }
  const used = (parts.storage ?? storage) as unknown as Pick<Storage, 'outbox'>
  const forwarded = (): JsonObject[] => used.outbox(0, 1_000).map(({ body }) => JSON.parse(body!) as JsonObject)
  return { confirmations, hear, published, logged, forwarded, peers, storage }
}

/** The parent of each block; block 0 is its own. */
const treeOf = (picks: readonly number[]): readonly number[] => [0, ...picks.map((pick, n) => pick % (n + 1))]

/** From the first block to this one, without block 0. */
function pathOf(tree: readonly number[], block: number): number[] {
  return block === 0 ? [] : [...pathOf(tree, tree[block]!), block]
}

/** A node that goes from tip to tip and says so, in order; nobody hears it before `next` is called. */
class SimulatedNode {
  readonly #key: typeof nodeA
  readonly #tree: readonly number[]
  readonly #said: JsonObject[] = []
  /** Of the last that was said of a block. */
  readonly #sequences = new Map<number, number>()
  readonly #final: number[] = []
  #heard = 0
  #tip = 0

  constructor(key: typeof nodeA, tree: readonly number[]) {
    this.#key = key
    this.#tree = tree
  }

  get settled(): readonly number[] {
    return this.#final
  }

  get waits(): boolean {
    return this.#heard < this.#said.length
  }

  /** Unless it would undo what this node called final. */
  moveTo(tip: number): void {
    if (this.#final.some((block) => !pathOf(this.#tree, tip).includes(block))) return
    const [from, to] = [pathOf(this.#tree, this.#tip), pathOf(this.#tree, tip)]
    for (const block of from.filter((block) => !to.includes(block)).toReversed()) this.#say(block, 'block_orphaned')
    for (const block of to.filter((block) => !from.includes(block))) this.#say(block, 'block_confirmation')
    this.#tip = tip
  }

  /** Calls so many blocks more final, those at which every node ends alone, as its notifier does: with their old sequence. */
  settle(count: number, end: number): void {
    const agreed = pathOf(this.#tree, end)
    const own = pathOf(this.#tree, this.#tip).filter((block, at) => agreed[at] === block)
    for (const block of own.slice(this.#final.length, this.#final.length + count)) {
      this.#final.push(block)
      this.#say(block, 'block_confirmation', this.#sequences.get(block))
    }
  }

  next(): JsonObject | undefined {
    return this.waits ? this.#said[this.#heard++] : undefined
  }

  /** Something that was heard before. */
  old(pick: number): JsonObject | undefined {
    return this.#heard === 0 ? undefined : this.#said[pick % this.#heard]
  }

  #say(block: number, type: Confirmation['type'], again?: number): void {
    const block_index = pathOf(this.#tree, block).length
    const sequence = again ?? this.#said.length + 1
    this.#sequences.set(block, sequence)
    this.#said.push(said(this.#key, `${block}`, { type, block_index, sequence, final: again !== undefined }))
  }
}

describe('whose word counts', () => {
  test('threats row 26: a stranger, a forged signature, another key, none at all: refused and not forwarded', () => {
    const { hear, forwarded, logged, confirmations } = rig()
    const good = said(nodeA, 'x')
    expect(hear(said(stranger, 'x'))).toBe('unknown-signer')
    expect(hear({ ...good, block_index: 8 })).toBe('bad-signature')
    expect(hear({ ...good, added: true })).toBe('bad-signature')
    expect(hear({ ...good, public_key_pem: stranger.pem })).toBe('wrong-key')
    expect(hear({ ...good, signature: `SIG_${nodeA.nodeId}_${hashOf('x')}` })).toBe('bad-signature')
    expect(hear(without(good, 'signature'))).toBe('unsigned')
    expect(hear(without(good, 'signature', 'public_key_pem'))).toBe('unsigned')
    expect(hear(without(good, 'block_hash'))).toBe('bad-confirmation')
    expect([forwarded(), logged]).toEqual([[], []])
    expect(Object.fromEntries(confirmations.refused)).toEqual({
      'unknown-signer': 1,
      'bad-signature': 3,
      'wrong-key': 1,
      unsigned: 2,
      'bad-confirmation': 1,
    })
    expect(hear(good)).toBe('taken')
  })

  test('threats row 6: one of another chain is refused; one that does not say counts', () => {
    const { hear } = rig()
    expect(hear(said(nodeA, 'x', { chain_id: 'ef'.repeat(32) }))).toBe('wrong-chain')
    const { chain_id: _none, ...rest } = said(nodeA, 'x') as unknown as Confirmation
    expect(hear(signConfirmation(nodeA, rest) as unknown as JsonObject)).toBe('taken')
  })

  test('threats row 23: a stranger costs no signature check', () => {
    const { hear } = rig()
    // A signature that would be found bad, if it were looked at.
    expect(hear({ ...said(stranger, 'x'), block_index: 8 })).toBe('unknown-signer')
  })

  test('unsigned ones count where the operator says so, and never for what the node itself said', () => {
    const { hear, forwarded } = rig({ allowUnsigned: true })
    const plain = (extra: Partial<Confirmation> = {}): JsonObject =>
      without(said(stranger, 'x', extra), 'signature', 'public_key_pem')
    expect(hear(said(nodeA, 'x', { sequence: 3 }))).toBe('taken')
    // In the name of A: it does not orphan what A has.
    expect(hear({ ...plain(orphaned), node_id: nodeA.nodeId, sequence: 9 })).toBe('taken')
    expect(forwarded()).toHaveLength(1)
    expect(hear({ ...plain(), block_hash: hashOf('y') })).toBe('taken')
    expect(forwarded()).toHaveLength(2)
  })

  test('nodes that were met, in the table of an earlier start too, and those that the config names', () => {
    const network = { peers: () => [] }
    const record = { host: '192.0.2.1', port: 1, node_type: 'full', last_seen: 1 }
    const storage = {
      nodes: () => [
        { ...record, node_id: makeKey(20).nodeId, status: 'unreachable' },
        { ...record, node_id: makeKey(21).nodeId, status: 'banned' },
      ],
    }
    const signers = new Signers({ confirmers: [makeKey(22).nodeId, makeKey(23).address], network, storage })
    signers.meet(makeKey(24).nodeId)
    signers.meet(makeKey(25).nodeId)
    signers.forget(makeKey(25).nodeId)
    const known = [20, 21, 22, 23, 24, 25].filter((n) => signers.knows(makeKey(n).nodeId, makeKey(n)))
    expect(known).toEqual([20, 22, 23, 24])
  })
})

describe('what is forwarded', () => {
  test('threats row 26: a block of which several nodes tell, again and again, is forwarded and logged once', () => {
    const { hear, forwarded, published, logged } = rig()
    const first = said(nodeA, 'x', { sequence: 1, transactions: [{ sender: 's' }], final: false, id: 'its own' })
    for (const message of [first, first, said(nodeB, 'x', { sequence: 40 }), said(nodeA, 'x', { sequence: 2 })]) {
      expect(hear(message)).toBe('taken')
    }
    const id = `block_confirmation/${hashOf('x')}/1`
    expect(forwarded()).toEqual([{ ...without(first, 'signature', 'public_key_pem'), id }])
    expect(published).toEqual([{ type: 'block_confirmation', block_index: 7, block_hash: hashOf('x'), id }])
    expect(logged).toEqual([`a block was confirmed ${hashOf('x')}`])
  })

  test('an orphaned block is told when no node has it any more', () => {
    const { hear, forwarded } = rig()
    const types = (): unknown[] => forwarded().map(({ type }) => type)
    hear(said(nodeA, 'x', { sequence: 1 }))
    hear(said(nodeB, 'x', { sequence: 1 }))
    hear(said(nodeA, 'x', { sequence: 2, ...orphaned }))
    expect(types()).toEqual(['block_confirmation'])
    hear(said(nodeB, 'x', { sequence: 2, ...orphaned }))
    expect(types()).toEqual(['block_confirmation', 'block_orphaned'])
    // What was said before it changes nothing.
    hear(said(nodeA, 'x', { sequence: 1 }))
    hear(said(nodeB, 'x', { sequence: 2, ...orphaned }))
    expect(types()).toHaveLength(2)
  })

  test('news that comes late, of a block that others dropped: not confirmed again', () => {
    const { hear, forwarded, logged } = rig()
    hear(said(nodeA, 'x', { sequence: 1 }))
    hear(said(nodeA, 'x', { sequence: 2, ...orphaned }))
    hear(said(nodeB, 'x', { sequence: 1 }))
    hear(said(nodeB, 'x', { sequence: 2, ...orphaned }))
    expect(forwarded().map(({ type }) => type)).toEqual(['block_confirmation', 'block_orphaned'])
    expect(logged).toHaveLength(2)
  })

  test('an orphaned block is confirmed again when a node builds on it, before what it builds', () => {
    const { hear, forwarded, published, logged } = rig()
    const told = (): unknown[] =>
      forwarded().map(({ type, block_index }) => `${type as string} ${block_index as number}`)
    hear(said(nodeA, 'x', { sequence: 1 }))
    hear(said(nodeA, 'x', { sequence: 2, ...orphaned }))
    const back = said(nodeB, 'x', { sequence: 1, transactions: [{ sender: 's' }] })
    hear(back)
    // Of A, which does not have it, the next block says nothing about it.
    hear(said(nodeA, 'other', { block_index: 8, sequence: 3 }))
    expect(told()).toEqual(['block_confirmation 7', 'block_orphaned 7', 'block_confirmation 8'])
    const next = said(nodeB, 'y', { block_index: 8, sequence: 2 })
    hear(next)
    expect(told().slice(3)).toEqual(['block_confirmation 7', 'block_confirmation 8'])
    expect(forwarded()[3]).toEqual({
      ...without(back, 'signature', 'public_key_pem'),
      id: `block_confirmation/${hashOf('x')}/3`,
    })
    expect(new Set(forwarded().map(({ id }) => id)).size).toBe(5)
    expect(published).toHaveLength(5)
    expect(logged[3]).toBe(`a block that was orphaned is confirmed again ${hashOf('x')}`)
    hear(next)
    expect(forwarded()).toHaveLength(5)
  })

  test('an orphaned block is confirmed again when all that ever spoke of it have it: the newest has nothing on it', () => {
    const { hear, forwarded } = rig()
    hear(said(nodeA, 'x', { sequence: 1 }))
    hear(said(nodeA, 'x', { sequence: 2, ...orphaned }))
    hear(said(nodeB, 'x', { sequence: 1 }))
    expect(forwarded()).toHaveLength(2)
    hear(said(nodeA, 'x', { sequence: 3 }))
    expect(forwarded().map(({ type }) => type)).toEqual(['block_confirmation', 'block_orphaned', 'block_confirmation'])
  })

  test('of two that have it again one drops it: what the other said is forwarded, once', () => {
    const nodeC = makeKey(3)
    const signers = { knows: () => true }
    const { hear, forwarded } = rig({ signers })
    hear(said(nodeC, 'x', { sequence: 1 }))
    hear(said(nodeC, 'x', { sequence: 2, ...orphaned }))
    hear(said(nodeB, 'x', { sequence: 1 }))
    hear(said(nodeA, 'x', { sequence: 1 }))
    hear(said(nodeA, 'x', { sequence: 2, ...orphaned }))
    expect(forwarded()).toHaveLength(2)
    hear(said(nodeB, 'y', { block_index: 8, sequence: 2 }))
    hear(said(nodeB, 'z', { block_index: 8, sequence: 3 }))
    const told = forwarded().map(({ type, block_hash }) => [type, block_hash])
    expect(told.slice(2)).toEqual(['x', 'y', 'z'].map((name) => ['block_confirmation', hashOf(name)]))
  })

  test('without sequences a block can be confirmed and orphaned once; the old word again changes nothing', () => {
    const { hear, forwarded } = rig()
    const word = said(nodeA, 'x')
    hear(word)
    hear(said(nodeA, 'x', orphaned))
    hear(word)
    expect(forwarded().map(({ type }) => type)).toEqual(['block_confirmation', 'block_orphaned'])
  })

  test('an orphaned block of which nobody heard is no news', () => {
    const { hear, forwarded } = rig()
    expect(hear(said(nodeA, 'x', orphaned))).toBe('taken')
    expect(forwarded()).toEqual([])
  })

  test('nodes that follow random reorganisations, heard with random delays: each block ends as it is, told in turns', () => {
    const nodes = [1, 2, 3, 4].map(makeKey)
    const worlds = fc.record({
      parents: fc.array(fc.nat(), { minLength: 1, maxLength: 9 }),
      moves: fc.array(
        fc.record({
          node: fc.nat(3),
          to: fc.nat(),
          settles: fc.constantFrom(0, 0, 1, 3),
          heard: fc.array(fc.nat(), { maxLength: 6 }),
        }),
        { maxLength: 12 },
      ),
      settles: fc.array(fc.nat(9), { minLength: 4, maxLength: 4 }),
      end: fc.nat(),
      last: fc.infiniteStream(fc.nat()),
    })
    fc.assert(
      fc.property(worlds, ({ parents, moves, settles: atLast, end, last }) => {
        const tree = treeOf(parents)
        const streams = nodes.map((key) => new SimulatedNode(key, tree))
        const storage = new MemoryLedger()
        const peers = nodes.map(({ nodeId, address }) => ({ nodeId, address, nodeType: 'full', listens: undefined }))
        const signers = new Signers({
          confirmers: [],
          network: { peers: () => peers },
          storage: undefined,
        })
        const hearOne = (pick: number): void => {
          const node = streams[pick % streams.length]!
          // Each time as after a restart; now and then what was said before comes again.
          const { hear } = rig({ storage, signers })
          const message = pick % 5 === 0 ? node.old(pick) : node.next()
          if (message !== undefined) expect(hear(message)).toBe('taken')
        }
        for (const { node, to, settles, heard } of moves) {
          streams[node]!.moveTo(to % tree.length)
          streams[node]!.settle(settles, end % tree.length)
          heard.forEach(hearOne)
        }
        for (const node of streams) node.moveTo(end % tree.length)
        for (const [n, node] of streams.entries()) node.settle(atLast[n]!, end % tree.length)
        const settled = new Set(streams.flatMap((node) => node.settled))
        while (streams.some((node) => node.waits)) hearOne(last.next().value)
        const told = rig({ storage, signers }).forwarded()
        const held = new Set<number>(pathOf(tree, end % tree.length))
        for (let block = 1; block < tree.length; block++) {
          const news = told.filter(({ block_hash }) => block_hash === hashOf(`${block}`))
          const finals = news.filter(({ final }) => final === true)
          const types = news.filter(({ final }) => final !== true).map(({ type }) => type)
          types.forEach((type, n) => expect(type).toBe(n % 2 === 0 ? 'block_confirmation' : 'block_orphaned'))
          // As final once at most, by whoever was first, and after that nothing.
          expect(finals.map(({ type }) => type)).toEqual(settled.has(block) ? ['block_confirmation'] : [])
          if (settled.has(block)) expect(news.at(-1)).toBe(finals[0])
          expect(settled.has(block) || types.length % 2 === 1).toBe(held.has(block))
        }
        expect(new Set(told.map(({ id }) => id)).size).toBe(told.length)
        const firsts = told
          .filter(({ block_hash }, n) => told.findIndex((other) => other.block_hash === block_hash) === n)
          .map(({ block_hash }) => block_hash)
        const final = [...held].map((block) => hashOf(`${block}`))
        expect(firsts.filter((hash) => final.includes(hash as string))).toEqual(final)
        // At no time is a block confirmed whose parent is not.
        const confirmed = new Set<number>([0])
        for (const { type, block_hash } of told) {
          const block = tree.findIndex((_, n) => n > 0 && hashOf(`${n}`) === block_hash)
          if (type === 'block_orphaned') confirmed.delete(block)
          else confirmed.add(block)
          for (const one of confirmed) expect(confirmed.has(tree[one]!)).toBe(true)
        }
      }),
      { numRuns: 80 },
    )
  })

  test('a block that becomes final is forwarded and logged once more, with the first node that says so', () => {
    const { hear, forwarded, published, logged } = rig()
    const first = said(nodeA, 'x', { sequence: 4, final: false })
    const final = said(nodeA, 'x', { sequence: 4, final: true, transactions: [{ sender: 's' }] })
    hear(first)
    for (const message of [final, final, first, said(nodeB, 'x', { sequence: 9, final: true })]) {
      expect(hear(message)).toBe('taken')
    }
    const id = `block_confirmation/${hashOf('x')}/final`
    expect(forwarded()).toHaveLength(2)
    expect(forwarded()[1]).toEqual({ ...without(final, 'signature', 'public_key_pem'), id })
    expect(published[1]).toEqual({
      type: 'block_confirmation',
      block_index: 7,
      block_hash: hashOf('x'),
      final: true,
      id,
    })
    expect(logged).toEqual([`a block was confirmed ${hashOf('x')}`, `a block is final ${hashOf('x')}`])
  })

  test('a block that is final when it is first heard of is forwarded once', () => {
    const { hear, forwarded } = rig()
    hear(said(nodeA, 'x', { sequence: 4, final: true }))
    hear(said(nodeB, 'x', { sequence: 1, final: false }))
    hear(said(nodeB, 'x', { sequence: 1, final: true }))
    expect(forwarded()).toMatchObject([{ type: 'block_confirmation', final: true }])
  })

  test('threats row 26: of a final block nothing more is told, whoever says that it is orphaned', () => {
    const { hear, forwarded } = rig()
    hear(said(nodeA, 'x', { sequence: 1 }))
    hear(said(nodeB, 'x', { sequence: 1 }))
    hear(said(nodeA, 'x', { sequence: 1, final: true }))
    hear(said(nodeB, 'x', { sequence: 2, ...orphaned }))
    hear(said(nodeA, 'x', { sequence: 3, ...orphaned }))
    hear(said(nodeB, 'x', { sequence: 4 }))
    hear(said(nodeB, 'y', { block_index: 8, sequence: 5 }))
    expect(forwarded().map(({ block_index, final }) => [block_index, final ?? false])).toEqual([
      [7, false],
      [7, true],
      [8, false],
    ])
  })

  test('what was told as orphaned and is final is confirmed at once', () => {
    const { hear, forwarded } = rig()
    hear(said(nodeA, 'x', { sequence: 1 }))
    hear(said(nodeA, 'x', { sequence: 2, ...orphaned }))
    hear(said(nodeB, 'x', { sequence: 1, final: true }))
    expect(forwarded().map(({ type, final }) => [type, final])).toEqual([
      ['block_confirmation', undefined],
      ['block_orphaned', undefined],
      ['block_confirmation', true],
    ])
  })

  test('an old word, or one of what was undone, makes nothing final', () => {
    const { hear, forwarded } = rig()
    hear(said(nodeA, 'x', { sequence: 5 }))
    hear(said(nodeA, 'x', { sequence: 4, final: true }))
    hear(said(nodeA, 'x', { sequence: 6, ...orphaned, final: true }))
    hear(said(nodeA, 'x', { sequence: 5, final: true }))
    expect(forwarded().map(({ type }) => type)).toEqual(['block_confirmation', 'block_orphaned'])
    // Recorded again, it may be.
    hear(said(nodeA, 'x', { sequence: 7, final: true }))
    expect(forwarded()).toHaveLength(3)
  })

  test('a node with a chain of its own checks and logs, and reports nothing', () => {
    const { hear, forwarded, published, logged } = rig({ forwards: false })
    hear(said(nodeA, 'x'))
    hear(said(nodeB, 'x'))
    expect([forwarded(), published, logged.length]).toEqual([[], [], 1])
  })

  test('without storage what is logged follows the same rule', () => {
    const { hear, logged } = rig({ storage: undefined })
    hear(said(nodeA, 'x', { sequence: 1 }))
    hear(said(nodeA, 'x', { sequence: 2, ...orphaned }))
    hear(said(nodeB, 'x', { sequence: 1 }))
    expect(logged).toHaveLength(2)
    hear(said(nodeB, 'y', { block_index: 8, sequence: 2 }))
    expect(logged.slice(2)).toEqual([
      `a block that was orphaned is confirmed again ${hashOf('x')}`,
      `a block was confirmed ${hashOf('y')}`,
    ])
  })

  test('without storage it is logged once a block, and nothing is forwarded', () => {
    const { hear, published, logged } = rig({ storage: undefined })
    hear(said(nodeA, 'x'))
    hear(said(nodeB, 'x'))
    expect([published, logged.length]).toEqual([[], 1])
  })
})

describe('what is kept', () => {
  test('threats row 26: what was forwarded is known after a restart', () => {
    const folder = mkdtempSync(join(tmpdir(), 'aurex-gateway-'))
    const path = join(folder, 'node.sqlite3')
    const ledger = openLedger(path)
    const first = rig({ storage: ledger })
    first.hear(said(nodeA, 'x', { sequence: 4 }))
    expect(first.forwarded()).toHaveLength(1)
    ledger.close()
    const again = openLedger(path)
    const second = rig({ storage: again })
    expect(second.hear(said(nodeA, 'x', { sequence: 4 }))).toBe('taken')
    expect(second.hear(said(nodeB, 'x', { sequence: 1 }))).toBe('taken')
    expect(second.forwarded()).toHaveLength(1)
    expect(second.hear(said(nodeA, 'x', { sequence: 5, ...orphaned }))).toBe('taken')
    expect(second.hear(said(nodeB, 'x', { sequence: 5, ...orphaned }))).toBe('taken')
    expect(second.forwarded()).toHaveLength(2)
    again.close()
    rmSync(folder, { recursive: true })
  })

  test('what cannot be written is not taken: it throws, and the same again is news', () => {
    const ledger = new MemoryLedger()
    let broken = true
    const storage: Pick<Storage, 'report' | 'records' | 'outbox'> = {
      report: (...parts) => {
        if (broken) throw new Error('full')
        ledger.report(...parts)
      },
      records: (owner) => ledger.records(owner),
      outbox: (after, max) => ledger.outbox(after, max),
    }
    const { hear, forwarded, published } = rig({ storage })
    expect(() => hear(said(nodeA, 'x'))).toThrow('full')
    expect([forwarded(), published]).toEqual([[], []])
    broken = false
    hear(said(nodeA, 'x'))
    expect([forwarded().length, published.length]).toEqual([1, 1])
  })

  test('what lies too far below the newest of a node is refused and forgotten; another node is not touched by it', () => {
    const { hear, storage } = rig()
    const records = storage.records('gateway')
    for (let index = 1; index <= 6; index++) hear(said(nodeA, `a${index}`, { block_index: index }))
    hear(said(nodeB, 'a1', { block_index: 1 }))
    expect(records.count('block/')).toBe(6)
    expect(hear(said(nodeA, 'far', { block_index: heightsKept + 5 }))).toBe('taken')
    expect(hear(said(nodeA, 'late', { block_index: 4 }))).toBe('too-old')
    expect(hear(said(nodeA, 'just', { block_index: 5 }))).toBe('taken')
    expect(hear(said(nodeB, 'b2', { block_index: 2 }))).toBe('taken')
    // a1 is still B's; a2 to a4 are gone.
    const left = records.list('block/', undefined, 100).map(([key]) => key.slice('block/'.length))
    expect(left.toSorted()).toEqual(['a1', 'a5', 'a6', 'far', 'just', 'b2'].map(hashOf).toSorted())
  })

  test('that a block is final is known after a restart', () => {
    const storage = new MemoryLedger()
    rig({ storage }).hear(said(nodeA, 'x', { sequence: 4, final: true }))
    const again = rig({ storage })
    again.hear(said(nodeA, 'x', { sequence: 4, final: true }))
    again.hear(said(nodeA, 'x', { sequence: 5, ...orphaned }))
    expect(again.forwarded()).toHaveLength(1)
  })

  test('a node that was stalled for long may still say what is final: of what is forgotten it changes nothing', () => {
    const { hear, forwarded } = rig()
    for (let index = 1; index <= 12; index++) hear(said(nodeA, `a${index}`, { block_index: index, sequence: index }))
    hear(said(nodeA, 'far', { block_index: heightsKept + 12, sequence: 20 }))
    // Of the twelve below eight were swept so far.
    const before = forwarded().length
    expect(hear(said(nodeA, 'a2', { block_index: 2, sequence: 2, final: true }))).toBe('taken')
    expect(hear(said(nodeA, 'a2', { block_index: 2, sequence: 2 }))).toBe('too-old')
    expect(forwarded()).toHaveLength(before)
    expect(hear(said(nodeA, 'a11', { block_index: 11, sequence: 11, final: true }))).toBe('taken')
    expect(forwarded().at(-1)).toMatchObject({ block_index: 11, final: true })
  })

  test('of one height a node may speak of so many blocks', () => {
    const { hear } = rig()
    for (let n = 0; n < 16; n++) expect(hear(said(nodeA, `n${n}`))).toBe('taken')
    expect(hear(said(nodeA, 'one more'))).toBe('too-many-blocks')
    expect(hear(said(nodeA, 'n3', { sequence: 2, ...orphaned }))).toBe('taken')
    expect(hear(said(nodeB, 'one more'))).toBe('taken')
  })

  test('a block has one height', () => {
    const { hear } = rig()
    hear(said(nodeA, 'x'))
    expect(hear(said(nodeB, 'x', { block_index: 8 }))).toBe('bad-confirmation')
  })
})
