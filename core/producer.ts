import { headerHash, type Block, type Header } from './chain/block.ts'
import type { Chain } from './chain/chain.ts'
import { Drafting } from './chain/drafting.ts'
import type { KeyPair } from './chain/keys.ts'
import { purposes } from './chain/keys.ts'
import { stalledMilliseconds, type Site } from './chain/site.ts'
import { Sites, type BuildingSite } from './chain/sites.ts'
import type { ReadTransaction } from './chain/transaction.ts'
import { AurexError, found, messageOf, type Result } from './errors.ts'
import type { Log } from './log.ts'
import type { Consensus, Due, Finality, OwnedChanges, Seal, StoredHeader } from './plugin.ts'
import type { Runtime, Timer } from './runtime.ts'
import type { Signing } from './signing/signing.ts'

/** After a block of our own could not be recorded, or the engine failed: how long to wait before the next attempt. */
const retryMilliseconds = 1_000

/**
 * From idle a block is begun at once; under load so long after the last one. Blocks that hold one transaction each cost
 * more than the transactions do, and nobody notices the pause.
 */
const pauseMilliseconds = 20

export interface ProducerParts {
  readonly chain: Chain
  readonly consensus: Consensus
  /** The one that the genesis asks for. */
  readonly finality?: Finality | undefined
  /** Needed where the engine has turns. */
  readonly signing?: Signing | undefined
  readonly identity: KeyPair
  readonly runtime: Runtime
  readonly log: Log
}

/**
 * Makes this node's blocks: asks the engine when it may, drafts a block of the oldest pending transactions, has it
 * sealed, signs it and hands it to the chain through the same door as everybody else's.
 */
export class Producer {
  readonly #parts: ProducerParts
  readonly #drafting: Drafting
  readonly #sites: Sites
  #attempt: AbortController | undefined
  #timer: Timer | undefined
  /** When the head last moved, or a block was built beside it; by the monotonic clock. */
  #builtAt = Number.NEGATIVE_INFINITY
  /** Since when the head stands where it does; monotonic, and by the wall clock. */
  #standsSince = 0
  #standsSinceTime = 0
  /** When this node last said its block again; monotonic. */
  #saidAt = Number.NEGATIVE_INFINITY
  /** After a failure: not before this, monotonic. */
  #restsUntil = Number.NEGATIVE_INFINITY
  #running = false
  #held = false
  #ended: Promise<void> = Promise.resolve()

  constructor(parts: ProducerParts) {
    this.#parts = parts
    this.#drafting = new Drafting({ ...parts, clock: parts.runtime.clock })
    this.#sites = new Sites({ ...parts, drafting: this.#drafting })
    if (parts.consensus.turn !== undefined && parts.signing === undefined) {
      throw new Error('an engine with turns needs the record of what is signed')
    }
  }

  start(): void {
    this.#running = true
    this.#headStands()
    this.#look()
  }

  /** Resolves when nothing of it runs any more. */
  async stop(): Promise<void> {
    this.#running = false
    this.#timer?.cancel()
    this.#attempt?.abort()
    await this.#ended
  }

  /**
   * Held, it makes nothing: while this node fetches a chain that is far ahead, whatever it made would be a branch of its
   * own.
   */
  hold(held: boolean): void {
    this.#held = held
    if (held) this.#attempt?.abort()
    this.#look()
  }

  /**
   * A new head makes the block in work worthless; new transactions, and what an engine or a finality has heard, only
   * matter while nothing is in work.
   */
  changed(what: 'head' | 'transactions' | 'due'): void {
    if (what === 'head') {
      this.#builtAt = this.#parts.runtime.clock.monotonic()
      this.#headStands()
      this.#restsUntil = Number.NEGATIVE_INFINITY
      this.#attempt?.abort()
    }
    this.#look()
  }

  /** When this node makes its next block, or what it waits for, with since when; undefined while one is in work. */
  why(): Due | undefined {
    if (!this.#running || this.#attempt !== undefined) return undefined
    if (this.#held) return { waitsFor: 'the blocks that its peers are ahead: until then it makes none of its own' }
    const site = this.#choose()
    return 'when' in site ? { when: site.when } : { since: this.#standsSinceTime, ...site }
  }

  #headStands(): void {
    const { clock } = this.#parts.runtime
    this.#standsSince = clock.monotonic()
    this.#standsSinceTime = clock.now()
  }

  #look(): void {
    if (!this.#running || this.#held || this.#attempt !== undefined) return
    this.#timer?.cancel()
    this.#timer = undefined
    const rest = this.#restsUntil - this.#parts.runtime.clock.monotonic()
    if (rest > 0) return this.#lookAfter(rest)
    try {
      const stall = this.#untilStalled()
      if (stall === 0) this.#sayAgain()
      const site = this.#choose(stall)
      const wait = this.#untilDue(site)
      if ('on' in site && wait <= 0) this.#ended = this.#produce(site.on.tip)
      // Stalled already: it is said again after as long once more.
      else this.#lookAfter(Math.min(wait, stall === 0 ? stalledMilliseconds : stall))
    } catch (error) {
      this.#failed(`${this.#parts.consensus.id} failed: ${messageOf(error)}`)
    }
  }

  #choose(stall = this.#untilStalled()): Site<BuildingSite> {
    return this.#sites.choose(stall === 0)
  }

  #untilDue(site: Site<BuildingSite>): number {
    if (!('when' in site)) return Number.POSITIVE_INFINITY
    const { clock } = this.#parts.runtime
    return Math.max(site.when - clock.now(), this.#builtAt + pauseMilliseconds - clock.monotonic())
  }

  /** Milliseconds; 0: the head is stalled. Only a head on which not everybody may build can be. */
  #untilStalled(): number {
    const { chain, consensus, runtime } = this.#parts
    if (consensus.turn === undefined) return Number.POSITIVE_INFINITY
    const { pending, since } = chain.demand()
    const stood = runtime.clock.monotonic() - this.#standsSince
    // Nothing is pending, but an engine may want a block all the same, which the higher branch alone can take.
    if (pending === 0)
      return this.#sites.isOvertaken() ? Math.max(0, stalledMilliseconds - stood) : Number.POSITIVE_INFINITY
    const waited = since === undefined ? stood : runtime.clock.now() - since
    return Math.max(0, stalledMilliseconds - Math.min(stood, waited))
  }

  /** Others may lack it, and it is what this node cannot take back. */
  #sayAgain(): void {
    const now = this.#parts.runtime.clock.monotonic()
    if (now - this.#saidAt < stalledMilliseconds || this.#parts.chain.demand().pending === 0) return
    this.#saidAt = now
    const hash = this.#sites.signedLast()
    if (hash !== undefined) this.#parts.chain.sayAgain(hash)
  }

  #lookAfter(milliseconds: number): void {
    if (milliseconds === Number.POSITIVE_INFINITY) return
    // Timers take 2^31 ms at the most; looking early does no harm.
    const bounded = Math.min(milliseconds, 2 ** 30)
    this.#timer = this.#parts.runtime.clock.after(bounded, () => {
      this.#timer = undefined
      this.#look()
    })
  }

  #failed(why: string): void {
    this.#parts.log.warn('a block of our own was not recorded', { why })
    this.#restsUntil = this.#parts.runtime.clock.monotonic() + retryMilliseconds
    this.#lookAfter(retryMilliseconds)
  }

  async #produce(tip: StoredHeader): Promise<void> {
    const attempt = (this.#attempt = new AbortController())
    let wentWrong: string | undefined
    try {
      wentWrong = await this.#produceOne(tip, attempt.signal)
    } catch (error) {
      wentWrong = `${this.#parts.consensus.id} failed: ${messageOf(error)}`
    }
    this.#attempt = undefined
    if (!this.#running) return
    if (wentWrong === undefined) this.#look()
    else this.#failed(wentWrong)
  }

  /** Returns what went wrong, if anything. */
  async #produceOne(tip: StoredHeader, signal: AbortSignal): Promise<string | undefined> {
    const { chain, consensus } = this.#parts
    const { header, reads, dropped } = this.#drafting.block(tip)
    // Whether there is still something to record is for the engine to say.
    if (dropped > 0) return undefined
    const seal = await consensus.seal(header, signal, () => this.#proposal(header, reads))
    if (seal === undefined || signal.aborted) return undefined
    const records = this.#reserve(header, seal)
    // Its place was taken in the meantime: the record is asked again before the next one.
    if (!records.ok) return undefined
    const block = this.#signed(header, seal, reads)
    const verdict = await chain.submitBlock(block, 'local', reads, records.value)
    if (!tip.recorded) this.#builtAt = this.#parts.runtime.clock.monotonic()
    return verdict.ok || verdict.code === 'known' ? undefined : `${verdict.code}: ${verdict.detail}`
  }

  /** What must be written with the block before anybody gets to see its signature. */
  #reserve(header: Header, { nonce }: Seal): Result<readonly OwnedChanges[]> {
    const { consensus, signing } = this.#parts
    const turn = consensus.turn?.(header)
    return turn === undefined ? found([]) : signing!.reserveBlock(turn, headerHash(header, nonce))
  }

  /** Anybody gets to see it, so an engine whose blocks are recorded before that has no use for it. */
  #proposal(header: Header, reads: readonly ReadTransaction[]): Block {
    const { consensus } = this.#parts
    if (consensus.turn === undefined) return this.#signed(header, { nonce: 0 }, reads)
    throw new AurexError(
      'proposal-unrecorded',
      `${consensus.id} has turns, so its blocks cannot be shown before they are recorded`,
    )
  }

  #signed(header: Header, seal: Seal, reads: readonly ReadTransaction[]): Block {
    const current_hash = headerHash(header, seal.nonce)
    return {
      ...header,
      ...seal,
      current_hash,
      signature: this.#parts.identity.sign(purposes.block, current_hash),
      transactions: reads.map(({ transaction }) => transaction),
    }
  }
}
