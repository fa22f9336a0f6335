import type { SealedHeader } from '../../core/chain/block.ts'
import type { Hash } from '../../core/chain/canonical.ts'
import { messageOf, type CoreEvents, type Storage } from '../../core/index.ts'
import type { Genesis } from '../../core/chain/genesis.ts'
import type { Limits } from '../../core/limits.ts'
import { AuthorityChecks, progressOf } from './authoritychecks.ts'
import { marketOn, type WorldApplication } from './applications.ts'
import { Checks } from './checks.ts'
import { Crowd } from './crowd.ts'
import { customersOf } from './customers.ts'
import { Dice } from './dice.ts'
import type { DiskFile } from './disk.ts'
import type { Engine } from './engines.ts'
import { arrangeEvents } from './events.ts'
import { calm, faultKinds, Tally, type FaultKind } from './faults.ts'
import { HonestNode, openJournal, type Witness } from './honest.ts'
import { hostileKinds, liarKinds, type HostileKind, type LiarKind } from './hostile/kinds.ts'
import { enterTroupe } from './hostile/troupe.ts'
import { Broken, checkTraffic, type Invariant } from './invariants.ts'
import { Lights } from './lights.ts'
import { Observations, type Figures } from './observations.ts'
import type { Plan } from './plan.ts'
import { Replay } from './replay.ts'
import type { Ring } from './ring.ts'
import { World } from './runtime.ts'
import { scenes, type Scene } from './scenes.ts'
import { simPort } from './simnode.ts'
import { Wiretap } from './wiretap.ts'

export interface SimulationParts {
  readonly plan: Plan
  readonly engine: Engine
  /** Hears what happens, with the second of the world. */
  readonly say?: (seconds: number, what: string) => void
  readonly openLedger?: (file: DiskFile) => Storage
  /** Hears what a node calls final, by its address. */
  readonly finalized?: (address: string, height: number) => void
  /** What the nodes take for their limits; tests let them take others than the plan's. */
  readonly nodeLimits?: Limits
  /** Makes the world; tests put one in that lies. */
  readonly makeWorld?: (plan: Plan) => World
}

export interface Outcome {
  readonly plan: Plan
  readonly broken: Broken | undefined
  /** Seconds of the world at the end, or when an invariant broke. */
  readonly seconds: number
  readonly figures: Figures
  readonly faults: Readonly<Record<FaultKind, number>>
  readonly hostile: Readonly<Record<HostileKind | LiarKind, number>>
  /** What came to pass in this world beside faults. */
  readonly scenes: Readonly<Record<Scene, number>>
  readonly trace: string
}

const healMillisecondsMax = 60_000
const lightMillisecondsMax = 90_000
/** bft makes its rounds longer one after the other, also while too few are there to agree. */
const progressMillisecondsMax = { usual: 60_000, bft: 180_000 }
/** Until somebody has read what the log says of a key that two have. */
const noticedMilliseconds = 10_000
/** Watched afterwards for so long, in which new blocks may set them apart for so long at the most. */
const steadyMilliseconds = 30_000
const apartMillisecondsMax = 15_000
/** Honest nodes may complain of what they are right to complain of. */
const expectedErrors: readonly unknown[] = [
  'clock-differs',
  'a heavier branch was refused: it would undo more blocks than allowed',
  'a heavier branch was refused: it would undo what is final',
]
/** Where keys are named they may also complain of those who lie, and who has another's key of that. */
const expectedErrorsOfAuthorities: readonly unknown[] = [
  ...expectedErrors,
  'a key signed two things that contradict each other; look at it with: aurex evidence',
]
const expectedErrorsOfClones: readonly unknown[] = [
  'nothing is signed any more',
  'nothing is signed until this node is started anew',
  'another process has the key of this node: give it one of its own',
  'a node of --peers is connected with this node already, and this one has no peer: is its key elsewhere?',
]

const bootstrapMax = 3
const trafficSeconds = 10

/** One world from its beginning to its end. */
export class Simulation implements Witness {
  readonly #parts: SimulationParts
  readonly #world: World
  readonly #genesis: Genesis
  readonly #application: WorldApplication | undefined
  readonly #checks: Checks
  readonly #nodes: readonly HonestNode[]
  readonly #lights: Lights
  readonly #addresses: ReadonlySet<string>
  readonly #crowd: Crowd
  readonly #dice: Dice
  readonly #authorities: AuthorityChecks | undefined
  readonly #hostile = new Tally<HostileKind | LiarKind>()
  readonly #scenes = new Tally<Scene>()
  readonly #observations: Observations
  readonly #endsAt: number
  #broken: Broken | undefined
  /** Milliseconds of the world. */
  #healedAt: number | undefined
  #recorded = 0
  #trafficSince = 0

  constructor(parts: SimulationParts) {
    const { plan, engine } = parts
    this.#parts = parts
    this.#dice = new Dice(`${plan.seed}/events`)
    this.#endsAt = Math.round(plan.minutes * 60_000)
    this.#world = parts.makeWorld?.(plan) ?? new World({ seed: plan.seed, latencyMilliseconds: plan.latency })
    this.#application = plan.application === 'market' ? marketOn(engine.genesis, plan.seed) : undefined
    this.#genesis = this.#application?.genesis ?? engine.genesis
    this.#nodes = Array.from({ length: plan.nodes }, (_, n) => this.#makeNode(n))
    this.#lights = new Lights({
      world: this.#world,
      plan,
      nodes: this.#nodes,
      chainId: this.#genesis.rules.chainId,
      limits: parts.nodeLimits ?? plan.limits,
      openLedger: parts.openLedger ?? openJournal,
      logged: this.#logged.bind(this),
      failed: this.#failed.bind(this),
      broken: this.#break.bind(this),
    })
    this.#addresses = new Set([...this.#nodes, ...this.#lights.all].map(({ address }) => address))
    this.#observations = new Observations(this.#nodes, this.#endsAt)
    this.#crowd = new Crowd({
      seed: plan.seed,
      host: this.#world.host('93.0.0.1'),
      nodes: this.#nodes,
      chainId: this.#genesis.rules.chainId,
      dice: new Dice(`${plan.seed}/clients`),
      customers: this.#application && customersOf(this.#nodes, this.#genesis.rules, plan.seed),
    })
    this.#checks = new Checks({
      genesis: this.#genesis,
      limits: plan.limits,
      replay: this.#application && new Replay(this.#application.oracle, this.#genesis.rules),
      promisesOf: (node) => this.#crowd.promisesOf(node),
    })
    this.#world.crashed = (address) => this.#crashed(address)
    this.#authorities = this.#watchAuthorities(engine.ring)
  }

  /** Runs it to its end, or to the first invariant that breaks. Never throws but for a fault of the simulator. */
  async run(): Promise<Outcome> {
    const { plan, engine } = this.#parts
    const stray = (error: unknown): void => {
      this.#broken ??= new Broken(
        'no node fails or logs an error',
        undefined,
        `a promise nobody heard: ${textOf(error)}`,
      )
    }
    process.on('unhandledRejection', stray)
    try {
      await this.#live()
    } catch (error) {
      this.#broken ??=
        error instanceof Broken
          ? error
          : new Broken('no node fails or logs an error', undefined, `something was thrown: ${textOf(error)}`)
    } finally {
      process.off('unhandledRejection', stray)
    }
    const world = this.#world
    return {
      plan,
      broken: this.#broken,
      seconds: world.elapsed / 1_000,
      figures: this.#observations.figures(world, this.#crowd, this.#recorded, engine),
      faults: world.tally.all(faultKinds),
      hostile: this.#hostile.all([...hostileKinds, ...liarKinds]),
      scenes: this.#scenes.all(scenes),
      trace: world.trace(),
    }
  }

  async #live(): Promise<void> {
    const { plan } = this.#parts
    const world = this.#world
    for (const [n, node] of this.#nodes.entries()) world.at(this.#startOf(n), () => node.start())
    arrangeEvents({
      world,
      plan,
      nodes: this.#nodes,
      lights: this.#lights.all,
      dice: this.#dice,
      endsAt: this.#endsAt,
      say: (what) => this.#say(what),
    })
    this.#lights.start()
    enterTroupe({
      world,
      chainId: this.#genesis.rules.chainId,
      nodes: this.#nodes,
      tally: this.#hostile,
      plan,
      ring: this.#parts.engine.ring,
      expose: (address, kind) => {
        // Lines are lost before that, and some of those who would hear it are down.
        if (this.#healedAt !== undefined) this.#authorities?.accusations.expose(address, kind)
      },
    })
    this.#submitFrom(3_000)
    this.#submitToClones()
    world.at(1_000, () => this.#sample())
    await this.#advance(this.#endsAt - world.elapsed)
    await this.#heal()
    for (const node of this.#present()) {
      this.#checks.whole(node)
      this.#authorities?.whole(node)
    }
    this.#countScenes()
    const { storage } = this.#nodes[0]!.inside!
    this.#recorded = [...this.#crowd.acknowledged].filter((hash) => storage.locate(hash) !== undefined).length
  }

  /** All faults are over; the hostile peers stay. */
  async #heal(): Promise<void> {
    const world = this.#world
    world.weather = calm
    world.syncMillisecondsMax = 0
    world.heal()
    for (const node of this.#nodes) {
      node.spare()
      if (!node.isUp) node.start()
    }
    this.#lights.spare()
    this.#say('everything is healed')
    const healedAt = (this.#healedAt = world.elapsed)
    await this.#retireClones()
    await this.#untilEqual(healMillisecondsMax, 'honest heads are equal within 60 s of healing')
    this.#say(`honest heads are equal, at height ${this.#nodes[0]!.height}`)
    for (const end = world.elapsed + steadyMilliseconds; world.elapsed < end;) {
      await this.#advance(100)
      await this.#untilEqual(apartMillisecondsMax, 'honest heads stay equal after healing')
    }
    await this.#untilLightsTakePart(healedAt + lightMillisecondsMax)
    if (this.#authorities !== undefined) await this.#untilProgress(this.#authorities)
  }

  /** Enough authorities are up, so all that was begun comes to its end. */
  async #untilProgress(checks: AuthorityChecks): Promise<void> {
    await this.#untilNone(() => checks.pending(), progressOf.pending)
    const goal = checks.finalGoal()
    await this.#untilNone(() => checks.unfinal(goal), progressOf.unfinal)
    this.#say(`block ${goal} is final everywhere`)
    await this.#untilNone(() => checks.unknown(), progressOf.unknown)
    this.#scenes.add('evidence', checks.accusations.due)
    this.#checkDoubled(checks)
    if (checks.finals.height > 0) this.#scenes.add('final')
  }

  /** Both made block 1 while they were apart, and somebody beside each of them took it. Votes need not have met. */
  #checkDoubled({ accusations }: AuthorityChecks): void {
    const { plan, engine } = this.#parts
    if (engine.ring?.cloned === undefined || plan.engine !== 'poa' || plan.apartMilliseconds === 0) return
    if (accusations.due === 0)
      throw new Broken(progressOf.unknown, undefined, 'two nodes had one key, and nobody knows')
  }

  async #untilNone(missing: () => string | undefined, invariant: Invariant): Promise<void> {
    const { usual, bft } = progressMillisecondsMax
    const milliseconds = this.#parts.plan.engine === 'bft' ? bft : usual
    for (const end = this.#world.elapsed + milliseconds; this.#world.elapsed < end;) {
      if (missing() === undefined) return
      await this.#advance(100)
    }
    throw new Broken(invariant, undefined, missing() ?? 'it came too late')
  }

  /** The operator of who has another's key reads what its log says, and stops it. */
  async #retireClones(): Promise<void> {
    const { ring } = this.#parts.engine
    if (ring?.cloned === undefined) return
    await this.#advance(noticedMilliseconds)
    const clones = this.#nodes.filter(({ keyAddress }) => keyAddress === ring.cloned).slice(1)
    for (const clone of clones) {
      this.#say(`${clone.address} is stopped for good: it has the key of another`)
      clone.retire()
    }
  }

  /** Those whose operators have not stopped them for good. */
  #present(): readonly HonestNode[] {
    return this.#nodes.filter(({ isRetired }) => !isRetired)
  }

  async #untilLightsTakePart(end: number): Promise<void> {
    while (!this.#lights.takePart(this.#world.elapsed >= end)) await this.#advance(100)
  }

  async #untilEqual(milliseconds: number, invariant: Invariant): Promise<void> {
    for (const end = this.#world.elapsed + milliseconds; this.#world.elapsed < end;) {
      if (this.#agree()) return
      await this.#advance(100)
    }
    const heads = this.#present().map(({ address, head, height }) => `${address} ${height} ${head?.slice(0, 8)}`)
    throw new Broken(invariant, undefined, heads.join(', '))
  }

  #agree(): boolean {
    const [first, ...others] = this.#present()
    return first!.head !== undefined && others.every(({ head }) => head === first!.head)
  }

  async #advance(milliseconds: number): Promise<void> {
    let over = false
    this.#world.at(milliseconds, () => void (over = true))
    await this.#world.runUntil(() => over || this.#broken !== undefined, milliseconds)
    if (this.#broken !== undefined) throw this.#broken
  }

  #watchAuthorities(ring: Ring | undefined): AuthorityChecks | undefined {
    if (ring === undefined) return undefined
    const world = this.#world
    const checks = new AuthorityChecks({
      plan: this.#parts.plan,
      ring,
      nodes: this.#nodes,
      chainId: this.#genesis.rules.chainId,
      elapsed: () => world.elapsed,
      now: () => world.startsAt + world.elapsed,
      said: () => this.#scenes.add('named-missing'),
    })
    const tap = new Wiretap((message) => this.#guard(() => checks.heard(message)))
    world.tap = () => tap.line()
    return checks
  }

  #makeNode(n: number): HonestNode {
    const { plan, engine, openLedger = openJournal } = this.#parts
    // Those that are there already; nobody who comes first knows anybody.
    const dice = new Dice(`${plan.seed}/peers of ${n}`)
    const before = Array.from({ length: n }, (_, i) => i)
    // On one side of what is apart from the beginning, they must find each other.
    const peers = dice.shuffled(before).slice(0, plan.apartMilliseconds > 0 ? n : bootstrapMax)
    return new HonestNode({
      world: this.#world,
      address: addressOf(n),
      peers: peers.map((i) => ({ host: addressOf(i), port: simPort })),
      genesis: this.#genesis,
      engine: engine.entry(n),
      key: engine.ring?.keys[n],
      plugins: [this.#application?.entry, engine.finality].filter((one) => one !== undefined),
      limits: this.#parts.nodeLimits ?? plan.limits,
      witness: this,
      openLedger,
    })
  }

  #countScenes(): void {
    if (this.#application !== undefined) {
      this.#scenes.add('market')
      this.#scenes.add('rivals', this.#crowd.rivals)
      this.#scenes.add('declined', this.#crowd.declined)
    }
    this.#scenes.add('light-peer', this.#lights.all.length)
    this.#scenes.add('light-crash', this.#lights.crashes)
  }

  /** The last ones may come late. */
  #startOf(n: number): number {
    const { nodes, late } = this.#parts.plan
    return n === 0 || n < nodes - late ? n * 20 : Math.round(this.#endsAt * (0.4 + 0.3 * this.#dice.fraction()))
  }

  #submitFrom(milliseconds: number): void {
    const { rate } = this.#parts.plan
    if (rate === 0) return
    this.#world.at(milliseconds, () => {
      if (this.#world.elapsed >= this.#endsAt) return
      this.#crowd.submit()
      this.#submitFrom(this.#dice.exponential(1_000 / rate))
    })
  }

  /** So that both have something to sign while they are apart. */
  #submitToClones(): void {
    const { ring } = this.#parts.engine
    if (ring?.cloned === undefined) return
    const same = this.#nodes.filter(({ keyAddress }) => keyAddress === ring.cloned)
    for (const node of same) this.#world.at(3_000, () => this.#crowd.submit(node))
  }

  /** Looks at everybody twice a second. */
  #sample(): void {
    this.#guard(() => {
      this.#checks.look(this.#nodes)
      for (const node of this.#nodes) this.#authorities?.look(node)
      this.#lights.check()
      this.#checkTraffic()
      this.#observations.sample(this.#world.elapsed)
    })
    this.#world.at(500, () => this.#sample())
  }

  #checkTraffic(): void {
    const seconds = (this.#world.elapsed - this.#trafficSince) / 1_000
    if (seconds < trafficSeconds) return
    checkTraffic(this.#world.traffic, seconds, this.#addresses)
    this.#world.traffic.clear()
    this.#trafficSince = this.#world.elapsed
  }

  #crashed(address: string): void {
    if (this.#lights.crashed(address)) return
    const node = this.#nodes.find((one) => one.address === address)
    if (node === undefined || node.isRetired) return
    // What it had in memory when the power went counts for nothing: nobody had been told of it.
    node.died()
    const milliseconds = node.absentMilliseconds ?? this.#dice.between(500, 15_000)
    node.absentMilliseconds = undefined
    this.#say(`${address} is down for ${(milliseconds / 1_000).toFixed(1)} s`)
    this.#world.at(milliseconds, () => {
      if (!node.isUp && !node.isRetired) node.start()
    })
  }

  #say(what: string): void {
    this.#parts.say?.(this.#world.elapsed / 1_000, what)
  }

  #break(broken: Broken): void {
    this.#broken ??= broken
  }

  #guard(run: () => void): void {
    try {
      run()
    } catch (error) {
      if (!(error instanceof Broken)) throw error
      this.#break(error)
    }
  }

  // ---- Witness ----

  started(node: HonestNode): void {
    this.#guard(() => {
      this.#checks.started(node)
      this.#authorities?.look(node)
    })
  }

  accepted(node: HonestNode, header: SealedHeader): void {
    this.#observations.accepted(node, header, this.#world.elapsed)
    this.#guard(() => this.#authorities?.took(node, header))
  }

  moved(node: HonestNode, move: CoreEvents['head:moved']): void {
    this.#observations.moved(move)
    this.#guard(() => {
      this.#authorities?.moved(node)
      this.#checks.moved(node)
    })
    if (move.undone.length > 0) this.#say(`${node.address} undoes ${move.undone.length} blocks`)
  }

  finalized(node: HonestNode): void {
    this.#guard(() => this.#authorities?.finals.look(node))
    if (node.inside !== undefined) this.#parts.finalized?.(node.address, node.inside.chain.finalHeight())
  }

  undoing(node: HonestNode, blocks: number): void {
    this.#guard(() => this.#authorities?.finals.undoing(node, blocks))
  }

  banned(node: HonestNode, { target, reason }: CoreEvents['peer:banned']): void {
    const victim = [...this.#nodes, ...this.#lights.all].find(
      ({ address, nodeId }) => address === target || nodeId === target,
    )
    this.#say(`${node.address} bans ${target}: ${reason}`)
    if (victim === undefined) return
    this.#break(new Broken('no honest peer is banned', node.address, `${victim.address} is banned: ${reason}`))
  }

  dropping(node: HonestNode, hashes: readonly Hash[]): void {
    this.#guard(() => this.#checks.dropping(node, hashes))
    this.#scenes.add('dropped', hashes.length)
  }

  logged(node: HonestNode, level: string, message: string, fields: Record<string, unknown> | undefined): void {
    this.#logged(node.address, level, message, fields)
  }

  failed(node: HonestNode, error: unknown): void {
    this.#failed(node.address, error)
  }

  #failed(address: string, error: unknown): void {
    this.#break(new Broken('no node fails or logs an error', address, `it gives up: ${textOf(error)}`))
  }

  #logged(address: string, level: string, message: string, fields: Record<string, unknown> | undefined): void {
    if (level === 'debug' || level === 'info') return
    this.#say(`${address} logs ${level}: ${message} ${JSON.stringify(fields ?? {})}`)
    if (level !== 'error' || [message, fields?.['code']].some((one) => this.#expected().includes(one))) return
    const detail = `${message} ${JSON.stringify(fields ?? {})}`
    this.#break(new Broken('no node fails or logs an error', address, detail))
  }

  #expected(): readonly unknown[] {
    const { ring } = this.#parts.engine
    if (ring === undefined) return expectedErrors
    return ring.cloned === undefined
      ? expectedErrorsOfAuthorities
      : [...expectedErrorsOfAuthorities, ...expectedErrorsOfClones]
  }
}

/** Each honest node in a network of its own. */
const addressOf = (n: number): string => `${20 + (n % 60)}.${Math.floor(n / 60)}.0.1`

const textOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? messageOf(error)) : messageOf(error)
