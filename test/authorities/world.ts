import { ForkChoice } from '../../core/chain/forkchoice.ts'
import { chooseSite, stalledMilliseconds, type Site } from '../../core/chain/site.ts'
import type { Due } from '../../core/plugin.ts'
import { Authorities, signerOf } from '../../plugins/poa/authorities.ts'
import { poaEngine } from '../../plugins/poa/engine.ts'
import type { Snapshot } from '../../plugins/poa/authorities.ts'
import { Agenda } from '../sim/agenda.ts'
import { Dice } from '../sim/dice.ts'
import { makeKey } from '../support/blocks.ts'
import { genesisOf, genesisTime, hashes, makeBlock, type Block } from './block.ts'
import { Member } from './member.ts'
import { reaches, Wires } from './wires.ts'

export interface WorldOptions {
  readonly seed: number
  /** How many authorities there are. */
  readonly count: number
  /** Milliseconds that the wall clocks are apart, at most. */
  readonly skewMax?: number
  /** Blocks. */
  readonly epoch?: number
  /** Off: of chains that weigh the same a node keeps the one that it saw first. */
  readonly tieBreak?: boolean
  /** Off: everybody builds on the head alone. */
  readonly site?: boolean
  /** Off: nobody remembers what he has signed, and signs at every head anew. */
  readonly record?: boolean
}

/** As core's sync has it: so many parents are asked for one by one. */
const nearBlocksMax = 10
const patience = 500

/** All keys, in the order of turns. */
export const keys = Array.from({ length: 8 }, (_, at) => makeKey(at + 1)).sort((a, b) =>
  a.address < b.address ? -1 : 1,
)

/**
 * A network of authorities without sockets or disks: the real engine, the real fork choice and the real choice of where to
 * build, with messages, crashes and clocks that a seed decides. Blocks are not hashed and not signed. A transaction is
 * pending everywhere, always, so that the chain has a reason to go on.
 */
export class World {
  readonly members: readonly Member[]
  readonly genesis = genesisOf()
  readonly dice: Dice
  readonly #options: WorldOptions
  readonly #agenda = new Agenda()
  readonly #nextHash: () => string
  readonly #choice: ForkChoice
  readonly authorities: Authorities
  /** By key and height. */
  readonly #signed = new Map<string, Block>()
  readonly wires: Wires
  /** Whether anything waits to be recorded. */
  busy = true
  /** Addresses that everybody who is up wants to be voted out. */
  readonly unwanted = new Set<string>()
  now = 0

  constructor(options: WorldOptions) {
    this.#options = options
    this.dice = new Dice(`small world ${options.seed}`)
    this.#nextHash = hashes(options.seed)
    const own = keys.slice(0, options.count)
    this.authorities = new Authorities({
      authorities: own.map(({ address }) => address),
      epoch: options.epoch ?? 1_000,
    })
    this.members = own.map((key, place) => {
      const engine = poaEngine({
        address: key.address,
        blockTime: 1,
        config: { produce: true, heartbeat: 0, patience },
        authorities: this.authorities,
        nextBallot: (below) => this.#nextBallot(key.address, below),
      })
      const skew = this.dice.between(0, options.skewMax ?? 0)
      return new Member({ place, key, engine, skew }, this.genesis)
    })
    this.wires = new Wires(this, (one, other) => this.#join(one, other))
    const nobody = () => {
      throw new Error('fork choice asked for more than the two chains')
    }
    this.#choice = new ForkChoice({
      consensus: this.members[0]!.engine,
      storage: { head: nobody },
      ancestors: undefined as never,
    })
  }

  get up(): Member[] {
    return this.members.filter(({ up }) => up)
  }

  /** Plays until that time of the world. */
  playTo(time: number): void {
    for (let entry = this.#agenda.first(); entry !== undefined && entry.time <= time; entry = this.#agenda.first()) {
      this.#agenda.take()
      this.now = entry.time
      entry.run!()
    }
    this.now = time
  }

  playFor(milliseconds: number): void {
    this.playTo(this.now + milliseconds)
  }

  /** Plays until something is so, looking twice a second; returns the milliseconds that it took, or undefined if it did not. */
  playUntil(holds: () => boolean, millisecondsMax: number): number | undefined {
    const from = this.now
    while (!holds()) {
      if (this.now - from >= millisecondsMax) return undefined
      this.playFor(500)
    }
    return this.now - from
  }

  at(milliseconds: number, run: () => void): void {
    this.#agenda.enter(milliseconds, run)
  }

  start(): void {
    for (const member of this.members) this.look(member)
  }

  // ---- what befalls the members ----

  crash(member: Member): void {
    if (!member.up) return
    member.up = false
    if (member.timer !== undefined) member.timer.run = undefined
    if (this.dice.chance(0.5)) member.forgetUndurable()
  }

  restart(member: Member): void {
    if (member.up) return
    member.up = true
    member.headMovedAt = this.now
    for (const other of this.#reachable(member)) this.#join(member, other)
    this.look(member)
  }

  /** Splits the members into groups that cannot reach each other; those that newly can, greet. */
  divide(groupOf: (member: Member) => number): void {
    const before = new Map(this.members.map((member) => [member, member.group]))
    for (const member of this.members) member.group = groupOf(member)
    for (const [at, one] of this.members.entries()) {
      for (const other of this.members.slice(at + 1)) {
        if (reaches(one, other) && before.get(one) !== before.get(other)) this.#join(one, other)
      }
    }
  }

  /** Gives a member a block and all below it, out of nowhere; what it signed of them itself it remembers. */
  plant(member: Member, block: Block): void {
    for (const one of block.line().filter(({ hash }) => !member.blocks.has(hash))) {
      this.#take(member, one)
      if (signerOf(one.header) === member.key.address) this.#remember(member, one)
    }
    member.sync()
  }

  /** A member hears of a block from another, as by a message. */
  tell(member: Member, from: Member, block: Block): void {
    this.#hear(member, from, block)
  }

  /** A block by a member on any other, not told to anybody. */
  make(by: Member, on: Block, at: number): Block {
    return makeBlock(on, { engine: by.engine, key: by.key, hash: this.#nextHash(), at: genesisTime + at })
  }

  // ---- producing ----

  /** Where a member builds, or what it waits for. */
  siteOf(member: Member): Site<Block> {
    const { site = true } = this.#options
    return chooseSite({
      head: member.head,
      sideTips: site ? member.sideTips() : [],
      stalled: site && this.#isStalled(member),
      holdsFinal: () => true,
      prefers: (a, b) => this.prefers(a, b),
      mayBuild: (on) => this.#mayBuild(member, on),
    })
  }

  dueAt(member: Member, on: Block): Due {
    const since = this.#wall(member, member.headMovedAt)
    return member.engine.due(on.ancestry, this.busy ? 1 : 0, this.#wall(member), since)
  }

  #mayBuild(member: Member, on: Block): Due {
    const due = this.dueAt(member, on)
    if (!('when' in due) || this.#options.record === false || on.index + 1 > member.signedHeight) return due
    return { waitsFor: `a block of another: this key has signed at height ${member.signedHeight}` }
  }

  look(member: Member): void {
    if (!member.up) return
    if (member.timer !== undefined) member.timer.run = undefined
    member.timer = undefined
    const site = this.siteOf(member)
    const at = 'when' in site ? site.when - genesisTime - member.skew : undefined
    if ('when' in site && at! <= this.now) return this.#produce(member, site.on)
    const next = [at, this.#isStalled(member) ? this.#sayAgain(member) : this.#stallsAt(member)]
    const first = Math.min(...next.filter((time) => time !== undefined))
    if (first < Infinity) member.timer = this.#agenda.enter(Math.max(first, this.now + 1), () => this.look(member))
  }

  #produce(member: Member, on: Block): void {
    const block = this.make(member, on, this.#wall(member) - genesisTime)
    this.#remember(member, block)
    this.#take(member, block)
    // Written with the record of what was signed.
    member.sync()
    if (member.diesSigning) {
      member.diesSigning = false
      return this.crash(member)
    }
    this.#relay(member, block, undefined)
    this.look(member)
  }

  #remember(member: Member, block: Block): void {
    const name = `${member.place}/${block.index}`
    if (this.#signed.has(name) && this.#options.record !== false) {
      throw new Error(`member ${member.place + 1} signed two blocks at height ${block.index}`)
    }
    this.#signed.set(name, block)
    member.signedHeight = Math.max(member.signedHeight, block.index)
    member.lastOwn = block
  }

  /** When it may be necessary again; undefined: it was never. */
  #sayAgain(member: Member): number | undefined {
    const { lastOwn } = member
    if (lastOwn === undefined || lastOwn.isOn(member.head)) return undefined
    if (this.now - member.saidAgainAt >= stalledMilliseconds) {
      member.saidAgainAt = this.now
      this.#relay(member, lastOwn, undefined)
    }
    return member.saidAgainAt + stalledMilliseconds
  }

  #stallsAt(member: Member): number | undefined {
    return this.busy ? member.headMovedAt + stalledMilliseconds : undefined
  }

  #isStalled(member: Member): boolean {
    return this.busy && this.now - member.headMovedAt >= stalledMilliseconds
  }

  prefers(a: Block, b: Block): boolean {
    if (this.#options.tieBreak === false) return a.totalWork > b.totalWork
    return this.#choice.isBetter(
      { line: a.ancestry, totalWork: a.totalWork },
      { line: b.ancestry, totalWork: b.totalWork },
    )
  }

  #nextBallot(address: string, below: Snapshot) {
    const has = (target: string) => below.votes.some((vote) => vote.signer === address && vote.target === target)
    const target = [...this.unwanted].find((one) => below.authorities.includes(one) && !has(one))
    if (target === undefined || target === address || !below.authorities.includes(address)) return undefined
    return { since: genesisTime, ballot: { target, authorize: false } }
  }

  // ---- blocks and messages ----

  /** A block whose parent is here. */
  #take(member: Member, block: Block): void {
    member.keep(block)
    if (!this.prefers(block, member.head)) return
    member.head = block
    member.headMovedAt = this.now
    member.sync()
  }

  #relay(member: Member, block: Block, from: Member | undefined): void {
    for (const other of this.#reachable(member)) {
      if (other !== from) this.wires.send(member, other, () => this.#hear(other, member, block))
    }
  }

  #hear(member: Member, from: Member, block: Block): void {
    if (member.blocks.has(block.hash) || this.#isAhead(member, block)) return
    if (!member.blocks.has(block.parent!.hash)) return this.#fetch(member, from, block)
    this.#take(member, block)
    this.#relay(member, block, from)
    this.look(member)
  }

  #isAhead(member: Member, { header }: Block): boolean {
    return Date.parse(header.timestamp) > this.#wall(member) + member.engine.futureMillisecondsMax
  }

  /** Asks for what is missing below a block, and takes all of it. */
  #fetch(member: Member, from: Member, block: Block): void {
    this.wires.send(member, from, () => {
      if (!from.blocks.has(block.hash)) return
      this.wires.send(from, member, () => this.#takeLine(member, from, block))
    })
  }

  #takeLine(member: Member, from: Member, block: Block): void {
    const missing = block.line().filter((one) => !member.blocks.has(one.hash))
    // More than that is only fetched where it becomes the recorded chain.
    if (missing.length === 0 || (missing.length > nearBlocksMax + 1 && !this.prefers(block, member.head))) return
    for (const one of missing) {
      if (this.#isAhead(member, one)) break
      this.#take(member, one)
    }
    this.#relay(member, block, from)
    this.look(member)
  }

  /** Two that can reach each other newly look at each other's heads; what is not better is left alone. */
  #join(one: Member, other: Member): void {
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      this.wires.send(from, to, () => {
        const { head } = from
        if (!to.blocks.has(head.hash) && this.prefers(head, to.head)) this.#fetch(to, from, head)
      })
    }
  }

  #reachable(member: Member): Member[] {
    return this.members.filter((other) => other !== member && reaches(member, other))
  }

  #wall(member: Member, at = this.now): number {
    return genesisTime + at + member.skew
  }
}
