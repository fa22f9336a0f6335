import { Ancestors } from './chain/ancestry.ts'
import type { SealedHeader } from './chain/block.ts'
import type { SignedBlock } from './chain/chain.ts'
import type { Genesis } from './chain/genesis.ts'
import type { Address } from './chain/keys.ts'
import type { Contributed } from './contributions.ts'
import { BlockWatch, blockEvidence } from './evidence/blockwatch.ts'
import type { EvidenceBook } from './evidence/book.ts'
import type { Consensus, Storage } from './plugin.ts'
import type { Signing } from './signing/signing.ts'

/**
 * An engine may have to go through all headers from its last checkpoint on to say who was an authority at a block. Anybody
 * may ask that with two headers by a key of his own, so it is only asked of blocks that it has looked at lately.
 */
const lookBackBlocksMax = 1_000

export interface SignedBlocksParts {
  readonly genesis: Genesis
  readonly consensus: Consensus
  readonly storage: Storage
  readonly signing: Signing
  readonly evidence: EvidenceBook
  readonly contributed: Contributed
  readonly defer: (release: () => void) => void
}

/**
 * What is made of the signatures of blocks where an engine has turns: evidence against whoever signs two for one turn,
 * and a stop where this node's own key signs elsewhere. Returns who is told of each.
 */
export function watchSigned(parts: SignedBlocksParts): (block: SignedBlock) => void {
  const { genesis, consensus, storage, signing, evidence, contributed, defer } = parts
  const ancestors = new Ancestors(storage)
  const authoritiesOn = (header: SealedHeader): readonly Address[] =>
    consensus.authorities?.(ancestors.of(header)) ?? []
  const authoritiesNow = () => authoritiesOn(storage.head().header)
  const wasAuthority = (address: Address, { prev_hash }: SealedHeader): boolean => {
    if (authoritiesNow().includes(address)) return true
    const parent = ancestors.header(prev_hash)
    const isNear = parent !== undefined && parent.index >= storage.head().header.index - lookBackBlocksMax
    return isNear && authoritiesOn(parent).includes(address)
  }
  defer(contributed.add('evidence', blockEvidence({ consensus, rules: genesis.rules, wasAuthority })))
  const tips = storage.sideTips().map(({ header }) => header.index)
  const watch = new BlockWatch({
    consensus,
    book: evidence,
    authoritiesNow,
    headersAt: (height) => headersAt(storage, ancestors, height),
    ledgerHeight: Math.max(storage.head().header.index, ...tips),
  })
  const own = signing.signerOf('chain').address
  return ({ header, signer, own: isOwn }) => {
    watch.saw(header, signer)
    if (!isOwn && signer === own) signing.metBlock(consensus.turn!(header), header.current_hash)
  }
}

/** Recorded or beside. */
function headersAt(storage: Storage, ancestors: Ancestors, height: number): SealedHeader[] {
  const recorded = storage.headerAt(height)?.header
  const beside = storage.sideTips().flatMap(({ header }) => ancestors.of(header).at(height) ?? [])
  const all = recorded === undefined ? beside : [recorded, ...beside]
  return [...new Map(all.map((header) => [header.current_hash, header])).values()]
}
