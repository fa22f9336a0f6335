import { headerHash, transactionsRoot, type Block, type Header } from './chain/block.ts'
import { canonicalJson, zeroHash } from './chain/canonical.ts'
import { medianTimePast } from './chain/ancestry.ts'
import type { Chain, Draft } from './chain/chain.ts'
import type { KeyPair } from './chain/keys.ts'
import { purposes } from './chain/keys.ts'
import { formatTimestamp } from './chain/timestamp.ts'
import { messageOf } from './errors.ts'
import type { Log } from './log.ts'
import type { Consensus } from './plugin.ts'
import type { Runtime, Timer } from './runtime.ts'

/** After a block of our own could not be recorded, or the engine failed: how long to wait before the next attempt. */
const retryMilliseconds = 1_000

/**
 * From idle a block is begun at once; under load so long after the last one. Blocks that hold one transaction each cost
 * more than the transactions do, and nobody notices the pause.
 */
const pauseMilliseconds = 20

/** Room in a block for what the engine and the signature add to the draft. */
const sealBytesReserved = 16 * 1024

export interface ProducerParts {
  readonly chain: Chain
  readonly consensus: Consensus
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
  #attempt: AbortController | undefined
  #timer: Timer | undefined
  /** When the head last moved, by the monotonic clock. */
  #headAt = Number.NEGATIVE_INFINITY
  #running = false
  #held = false
  #ended: Promise<void> = Promise.resolve()

  constructor(parts: ProducerParts) {
    this.#parts = parts
  }

  start(): void {
    this.#running = true
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

  /** A new head makes the block in work worthless; new transactions only matter while nothing is in work. */
  changed(what: 'head' | 'transactions'): void {
    if (what === 'head') {
      this.#headAt = this.#parts.runtime.clock.monotonic()
      this.#attempt?.abort()
    }
    this.#look()
  }

  #look(): void {
    if (!this.#running || this.#held || this.#attempt !== undefined) return
    this.#timer?.cancel()
    this.#timer = undefined
    const { chain, runtime } = this.#parts
    const due = chain.due()
    if (!('when' in due)) return
    const wait = Math.max(due.when - runtime.clock.now(), this.#headAt + pauseMilliseconds - runtime.clock.monotonic())
    if (wait > 0) this.#lookAfter(wait)
    else this.#ended = this.#produce()
  }

  #lookAfter(milliseconds: number): void {
    // Timers take 2^31 ms at the most; looking early does no harm.
    const bounded = Math.min(milliseconds, 2 ** 30)
    this.#timer = this.#parts.runtime.clock.after(bounded, () => {
      this.#timer = undefined
      this.#look()
    })
  }

  async #produce(): Promise<void> {
    const attempt = (this.#attempt = new AbortController())
    let wentWrong: string | undefined
    try {
      wentWrong = await this.#produceOne(attempt.signal)
    } catch (error) {
      wentWrong = `${this.#parts.consensus.id} failed: ${messageOf(error)}`
    }
    this.#attempt = undefined
    if (!this.#running) return
    if (wentWrong === undefined) {
      this.#look()
    } else {
      this.#parts.log.warn('a block of our own was not recorded', { why: wentWrong })
      this.#lookAfter(retryMilliseconds)
    }
  }

  /** Returns what went wrong, if anything. */
  async #produceOne(signal: AbortSignal): Promise<string | undefined> {
    const { chain, consensus, identity } = this.#parts
    const ancestry = chain.ancestors.of(chain.head().header)
    const { header: draft, reads, dropped } = this.#draft()
    // Whether there is still something to record is for the engine to say.
    if (dropped > 0) return undefined
    const header = consensus.prepare(draft, ancestry)
    const seal = await consensus.seal(header, signal, () => {
      throw new Error('not built yet')
    })
    if (seal === undefined || signal.aborted) return undefined
    const current_hash = headerHash(header, seal.nonce)
    const block: Block = {
      ...header,
      ...seal,
      current_hash,
      signature: identity.sign(purposes.block, current_hash),
      transactions: reads.map(({ transaction }) => transaction),
    }
    const verdict = await chain.submitBlock(block, 'local', reads)
    return verdict.ok || verdict.code === 'known' ? undefined : `${verdict.code}: ${verdict.detail}`
  }

  #draft(): Pick<Draft, 'reads' | 'dropped'> & { readonly header: Header } {
    const { chain, consensus, identity, runtime } = this.#parts
    const parent = chain.head().header
    const { rules } = chain.genesis
    const timestamp = Math.max(runtime.clock.now(), medianTimePast(chain.ancestors.of(parent)) + 1)
    const header: Header = {
      version: 1,
      chain_id: rules.chainId,
      consensus: consensus.id,
      index: parent.index + 1,
      timestamp: formatTimestamp(timestamp),
      prev_hash: parent.current_hash,
      miner_id: identity.nodeId,
      public_key_pem: identity.pem,
      work: 1,
      tx_root: zeroHash,
      state_root: zeroHash,
      extra: '',
    }
    const bytesMax = rules.limits.blockBytesMax - Buffer.byteLength(canonicalJson(header)) - sealBytesReserved
    const { reads, stateRoot, dropped } = chain.draft(bytesMax)
    const tx_root = transactionsRoot(reads.map(({ hash }) => hash))
    return { header: { ...header, tx_root, state_root: stateRoot }, reads, dropped }
  }
}
