import * as v from 'valibot'
import { readSealedHeader } from '../../chain/block.ts'
import type { Hash } from '../../chain/canonical.ts'
import type { JsonObject } from '../../chain/json.ts'
import type { ReadTransaction, Transaction } from '../../chain/transaction.ts'
import { accepted, decline, found, refuse, type Result, type Verdict } from '../../errors.ts'
import type { Catchup, ModuleParts, NetworkChain } from '../module.ts'
import type { Peer } from '../peer.ts'
import { askBlock } from '../sync/questions.ts'
import { hasBlock, type Arrivals } from './arrivals.ts'
import { blockTransactions, shortIdDigits, type RelayFields } from './messages.ts'
import type { Recent } from './recent.ts'
import { shortIdsIn } from './shortids.ts'

/** Blocks of one peer that are being put together, or wait for that. */
const makingsPerPeerMax = 4
/** Who was asked for the missing transactions has so long; then the whole block is fetched. */
const missingMilliseconds = 2_000
/** Peers that are asked for the whole block, one after the other. */
const wholeSourcesMax = 3

export interface CompactBlocksParts extends Pick<ModuleParts, 'peers' | 'limits' | 'log'> {
  readonly chain: NetworkChain
  readonly catchup: Pick<Catchup, 'active'>
  readonly recent: Recent
  readonly arrivals: Arrivals
  /** Resolves when the transactions whose signatures are being checked now are pending, or refused. */
  readonly submitted: () => Promise<void>
}

interface Making {
  readonly peer: Peer
  readonly header: RelayFields<'compact_block'>['data']
  readonly shortIds: string
}

/** Puts blocks together from their headers and the transactions that are here. */
export class CompactBlocks {
  readonly #parts: CompactBlocksParts
  /** How many of each peer are in the making, or wait. */
  readonly #perPeer = new Map<Peer, number>()
  /** Those in the making whose headers were found good. */
  readonly #makings = new Set<Hash>()

  constructor(parts: CompactBlocksParts) {
    this.#parts = parts
  }

  /**
   * Takes a compact block in its turn. Nobody waits for what becomes of it: the peer's other questions are answered
   * meanwhile. Refuses `too-large`.
   */
  take({ data: header, short_ids: shortIds }: RelayFields<'compact_block'>, peer: Peer): Verdict {
    const { chain, arrivals } = this.#parts
    const { blockTransactionsMax } = chain.genesis.rules.limits
    if (shortIds.length > blockTransactionsMax * shortIdDigits) {
      return refuse('too-large', `short_ids: expected those of at most ${blockTransactionsMax} transactions`)
    }
    hasBlock(peer, header)
    const here = chain.header(header.current_hash)
    const count = this.#perPeer.get(peer) ?? 0
    if (here !== undefined || count >= makingsPerPeerMax) {
      arrivals.heard(peer, here?.header.index ?? header['index'])
      return accepted
    }
    this.#perPeer.set(peer, count + 1)
    void this.#makeInTurn({ peer, header, shortIds })
    return accepted
  }

  async #makeInTurn(making: Making): Promise<void> {
    const { arrivals, log } = this.#parts
    const { peer } = making
    try {
      const verdict = await arrivals.inTurn(peer.connection, () => this.#make(making))
      if (!verdict.ok && verdict.provable) peer.drop(verdict)
    } catch (error) {
      log.error('a block could not be put together: a fault of this node', { error })
    } finally {
      this.#done(peer)
    }
  }

  #done(peer: Peer): void {
    const left = (this.#perPeer.get(peer) ?? 1) - 1
    if (left === 0) this.#perPeer.delete(peer)
    else this.#perPeer.set(peer, left)
  }

  /** A refusal that is provable is the fault of who sent the header. */
  async #make(making: Making): Promise<Verdict> {
    const { chain, arrivals } = this.#parts
    const { current_hash: hash, prev_hash: parent } = making.header
    await arrivals.settled(parent)
    if (chain.header(hash) !== undefined) return accepted
    const ids = shortIdsIn(making.shortIds)
    const pending = ids.map((id) => chain.pendingByPrefix(id))
    if (chain.header(parent) === undefined || !isComplete(pending)) return this.#makeOfParts(making, ids)
    // The usual case: what is to be checked is checked with the whole.
    const verdict = await this.#submit(making, transactionsOf(pending), pending)
    return isGuessWrong(verdict) ? this.#makeOfParts(making, ids) : verdict
  }

  /** Where nothing is to be asked for before the header was found good. */
  async #makeOfParts(making: Making, ids: readonly string[]): Promise<Verdict> {
    const { chain, arrivals } = this.#parts
    const { header, peer } = making
    const { current_hash: hash } = header
    const trail = chain.trail(header.prev_hash)
    const checked = await (trail?.extend([header]) ?? readSealedHeader(header, chain.genesis.rules))
    if (!checked.ok) return checked
    arrivals.heard(peer, header['index'])
    // Who fetches the blocks below it will come to it.
    if (trail === undefined && this.#parts.catchup.active) return accepted
    // Only now: a header that is not what it says it is must not keep another peer's good one out. Who sends what is in
    // the making already is asked for it if that fails.
    if (this.#makings.has(hash)) return accepted
    this.#makings.add(hash)
    try {
      // Where the parent is missing, the block waits for it as any other does, and then it must be whole.
      return await (trail === undefined ? this.#fetchWhole(making, [peer]) : this.#putTogether(making, ids))
    } finally {
      this.#makings.delete(hash)
    }
  }

  async #putTogether(making: Making, ids: readonly string[]): Promise<Verdict> {
    const { peer } = making
    const body = await this.#body(making, ids)
    if (!body.ok) return this.#fetchWhole(making, body.code === 'no-answer' ? [] : [peer])
    const verdict = await this.#submit(making, body.value)
    return isGuessWrong(verdict) ? this.#fetchWhole(making, [peer]) : verdict
  }

  #submit(
    { header, peer }: Making,
    transactions: readonly (Transaction | JsonObject)[],
    reads?: readonly ReadTransaction[],
  ): Promise<Verdict> {
    return this.#parts.arrivals.submit({ ...header, transactions } as unknown as JsonObject, peer, reads)
  }

  /** The transactions of a block, in their order. Declines when those that are missing did not come. */
  async #body(
    { peer, header }: Making,
    ids: readonly string[],
  ): Promise<Result<readonly (Transaction | JsonObject)[]>> {
    // Some of them may have come just before the block.
    await this.#parts.submitted()
    const body = ids.map((id) => this.#find(id))
    const positions = [...body.keys()].filter((i) => body[i] === undefined)
    const missing = await askMissing(peer, header.current_hash, positions)
    if (!missing.ok) return missing
    const came = missing.value.values()
    return found(body.map((transaction) => transaction ?? came.next().value!))
  }

  #find(shortId: string): Transaction | undefined {
    const { chain, recent } = this.#parts
    const pending = chain.pendingByPrefix(shortId)
    if (pending !== undefined) return pending.transaction
    const recorded = recent.byShortId(shortId)
    return recorded === undefined ? undefined : chain.transaction(recorded)?.transaction
  }

  /** From the peers in `first`, then from others that have it. A refusal of what came is the fault of who sent it. */
  async #fetchWhole({ peer: maker, header }: Making, first: readonly Peer[]): Promise<Verdict> {
    const { peers, limits, chain, arrivals } = this.#parts
    const { current_hash: hash } = header
    const others = peers.full().filter((peer) => peer !== maker && peer.has(hash))
    for (const peer of [...new Set([...first, ...others, maker])].slice(0, wholeSourcesMax)) {
      if (peers.get(peer.nodeId) !== peer) continue
      const answer = await askBlock(peer, hash, limits.request_milliseconds_max)
      if (chain.header(hash) !== undefined) return accepted
      const block = answer.ok ? answer.value[0] : undefined
      if (block?.current_hash !== hash) continue
      const verdict = await arrivals.submit(block, peer)
      if (verdict.ok || !verdict.provable) return verdict
      peer.drop(verdict)
    }
    return decline('block-missing', 'nobody who has the block sent it')
  }
}

const isComplete = (reads: readonly (ReadTransaction | undefined)[]): reads is readonly ReadTransaction[] =>
  !reads.includes(undefined)

const transactionsOf = (reads: readonly ReadTransaction[]) => reads.map(({ transaction }) => transaction)

/** Of a header that was found good, only the body can be wrong; and whose transaction begins alike, nobody knows. */
const isGuessWrong = (verdict: Verdict): boolean => !verdict.ok && verdict.provable

async function askMissing(peer: Peer, hash: Hash, positions: number[]): Promise<Result<readonly JsonObject[]>> {
  if (positions.length === 0) return found([])
  const question = { type: 'block_transactions_request', hash, positions }
  const answer = await peer.ask(question, 'block_transactions', missingMilliseconds)
  if (!answer.ok) return answer
  const shaped = v.safeParse(blockTransactions, answer.value, { abortEarly: true })
  if (shaped.success && shaped.output.transactions.length === positions.length) {
    return found(shaped.output.transactions)
  }
  return decline('bad-answer', `block_transactions: expected ${positions.length} transactions`)
}
