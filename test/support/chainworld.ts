// A chain on a real ledger file, without transports and without a miner: blocks are made here, nonce by nonce.
import { join } from 'node:path'
import { headerHash, transactionsRoot, type Block, type Header } from '../../core/chain/block.ts'
import type { Hash } from '../../core/chain/canonical.ts'
import { Chain } from '../../core/chain/chain.ts'
import { developmentGenesis, type Genesis } from '../../core/chain/genesis.ts'
import { purposes, type KeyPair } from '../../core/chain/keys.ts'
import { formatTimestamp, parseTimestamp } from '../../core/chain/timestamp.ts'
import { signTransaction, transactionHash, type Transaction } from '../../core/chain/transaction.ts'
import { bunRuntime } from '../../core/bun.ts'
import type { CoreEvents } from '../../core/events.ts'
import { defaultNodeLimits, type Limits } from '../../core/limits.ts'
import type { Application, Consensus, Storage } from '../../core/plugin.ts'
import { powEngine } from '../../plugins/pow/engine.ts'
import { meetsTarget } from '../../plugins/pow/rules.ts'
import type { MemoryLedger } from '../../plugins/memory/ledger.ts'
import { openLedger } from '../../plugins/sqlite/ledger.ts'
import { testKey } from './headers.ts'
import { removeFolder, temporaryFolder } from './process.ts'

export interface Fact {
  readonly event: keyof CoreEvents
  readonly fact: unknown
}

export interface ChainWorld {
  readonly chain: Chain
  readonly genesis: Genesis
  readonly engine: Consensus
  readonly storage: Storage
  /** What core told, in order. */
  readonly facts: Fact[]
  /** What was logged as an error. */
  readonly errors: string[]
  /** Sets how many milliseconds this node's clock is off. */
  readonly setClockOffset: (milliseconds: number) => void
  /** Closes the ledger and opens it again, as a restart does. */
  restart(): Promise<ChainWorld>
  dispose(): Promise<void>
}

export interface WorldOptions {
  readonly limits?: Partial<Limits>
  /** A driver between the chain and its ledger, to make it fail. */
  readonly wrap?: (storage: Storage) => Storage
  readonly folder?: string
  /** Default: a file of SQLite. */
  readonly ledger?: 'sqlite' | MemoryLedger
  /** Milliseconds that this node's clock is off. */
  readonly clockOffset?: number
  /** The chain is then the development chain of this application too, without parameters. */
  readonly application?: Application
  /** Another genesis than that, which must name pow and difficulty 1. */
  readonly genesis?: Genesis
}

const difficulty = 1

export async function chainWorld(options: WorldOptions = {}): Promise<ChainWorld> {
  const folder = options.folder ?? temporaryFolder()
  const { application } = options
  const named = application && { name: application.id, parameters: {} }
  const genesis = options.genesis ?? developmentGenesis('pow', { difficulty }, named)
  const { ledger = 'sqlite' } = options
  const file = ledger === 'sqlite' ? openLedger(join(folder, 'ledger.sqlite3')) : undefined
  const driver: Storage = file ?? (ledger as MemoryLedger)
  const storage = options.wrap === undefined ? driver : options.wrap(driver)
  const real = bunRuntime()
  let { clockOffset = 0 } = options
  const runtime = { ...real, clock: { ...real.clock, now: () => real.clock.now() + clockOffset } }
  const engine = powEngine(
    { difficulty },
    { mine: false, mine_empty_after: 0, threads: 1 },
    { seal: () => Promise.resolve(undefined) },
  )
  const facts: Fact[] = []
  const errors: string[] = []
  storage.begin(genesis, genesis.block, real.clock.now(), application?.opening())
  const nothing = (): void => undefined
  const chain = new Chain({
    genesis,
    consensus: engine,
    application,
    storage,
    runtime,
    limits: { ...defaultNodeLimits, ...options.limits },
    log: { debug: nothing, info: nothing, warn: nothing, error: (message) => void errors.push(message) },
    emit: (event, fact) => void facts.push({ event, fact }),
    changed: nothing,
  })
  await chain.restorePending()
  return {
    chain,
    genesis,
    engine,
    storage,
    facts,
    errors,
    setClockOffset: (milliseconds) => void (clockOffset = milliseconds),
    restart: async () => {
      await chain.close()
      file?.close()
      return await chainWorld({ ...options, folder })
    },
    dispose: async () => {
      await chain.close()
      file?.close()
      removeFolder(folder)
    },
  }
}

const plainChainId: Hash = developmentGenesis('pow', { difficulty }).rules.chainId

let made = 0

/** A transaction that differs from all others of this run. */
export const someTransaction = (key: KeyPair = testKey(1), data = {}, chainId = plainChainId): Transaction =>
  signTransaction(key, chainId, { action: 'data', ...data }, made++)

/** Of a transaction of the chain without an application. */
export const idOf = (transaction: Transaction): Hash => transactionHash(transaction, plainChainId)

export interface BlockOptions {
  readonly transactions?: readonly Transaction[]
  readonly key?: KeyPair
  /** Milliseconds; by default a second after the parent. */
  readonly at?: number
  readonly header?: Partial<Header>
  /** Seal it although its work is not what the rules give. */
  readonly sealedAs?: number
}

/** A sealed and signed block on `parent`. */
export function blockOn(parent: Block, options: BlockOptions = {}): Block {
  const { transactions = [], key = testKey(9) } = options
  const at = options.at ?? Math.max(parseTimestamp(parent.timestamp)! + 1_000, 0)
  const header: Header = {
    version: 1,
    chain_id: parent.chain_id,
    consensus: 'pow',
    index: parent.index + 1,
    timestamp: formatTimestamp(at),
    prev_hash: parent.current_hash,
    miner_id: key.nodeId,
    public_key_pem: key.pem,
    work: 16 ** difficulty,
    tx_root: transactionsRoot(transactions.map((one) => transactionHash(one, parent.chain_id))),
    state_root: parent.state_root,
    extra: '',
    ...options.header,
  }
  const work = options.sealedAs ?? header.work
  for (let nonce = 0; ; nonce++) {
    const current_hash = headerHash(header, nonce)
    if (!meetsTarget(current_hash, work)) continue
    return { ...header, nonce, current_hash, signature: key.sign(purposes.block, current_hash), transactions }
  }
}

/** So many blocks on `parent`, told apart from another branch by `extra`. */
export function branchOn(parent: Block, length: number, extra = ''): Block[] {
  const branch: Block[] = []
  for (let i = 0; i < length; i++) branch.push(blockOn(branch.at(-1) ?? parent, { header: { extra } }))
  return branch
}
