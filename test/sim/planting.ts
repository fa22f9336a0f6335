// Bugs that are planted one at a time, from the outside: each must be caught within 200 seeds.
import { afterEach, expect, test } from 'bun:test'
import { powOf, type Engine } from './engines.ts'
import type { Invariant } from './invariants.ts'
import { mixedPlan, type Plan } from './plan.ts'
import { Simulation, type SimulationParts } from './simulation.ts'

const seedsMax = 200
const minutesMax = 10

export type Parts = Partial<Omit<SimulationParts, 'plan' | 'engine'>> & { readonly engine?: (plan: Plan) => Engine }

/** What takes a bug out again, when its test is over. */
export const undo: (() => void)[] = []
afterEach(() => {
  for (const one of undo.splice(0)) one()
})

/** Puts another function in the place of a method, until the test is over. */
export function replace<T extends object, K extends keyof T>(where: T, name: K, by: (original: T[K]) => T[K]): void {
  const original = where[name]
  where[name] = by(original)
  undo.push(() => void (where[name] = original))
}

export interface Where {
  /** Default: of the mixture. */
  readonly plan?: (seed: number) => Plan
  readonly engine?: (plan: Plan) => Engine
}

export function planted(
  bug: string,
  expected: readonly Invariant[],
  plant: () => Parts | Promise<Parts>,
  where: Where = {},
): void {
  const { plan: planOf = mixedPlan, engine: usual = powOf } = where
  test(
    bug,
    async () => {
      const { engine = usual, ...parts } = await plant()
      for (let seed = 1; seed <= seedsMax; seed++) {
        const plan = planOf(seed)
        const { broken, seconds } = await new Simulation({ plan, engine: engine(plan), ...parts }).run()
        if (broken === undefined) continue
        const where = broken.node === undefined ? '' : ` at ${broken.node}`
        const what = `caught by seed ${seed} after ${seconds.toFixed(1)} s${where}: ${broken.invariant}`
        process.stdout.write(`${bug}: ${what}: ${broken.message.slice(0, 160)}\n`)
        expect(expected).toContain(broken.invariant)
        return
      }
      throw new Error(`${bug}: not caught by ${seedsMax} seeds`)
    },
    minutesMax * 60_000,
  )
}
