import { auditLedger, damageText } from '../../core/chain/audit.ts'
import type { Hash } from '../../core/chain/canonical.ts'
import { transactionHash } from '../../core/chain/transaction.ts'
import type { Genesis } from '../../core/chain/genesis.ts'
import type { Limits } from '../../core/limits.ts'
import type { Acknowledged } from './crowd.ts'
import type { HonestNode } from './honest.ts'
import { faultOf } from './oracle.ts'
import type { Replay, Replayed } from './replay.ts'

export type Invariant =
  | 'every stored block is valid'
  | 'honest heads are equal within 60 s of healing'
  | 'honest heads stay equal after healing'
  | 'no acknowledged transaction is lost'
  | 'no transaction is recorded twice'
  | 'equal heads have equal states'
  | 'what is pending holds'
  | 'what is dropped does not hold'
  | 'the outbox tells what was recorded'
  | 'light peers learn their chain and take part'
  | 'total work of a head never falls'
  | 'queues stay within their limits'
  | 'no honest peer is banned'
  | 'no node fails or logs an error'
  | 'no two final blocks conflict'
  | 'what is final stays final'
  | 'no reorganisation goes below a final block'
  | 'the chain is the one that is justified'
  | 'no honest key contradicts itself'
  | 'evidence is against liars only'
  | 'everybody has the evidence'
  | 'what is pending is recorded after healing'
  | 'finality reaches the head after healing'
  | 'who waits says for whom'
  | 'the same seed tells the same story'

/** An invariant that does not hold. */
export class Broken extends Error {
  override readonly name = 'Broken'
  readonly invariant: Invariant
  /** Address of the node; undefined where it is the world's affair. */
  readonly node: string | undefined
  constructor(invariant: Invariant, node: string | undefined, detail: string) {
    super(detail)
    this.invariant = invariant
    this.node = node
  }
}

// ---- at any moment ----

/** Throws `Broken`. */
export function checkNode(node: HonestNode, limits: Limits): void {
  if (node.inside === undefined) return
  // What is justified is preferred to what is heavier.
  if (node.inside.finality === undefined) checkWork(node)
  const { chain, storage } = node.inside
  const queues: readonly (readonly [string, number, number])[] = [
    ['mempool transactions', chain.mempool.size, limits.mempool_transactions_max],
    ['mempool bytes', chain.mempool.bytes, limits.mempool_bytes_max],
    ['orphans', chain.orphanCount(), limits.orphan_blocks_max],
    ['side blocks', storage.counts().sideBlocks, limits.side_blocks_max],
    // Beside itself.
    ['rows of the table nodes', storage.nodes().length, limits.known_addresses_max + 1],
    // Those that it looks for and those that its operator named come beside the others.
    ['peers', node.running?.network.peers.size ?? 0, limits.peers_max + limits.outbound_peers + 1 + node.named],
  ]
  for (const [what, size, limit] of queues) {
    if (size > limit) throw new Broken('queues stay within their limits', node.address, `${what}: ${size} of ${limit}`)
  }
}

/** Added up from the headers and not taken from the ledger, which a fault may have spoilt. */
function checkWork(node: HonestNode): void {
  const { storage } = node.inside!
  const head = storage.head().header
  const work = node.workOf(head)
  if (work < node.workSeen) {
    const what = `block ${head.index} with total work ${work}, after ${node.workSeen} was seen`
    throw new Broken('total work of a head never falls', node.address, what)
  }
  node.workSeen = work
}

/** Messages that one honest node may send another, a second: protocol section 10, twice over for answers. */
const messagesPerSecondMax = 200

/** `traffic`: lines from host to host in so many seconds. Throws `Broken`. */
export function checkTraffic(traffic: ReadonlyMap<string, number>, seconds: number, honest: ReadonlySet<string>): void {
  for (const [way, lines] of traffic) {
    const [from, to] = way.split('>')
    if (!honest.has(from!) || !honest.has(to!) || lines <= messagesPerSecondMax * seconds) continue
    throw new Broken('queues stay within their limits', from, `${lines} messages to ${to} within ${seconds} s`)
  }
}

/**
 * Whoever promised to keep a transaction has it, recorded or pending; or dropped it, which was right at that time, and
 * can say why. What it dropped before a crash it need not know. Throws `Broken`.
 */
export function checkPromises(node: HonestNode, promises: Iterable<Acknowledged>): void {
  const { storage, chain } = node.inside!
  for (const { hash, at } of promises) {
    if (storage.locate(hash) !== undefined || chain.mempool.get(hash) !== undefined) {
      node.dropped.delete(hash)
      continue
    }
    const dropped = node.dropped.get(hash)
    const status = chain.status(hash)
    if (dropped !== undefined && (dropped < node.starts || 'refusal' in status)) continue
    const why = dropped === undefined ? '' : ', and the node that dropped it cannot say why'
    const what = `${hash}, acknowledged at ${(at / 1_000).toFixed(3)} s, is neither recorded nor pending${why}`
    throw new Broken('no acknowledged transaction is lost', node.address, what)
  }
}

/** What the outbox tells, and that it tells it all. `again`: from its beginning. Throws `Broken`. */
export function checkOutbox(node: HonestNode, again: boolean): void {
  const { storage } = node.inside!
  const fault = again ? node.outbox.reread(storage) : node.outbox.read(storage)
  if (fault !== undefined) throw new Broken('the outbox tells what was recorded', node.address, fault)
}

// ---- in a world with an application ----

/** The state at the head, and what is pending on it. Throws `Broken`. */
export function checkState(node: HonestNode, replay: Replay): void {
  const head = node.inside!.storage.head().header
  checkStateAt(node, replay, head.index)
  checkPending(node, replay)
}

/** Of every height. Throws `Broken`. */
export function checkHistory(node: HonestNode, replay: Replay): void {
  for (let height = 0; height <= node.height; height++) checkStateAt(node, replay, height)
}

/** The same head, the same state: each node is compared with what the blocks below its head lead to. */
function checkStateAt(node: HonestNode, replay: Replay, height: number): void {
  const { storage } = node.inside!
  const { state } = replayed(node, replay, storage.headerAt(height)!.header.current_hash)
  for (const key of replay.keys) {
    const [expected, got] = [state.get(key), storage.stateAt(key, height)]
    if (got === expected) continue
    const what = `${key} at height ${height}: expected ${expected}, got ${got}`
    throw new Broken('equal heads have equal states', node.address, what)
  }
}

function replayed(node: HonestNode, replay: Replay, hash: Hash): Replayed {
  const after = replay.upTo(node.inside!.storage, hash)
  if (typeof after !== 'string') return after
  throw new Broken('every stored block is valid', node.address, after)
}

/** All of it can be recorded, in its order. Throws `Broken`. */
export function checkPending(node: HonestNode, replay: Replay): void {
  const [refused] = replay.refusedOf(pendingOf(node), replayed(node, replay, node.head!))
  if (refused === undefined) return
  throw new Broken('what is pending holds', node.address, `${JSON.stringify(refused.transaction)}: ${refused.why}`)
}

/** What a node is about to drop could not be recorded after all else that is pending. Throws `Broken`. */
export function checkDrop(node: HonestNode, replay: Replay | undefined, hashes: readonly Hash[]): void {
  const { storage } = node.inside!
  const leaving = [...storage.pending()].filter(({ hash }) => hashes.includes(hash))
  for (const { hash, transaction } of leaving) {
    const after = replay && replayed(node, replay, node.head!)
    const refused = after && replay.refusedOf([...pendingOf(node), transaction], after)
    if (refused?.some((one) => one.transaction === transaction) === true) continue
    throw new Broken('what is dropped does not hold', node.address, `${hash} ${JSON.stringify(transaction)}`)
  }
}

const pendingOf = (node: HonestNode) => [...node.inside!.chain.mempool.entries()].map(({ read }) => read.transaction)

// ---- at the end ----

/** What is in a node's ledger. `seen`: blocks that were found valid already, by their text. Throws `Broken`. */
export function checkLedger(node: HonestNode, genesis: Genesis, seen: Set<string>): void {
  const { storage, consensus, finality, application } = node.inside!
  // Signatures are the oracle's.
  const audit = auditLedger({ storage, genesis, consensus, finality, application, signatures: false })
  let step = audit.next()
  while (step.done !== true) step = audit.next()
  if (step.value !== undefined) {
    throw new Broken('every stored block is valid', node.address, damageText(step.value))
  }
  for (const hash of node.accepted) checkBlock(node, hash, genesis, seen)
  const recorded = new Set<Hash>()
  for (let index = 1; index <= storage.head().header.index; index++) {
    const hash = storage.headerAt(index)!.header.current_hash
    checkBlock(node, hash, genesis, seen)
    for (const transaction of storage.block(hash)!.transactions) {
      // From the content, not from what the ledger says of it.
      const id = transactionHash(transaction, genesis.rules.chainId)
      if (recorded.has(id)) {
        throw new Broken('no transaction is recorded twice', node.address, `${id}, again in block ${index}`)
      }
      recorded.add(id)
    }
  }
}

function checkBlock(node: HonestNode, hash: Hash, genesis: Genesis, seen: Set<string>): void {
  const block = node.inside!.storage.block(hash)
  // Side blocks are pruned.
  if (block === undefined) return
  const text = JSON.stringify(block)
  if (seen.has(text)) return
  const fault = faultOf(block, genesis.consensus === 'pow')
  if (fault !== undefined) {
    throw new Broken('every stored block is valid', node.address, `block ${block.index}, ${hash}: ${fault}`)
  }
  seen.add(text)
}
