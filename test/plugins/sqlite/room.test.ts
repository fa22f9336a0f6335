import { expect, test } from 'bun:test'
import { chmodSync } from 'node:fs'
import { openForWriting } from '../../../plugins/sqlite/file.ts'
import { openLedger } from '../../../plugins/sqlite/index.ts'
import { Ledger } from '../../../plugins/sqlite/ledger.ts'
import { adding, answersOf, codeOf, genesis, makeChain, pay, storedAt } from '../../contract/storage.ts'
import { makeApplied, makeBlock, makePending } from '../../support/blocks.ts'
import { startChild, temporaryFolder } from './folder.ts'

test('a full disk: the write is refused whole, reads go on, and work resumes when there is room', () => {
  using folder = temporaryFolder()
  const database = openForWriting(folder.ledger)
  const ledger = new Ledger(folder.ledger, database, () => {})
  ledger.begin(genesis, genesis.block, storedAt)
  const small = makeChain(genesis.block, 1, 0n)[0]!
  ledger.commit(adding(small))
  const large = makeBlock(small.block, { transactions: Array.from({ length: 300 }, (_, n) => pay(n % 9, 500 + n)) })
  const pages = Number(database.query('PRAGMA page_count').values()[0]![0])
  database.run(`PRAGMA max_page_count = ${pages + 3}`)
  const state = Array.from({ length: 500 }, (_, n) => ({ key: `user/${n}`, value: 'v'.repeat(100) }))
  const long = '"' + 'x'.repeat(50_000) + '"'
  const signed = { owner: 'own', changes: [['k', 'after']] as const }
  const longer = { owner: 'own', changes: [['long', long]] as const }
  ledger.records('own').write([['k', 'before']])
  const before = answersOf(ledger, [genesis.block, small.block, large])
  for (const write of [
    () => ledger.commit(adding({ ...makeApplied(makeBlock(small.block), 32n), state })),
    () => ledger.keepSide(makeBlock(small.block), 32n, state),
    () => ledger.report([{ index: 1, hash: small.block.current_hash, body: long }], 'own', [['k', 'after']]),
    () =>
      ledger.records('own').write([
        ['k', 'after'],
        ['long', long],
      ]),
    () => ledger.commit(adding(makeApplied(large, 32n))),
    () => ledger.commit({ ...adding(makeApplied(large, 32n)), records: [signed], final: 2 }),
    () => ledger.commit({ ...adding(makeApplied(makeBlock(small.block), 32n)), records: [signed, longer], final: 2 }),
    () => ledger.keepSide(large, 32n, [], [signed]),
    () => ledger.keepSide(makeBlock(small.block), 32n, [], [signed, longer]),
    () => ledger.keepPending(large.transactions.map((transaction) => makePending(genesis, transaction, storedAt))),
    () => ledger.keepSide(large, 32n),
    () => ledger.commit({ ...adding(makeApplied(large, 32n)), undone: [] }),
  ]) {
    expect(codeOf(write)).toBe('storage-full')
    expect(answersOf(ledger, [genesis.block, small.block, large])).toBe(before)
    expect(ledger.records('own').list('', undefined, 10)).toEqual([['k', 'before']])
    expect(ledger.stateAt('user/0', 2)).toBeUndefined()
  }
  expect(ledger.integrity()).toBeUndefined()
  database.run(`PRAGMA max_page_count = ${pages + 10_000}`)
  ledger.commit(adding({ ...makeApplied(large, 32n), state }))
  expect(ledger.stateAt('user/499', 2)).toHaveLength(100)
  expect(ledger.outbox(1, 10)).toHaveLength(1)
  expect(ledger.block(large.current_hash)).toEqual(large)
  ledger.close()
})

test('a file-size limit: what was acknowledged is there afterwards, and work resumes', async () => {
  using folder = temporaryFolder()
  const child = startChild('fill', folder.ledger, 'ulimit -f 400')
  const [code, acknowledged, read] = (await new Response(child.stdout).text()).trim().split(' ')
  await child.exited
  expect(code).toBe('storage-full')
  expect(Number(acknowledged)).toBeGreaterThan(3)
  expect(read).toBe(acknowledged)
  const ledger = openLedger(folder.ledger)
  const head = ledger.head()
  expect(String(head.header.index)).toBe(acknowledged!)
  expect(ledger.integrity()).toBeUndefined()
  ledger.commit(adding(...makeChain(ledger.block(head.header.current_hash)!, 2, head.totalWork)))
  expect(ledger.head().header.index).toBe(head.header.index + 2)
  ledger.close()
})

test('a file that may not be written: it is read, and writes are refused', async () => {
  using folder = temporaryFolder()
  const ledger = openLedger(folder.ledger)
  ledger.begin(genesis, genesis.block, storedAt)
  ledger.commit(adding(...makeChain(genesis.block, 3, 0n)))
  ledger.close()
  const answers = async () => {
    const child = startChild('refused', folder.ledger)
    const text = await new Response(child.stdout).text()
    await child.exited
    return text.trim().split('\n')
  }
  chmodSync(folder.ledger, 0o444)
  chmodSync(`${folder.ledger}.lock`, 0o666)
  chmodSync(folder.path, 0o777)
  expect(await answers()).toEqual(['readonly 3', 'read 3', 'write storage-readonly'])
  // A folder in which nothing may be written either: looking still works.
  chmodSync(`${folder.ledger}.lock`, 0o444)
  chmodSync(folder.path, 0o555)
  expect(await answers()).toEqual(['readonly 3', 'open storage-readonly'])
  chmodSync(folder.path, 0o755)
})
