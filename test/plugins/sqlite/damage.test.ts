import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import { closeSync, openSync, writeSync } from 'node:fs'
import { AurexError } from '../../../core/errors.ts'
import type { AppliedBlock } from '../../../core/plugin.ts'
import { openLedger, type Ledger } from '../../../plugins/sqlite/index.ts'
import { adding, genesis, makeChain, pay, storedAt } from '../../contract/storage.ts'
import { makeApplied, makeBlock, makePending } from '../../support/blocks.ts'
import { temporaryFolder } from './folder.ts'

const state = [
  { key: 'user/a', value: '1' },
  { key: 'user/b', value: '2' },
]
const chain = makeChain(genesis.block, 4, 0n).map((one) => ({ ...one, state }))
const side = makeChain(genesis.block, 1, 0n, 9)[0]!
const hash = (height: number) => chain[height - 1]!.block.current_hash
const place = 131_072

/** What a damaged ledger says when it is asked. */
function complaint(sql: string, ask: (ledger: Ledger) => unknown): string {
  using folder = temporaryFolder()
  const ledger = openLedger(folder.ledger)
  ledger.begin(genesis, genesis.block, storedAt)
  ledger.commit(adding(...chain))
  ledger.keepSide(side.block, 16n, state)
  ledger.keepPending([makePending(genesis, pay(20, 1), storedAt)])
  ledger.close()
  const database = new Database(folder.ledger)
  database.run('PRAGMA ignore_check_constraints = ON')
  database.run(sql)
  database.close()
  const damaged = openLedger(folder.ledger, { readonly: true })
  try {
    ask(damaged)
    return 'nothing was found'
  } catch (error) {
    if (!(error instanceof AurexError)) throw error
    return `${error.code} ${error.message}`
  } finally {
    damaged.close()
  }
}

const cases: readonly (readonly [what: string, sql: string, ask: (ledger: Ledger) => unknown, names: string])[] = [
  [
    'a header that is not JSON',
    `UPDATE block_rows SET header = substr(header, 2) WHERE height = 2`,
    (ledger) => ledger.headerAt(2),
    'block_rows, height 2: header: not JSON',
  ],
  [
    'a header that is no object',
    `UPDATE block_rows SET header = '[]' WHERE height = 2`,
    (ledger) => ledger.headerAt(2),
    'block_rows, height 2: header: expected a JSON object',
  ],
  [
    'a header of another height',
    `UPDATE block_rows SET header = (SELECT header FROM block_rows WHERE height = 3) WHERE height = 2`,
    (ledger) => ledger.header(hash(2)),
    'block_rows, height 2: header.index: expected 2, got 3',
  ],
  [
    'a hash that was changed',
    `UPDATE block_rows SET hash = zeroblob(32) WHERE height = 4`,
    (ledger) => ledger.head(),
    'block_rows, height 4: header.current_hash',
  ],
  [
    'a total work that is no number',
    `UPDATE block_rows SET total_work = '12x' WHERE height = 1`,
    (ledger) => ledger.headerAt(1),
    'block_rows, height 1: total_work',
  ],
  [
    'a difficulty that is not that of its work',
    `UPDATE block_rows SET difficulty = 9 WHERE height = 2`,
    (ledger) => ledger.headerAt(2),
    'block_rows, height 2: difficulty: expected',
  ],
  [
    'a block that is missing',
    `DELETE FROM block_rows WHERE height = 2`,
    (ledger) => ledger.headerAt(2),
    'block_rows, height 2: the row is missing',
  ],
  [
    'the block of a transaction that is missing',
    `DELETE FROM block_rows WHERE height = 2`,
    (ledger) => ledger.transaction(chain[1]!.hashes[0]!),
    'block_rows, height 2: the row is missing',
  ],
  [
    'a transaction that is missing, the first',
    `DELETE FROM transaction_rows WHERE id = ${3 * place}`,
    (ledger) => ledger.block(hash(3)),
    `transaction_rows, id ${3 * place} (block 3, position 0): the row is missing`,
  ],
  [
    'a transaction that is missing, the last',
    `DELETE FROM transaction_rows WHERE id = ${3 * place + 1}`,
    (ledger) => ledger.transactionsAt(3),
    'block_rows, height 3: transactions_count: 2, but there are rows for 1',
  ],
  [
    'data that is not JSON',
    `UPDATE transaction_rows SET data = '{' WHERE id = ${3 * place + 1}`,
    (ledger) => ledger.block(hash(3)),
    `transaction_rows, id ${3 * place + 1} (block 3, position 1): data: not JSON`,
  ],
  [
    'data that is no object',
    `UPDATE transaction_rows SET data = '7' WHERE id = ${3 * place + 1}`,
    (ledger) => ledger.transaction(chain[2]!.hashes[1]!),
    `transaction_rows, id ${3 * place + 1} (block 3, position 1): data: expected a JSON object`,
  ],
  [
    'a hash of a wrong length',
    `UPDATE transaction_rows SET hash = x'00' WHERE id = ${place}`,
    (ledger) => ledger.transactionsAt(1),
    `transaction_rows, id ${place} (block 1, position 0): hash: expected 32 bytes, got 1`,
  ],
  [
    'a nonce beyond the safe integers',
    `UPDATE transaction_rows SET nonce = 9007199254740993 WHERE id = ${place}`,
    (ledger) => ledger.transactionsAt(1),
    `transaction_rows, id ${place} (block 1, position 0): nonce`,
  ],
  [
    'a side block',
    `UPDATE side_rows SET transactions = '{}'`,
    (ledger) => ledger.block(side.block.current_hash),
    `side_rows, current_hash ${side.block.current_hash}: transactions: expected an array`,
  ],
  [
    'a pending transaction',
    `UPDATE pending_rows SET data = 'null'`,
    (ledger) => [...ledger.pending()],
    'pending_rows, place 1: data: expected a JSON object',
  ],
  [
    'what a side block would change, cut off',
    `UPDATE side_rows SET state = substr(state, 2)`,
    (ledger) => ledger.stateChanges(side.block.current_hash),
    `side_rows, current_hash ${side.block.current_hash}: state: not JSON`,
  ],
  [
    'what a side block would change, of another shape',
    `UPDATE side_rows SET state = '[["user/a", 1]]'`,
    (ledger) => ledger.stateChanges(side.block.current_hash),
    `side_rows, current_hash ${side.block.current_hash}: state: expected pairs of key and value`,
  ],
  [
    'an entry of the outbox of a kind that there is not',
    `UPDATE outbox_rows SET kind = 'forgotten' WHERE sequence = 2`,
    (ledger) => ledger.outbox(0, 10),
    'outbox_rows, sequence 2: kind: expected applied, undone, final or reported, got forgotten',
  ],
  [
    'an entry of the outbox without its block',
    `UPDATE outbox_rows SET hash = x'' WHERE sequence = 2`,
    (ledger) => ledger.appliedAt(2, 10),
    'outbox_rows, sequence 2: hash: expected 32 bytes, got 0',
  ],
  [
    'a report that says nothing',
    `UPDATE outbox_rows SET kind = 'reported' WHERE sequence = 2`,
    (ledger) => ledger.outbox(0, 10),
    'outbox_rows, sequence 2: body',
  ],
]

test.each(cases)('names the row: %s', (_what, sql, ask, names) => {
  const said = complaint(sql, ask)
  expect(said).toStartWith('ledger-damaged ')
  expect(said).toContain(names)
})

const putLast = (kind: string, height: number, of = hash(height)) =>
  `INSERT INTO outbox_rows (kind, height, hash) VALUES ('${kind}', ${height}, x'${of}')`
const putFinal = (height: number, of: string) => putLast('final', height, of)

test.each([
  ['a block is missing', 'DELETE FROM block_rows WHERE height = 2', 'block_rows, height 3'],
  ['a total that is not the sum', 'UPDATE block_rows SET transactions_total = 1 WHERE height = 2', 'height 2'],
  ['a transaction too many', `UPDATE block_rows SET transactions_count = 1 WHERE height = 2`, `id ${2 * place + 1}`],
  ['a transaction too few', `DELETE FROM transaction_rows WHERE id = ${3 * place}`, 'block_rows, height 4'],
  ['state above the head', `UPDATE state_rows SET height = 7 WHERE height = 4`, 'state_rows, height 7, key user/a'],
  [
    'a transaction before the chain',
    `INSERT INTO transaction_rows (id, hash, sender, data, signature, received_at) VALUES (-5, zeroblob(32), 'a', '{}', 's', 0)`,
    'transaction_rows, id -5: its block does not count it',
  ],
  [
    'the last word of the outbox',
    'UPDATE outbox_rows SET sequence = 999 WHERE sequence = 2',
    'outbox_rows, sequence 999',
  ],
  ['a first version lost', 'DELETE FROM state_rows WHERE height = 1', 'state_rows, height 2, key user/a: is_first'],
  ['a block that was never told', 'DELETE FROM outbox_rows WHERE height = 2', 'block_rows, height 2: the outbox'],
  [
    'another block that was told',
    'UPDATE outbox_rows SET hash = zeroblob(32) WHERE height = 2',
    `block_rows, height 2: the outbox does not end with it: expected applied ${hash(2)}, got applied 000`,
  ],
  [
    'a block told as undone',
    "UPDATE outbox_rows SET kind = 'undone' WHERE height = 4",
    'block_rows, height 4: the out',
  ],
  [
    'a block told that is not there',
    "INSERT INTO outbox_rows (kind, height, hash) VALUES ('applied', 5, zeroblob(32))",
    'outbox_rows, sequence 5: applied, but there is no block for it',
  ],
  [
    'a block that is final and not there',
    putFinal(2, '0'.repeat(64)),
    'outbox_rows, sequence 5: final, but its block is not recorded',
  ],
  [
    'a block that was undone after it was final',
    `${putFinal(3, hash(3))}; ${putLast('undone', 4)}; ${putLast('undone', 3)}; ${putLast('applied', 3)}; ${putLast('applied', 4)}`,
    'outbox_rows, sequence 7: undone, after its height was final',
  ],
  [
    'a block that became final after one above it',
    `${putFinal(3, hash(3))}; ${putFinal(2, hash(2))}`,
    'outbox_rows, sequence 6: final, but what stands above it was so before',
  ],
])('integrity finds: %s', (_what, sql, names) => {
  const found: (string | undefined)[] = []
  complaint(sql, (ledger) => found.push(ledger.integrity()))
  expect(found[0]).toContain(names)
})

/** Says what is wrong when the node that made it starts again on a ledger that was changed meanwhile. */
function refusal(blocks: readonly AppliedBlock[], sql: string): unknown {
  using folder = temporaryFolder()
  const ledger = openLedger(folder.ledger)
  ledger.begin(genesis, genesis.block, storedAt)
  ledger.commit(adding(...blocks))
  // Whatever plugins reported last says nothing of the chain's end.
  ledger.report([{ index: 1, hash: blocks[0]!.block.current_hash, body: '{}' }], 'own', [])
  ledger.close()
  const database = new Database(folder.ledger)
  database.run('PRAGMA ignore_check_constraints = ON')
  database.run(sql)
  database.close()
  const changed = openLedger(folder.ledger)
  try {
    expect(changed.integrity()).toBeString()
    changed.begin(genesis, genesis.block, storedAt)
    return undefined
  } catch (error) {
    return error
  } finally {
    changed.close()
  }
}

const putIn = 'INSERT INTO state_rows (key, height, value, is_first) VALUES'

test.each([
  [
    'its last block deleted',
    chain,
    'DELETE FROM block_rows WHERE height = 4',
    `id ${4 * place} (block 4, position 0): there is no block for it`,
  ],
  [
    'its last block deleted, which had no transactions',
    [makeApplied(makeBlock(genesis.block), 16n)],
    'DELETE FROM block_rows WHERE height = 1',
    'outbox_rows, sequence 1',
  ],
  [
    'state put in above the head',
    chain,
    `${putIn} ('user/zed', 5, '{}', 1)`,
    'state_rows, height 5, key user/zed: there is no block for it',
  ],
  [
    'state put in before the chain, where it would be built on',
    chain,
    `${putIn} ('user/mallory', -1, '{"balance":"5"}', 1)`,
    'state_rows, height -1, key user/mallory: there is no block for it',
  ],
  [
    'a transaction put in before the chain',
    chain,
    `INSERT INTO transaction_rows (id, hash, sender, data, signature, received_at) VALUES (-5, zeroblob(32), 'a', '{}', 's', 0)`,
    'transaction_rows, id -5',
  ],
  [
    'something final above the head',
    chain.slice(0, 3),
    putFinal(4, hash(4)),
    'outbox_rows, sequence 5: block 4 is final, and it is not the one that is recorded there',
  ],
  [
    'another block that is final than the one recorded',
    chain,
    `${putFinal(2, hash(2))}; ${putFinal(3, hash(1))}`,
    'outbox_rows, sequence 7: block 3 is final, and it is not the one that is recorded there',
  ],
])('nothing is built on a ledger with %s', (_what, blocks, sql, names) => {
  expect(refusal(blocks, sql)).toMatchObject({
    code: 'ledger-damaged',
    exit: 78,
    message: expect.stringContaining(names) as unknown,
  })
})

test('state before the chain cannot even be put in, as long as nobody takes the check away', () => {
  using folder = temporaryFolder()
  openLedger(folder.ledger).close()
  const database = new Database(folder.ledger)
  expect(() => database.run(`${putIn} ('user/mallory', -1, '{"balance":"5"}', 1)`)).toThrow('CHECK constraint failed')
  database.close()
})

test('pages that were overwritten are damage, not a crash', () => {
  using folder = temporaryFolder()
  const ledger = openLedger(folder.ledger)
  ledger.begin(genesis, genesis.block, storedAt)
  ledger.commit(adding(...chain))
  ledger.close()
  const database = new Database(folder.ledger, { readonly: true })
  const page = database.query("SELECT rootpage FROM sqlite_schema WHERE name = 'block_rows'").values()[0]![0] as number
  database.close()
  const file = openSync(folder.ledger, 'r+')
  writeSync(file, Buffer.alloc(4_096, 0xa5), 0, 4_096, (page - 1) * 4_096)
  closeSync(file)
  const damaged = openLedger(folder.ledger, { readonly: true })
  expect(damaged.integrity()).toBeString()
  expect(() => damaged.head()).toThrow(expect.objectContaining({ code: 'ledger-damaged' }))
  damaged.close()
})
