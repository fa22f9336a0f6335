// A chain of authorities without a node around it: real headers, keys and engines.
import type { SealedHeader } from '../../../core/chain/block.ts'
import { developmentGenesis } from '../../../core/chain/genesis.ts'
import type { KeyPair } from '../../../core/chain/keys.ts'
import type { Ancestry, Consensus } from '../../../core/plugin.ts'
import { Authorities } from '../../../plugins/poa/authorities.ts'
import { poaEngine } from '../../../plugins/poa/engine.ts'
import type { Ballot } from '../../../plugins/poa/seal.ts'
import type { PoaConfig } from '../../../plugins/poa/schema.ts'
import { makeKey } from '../../support/blocks.ts'
import { ancestryOf, draftAfter, genesisHeader, signedHeader, timeOf } from '../../support/headers.ts'

/** In the order of their addresses, which is that of turns. */
export const keys: readonly KeyPair[] = Array.from({ length: 12 }, (_, at) => makeKey(at + 1)).sort((a, b) =>
  a.address < b.address ? -1 : 1,
)
/** `A` is the first in the order of turns. */
export const keyOf = (letter: string): KeyPair => keys[letter.charCodeAt(0) - 'A'.charCodeAt(0)]!
export const addressOf = (letter: string): string => keyOf(letter).address
export const letterOf = (address: string): string =>
  String.fromCharCode('A'.charCodeAt(0) + keys.findIndex((key) => key.address === address))

export const each = (letters: string): string[] => letters.split('')

export interface RingOptions {
  readonly epoch?: number
  readonly blockTime?: number
  readonly config?: Partial<PoaConfig>
  readonly seen?: () => ReadonlySet<string>
}

/** A branch of a chain whose authorities are these letters, and their engines. */
export class Ring {
  readonly branch: SealedHeader[]
  readonly authorities: Authorities
  readonly #options: RingOptions
  /** What the next block votes. */
  ballot: Ballot | undefined

  constructor(letters: string, options: RingOptions = {}) {
    this.#options = options
    this.authorities = ring(letters, options)
    this.branch = [genesisHeader(developmentGenesis('poa', {}))]
  }

  get ancestry(): Ancestry {
    return ancestryOf(this.branch)
  }

  get head(): SealedHeader {
    return this.branch.at(-1)!
  }

  /** Of the node that has this key. */
  engine(letter: string, authorities: Authorities = this.authorities): Consensus {
    const { blockTime = 1, config, seen } = this.#options
    return poaEngine({
      address: addressOf(letter),
      blockTime,
      config: { produce: true, heartbeat: 0, patience: 500, ...config },
      authorities,
      nextBallot: () => (this.ballot === undefined ? undefined : { ballot: this.ballot, since: 0 }),
      ...(seen && { seen }),
    })
  }

  /** The next block by this key, as its engine prepares it. `after`: milliseconds after the last. */
  block(letter: string, ballot?: Ballot, after = 1_000): SealedHeader {
    this.ballot = ballot
    const header = this.engine(letter).prepare(
      draftAfter(this.branch, keyOf(letter), timeOf(this.head) + after),
      this.ancestry,
    )
    this.ballot = undefined
    return signedHeader(header, 0, keyOf(letter))
  }

  verify(header: SealedHeader) {
    return this.engine('L').verify(header, this.ancestry)
  }

  /** Blocks by these keys, one after the other. Throws where one is refused. */
  grow(letters: string): this {
    for (const letter of letters) this.add(this.block(letter))
    return this
  }

  add(header: SealedHeader): void {
    const verdict = this.verify(header)
    if (!verdict.ok) throw new Error(`block ${header.index}: ${verdict.code}: ${verdict.detail}`)
    this.branch.push(header)
  }

  /** Who may sign after the head, in letters. */
  names(authorities: Authorities = this.authorities): string[] {
    return authorities.after(this.ancestry).authorities.map(letterOf)
  }
}

/** One that remembers nothing yet. */
export const ring = (letters: string, { epoch = 1_000 }: RingOptions = {}): Authorities =>
  new Authorities({ authorities: each(letters).map(addressOf), epoch })
