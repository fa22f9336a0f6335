import type { Hash } from '../../core/chain/canonical.ts'
import type { Storage } from '../../core/index.ts'
import type { Limits } from '../../core/limits.ts'
import { Dice } from './dice.ts'
import type { DiskFile } from './disk.ts'
import type { HonestNode } from './honest.ts'
import { Broken } from './invariants.ts'
import { LightPeer } from './light.ts'
import type { Plan } from './plan.ts'
import type { World } from './runtime.ts'
import { simPort } from './simnode.ts'

export interface LightsParts {
  readonly world: World
  readonly plan: Plan
  readonly nodes: readonly HonestNode[]
  readonly chainId: Hash
  readonly limits: Limits
  readonly openLedger: (file: DiskFile) => Storage
  readonly logged: (address: string, level: string, message: string, fields?: Record<string, unknown>) => void
  readonly failed: (address: string, error: unknown) => void
  readonly broken: (broken: Broken) => void
}

const peersNamedMax = 3

/** All light peers of a world: they come early, crash, and come back. */
export class Lights {
  readonly all: readonly LightPeer[]
  /** How often one crashed. */
  crashes = 0
  readonly #parts: LightsParts
  readonly #dice: Dice

  constructor(parts: LightsParts) {
    this.#parts = parts
    this.#dice = new Dice(`${parts.plan.seed}/light peers come and go`)
    this.all = Array.from({ length: parts.plan.light }, (_, n) => this.#make(n))
  }

  start(): void {
    for (const light of this.all) this.#parts.world.at(this.#dice.between(0, 20_000), () => light.start())
  }

  /** Those that are down come back now. */
  spare(): void {
    for (const light of this.all) if (!light.isUp) light.start()
  }

  /** Whether it was one of these whose process ended. */
  crashed(address: string): boolean {
    const light = this.all.find((one) => one.address === address)
    if (light === undefined) return false
    light.died()
    this.crashes++
    this.#parts.world.at(this.#dice.between(500, 15_000), () => {
      if (!light.isUp) light.start()
    })
    return true
  }

  /** Looks at which chain each believes that it is on. Throws `Broken`. */
  check(): void {
    for (const light of this.all) {
      light.learnt = light.chainId ?? light.learnt
      if (light.learnt !== undefined && light.learnt !== this.#parts.chainId) {
        throw broken(light, `it believes that its chain is ${light.learnt}`)
      }
    }
  }

  /** Throws `Broken` where `over`, and one does not take part yet; returns whether all do. */
  takePart(over: boolean): boolean {
    const left = this.all.find(({ takesPart }) => !takesPart)
    if (left === undefined || !over) return left === undefined
    throw broken(left, left.chainId === undefined ? 'it does not know its chain' : 'it has no peer with a chain')
  }

  #make(n: number): LightPeer {
    const { world, plan, nodes, limits, openLedger, logged, failed } = this.#parts
    const dice = new Dice(`${plan.seed}/peers of light ${n}`)
    // An operator names such as are there from the beginning.
    const steady = nodes.slice(0, Math.max(1, plan.nodes - plan.late))
    const peers = dice.shuffled(steady).slice(0, peersNamedMax)
    return new LightPeer({
      world,
      address: `94.${n}.0.1`,
      peers: peers.map(({ address }) => ({ host: address, port: simPort })),
      limits,
      openLedger,
      witness: {
        lightStarted: (light) => this.#started(light),
        lightLogged: (light, level, message, fields) => logged(light.address, level, message, fields),
        lightFailed: (light, error) => failed(light.address, error),
      },
    })
  }

  /** What was learnt once is not forgotten. */
  #started(light: LightPeer): void {
    if (light.learnt === undefined || light.chainId === light.learnt) return
    const now = light.chainId === undefined ? 'it does not' : light.chainId
    this.#parts.broken(broken(light, `it knew its chain before it crashed, and now ${now}`))
  }
}

const broken = ({ address }: LightPeer, what: string): Broken =>
  new Broken('light peers learn their chain and take part', address, what)
