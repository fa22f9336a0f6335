import { accepted, decline, type Address, type Verdict } from '../../core/index.ts'
import { contradiction } from './contradiction.ts'
import { keyOf, type Ballot, type Justify, type Statement, type Vote } from './votes.ts'

/** Votes of one kind that are kept of one authority: the highest. */
export const votesPerAuthorityMax = 64
/** The second at one height proves that the key lies; a third would prove nothing more. */
const votesPerHeightMax = 2

interface Counted {
  readonly statement: Statement
  readonly signatures: Map<Address, string>
}

/**
 * The votes that were found to be signed by whom they name, and what they add up to. Whoever lies takes room from himself
 * alone: what is kept of an authority depends on its own votes only.
 */
export class Tally {
  readonly #ofAuthority = new Map<Address, Vote[]>()
  readonly #ballots = new Map<string, Counted>()

  /** Declines as `roomFor`. */
  add(vote: Vote): Verdict {
    const room = this.roomFor(vote)
    if (!room.ok) return room
    const ofKind = this.#ofKind(vote)
    if (ofKind.length >= votesPerAuthorityMax) this.#drop(lowestOf(ofKind))
    this.#keep(vote)
    return accepted
  }

  /** Declines `known`, `too-many-votes` (of this authority, at this height), `old-vote` (higher ones fill its room). */
  roomFor(vote: Pick<Vote, 'statement' | 'address'>): Verdict {
    const { statement, address } = vote
    const { target } = statement
    if (this.signatureOf(statement, address) !== undefined) return decline('known', 'this vote is known')
    const ofKind = this.#ofKind(vote)
    if (ofKind.filter((one) => one.statement.target.index === target.index).length >= votesPerHeightMax) {
      return decline('too-many-votes', `${address} has voted for too many blocks of height ${target.index}`)
    }
    const isFull = ofKind.length >= votesPerAuthorityMax
    if (!isFull || target.index > lowestOf(ofKind).statement.target.index) return accepted
    return decline('old-vote', 'newer votes are known')
  }

  /** A vote of the same key that no honest key signs beside this one. */
  contradicted({ statement, address }: Vote): Vote | undefined {
    return this.#ofAuthority.get(address)?.find((one) => contradiction(one.statement, statement) !== undefined)
  }

  signatureOf(statement: Statement, address: Address): string | undefined {
    return this.of(statement)?.signatures.get(address)
  }

  of(statement: Statement): Ballot | undefined {
    return this.#ballots.get(keyOf(statement))
  }

  /** About blocks above this height, the highest first. */
  above(index: number): readonly Ballot[] {
    const open = [...this.#ballots.values()].filter(({ statement }) => statement.target.index > index)
    return open.toSorted((a, b) => b.statement.target.index - a.statement.target.index)
  }

  /** As `above`, of one kind. */
  linksAbove(index: number): readonly (Ballot & { readonly statement: Justify })[] {
    return this.above(index).filter((one): one is Ballot & { readonly statement: Justify } => {
      return one.statement.kind === 'justify'
    })
  }

  votesOf(address: Address): readonly Vote[] {
    return this.#ofAuthority.get(address) ?? []
  }

  /** Drops what is about this height and those below. */
  forget(index: number): void {
    for (const vote of [...this.#ofAuthority.values()].flat())
      if (vote.statement.target.index <= index) this.#drop(vote)
  }

  #ofKind({ statement: { kind }, address }: Pick<Vote, 'statement' | 'address'>): readonly Vote[] {
    return this.votesOf(address).filter(({ statement }) => statement.kind === kind)
  }

  #keep(vote: Vote): void {
    const { statement, address, signature } = vote
    const key = keyOf(statement)
    const ballot = this.#ballots.get(key) ?? { statement, signatures: new Map<Address, string>() }
    ballot.signatures.set(address, signature)
    this.#ballots.set(key, ballot)
    this.#ofAuthority.set(address, [...(this.#ofAuthority.get(address) ?? []), vote])
  }

  #drop(vote: Vote): void {
    const { statement, address } = vote
    const key = keyOf(statement)
    const ballot = this.#ballots.get(key)
    ballot?.signatures.delete(address)
    if (ballot?.signatures.size === 0) this.#ballots.delete(key)
    this.#ofAuthority.set(
      address,
      this.votesOf(address).filter((one) => one !== vote),
    )
  }
}

const lowestOf = (votes: readonly Vote[]): Vote =>
  votes.reduce((a, b) => (b.statement.target.index < a.statement.target.index ? b : a))
