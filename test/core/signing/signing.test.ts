import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { AurexError, type AppliedBlock, type Place, type Refusal, type Result } from '../../../core/index.ts'
import { comparePlaces } from '../../../core/signing/place.ts'
import { checkRecord } from '../../../core/signing/checkrecord.ts'
import { SigningRecord } from '../../../core/signing/record.ts'
import { verifySignature } from '../../../core/chain/signature.ts'
import { openForWriting } from '../../../plugins/sqlite/file.ts'
import { Ledger } from '../../../plugins/sqlite/ledger.ts'
import { adding, genesis, makeChain, storedAt } from '../../contract/storage.ts'
import { makeApplied, makeBlock, makeKey } from '../../support/blocks.ts'
import { temporaryFolder } from '../../plugins/sqlite/folder.ts'
import { detachedSigning, openSigner, startedAt, type Signer } from './signer.ts'

let folder: ReturnType<typeof temporaryFolder>
let one: Signer
beforeEach(() => {
  folder = temporaryFolder()
  one = openSigner(folder.ledger)
})
afterEach(() => {
  one.ledger.close()
  folder[Symbol.dispose]()
})

/** The process ends, and another begins with what is in the file. */
function restart(): void {
  one.ledger.close()
  one = openSigner(folder.ledger)
}
const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : (result satisfies Refusal).code)
const sign = (place: Place, text: string, track = 'vote') => one.signing.signerOf('ballot').sign(track, place, text)
const records = () => one.ledger.records('signing')
const damage = (key: string, value: string) => records().write([[key, value]])
/** As core records a block of its own: what was reserved is written with it. */
function makeOwn(place: Place, hash: string): string {
  const reserved = one.signing.reserveBlock(place, hash)
  if (reserved.ok) for (const { owner, changes } of reserved.value) one.ledger.records(owner).write(changes)
  return codeOf(reserved)
}

describe('what is signed', () => {
  test('is signed for its purpose alone, and again only as it was', () => {
    const key = makeKey(1)
    const signed = sign([5], 'text')
    expect(
      signed.ok && verifySignature(key, Buffer.from('aurex/ballot/1\ntext'), Buffer.from(signed.value, 'base64')),
    ).toBe(true)
    expect(sign([5], 'text')).toEqual(signed)
    expect(sign([5], 'other')).toMatchObject({ code: 'signed-already', provable: false })
    expect(codeOf(sign([4], 'text'))).toBe('signed-already')
    expect(codeOf(sign([4, 9], 'text'))).toBe('signed-already')
    expect(codeOf(sign([5, 0], 'text'))).toBe('ok')
    expect(codeOf(sign([1], 'text', 'commit'))).toBe('ok')
    expect(one.signing.signerOf('ballot').last('vote')).toEqual({ place: [5, 0], text: 'text' })
    expect(one.signing.signerOf('other').last('vote')).toBeUndefined()
  })

  test('stands in the ledger: the next process signs nothing twice either', () => {
    sign([5], 'text')
    restart()
    expect(codeOf(sign([5], 'other'))).toBe('signed-already')
    expect(codeOf(sign([5], 'text'))).toBe('ok')
  })

  test('never goes back, whatever is asked for, with restarts between (property)', () => {
    const place = fc.array(fc.nat(3), { minLength: 1, maxLength: 2 })
    const request = fc.record({ place, text: fc.constantFrom('a', 'b'), restarts: fc.nat(9).map((n) => n === 0) })
    fc.assert(
      fc.property(fc.array(request, { maxLength: 12 }), (requests) => {
        records().write(
          records()
            .list('', undefined, 100)
            .map(([key]) => [key, undefined]),
        )
        const signed: { place: Place; text: string }[] = []
        for (const { place: at, text, restarts } of requests) {
          if (restarts) restart()
          if (sign(at, text).ok) signed.push({ place: at, text })
        }
        for (const [i, { place: at, text }] of signed.entries()) {
          const before = signed[i - 1]
          if (before === undefined) continue
          const order = comparePlaces(at, before.place)
          expect(order > 0 || (order === 0 && text === before.text)).toBe(true)
        }
      }),
      { numRuns: 60 },
    )
  }, 20_000)

  test('a plugin that asks for what is no place is at fault', () => {
    for (const place of [[], [-1], [Number.NaN]]) expect(() => sign(place, 'x')).toThrow(AurexError)
  })

  test('without a ledger there is no signature, and the error says what is missing', () => {
    const signer = detachedSigning().signerOf('ballot')
    expect(() => signer.sign('vote', [1], 'text')).toThrow('add sqlite')
    expect(signer.stopped()).toBeUndefined()
  })
})

describe('blocks', () => {
  test('one a turn, and none for a turn before it; what is reserved counts when it is written', () => {
    expect(codeOf(one.signing.roomForBlock([3]))).toBe('ok')
    expect(codeOf(one.signing.reserveBlock([3], 'aa'))).toBe('ok')
    // It was never recorded, so nobody saw it.
    expect(makeOwn([3], 'bb')).toBe('ok')
    expect(makeOwn([3], 'cc')).toBe('signed-already')
    expect(makeOwn([2], 'bb')).toBe('signed-already')
    expect(one.signing.reserveBlock([3], 'bb')).toEqual({ ok: true, value: [{ owner: 'signing', changes: [] }] })
    expect(codeOf(one.signing.roomForBlock([3]))).toBe('signed-already')
    restart()
    expect(makeOwn([3], 'cc')).toBe('signed-already')
    expect(makeOwn([4], 'cc')).toBe('ok')
  })
})

describe('a signature of this key that the record does not know', () => {
  test.each([
    ['a block above all that was signed', () => one.signing.metBlock([9], 'aa')],
    ['another block in the place of the last', () => one.signing.metBlock([5], 'bb')],
    ['a vote', () => one.signing.signerOf('ballot').met('vote', [2], 'text')],
  ])('%s stops everything, for the processes after this one too', (_what, meet) => {
    makeOwn([5], 'aa')
    meet()
    expect(makeOwn([20], 'cc')).toBe('signing-stopped')
    expect(codeOf(sign([20], 'text'))).toBe('signing-stopped')
    expect(codeOf(one.signing.roomForBlock([20]))).toBe('signing-stopped')
    restart()
    expect(sign([20], 'text')).toMatchObject({ code: 'signing-stopped', provable: false })
    const stopped = one.signing.stopped()!
    expect(stopped.since).toBe(startedAt)
    expect(stopped.waitsFor).toContain('the record does not know it')
    expect(stopped.help).toContain(`aurex signing ${folder.ledger} --resume`)
  })

  test('one that is known, or that stands before the last, stops nothing', () => {
    makeOwn([5], 'aa')
    sign([5], 'text')
    one.signing.metBlock([5], 'aa')
    one.signing.metBlock([4], 'older')
    one.signing.signerOf('ballot').met('vote', [5], 'text')
    expect(one.signing.stopped()).toBeUndefined()
    expect(makeOwn([6], 'bb')).toBe('ok')
  })

  test('of a long chain with many of them only the first is written and logged', () => {
    let writes = 0
    const counted = openSigner(folder.ledger, undefined, one.ledger)
    const own = records()
    counted.signing.attach({
      location: '/l',
      records: () => ({
        get: (k) => own.get(k),
        count: (p) => own.count(p),
        list: (...a) => own.list(...a),
        write: (changes) => {
          writes++
          own.write(changes)
        },
      }),
    })
    for (let height = 1; height <= 500; height++) counted.signing.metBlock([height], `hash ${height}`)
    expect([writes, counted.errors.length]).toEqual([1, 1])
    expect(counted.signing.stopped()?.waitsFor).toContain('chain/block 1:')
  })

  test('an operator who resumes sets a floor: nothing up to it is signed, and what is met there is no news', () => {
    makeOwn([5], 'aa')
    one.signing.metBlock([9], 'bb')
    new SigningRecord(records()).resume(12)
    restart()
    expect(one.signing.stopped()).toBeUndefined()
    expect(one.signing.signerOf('ballot').floor()).toBe(12)
    one.signing.metBlock([12], 'cc')
    expect(makeOwn([12], 'dd')).toBe('signed-already')
    expect(codeOf(sign([12, 4], 'text'))).toBe('signed-already')
    expect(makeOwn([13], 'dd')).toBe('ok')
    expect(codeOf(sign([13], 'text'))).toBe('ok')
    one.signing.metBlock([14], 'ee')
    expect(makeOwn([15], 'ff')).toBe('signing-stopped')
  })
})

describe('a damaged record', () => {
  test.each([
    ['last/chain/block', 'not JSON'],
    ['last/chain/block', '{"place":[],"text":"aa"}'],
    ['last/chain/block', '{"place":["5"],"text":"aa"}'],
    ['last/chain/block', '{"place":[5.5],"text":"aa"}'],
    ['last/chain/block', '{"place":[5]}'],
    ['last/chain/block', 'null'],
    ['floor', '-1'],
    ['floor', '"3"'],
    ['stopped', ''],
    ['stopped', '{"waitsFor":1,"since":2}'],
  ])('%s: %j stops signing with a reason, and nothing crashes', (key, value) => {
    makeOwn([5], 'aa')
    damage(key, value)
    expect(makeOwn([7], 'bb')).toBe('signing-stopped')
    one.signing.metBlock([8], 'cc')
    restart()
    expect(makeOwn([9], 'bb')).toBe('signing-stopped')
    expect(one.signing.stopped()?.waitsFor).toContain(`damaged at ${key}`)
    expect(one.signing.signerOf('ballot').floor()).toBe(key === 'floor' ? Number.MAX_SAFE_INTEGER : 0)
    expect(one.signing.stopped()?.help).toContain('--resume')
    new SigningRecord(records()).resume(9)
    expect(makeOwn([9], 'bb')).toBe('signed-already')
    expect(makeOwn([10], 'bb')).toBe('ok')
  })

  test('is told and written once, however often it is looked at', () => {
    damage('last/ballot/vote', '{')
    let writes = 0
    const { errors, ledger, signing } = one
    const records = ledger.records.bind(ledger)
    ledger.records = (owner) => {
      const own = records(owner)
      return new Proxy(own, {
        get: (_own, name: keyof typeof own) => {
          if (name === 'write') writes++
          return own[name].bind(own)
        },
      })
    }
    signing.attach(ledger)
    const signer = signing.signerOf('ballot')
    for (let i = 0; i < 5; i++)
      expect([signer.last('vote'), codeOf(sign([i], 'x'))]).toEqual([undefined, 'signing-stopped'])
    expect([writes, errors.length]).toEqual([1, 1])
  })

  test('who looks at it before anything is signed sees the reason too', () => {
    damage('stopped', '{')
    expect(one.signing.stopped()).toMatchObject({ help: expect.stringContaining('--resume') as unknown })
    damage('last/ballot/vote', '{')
    expect(one.signing.signerOf('ballot').last('vote')).toBeUndefined()
    expect(codeOf(sign([1], 'x'))).toBe('signing-stopped')
  })
})

describe('a ledger that cannot be written', () => {
  test('gives no signature on a full disk; what was signed before stays, and it goes on when there is room', () => {
    one.ledger.close()
    const database = openForWriting(folder.ledger)
    one = openSigner(folder.ledger, undefined, new Ledger(folder.ledger, database, () => {}))
    expect(codeOf(sign([1], 'small'))).toBe('ok')
    const pages = Number(database.query('PRAGMA page_count').values()[0]![0])
    database.run(`PRAGMA max_page_count = ${pages}`)
    const long = 'x'.repeat(100_000)
    expect(sign([2], long)).toMatchObject({ code: 'storage-unavailable', provable: false })
    expect(one.signing.signerOf('ballot').last('vote')).toEqual({ place: [1], text: 'small' })
    expect(one.signing.stopped()).toBeUndefined()
    database.run(`PRAGMA max_page_count = ${pages + 1_000}`)
    // Nobody saw the other, so this one is the first.
    expect(codeOf(sign([2], 'shorter'))).toBe('ok')
  })

  test('a stop that cannot be written holds in this process', () => {
    one.ledger.close()
    const database = openForWriting(folder.ledger)
    one = openSigner(folder.ledger, undefined, new Ledger(folder.ledger, database, () => {}))
    database.run('PRAGMA query_only = ON')
    expect(codeOf(sign([1], 'text'))).toBe('storage-unavailable')
    one.signing.metBlock([9], 'aa')
    one.signing.metBlock([10], 'bb')
    database.run('PRAGMA query_only = OFF')
    expect(records().get('stopped')).toBeUndefined()
    expect(codeOf(sign([10], 'text'))).toBe('signing-stopped')
    expect(one.errors).toHaveLength(1)
    one.signing.metBlock([11], 'cc')
    restart()
    expect(one.signing.stopped()?.waitsFor).toContain('chain/block 11:')
  })

  test('a ledger that is closed declines as well', () => {
    const { signing } = one
    one.ledger.close()
    for (const result of [signing.reserveBlock([1], 'aa'), sign([1], 'text')]) expect(result.ok).toBe(false)
    signing.metBlock([1], 'aa')
    expect(signing.stopped()).toBeDefined()
    one = openSigner(folder.ledger)
  })
})

describe('another process', () => {
  test('that has the key keeps this one from signing until it is gone, and not for good', () => {
    let holder: { waitsFor: string } | undefined = { waitsFor: 'process 7' }
    one.ledger.close()
    one = openSigner(folder.ledger, () => holder)
    expect(sign([1], 'text')).toMatchObject({ code: 'signing-stopped', detail: 'signing waits for process 7' })
    expect(makeOwn([1], 'aa')).toBe('signing-stopped')
    expect(one.signing.stopped()).toEqual(holder)
    expect(records().count('')).toBe(0)
    holder = undefined
    expect(codeOf(sign([1], 'text'))).toBe('ok')
    expect(one.signing.stopped()).toBeUndefined()
  })

  test('that is not asked for before there is something to sign', () => {
    let asked = 0
    one.ledger.close()
    one = openSigner(folder.ledger, () => void asked++)
    makeOwn([3], 'aa')
    expect(asked).toBe(1)
    makeOwn([2], 'bb')
    one.signing.metBlock([3], 'aa')
    one.signing.stopped()
    expect(asked).toBe(1)
  })

  test('that proved to have it stops this one until it is started anew', () => {
    one.signing.metKey('192.0.2.1:13245')
    expect(codeOf(sign([1], 'text'))).toBe('signing-stopped')
    expect(one.signing.stopped()?.waitsFor).toContain('192.0.2.1:13245')
    restart()
    expect(codeOf(sign([1], 'text'))).toBe('ok')
  })

  test('that signed meanwhile is found out for good', () => {
    one.signing.metKey('192.0.2.1:13245')
    one.signing.metBlock([9], 'aa')
    restart()
    expect(codeOf(sign([1], 'text'))).toBe('signing-stopped')
    new SigningRecord(records()).resume(0)
    expect(codeOf(sign([1], 'text'))).toBe('ok')
  })
})

describe('a start', () => {
  const turn = (header: { readonly index: number }) => [header.index]
  const start = () =>
    checkRecord({ signing: one.signing, storage: one.ledger, consensus: { turn }, nodeId: makeKey(1).nodeId })
  /** Of whose key each block is, from block 1 up. */
  const madeBy = (...miners: readonly number[]) => {
    const blocks: AppliedBlock[] = []
    for (const miner of miners) {
      const parent = blocks.at(-1)?.block ?? genesis.block
      blocks.push(makeApplied(makeBlock(parent, { miner }), BigInt(16 * (blocks.length + 1))))
    }
    return blocks
  }
  const record = (blocks: readonly AppliedBlock[]) => {
    one.ledger.begin(genesis, genesis.block, storedAt)
    one.ledger.commit(adding(...blocks))
  }

  test('with a record older than the chain signs nothing', () => {
    record(makeChain(genesis.block, 5, 0n))
    start()
    expect(one.signing.stopped()?.waitsFor).toContain('chain/block 5:')
    expect(makeOwn([6], 'aa')).toBe('signing-stopped')
  })

  test('looks back to the newest own block, past those of others', () => {
    record(madeBy(1, 1, 2, 3))
    start()
    expect(one.signing.stopped()?.waitsFor).toContain('chain/block 2:')
  })

  test('looks back so far that what can still be undone is seen, and no farther', () => {
    const visited: number[] = []
    const header = { ...genesis.block, miner_id: 'somebody', index: 5_000 }
    const stored = { header, totalWork: 0n, recorded: true }
    const headerAt = (index: number) => (visited.push(index), stored)
    checkRecord({
      signing: one.signing,
      storage: { head: () => stored, headerAt },
      consensus: { turn },
      nodeId: makeKey(1).nodeId,
    })
    expect([visited[0], visited.at(-1), visited.length]).toEqual([5_000, 4_001, 1_000])
  })

  test('with a record that knows the newest own block signs', () => {
    const blocks = makeChain(genesis.block, 5, 0n)
    record(blocks)
    makeOwn([5], blocks[4]!.block.current_hash)
    start()
    expect(makeOwn([6], 'aa')).toBe('ok')
  })

  test('on a chain of others, or with an engine without turns, signs', () => {
    record(makeChain(genesis.block, 5, 0n))
    checkRecord({ signing: one.signing, storage: one.ledger, consensus: { turn }, nodeId: makeKey(9).nodeId })
    checkRecord({ signing: one.signing, storage: one.ledger, consensus: {}, nodeId: makeKey(1).nodeId })
    expect(one.signing.stopped()).toBeUndefined()
  })
})
