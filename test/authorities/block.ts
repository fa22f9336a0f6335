import type { Header, SealedHeader } from '../../core/chain/block.ts'
import { sha256Hex, zeroHash, type Hash } from '../../core/chain/canonical.ts'
import type { Ancestry, Consensus } from '../../core/plugin.ts'

/** A block of a small world: a header whose hash was drawn and not computed, and what stands below it. */
export class Block {
  readonly header: SealedHeader
  readonly parent: Block | undefined
  readonly totalWork: bigint
  readonly ancestry: Ancestry

  constructor(header: SealedHeader, parent: Block | undefined, weight: bigint) {
    this.header = header
    this.parent = parent
    this.totalWork = (parent?.totalWork ?? 0n) + weight
    this.ancestry = { parent: header, at: (index) => this.at(index)?.header }
  }

  get index(): number {
    return this.header.index
  }

  get hash(): Hash {
    return this.header.current_hash
  }

  at(index: number): Block | undefined {
    return downFrom(this).find((block) => block.index === index)
  }

  isOn(tip: Block): boolean {
    return tip.at(this.index) === this
  }

  /** From the bottom up to this one. */
  line(): Block[] {
    return [...downFrom(this)].toReversed()
  }
}

function* downFrom(block: Block): Generator<Block> {
  for (let at: Block | undefined = block; at !== undefined; at = at.parent) yield at
}

const chainId = 'c'.repeat(64)

/** When block 0 was made: wall clocks of a small world count from there. */
export const genesisTime = Date.parse('2026-01-01T00:00:00.000Z')

/** Hashes that a seed decides, each another one. */
export function hashes(seed: number): () => Hash {
  let count = 0
  return () => sha256Hex(`${seed}/${count++}`)
}

export function genesisOf(): Block {
  const header: SealedHeader = {
    ...fields,
    index: 0,
    timestamp: new Date(genesisTime).toISOString(),
    prev_hash: zeroHash,
    current_hash: chainId,
    nonce: 0,
    signature: '',
    miner_id: '',
    public_key_pem: '',
    work: 0,
  }
  return new Block(header, undefined, 0n)
}

const fields = {
  version: 1 as const,
  chain_id: chainId,
  consensus: 'poa',
  tx_root: zeroHash,
  state_root: zeroHash,
  extra: '',
}

interface Making {
  readonly engine: Consensus
  readonly key: { readonly pem: string; readonly nodeId: string }
  readonly hash: Hash
  /** Milliseconds, wall clock. */
  readonly at: number
}

/** The block that an engine prepares on another one; throws where the engine itself does not like it. */
export function makeBlock(parent: Block, { engine, key, hash, at }: Making): Block {
  const draft: Header = {
    ...fields,
    index: parent.index + 1,
    timestamp: new Date(at).toISOString(),
    prev_hash: parent.hash,
    miner_id: key.nodeId,
    public_key_pem: key.pem,
    work: 1,
  }
  const header: SealedHeader = {
    ...engine.prepare(draft, parent.ancestry),
    current_hash: hash,
    nonce: 0,
    signature: '',
  }
  const verdict = engine.verify(header, parent.ancestry)
  if (!verdict.ok) throw new Error(`a block of its own is refused: ${verdict.code}: ${verdict.detail}`)
  return new Block(header, parent, engine.weight(header))
}
