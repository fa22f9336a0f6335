import {
  AurexError,
  decline,
  type Ancestry,
  type Channel,
  type Checkpoint,
  type Clock,
  type Finality,
  type FinalityDoor,
  type JsonObject,
  type Log,
  type NetworkView,
  type NodeId,
  type PeerView,
  type Records,
  type SealedHeader,
  type Signer,
  type Verdict,
  type Waiting,
} from '../../core/index.ts'
import { Booth } from './booth.ts'
import { certificateOf, Certificates, readCertificate } from './certificate.ts'
import { Exchange } from './exchange.ts'
import { Keeper } from './keeper.ts'
import { Noted } from './noted.ts'
import { wantsEmptyBlock } from './quiet.ts'
import { newestOf, Pending } from './pending.ts'
import type { Rules } from './rules.ts'
import { commitsOf, isSplit, mostVoted } from './split.ts'
import { Standing, type Blocks } from './standing.ts'
import { Tally } from './tally.ts'
import { haltedWaiting, missingVotes } from './waiting.ts'
import { Wakeup } from './wakeup.ts'
import { ballotOfVote, type IsSigned, type VoteMessage } from './votes.ts'

/** After the ledger could not be written. */
const retryMilliseconds = 1_000
/** So far below the final block votes are remembered, since they may prove a lie. */
const rememberedCheckpoints = 16
/** Votes that one look may lead to: a commit and the link after it, and the same again. */
const votesPerLookMax = 4

export interface FinalityParts {
  readonly rules: Rules
  /** Whether this node votes, if its key is an authority's. */
  readonly votes: boolean
  readonly roundMilliseconds: number
  readonly isSigned: IsSigned
  readonly signer: Signer
  readonly records: Records
  readonly clock: Clock
  readonly log: Log
  readonly network: Pick<NetworkView, 'peers'>
  readonly accuse: (proof: JsonObject) => Verdict
}

/** Finality by the votes of authorities: the slot, which puts the parts together. */
export class VotedFinality implements Finality {
  readonly #parts: FinalityParts
  readonly #standing: Standing
  readonly #tally = new Tally()
  readonly #keeper: Keeper
  readonly #certificates: Certificates
  readonly #exchange: Exchange
  readonly #booth: Booth
  readonly #isVoter: boolean
  readonly #noted: Noted
  readonly #pending: Pending
  readonly #wakeup: Wakeup
  #door: FinalityDoor | undefined
  #blocks: Blocks = { has: () => false, at: () => undefined }
  #failed = false
  #held = false
  /** Hashes of the decided blocks that are not here. */
  #asked = ''
  #contradicted = false

  /** Throws `finality-damaged`, and as `Storage` does. */
  constructor(parts: FinalityParts) {
    const { rules, isSigned, signer, clock, records } = parts
    this.#parts = parts
    this.#keeper = new Keeper(records, rules, isSigned)
    this.#standing = new Standing(rules, this.#keeper.read())
    this.#certificates = new Certificates(rules, isSigned)
    const shared = { ...parts, standing: this.#standing, tally: this.#tally }
    this.#exchange = new Exchange({ ...shared, height: () => this.#door?.head().header.index ?? 0 })
    this.#booth = new Booth({ ...shared, clock })
    this.#noted = new Noted(signer.address)
    this.#pending = new Pending({ ...shared, clock, blocks: () => this.#blocks })
    this.#wakeup = new Wakeup(clock, () => this.#look())
    this.#isVoter = parts.votes && rules.authorities.includes(signer.address)
  }

  justified(): Checkpoint {
    return this.#standing.justified
  }

  final(): Checkpoint {
    return this.#standing.final
  }

  // ---- headers ----

  certificate(ancestry: Ancestry): JsonObject | undefined {
    const { certificate } = this.#standing
    if (certificate === undefined) return undefined
    const isNews = this.#certificates.isNews(ancestry, certificate.statement.target)
    return isNews.ok ? certificateOf(certificate, this.#parts.rules) : undefined
  }

  verify(header: SealedHeader, ancestry: Ancestry): Verdict {
    return this.#certificates.verify(header, ancestry)
  }

  halted(ancestry: Ancestry): Waiting | undefined {
    if (!this.#certificates.isHalted(ancestry)) return undefined
    const { haltAfter = 0 } = this.#parts.rules
    const { final } = this.#standing
    const isNear = ancestry.parent.index + 1 - final.index <= haltAfter
    if (isNear && this.certificate(ancestry) !== undefined) return undefined
    return haltedWaiting(this.#parts.rules, final.index)
  }

  wantsBlock(ancestry: Ancestry, now: number): boolean {
    const { rules, roundMilliseconds } = this.#parts
    const { final, justified } = this.#standing
    return wantsEmptyBlock({
      ancestry,
      now,
      final,
      rules,
      roundMilliseconds,
      isSplit: (checkpoint) => isSplit(this.#tally, rules.authorities, justified, checkpoint),
    })
  }

  // ---- what others see ----

  waits(): Waiting | undefined {
    const { rules, clock, signer: own } = this.#parts
    const newest = this.#door === undefined ? 0 : newestOf(this.#door, rules)
    if (newest <= this.final().index) return undefined
    const [final, justified] = [this.final(), this.justified()]
    const ballot =
      justified.index > final.index ? commitsOf(this.#tally, justified) : mostVoted(this.#tally.linksAbove(final.index))
    return missingVotes({ rules, index: newest, ballot, since: this.#pending.since ?? clock.now(), own })
  }

  /** Blocks from the final one up to the head. */
  get lagBlocks(): number {
    return Math.max(0, (this.#door?.head().header.index ?? 0) - this.final().index)
  }

  get votesTaken(): Readonly<Record<'justify' | 'commit', number>> {
    return this.#exchange.taken
  }

  /** Milliseconds, wall clock; undefined while nothing is waited for. */
  get openSince(): number | undefined {
    return this.#pending.since
  }

  /** Whether a quorum made a block final that contradicts what was final before. */
  get isContradicted(): boolean {
    return this.#contradicted
  }

  // ---- hearing ----

  open(door: FinalityDoor): void {
    this.#door = door
    this.#blocks = {
      has: (hash) => door.header(hash) !== undefined,
      at: (hash, index) => door.ancestry(hash)?.at(index)?.current_hash,
    }
    door.onHead(() => this.#wakeup.soon())
    door.onBlock((header) => this.#note(header))
    this.#noted.search(door, this.final().index)
    if (this.#isVoter) for (const vote of this.#booth.lastVotes()) this.#exchange.take(vote)
    this.#wakeup.soon()
  }

  openChannel(channel: Channel<VoteMessage>): void {
    this.#exchange.open(channel)
  }

  hear(message: VoteMessage, from: PeerView): Verdict {
    if (this.#door === undefined) return decline('not-ready', 'the chain is not up yet')
    const verdict = this.#exchange.hear(message, from)
    if (verdict.ok) this.#wakeup.soon()
    return verdict
  }

  joined(nodeId: NodeId): void {
    if (this.#door === undefined) return
    const peer = this.#parts.network.peers().find((one) => one.nodeId === nodeId)
    this.#exchange.greet(nodeId, peer?.address)
    this.#wakeup.soon()
  }

  /**
   * Held, it does not vote: what this node fetches was voted for long ago, by itself too, and if its record was lost it
   * would vote around that.
   */
  hold(held: boolean): void {
    this.#held = held
    this.#wakeup.soon()
  }

  close(): void {
    this.#wakeup.close()
  }

  /** Called on the writer's stack. */
  #note(header: SealedHeader): void {
    if (this.#noted.add(header) || this.#asked !== '') this.#wakeup.soon()
  }

  // ---- working ----

  #look(): void {
    if (this.#door === undefined) return
    try {
      this.#work(this.#door)
      this.#failed = false
      this.#wakeup.after(this.#untilNext(this.#door))
    } catch (error) {
      const { log } = this.#parts
      const detail = { error: error instanceof AurexError ? error.message : error }
      log[this.#failed ? 'debug' : 'error']('what is final cannot be worked on; it is tried again', detail)
      this.#failed = true
      this.#wakeup.after(retryMilliseconds)
    }
  }

  #work(door: FinalityDoor): void {
    this.#learn()
    this.#settle(door)
    if (this.#isVoter && !this.#held) this.#vote(door)
    this.#fetch(door)
    if (this.#pending.look(door)) this.#exchange.repeat()
    if (this.#pending.isBlockNews(door, (ancestry, now) => this.wantsBlock(ancestry, now))) door.changed()
  }

  #learn(): void {
    for (const certificate of this.#noted.take()) {
      const read = readCertificate(certificate, this.#parts.rules)
      if (read.ok) this.#exchange.learn(read.value)
    }
  }

  /** What quorums have decided is written down, and counts from then on. */
  #settle(door: FinalityDoor): void {
    const progress = this.#standing.next(this.#blocks)
    this.#alarm()
    if (progress.final === undefined && progress.justified === undefined) return
    this.#keeper.write(progress)
    this.#standing.adopt(progress)
    this.#tally.forget(this.final().index - rememberedCheckpoints * this.#parts.rules.every)
    this.#booth.pace.progressed()
    this.#pending.progressed()
    if (progress.final !== undefined) this.#parts.log.debug('a block became final', { ...this.final() })
    door.changed()
  }

  #vote(door: FinalityDoor): void {
    for (let votes = 0; votes < votesPerLookMax; votes++) {
      const vote = this.#booth.vote(door)
      if (vote === undefined) return
      this.#exchange.take(vote)
      this.#exchange.broadcast(ballotOfVote(vote))
      this.#settle(door)
    }
    this.#wakeup.soon()
  }

  /** What is decided must be here; whoever said so has it, or knows who has. */
  #fetch(door: FinalityDoor): void {
    const missing = this.#standing.missing(this.#blocks)
    const asked = missing.map(({ statement }) => statement.target.hash).join()
    const isAgain = asked === this.#asked && this.#pending.repeatsIn > 0
    this.#asked = asked
    if (isAgain) return
    for (const ballot of missing) {
      const from = this.#exchange.sayerOf(ballot) ?? this.#parts.network.peers()[0]?.nodeId
      if (from !== undefined) door.fetch(ballot.statement.target, from)
    }
  }

  /** Milliseconds. */
  #untilNext(door: FinalityDoor): number {
    const pace = this.#pending.isOpen(door) ? this.#booth.pace.changesIn : undefined
    return Math.min(this.#pending.repeatsIn, pace ?? Number.POSITIVE_INFINITY)
  }

  #alarm(): void {
    const block = this.#contradicted ? undefined : this.#standing.contradicting(this.#blocks)
    if (block === undefined) return
    this.#contradicted = true
    this.#parts.log.error(
      'two blocks that contradict each other were made final: more than a third of the authorities lie',
      {
        kept: this.final(),
        other: block,
        what_to_do: 'aurex evidence names the keys that signed both; the authorities must agree which chain goes on',
      },
    )
  }
}
