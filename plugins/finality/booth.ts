import type { Checkpoint, Clock, FinalityDoor, Log, Signer } from '../../core/index.ts'
import { Pace } from './pace.ts'
import { checkpointUpTo, isSame, type Rules } from './rules.ts'
import type { Standing } from './standing.ts'
import type { Tally } from './tally.ts'
import { nextStatement, type Outlook, type Support, type VoteRecord } from './voter.ts'
import { statementOfText, voteText, type Commit, type Justify, type Statement, type Vote } from './votes.ts'

/** Between two targets, for each authority: every vote goes to every peer, and a quarter of what that takes is enough. */
export const pauseMillisecondsEach = 20

/** After the start peers have so long to tell what this key signed, where its record was lost. */
export const tellMilliseconds = 30_000

export interface BoothParts {
  readonly rules: Rules
  readonly roundMilliseconds: number
  readonly signer: Pick<Signer, 'address' | 'sign' | 'last' | 'floor'>
  readonly clock: Pick<Clock, 'monotonic'>
  readonly log: Log
  readonly standing: Standing
  readonly tally: Tally
}

/** Where this node votes: looks up what its key has signed, decides, and has it signed. */
export class Booth {
  readonly #parts: BoothParts
  readonly pace: Pace
  readonly #startedAt: number
  /** Why the last vote was not signed, where it was not: said once. */
  #refused: string | undefined

  constructor(parts: BoothParts) {
    this.#parts = parts
    const { clock, roundMilliseconds, rules } = parts
    this.#startedAt = clock.monotonic()
    this.pace = new Pace(clock, roundMilliseconds, pauseMillisecondsEach * rules.authorities.length)
  }

  /** What this key signed last, signed again: the signature may have been lost. */
  lastVotes(): readonly Vote[] {
    const { final } = this.#parts.standing
    const signed = this.#signed()
    return [signed?.justify, signed?.commit].flatMap((statement) => {
      if (statement === undefined || statement.target.index <= final.index) return []
      return this.#sign(statement) ?? []
    })
  }

  /** The next vote, signed; undefined where there is nothing to vote for, or nothing is signed. */
  vote(door: Pick<FinalityDoor, 'head' | 'headerAt'>): Vote | undefined {
    const record = this.#record()
    if (record === undefined) return undefined
    const outlook = this.#outlook(door)
    const statement = nextStatement(record, outlook)
    if (statement === undefined || (statement.kind === 'justify' && this.pace.isPaused)) return undefined
    if (statement.kind === 'justify' && this.#mayBeAround(statement)) return undefined
    const vote = this.#sign(statement)
    if (vote !== undefined && statement.kind === 'justify') {
      this.pace.voted(record.justify !== undefined && record.justify.target.index > outlook.final.index)
    }
    return vote
  }

  /** Whether it may go around a vote that was lost with the record, of which nobody has had the time to tell. */
  #mayBeAround({ source }: Justify): boolean {
    const { signer, clock } = this.#parts
    return clock.monotonic() - this.#startedAt < tellMilliseconds && source.index < signer.floor()
  }

  #outlook(door: Pick<FinalityDoor, 'head' | 'headerAt'>): Outlook {
    const { standing, rules } = this.#parts
    const { header } = door.head()
    const isOnHead = ({ index, hash }: Checkpoint): boolean => door.headerAt(index)?.header.current_hash === hash
    const source = standing.justifiedWhere(isOnHead)
    const index = checkpointUpTo(header.index, rules)
    const newest = { index, hash: door.headerAt(index)?.header.current_hash ?? header.current_hash }
    const { final, justified } = standing
    const supported = source === undefined ? [] : this.#supported(source, isOnHead)
    return { final, justified, source, newest, supported, isOnHead, leave: this.pace.leave }
  }

  #supported(source: Checkpoint, isOnHead: (checkpoint: Checkpoint) => boolean): readonly Support[] {
    return this.#parts.tally
      .linksAbove(source.index)
      .filter(({ statement }) => isSame(statement.source, source) && isOnHead(statement.target))
      .map(({ statement, signatures }) => ({ target: statement.target, votes: signatures.size }))
  }

  /** As the record has it; undefined where it has something else than a vote on this chain: then none may follow. */
  #signed(): VoteRecord | undefined {
    const { signer, rules } = this.#parts
    const read = { justify: signer.last('justify'), commit: signer.last('commit') }
    const justify = read.justify && statementOfText(read.justify.text, rules)
    const commit = read.commit && statementOfText(read.commit.text, rules)
    const isJustify = read.justify === undefined || justify?.kind === 'justify'
    const isCommit = read.commit === undefined || commit?.kind === 'commit'
    if (isJustify && isCommit) return { justify: justify as Justify | undefined, commit: commit as Commit | undefined }
    this.#doesNotVote('record-damaged', 'what it signed last, by its record, is no vote on this chain')
    return undefined
  }

  /**
   * The same with what others have of this key: after the record was lost and the operator has set a floor, they may know of
   * votes that it does not.
   */
  #record(): VoteRecord | undefined {
    const { tally, signer } = this.#parts
    const signed = this.#signed()
    if (signed === undefined) return undefined
    let { justify, commit } = signed
    for (const { statement } of tally.votesOf(signer.address)) {
      if (statement.kind === 'justify' && statement.target.index > (justify?.target.index ?? 0)) justify = statement
      if (statement.kind === 'commit' && statement.target.index > (commit?.target.index ?? 0)) commit = statement
    }
    return { justify, commit, floor: signer.floor() }
  }

  #sign(statement: Statement): Vote | undefined {
    const { signer, rules } = this.#parts
    const signed = signer.sign(statement.kind, [statement.target.index], voteText(rules.chainId, statement))
    if (signed.ok) {
      this.#refused = undefined
      return { statement, address: signer.address, signature: signed.value }
    }
    this.#doesNotVote(signed.code, signed.detail)
    return undefined
  }

  #doesNotVote(code: string, why: string): void {
    if (this.#refused !== code) this.#parts.log.warn('this node does not vote', { code, why })
    this.#refused = code
  }
}
