// How long the SQLite ledger takes to commit a block whose transactions were pending, and how many it commits a second,
// beside bare inserts of the same bytes into a bare table of bun:sqlite with the same durability (WAL, synchronous=FULL,
// one transaction a commit).
import { Database } from 'bun:sqlite'
import { join } from 'node:path'
import type { Block } from '../../core/chain/block.ts'
import { headerHash, transactionsRoot } from '../../core/chain/block.ts'
import { developmentGenesis } from '../../core/chain/genesis.ts'
import { transactionHash } from '../../core/chain/transaction.ts'
import { openLedger } from '../../plugins/sqlite/ledger.ts'
import { removeFolder, temporaryFolder } from '../support/process.ts'
import { signMany } from './load.ts'
import { median, millisecondsOf, type Row } from './row.ts'

const genesis = developmentGenesis('pow', { difficulty: 3 })

export function commits(): Promise<Row[]> {
  return Promise.resolve([...measure(1, 1_000), ...measure(1_000, 30)])
}

function measure(transactionsPerBlock: number, blocks: number): Row[] {
  const folder = temporaryFolder()
  const chain = makeChain(blocks, transactionsPerBlock)
  const ledger = openLedger(join(folder, 'ledger.sqlite3'))
  ledger.begin(genesis, genesis.block, 0)
  const times = chain.map(({ block, hashes }, i) => {
    ledger.keepPending(block.transactions.map((transaction, at) => ({ hash: hashes[at]!, transaction, receivedAt: 0 })))
    const receivedAt = hashes.map(() => 0)
    return millisecondsOf(() =>
      ledger.commit({
        undone: [],
        applied: [{ block, hashes, receivedAt, totalWork: BigInt(i + 1) }],
        returned: [],
        writtenAt: 0,
      }),
    )
  })
  ledger.close()
  const bare = bareCommits(join(folder, 'bare.sqlite3'), chain)
  removeFolder(folder)
  const reference = 'bare SQLite, the same bytes'
  const [name, unit] = [`commit of a block of ${transactionsPerBlock}, median`, 'ms']
  return [
    { name, figure: median(times), unit, reference, referenceFigure: median(bare) },
    {
      name: `commits of blocks of ${transactionsPerBlock}`,
      figure: rateOf(times),
      unit: 'commits/s',
      reference,
      referenceFigure: rateOf(bare),
    },
  ]
}

const rateOf = (milliseconds: readonly number[]): number =>
  (milliseconds.length / milliseconds.reduce((sum, each) => sum + each, 0)) * 1_000

interface Made {
  readonly block: Block
  readonly hashes: readonly string[]
}

/** Blocks that follow each other. Their seals and signatures are made up: storage does not look at them. */
function makeChain(blocks: number, transactionsPerBlock: number): Made[] {
  const { rules } = genesis
  const chain: Made[] = []
  let parent = genesis.block
  for (let i = 0; i < blocks; i++) {
    const transactions = signMany(rules.chainId, transactionsPerBlock, i * transactionsPerBlock)
    const hashes = transactions.map((transaction) => transactionHash(transaction, rules.chainId))
    const header = {
      ...genesis.block,
      index: i + 1,
      prev_hash: parent.current_hash,
      work: 4_096,
      tx_root: transactionsRoot(hashes),
    }
    const block: Block = {
      ...header,
      current_hash: headerHash(header, 0),
      signature: transactions[0]!.signature,
      transactions,
    }
    chain.push({ block, hashes })
    parent = block
  }
  return chain
}

function bareCommits(path: string, chain: readonly Made[]): number[] {
  const database = new Database(path)
  database.run('PRAGMA journal_mode = WAL')
  database.run('PRAGMA synchronous = FULL')
  database.run('CREATE TABLE rows (id INTEGER PRIMARY KEY, hash BLOB, body TEXT)')
  const insert = database.prepare('INSERT INTO rows (hash, body) VALUES (?, ?)')
  const rows = chain.map(({ block, hashes }) =>
    block.transactions.map((transaction, i) => [Buffer.from(hashes[i]!, 'hex'), JSON.stringify(transaction)] as const),
  )
  const write = database.transaction((block: (typeof rows)[number]) => {
    for (const row of block) insert.run(...row)
  })
  const times = rows.map((block) => millisecondsOf(() => write(block)))
  database.close()
  return times
}
