// Headers, keys and branches without a node around them, for tests of engines.
import { headerHash, transactionsRoot, type Header, type SealedHeader } from '../../core/chain/block.ts'
import { zeroHash } from '../../core/chain/canonical.ts'
import type { Genesis } from '../../core/chain/genesis.ts'
import { keyPairOfPem, privatePemOf, purposes, type KeyPair } from '../../core/chain/keys.ts'
import { formatTimestamp, parseTimestamp } from '../../core/chain/timestamp.ts'
import type { Ancestry, Consensus } from '../../core/plugin.ts'

/** A key that is the same in every run: its secret is one byte, 32 times. */
export const testKey = (byte: number): KeyPair => keyPairOfPem(privatePemOf(new Uint8Array(32).fill(byte)), 'test key')

/** What a rule may look back on from the last header of a branch that starts at the genesis. */
export function ancestryOf(branch: readonly SealedHeader[]): Ancestry {
  const parent = branch.at(-1)
  if (parent === undefined) throw new Error('ancestryOf: expected at least the genesis')
  return { parent, at: (index) => (index < 0 ? undefined : branch[index]) }
}

export function genesisHeader(genesis: Genesis): SealedHeader {
  const { transactions: _none, ...header } = genesis.block
  return header
}

/** An empty block after the last of `branch`, as core drafts it. `at`: milliseconds, by default a second later. */
export function draftAfter(branch: readonly SealedHeader[], key: KeyPair, at?: number): Header {
  const { parent } = ancestryOf(branch)
  return {
    version: 1,
    chain_id: parent.chain_id,
    consensus: parent.consensus,
    index: parent.index + 1,
    timestamp: formatTimestamp(at ?? timeOf(parent) + 1_000),
    prev_hash: parent.current_hash,
    miner_id: key.nodeId,
    public_key_pem: key.pem,
    work: 1,
    tx_root: transactionsRoot([]),
    state_root: zeroHash,
    extra: '',
  }
}

/** A header with the hash that follows from it, and signed: whether its engine likes it is another matter. */
export function signedHeader(header: Header, nonce: number, key: KeyPair, certificate?: SealedHeader['certificate']) {
  const current_hash = headerHash(header, nonce)
  const signature = key.sign(purposes.block, current_hash)
  const sealed: SealedHeader = { ...header, current_hash, nonce, signature }
  return certificate === undefined ? sealed : { ...sealed, certificate }
}

/**
 * The next block of a branch, drafted when the engine says that it is due, prepared and sealed by it.
 * Throws when the engine waits for something else than a transaction.
 */
export async function sealNext(
  engine: Consensus,
  branch: readonly SealedHeader[],
  key: KeyPair,
): Promise<SealedHeader> {
  const ancestry = ancestryOf(branch)
  const soonest = timeOf(ancestry.parent) + 1_000
  const due = engine.due(ancestry, 1, soonest, soonest)
  if (!('when' in due)) throw new Error(`${engine.id} does not produce with a transaction pending: ${due.waitsFor}`)
  const header = engine.prepare(draftAfter(branch, key, Math.max(soonest, due.when)), ancestry)
  const seal = await engine.seal(header, new AbortController().signal, noProposal)
  if (seal === undefined) throw new Error(`${engine.id} sealed nothing, and nobody aborted it`)
  return signedHeader(header, seal.nonce, key, seal.certificate)
}

/** For engines that propose nothing before they seal. */
export const noProposal = (): never => {
  throw new Error('nothing is proposed here')
}

/** A branch of the genesis and `length` sealed blocks. */
export async function sealBranch(engine: Consensus, genesis: Genesis, length: number, key: KeyPair) {
  const branch = [genesisHeader(genesis)]
  while (branch.length <= length) branch.push(await sealNext(engine, branch, key))
  return branch
}

export const timeOf = (header: Header): number => parseTimestamp(header.timestamp) ?? 0
