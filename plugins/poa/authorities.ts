import { LRUCache } from 'lru-cache'
import {
  AurexError,
  publicKeyOfPem,
  type Address,
  type Ancestry,
  type Hash,
  type Header,
  type SealedHeader,
} from '../../core/index.ts'
import { readSeal } from './seal.ts'
import type { Succession } from './turns.ts'
import { afterBallot, type Electorate } from './votes.ts'

/** What the headers up to a block make of it: who may sign the next one, and what is voted. */
export interface Snapshot extends Succession, Electorate {}

/** A fold over headers is begun again where the last one ended; branches near the head have their own. */
const snapshotsMax = 2_048

interface Rules {
  /** Of the genesis, sorted. */
  readonly authorities: readonly Address[]
  /** Blocks. */
  readonly epoch: number
}

/**
 * The authorities of every branch: a pure fold over its headers. At a checkpoint, every `epoch` blocks, the header lists
 * them and all votes that were not decided expire, so that nobody ever has to look back further.
 */
export class Authorities {
  readonly #rules: Rules
  readonly #snapshots = new LRUCache<Hash, Snapshot>({ max: snapshotsMax })

  constructor({ authorities, epoch }: Rules) {
    this.#rules = { authorities: [...authorities].sort(), epoch }
  }

  isCheckpoint(index: number): boolean {
    return index % this.#rules.epoch === 0
  }

  /** After `ancestry.parent`, and with it. */
  after(ancestry: Ancestry): Snapshot {
    const above: SealedHeader[] = []
    let header = ancestry.parent
    let snapshot = this.#known(header, ancestry)
    while (snapshot === undefined) {
      above.push(header)
      header = below(ancestry, header.index - 1)
      snapshot = this.#known(header, ancestry)
    }
    for (const next of above.toReversed()) {
      snapshot = this.#next(snapshot, next)
      this.#snapshots.set(next.current_hash, snapshot)
    }
    return snapshot
  }

  #known(header: SealedHeader, ancestry: Ancestry): Snapshot | undefined {
    const { authorities } = this.#rules
    if (header.index === 0) return { index: 0, authorities, votes: [], recent: [] }
    const known = this.#snapshots.get(header.current_hash)
    if (known !== undefined || !this.isCheckpoint(header.index)) return known
    // The header says who they are, and what was voted before it has expired.
    const listed = sealOf(header).authorities ?? []
    const snapshot = {
      index: header.index,
      authorities: listed,
      votes: [],
      recent: signersUpTo(header, ancestry, listed),
    }
    this.#snapshots.set(header.current_hash, snapshot)
    return snapshot
  }

  /** With one block more, which is no checkpoint. Only of headers that were verified. */
  #next(before: Snapshot, header: SealedHeader): Snapshot {
    const signer = signerOf(header)
    const index = header.index
    // On the development chain whoever signs block 1 is its authority.
    const authorities = index === 1 && before.authorities.length === 0 ? [signer] : before.authorities
    const recent = [signer, ...before.recent.slice(0, recentMax(authorities) - 1)]
    const { vote } = sealOf(header)
    if (vote === undefined) return { index, authorities, votes: before.votes, recent }
    return { index, ...afterBallot({ authorities, votes: before.votes }, signer, vote), recent }
  }
}

/**
 * Blocks of which the signers are remembered: twice as many as there are authorities. Rules look at a quarter of that;
 * people want to know who has signed lately.
 */
const recentMax = (authorities: readonly Address[]): number => 2 * Math.max(1, authorities.length)

function signersUpTo(header: SealedHeader, ancestry: Ancestry, authorities: readonly Address[]): Address[] {
  const signers: Address[] = []
  for (let index = header.index; index > 0 && signers.length < recentMax(authorities); index--) {
    signers.push(signerOf(below(ancestry, index)))
  }
  return signers
}

function below(ancestry: Ancestry, index: number): SealedHeader {
  const header = ancestry.at(index)
  if (header !== undefined) return header
  const message = `the header of block ${index}, below block ${ancestry.parent.index}, is missing from the ledger; check it with aurex verify`
  throw new AurexError('ledger-damaged', message)
}

const signers = new LRUCache<string, Address>({ max: 1_000 })

/** The address of the key that a header bears. `''`: of none, which no header has that was read. */
export function signerOf({ public_key_pem: pem }: Header): Address {
  const known = signers.get(pem)
  if (known !== undefined) return known
  const key = publicKeyOfPem(pem)
  if (!key.ok) return ''
  signers.set(pem, key.value.address)
  return key.value.address
}

function sealOf(header: SealedHeader) {
  const seal = readSeal(header.seal)
  if (seal.ok) return seal.value
  const message = `block ${header.index} (${header.current_hash}) has no proper seal: ${seal.detail}; check the ledger with aurex verify`
  throw new AurexError('ledger-damaged', message)
}
