import { expect, spyOn, test } from 'bun:test'
import { Database } from 'bun:sqlite'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { AurexError } from '../../../core/errors.ts'
import { openLedger } from '../../../plugins/sqlite/index.ts'
import { adding, codeOf, genesis, makeChain, storedAt } from '../../contract/storage.ts'
import { firstLine, startChild, temporaryFolder } from './folder.ts'

const begun = (path: string) => {
  const ledger = openLedger(path)
  ledger.begin(genesis, genesis.block, storedAt)
  return ledger
}

function thrownBy(run: () => unknown): AurexError {
  try {
    run()
  } catch (error) {
    if (error instanceof AurexError) return error
  }
  throw new Error('expected an AurexError')
}

test('the files are for their owner alone, and so is a folder that is made', () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'made', 'here', 'node.sqlite3')
  const ledger = begun(path)
  for (const ending of ['', '-wal', '-shm', '.lock']) {
    expect(`${ending} ${(statSync(path + ending).mode & 0o777).toString(8)}`).toBe(`${ending} 600`)
  }
  expect(statSync(join(folder.path, 'made')).mode & 0o777).toBe(0o700)
  ledger.close()
})

test('closing empties the log into the file, which can then be copied alone', () => {
  using folder = temporaryFolder()
  const ledger = begun(folder.ledger)
  const chain = makeChain(genesis.block, 3, 0n)
  ledger.commit(adding(...chain))
  ledger.close()
  ledger.close()
  expect(existsSync(`${folder.ledger}-wal`)).toBe(false)
  const copy = join(folder.path, 'copy.sqlite3')
  copyFileSync(folder.ledger, copy)
  const copied = openLedger(copy)
  expect(copied.head().header.current_hash).toBe(chain[2]!.block.current_hash)
  copied.close()
})

test('says whose file it is and how it writes', () => {
  using folder = temporaryFolder()
  const ledger = begun(folder.ledger)
  const reader = new Database(folder.ledger, { readonly: true })
  const pragma = (name: string) => reader.query(`PRAGMA ${name}`).values()[0]?.[0]
  expect(pragma('application_id')).toBe(0x41555258)
  expect(pragma('user_version')).toBe(3)
  expect(pragma('journal_mode')).toBe('wal')
  reader.close()
  ledger.close()
})

test('a file from a newer version is refused and left as it is', () => {
  using folder = temporaryFolder()
  begun(folder.ledger).close()
  const database = new Database(folder.ledger)
  database.run('PRAGMA user_version = 99')
  database.close()
  const before = readFileSync(folder.ledger)
  for (const readonly of [false, true]) {
    const error = thrownBy(() => openLedger(folder.ledger, { readonly }))
    expect(error.code).toBe('ledger-newer')
    expect(error.exit).toBe(78)
    expect(error.message).toContain('99')
  }
  expect(readFileSync(folder.ledger).equals(before)).toBe(true)
})

test('what is not a ledger is refused and left as it is', () => {
  using folder = temporaryFolder()
  const text = join(folder.path, 'text.sqlite3')
  writeFileSync(text, 'this is a text, and a long one at that: '.repeat(100))
  const foreign = join(folder.path, 'foreign.sqlite3')
  const database = new Database(foreign)
  database.run('CREATE TABLE theirs (a)')
  database.close()
  for (const path of [text, foreign]) {
    const before = readFileSync(path)
    for (const readonly of [false, true]) {
      const error = thrownBy(() => openLedger(path, { readonly }))
      expect(error.code).toBe('not-a-ledger')
      expect(error.exit).toBe(78)
      expect(error.message).toContain(path)
    }
    expect(readFileSync(path).equals(before)).toBe(true)
  }
  const directory = join(folder.path, 'directory')
  mkdirSync(directory)
  expect(codeOf(() => openLedger(directory))).toBe('storage-failed')
})

test('an empty file, which a crash may leave, is a new ledger', () => {
  using folder = temporaryFolder()
  writeFileSync(folder.ledger, '')
  const ledger = begun(folder.ledger)
  expect(ledger.head().header.index).toBe(0)
  ledger.close()
})

test('one writer a file: not twice in a process, not by another path', () => {
  using folder = temporaryFolder()
  const ledger = openLedger(folder.ledger)
  const other = join(folder.path, 'other-name.sqlite3')
  symlinkSync(folder.ledger, other)
  for (const path of [folder.ledger, other]) {
    const error = thrownBy(() => openLedger(path))
    expect(error.code).toBe('ledger-in-use')
    expect(error.message).toContain('--data-dir')
  }
  ledger.begin(genesis, genesis.block, storedAt)
  ledger.close()
  begun(other).close()
})

test('one writer a file: not in two processes; a killed one lets go and has lost nothing', async () => {
  using folder = temporaryFolder()
  const child = startChild('hold', folder.ledger)
  const head = (await firstLine(child.stdout)).replace('holds ', '')
  expect(head).toHaveLength(64)
  expect(codeOf(() => openLedger(folder.ledger))).toBe('ledger-in-use')

  // Looking is always allowed: while it runs, and after it was killed.
  const meanwhile = openLedger(folder.ledger, { readonly: true })
  expect(meanwhile.head().header.current_hash).toBe(head)
  meanwhile.close()
  child.kill('SIGKILL')
  await child.exited
  const before = ['', '-wal'].map((ending) => readFileSync(folder.ledger + ending))
  expect(before[1]!.length).toBeGreaterThan(0)
  const killed = openLedger(folder.ledger, { readonly: true })
  expect(killed.head().header.current_hash).toBe(head)
  expect(killed.integrity()).toBeUndefined()
  killed.close()
  const after = ['', '-wal'].map((ending) => readFileSync(folder.ledger + ending))
  expect(after.map((bytes, n) => bytes.equals(before[n]!))).toEqual([true, true])

  const ledger = openLedger(folder.ledger)
  expect(ledger.head().header.current_hash).toBe(head)
  ledger.close()
})

test('readonly leaves no trace, sees one moment and writes nothing', () => {
  using folder = temporaryFolder()
  expect(codeOf(() => openLedger(folder.ledger, { readonly: true }))).toBe('ledger-missing')
  expect(readdirSync(folder.path)).toEqual([])
  const chain = makeChain(genesis.block, 2, 0n)
  let ledger = begun(folder.ledger)
  ledger.commit(adding(chain[0]!))
  const reader = openLedger(folder.ledger, { readonly: true })
  ledger.commit(adding(chain[1]!))
  expect(reader.head().header.index).toBe(1)
  expect(reader.headerAt(2)).toBeUndefined()
  reader.begin(genesis, genesis.block, storedAt)
  for (const write of [
    () => reader.commit(adding(chain[1]!)),
    () =>
      reader.keepPending([
        { hash: chain[1]!.hashes[0]!, transaction: chain[1]!.block.transactions[0]!, receivedAt: 1 },
      ]),
    () => reader.keepSide(chain[1]!.block, 1n),
  ]) {
    expect(codeOf(write)).toBe('storage-readonly')
  }
  reader.close()
  ledger.close()
  const files = readdirSync(folder.path).toSorted()
  const again = openLedger(folder.ledger, { readonly: true })
  expect(again.head().header.index).toBe(2)
  again.close()
  expect(readdirSync(folder.path).toSorted()).toEqual(files)
  ledger = openLedger(folder.ledger)
  ledger.close()
})

test('the disk is waited for after a range as before it, also when that could not be written', () => {
  using folder = temporaryFolder()
  const ledger = begun(folder.ledger)
  const synchronous = () => ledger['database'].query('PRAGMA synchronous').values()[0]?.[0]
  expect(synchronous()).toBe(2) // FULL
  const id = ledger.openRange({ worker: 'w', start: 0, end: 1 }, storedAt)
  expect(synchronous()).toBe(2)
  expect(() => ledger.openRange({ worker: null as never, start: 0, end: 1 }, storedAt)).toThrow(AurexError)
  expect(synchronous()).toBe(2)
  ledger.closeRange(id, true, undefined)
  expect(synchronous()).toBe(2)
  ledger.close()
})

test('the disk is waited for by what is promised: a block beside the chain only with records, and what is final', () => {
  using folder = temporaryFolder()
  const ledger = begun(folder.ledger)
  const [one] = makeChain(genesis.block, 1, 0n)
  const [beside, other] = [7, 8].map((miner) => makeChain(genesis.block, 1, 0n, miner)[0]!.block)
  ledger.commit(adding(one!))
  const asked = spyOn(ledger['database'], 'run')
  const records = [{ owner: 'signing', changes: [['block', '[1]']] as const }]
  ledger.keepSide(beside!, 1n, [], records)
  ledger.keepSide(other!, 1n, [], records)
  ledger.keepSide(one!.block, 16n, [], records)
  ledger.finalize(1)
  expect(asked).not.toHaveBeenCalled()
  ledger.keepSide(makeChain(genesis.block, 1, 0n, 9)[0]!.block, 1n)
  expect(asked.mock.calls).toEqual([['PRAGMA synchronous = NORMAL'], ['PRAGMA synchronous = FULL']])
  ledger.close()
})

test('killed while it writes records with its blocks, a process leaves both or neither', async () => {
  using folder = temporaryFolder()
  const child = startChild('sign', folder.ledger)
  let said = ''
  for await (const bytes of child.stdout) {
    said += new TextDecoder().decode(bytes)
    if (said.split('\n').length > 20) child.kill('SIGKILL')
  }
  await child.exited
  const [height, beside] = said.split('\n').at(-2)!.split(' ').map(Number)
  const ledger = openLedger(folder.ledger)
  const head = ledger.head().header.index
  const { sideBlocks } = ledger.counts()
  expect(head).toBeGreaterThanOrEqual(height!)
  expect(sideBlocks).toBeGreaterThanOrEqual(beside!)
  expect(ledger.records('signing').get('recorded')).toBe(String(head))
  expect(ledger.records('signing').get('beside')).toBe(String(sideBlocks))
  expect(ledger.finalHeight()).toBe(head)
  expect(ledger.integrity()).toBeUndefined()
  ledger.close()
})

test('only the newest 10,000 nonce ranges are kept', () => {
  using folder = temporaryFolder()
  const ledger = begun(folder.ledger)
  ledger.close()
  // 10,000 commits would take seconds: one statement puts them there.
  const database = new Database(folder.ledger)
  database.run(
    `WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < 10000)
      INSERT INTO range_rows (worker, nonce_start, nonce_end, opened_at) SELECT 'w', n * 10, n * 10 + 10, 0 FROM series`,
  )
  database.close()
  const reopened = openLedger(folder.ledger)
  const id = reopened.openRange({ worker: 'new', start: 5, end: 9 }, storedAt)
  reopened.closeRange(id, true, 7)
  reopened.close()
  const reader = new Database(folder.ledger, { readonly: true })
  expect(
    reader.query('SELECT count(*), min(nonce_start) FILTER (WHERE nonce_start > 5) FROM mining_pool').values(),
  ).toEqual([[10_000, 20]])
  expect(reader.query("SELECT * FROM mining_pool WHERE worker_id = 'new'").get()).toEqual({
    worker_id: 'new',
    nonce_start: 5,
    nonce_end: 9,
    completed: 1,
    solution_nonce: 7,
    timestamp: '2026-11-21T01:02:03.456Z',
  })
  reader.close()
})
