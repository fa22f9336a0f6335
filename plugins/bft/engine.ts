// E. Buchman, J. Kwon, Z. Milosevic, The latest gossip on BFT consensus, 2018, arXiv:1807.04938: algorithm 1, height after
// height. Numbers of lines are the paper's. Its locked and its valid value are one here, the latest block that a quorum is
// known to have prevoted; whoever proposes that again sends the prevotes along, so that others let go of an older one.
import * as v from 'valibot'
import { accepted, Alarms, Ballots, decline, isObject, messageOf, parseTimestamp } from '../../core/index.ts'
import { AurexError, producerOf, refuse, voteSchema } from '../../core/index.ts'
import type { Address, Agreement, Ancestry, Block, ChainDoor, Channel, Consensus } from '../../core/index.ts'
import type { Context, Due, Hash, Header, Seal, SealedHeader, Verdict, Vote, Waiting } from '../../core/index.ts'
import type { Parameters } from './index.ts'

const steps = ['proposal', 'prevote', 'precommit'] as const
type Step = (typeof steps)[number]
type Lock = Agreement & { readonly block: Block }

/** Of rounds that are over: what comes late may still be decided. */
const blocksMax = 3

/** `block`: one that a vote among these proposes. */
const messageSchema = v.object({
  votes: v.pipe(v.array(voteSchema), v.maxLength(2_000)),
  block: v.exactOptional(v.custom<Block>(isObject, 'expected a block')),
})

export class Bft implements Consensus {
  readonly id = 'bft'
  readonly futureMillisecondsMax = 15_000
  readonly finalAtOnce = true
  readonly #context: Context<'storage'>
  readonly #parameters: Parameters
  readonly #alarms: Alarms
  readonly #ballots: Ballots<Step>
  readonly #channel: Channel<v.InferOutput<typeof messageSchema>>
  #door!: ChainDoor
  #head: SealedHeader | undefined
  #running = false
  #step: Step = 'proposal'
  /** Those that were proposed at this height and may be recorded. */
  readonly #blocks = new Map<Hash, Block>()
  #lock: Lock | undefined
  #decided: Block | undefined
  /** Ends a seal that is waited for; whether that has got the certificate. */
  #end: (decided?: Hash, seal?: Seal) => boolean = () => false

  constructor(context: Context<'storage'>, parameters: Parameters) {
    this.#context = context
    this.#parameters = parameters
    this.#alarms = new Alarms(context)
    this.#ballots = new Ballots({ context, plugin: 'bft', chainId: context.genesis!.rules.chainId, steps })
    this.#channel = context.channel('round', messageSchema, ({ votes, block }) => this.#hear(votes, block))
    context.contribute('wait', { name: 'bft:round', read: () => (this.#running ? this.#waits() : undefined) })
  }

  prepare = (draft: Header): Header => ({ ...draft, work: 1 })
  weight = (): bigint => 1n

  /** On the development chain, which names nobody, whoever makes block 1 is the one authority. */
  authorities(ancestry: Ancestry, first = this.#context.signer.address): readonly Address[] {
    const made = ancestry.at(1)
    const { authorities } = this.#parameters
    return authorities.length > 0 ? authorities : [made === undefined ? first : producerOf(made)]
  }

  verify(header: SealedHeader, ancestry: Ancestry): Verdict {
    const judged = this.#judge(header, ancestry)
    const authorities = this.authorities(ancestry, producerOf(header))
    return judged.ok ? this.#ballots.verify(header.certificate, this.#certified(header), authorities) : judged
  }

  #certified = ({ index, current_hash: hash }: SealedHeader) => ({ step: 'precommit', height: index, hash }) as const

  /** All but the certificate. */
  #judge(header: SealedHeader, ancestry: Ancestry): Verdict {
    const { work, nonce, seal, signer_id, timestamp } = header
    if (work !== 1) return refuse('bad-work', `work: expected 1, got ${work}`)
    if (nonce !== 0) return refuse('bad-seal', `nonce: expected 0, got ${nonce}`)
    if (seal ?? signer_id) return refuse('bad-block', 'seal, signer_id: bft has no such fields')
    const early = this.#earliest(ancestry.parent) - parseTimestamp(timestamp)!
    if (early > 0) return refuse('too-early', `timestamp: ${early} ms before the block time is over`)
    const maker = producerOf(header)
    const isOne = this.authorities(ancestry, maker).includes(maker)
    return isOne ? accepted : refuse('not-authority', `miner_id: ${maker} is no authority`)
  }

  #earliest = (parent: Header): number => parseTimestamp(parent.timestamp)! + this.#parameters.block_time * 1_000

  open(door: ChainDoor): void {
    this.#door = door
    door.onHead(() => this.#alarms.set('head', 0, () => this.#follow()))
    this.#follow()
  }

  /** A height begins when something is to be recorded: transactions are gossiped, so it begins everywhere. */
  due({ parent }: Ancestry, pending: number, now: number): Due {
    if (!this.#ballots.isAuthority()) return { waitsFor: 'a block of the authorities' }
    if (!this.#running && pending === 0) return { waitsFor: 'a transaction' }
    if (!this.#running) this.#alarms.set('wake', 0, () => this.#running || this.#begin(this.#ballots.round))
    return this.#isUp(parent.current_hash) ? { when: Math.max(now, this.#earliest(parent)) } : this.#waits()
  }

  async seal({ prev_hash }: Header, signal: AbortSignal, propose: () => Block): Promise<Seal | undefined> {
    if (signal.aborted || !this.#isUp(prev_hash)) return undefined
    const block = propose()
    const { promise, resolve } = Promise.withResolvers<Seal | undefined>()
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
    this.#end = (decided, seal) => {
      this.#end = () => false
      resolve(decided === block.current_hash ? seal : undefined)
      return decided === block.current_hash && !signal.aborted
    }
    this.#vote('proposal', block.current_hash, block)
    return promise
  }

  /** Whether this node is to make a block on this one, now. */
  #isUp(parent: Hash): boolean {
    const isFree = this.#step === 'proposal' && this.#ballots.said('proposal').length === 0
    return this.#running && isFree && this.#head?.current_hash === parent && this.#ballots.isProposer()
  }

  /** Who is no authority takes no steps itself. */
  #waits(): Waiting {
    const ballots = this.#ballots
    const step = steps.slice(steps.indexOf(this.#step)).find((one) => ballots.missing(one).length > 0) ?? this.#step
    const whose = ballots.missing(step).map((who) => `${who.slice(0, 4)}...${who.slice(-2)}`)
    const waitsFor = `the ${step} of ${whose.join(', ') || 'enough who agree'} in round ${ballots.round}`
    return { waitsFor, help: `see that their nodes sign: ${ballots.quorum} authorities must be up` }
  }

  async #hear(votes: readonly Vote[], block: Block | undefined): Promise<Verdict> {
    for (const vote of votes) {
      const verdict = this.#ballots.take(vote)
      if (!verdict.ok && verdict.provable) return verdict
      if (verdict.ok && !this.#running) this.#begin(this.#ballots.round)
    }
    const verdict = block === undefined ? accepted : await this.#examine(block)
    this.#advance()
    return verdict
  }

  /** A block that is refused counts as not proposed: a good copy may still come. */
  async #examine(block: Block): Promise<Verdict> {
    const { current_hash: hash, prev_hash: parent } = block
    if (this.#ballots.said('proposal')[0]?.hash !== hash || this.#blockOf(hash) !== undefined) return accepted
    const examined = await this.#door.examine(block)
    const ancestry = this.#door.ancestry()
    if (!examined.ok) return examined
    if (parent !== ancestry.parent.current_hash || parent !== this.#head?.current_hash) return accepted
    const verdict = this.#judge(examined.value, ancestry)
    if (verdict.ok) this.#blocks.set(hash, block)
    return verdict
  }

  #advance(): void {
    const ballots = this.#ballots
    if (!this.#running || this.#decided !== undefined) return
    if (ballots.reached() > ballots.round) return this.#begin(ballots.reached()) // Line 55.
    for (const round of new Set(ballots.all().map((vote) => vote.round))) {
      const [prevoted, precommitted] = [ballots.agreed('prevote', round), ballots.agreed('precommit', round)]
      const [decided, held] = [this.#blockOf(precommitted?.hash), this.#blockOf(prevoted?.hash)]
      if (decided !== undefined) return this.#decide(decided, precommitted!) // Line 49.
      if (held !== undefined) this.#hold(held, prevoted!) // Lines 36 to 43.
    }
    const proposed = ballots.said('proposal')[0]?.hash
    const isFree = this.#lock === undefined || this.#lock.hash === proposed
    // Lines 22 and 28. Instead of voting nil at once it waits: prevotes that let go of the lock may be on their way.
    if (this.#step === 'proposal' && isFree && this.#blockOf(proposed)) return this.#vote('prevote', proposed!)
    const agreed = ballots.agreed('prevote')
    const isHeld = agreed?.hash === null || agreed?.hash === this.#lock?.hash
    if (this.#step === 'prevote' && agreed && isHeld) return this.#vote('precommit', agreed.hash) // Lines 36 and 44.
    if (this.#step === 'prevote' && ballots.said('prevote').length >= ballots.quorum) this.#limit('prevote') // Line 34.
    if (ballots.said('precommit').length >= ballots.quorum) this.#limit('precommit') // Line 47.
  }

  /** A round of this height. Lines 11 to 21. */
  #begin(round: number): void {
    if (this.#door.head().header.current_hash !== this.#head?.current_hash) return this.#follow()
    this.#running = true
    this.#ballots.round = round
    this.#step = steps.findLast((step) => step !== 'proposal' && this.#ballots.isSaid(step)) ?? 'proposal'
    this.#end()
    if (this.#blocks.size > blocksMax) this.#blocks.clear()
    this.#alarms.cancel('again', ...steps)
    this.#limit('proposal')
    this.#again()
    if (this.#lock !== undefined && this.#ballots.isProposer()) {
      this.#vote('proposal', this.#lock.hash, this.#lock.block)
    } else this.#door.changed()
    this.#advance()
  }

  /** Ends a step that takes too long. */
  #limit(step: Step): void {
    const early = Math.max(0, this.#earliest(this.#head!) - this.#context.runtime.clock.now())
    const grown = this.#parameters.timeout * 1_000 * (1 + Math.min(18, this.#ballots.round) / 2)
    this.#alarms.set(step, step === 'proposal' ? early + grown : grown, () => {
      // Lines 57, 61 and 65.
      if (step === 'precommit') this.#begin(this.#ballots.round + 1)
      else if (step === this.#step) this.#vote(step === 'proposal' ? 'prevote' : 'precommit', null)
    })
  }

  /** Signs, once it is on record, and tells all. `block`: what it proposes. */
  #vote(step: Step, hash: Hash | null, block?: Block): void {
    if (block === undefined) this.#step = step
    else this.#blocks.set(block.current_hash, block)
    const vote = this.#ballots.vote(step, hash)
    const proof = block === undefined ? [] : (this.#lock?.votes ?? [])
    if (vote !== undefined) this.#channel.broadcast({ votes: [vote, ...proof], ...(block && { block }) })
    this.#advance()
  }

  /** On record before it is precommitted: whoever forgets it lets another block be decided. */
  #hold(block: Block, prevoted: Agreement): void {
    if (prevoted.certificate.round <= (this.#lock?.certificate.round ?? -1)) return
    const lock = { ...prevoted, block }
    this.#context.use.storage.records('bft').write([['lock', JSON.stringify(lock)]])
    this.#lock = lock
  }

  #decide(block: Block, { certificate }: Agreement): void {
    this.#decided = { ...block, certificate }
    this.#alarms.cancel(...steps)
    if (!this.#end(block.current_hash, { nonce: 0, certificate })) void this.#record(this.#decided)
  }

  async #record(decided: Block): Promise<void> {
    const verdict = await this.#door.submit(decided).catch((error: unknown) => decline('failed', messageOf(error)))
    if (!verdict.ok) this.#context.log.debug('a block that was decided is not recorded', { why: verdict.detail })
  }

  /** Says again what is known until the height is over, since messages get lost; the block to who did not vote for it. */
  #again(): void {
    this.#alarms.set('again', this.#parameters.timeout * 250, () => {
      this.#again()
      const [all, { round: now }] = [this.#ballots.all(), this.#ballots]
      const votes = all.filter(({ round }) => [now, now - 1, this.#lock?.certificate.round].includes(round))
      const block = this.#blockOf(this.#ballots.said('proposal')[0]?.hash)
      for (const { nodeId, address } of this.#context.network.peers()) {
        const knows = all.some((vote) => vote.address === address && vote.hash === block?.current_hash)
        const lacks = this.#ballots.isAuthority(address) && !knows
        this.#channel.send(nodeId, { votes, ...(block !== undefined && lacks && { block }) })
      }
      if (this.#decided !== undefined) void this.#record(this.#decided)
      this.#advance()
    })
  }

  /** The height above the head. What was held before a start is held again. */
  #follow(): void {
    const { header } = this.#door.head()
    if (header.current_hash === this.#head?.current_hash) return
    const lock = lockOf(this.#context.use.storage.records('bft').get('lock'))
    this.#head = header
    this.#running = false
    this.#decided = undefined
    this.#end()
    this.#alarms.cancel('again', ...steps)
    this.#blocks.clear()
    this.#lock = lock?.block.prev_hash === header.current_hash ? lock : undefined
    this.#ballots.meet(header.certificate, this.#certified(header))
    this.#ballots.begin(header.index + 1, this.authorities(this.#door.ancestry()))
    if (this.#door.pendingCount() > 0 || this.#ballots.all().length > 0) this.#begin(this.#ballots.round)
  }

  #blockOf(hash: Hash | null | undefined): Block | undefined {
    return this.#lock?.hash === hash ? this.#lock?.block : this.#blocks.get(hash ?? '')
  }
}

function lockOf(text = 'null'): Lock | null {
  try {
    return JSON.parse(text) as Lock | null
  } catch (cause) {
    throw new AurexError('ledger-damaged', 'bft: its record cannot be read; look with: aurex verify', { cause })
  }
}
