import type { Ancestry, Consensus, Finality, StoredHeader } from '../plugin.ts'
import type { Clock } from '../runtime.ts'
import { medianTimePast } from './ancestry.ts'
import { transactionsRoot, type Header } from './block.ts'
import { canonicalJson, zeroHash } from './canonical.ts'
import type { Chain, Draft } from './chain.ts'
import type { KeyPair } from './keys.ts'
import { formatTimestamp } from './timestamp.ts'

/** Room in a block for what the engine and the signature add to the prepared draft. */
const sealBytesReserved = 16 * 1024
/** The same for each authority, which may all sign in its certificate: an address and a signature. */
const sealBytesPerAuthority = 256

export interface DraftingParts {
  readonly chain: Chain
  readonly consensus: Consensus
  readonly finality?: Finality | undefined
  readonly identity: KeyPair
  readonly clock: Pick<Clock, 'now'>
}

/** What becomes a block of this node's own once it is sealed. */
export interface DraftedBlock extends Pick<Draft, 'reads' | 'dropped'> {
  readonly header: Header
}

/** Puts a block of this node's own together. */
export class Drafting {
  readonly #parts: DraftingParts

  constructor(parts: DraftingParts) {
    this.#parts = parts
  }

  /** A block on top of this one, of what is pending. */
  block(tip: StoredHeader): DraftedBlock {
    const { chain, consensus } = this.#parts
    const ancestry = chain.ancestors.of(tip.header)
    const bare = this.#bare(ancestry)
    const { reads, stateRoot, dropped } = chain.draft(this.#roomAround(bare, ancestry), tip)
    const tx_root = transactionsRoot(reads.map(({ hash }) => hash))
    return { header: consensus.prepare({ ...bare, tx_root, state_root: stateRoot }, ancestry), reads, dropped }
  }

  /** The turn that a block on top of this one would take; undefined where the engine has none. */
  turnOn(tip: StoredHeader): readonly number[] | undefined {
    const { chain, consensus } = this.#parts
    if (consensus.turn === undefined) return undefined
    const ancestry = chain.ancestors.of(tip.header)
    return consensus.turn(consensus.prepare(this.#bare(ancestry), ancestry))
  }

  /** For transactions: canonical JSON, in bytes. */
  #roomAround(bare: Header, ancestry: Ancestry): number {
    const { chain, consensus } = this.#parts
    const header = Buffer.byteLength(canonicalJson(consensus.prepare(bare, ancestry)))
    const authorities = consensus.authorities?.(ancestry).length ?? 0
    const seal = sealBytesReserved + authorities * sealBytesPerAuthority
    return chain.genesis.rules.limits.blockBytesMax - header - seal
  }

  #bare(ancestry: Ancestry): Header {
    const { chain, consensus, finality, identity, clock } = this.#parts
    const { parent } = ancestry
    const certificate = finality?.certificate(ancestry)
    return {
      version: 1,
      chain_id: chain.genesis.rules.chainId,
      consensus: consensus.id,
      index: parent.index + 1,
      timestamp: formatTimestamp(Math.max(clock.now(), medianTimePast(ancestry) + 1)),
      prev_hash: parent.current_hash,
      miner_id: identity.nodeId,
      public_key_pem: identity.pem,
      work: 1,
      tx_root: zeroHash,
      state_root: zeroHash,
      extra: '',
      ...(certificate && { finality: certificate }),
    }
  }
}
