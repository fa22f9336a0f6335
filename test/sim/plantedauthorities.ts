// Planted bugs of what authorities sign, of what is final, and of who builds where. Part of planted.slow.ts.
import { DepthLimit } from '../../core/chain/depth.ts'
import { ForkChoice } from '../../core/chain/forkchoice.ts'
import { EvidenceBook } from '../../core/evidence/book.ts'
import { accepted } from '../../core/index.ts'
import { SigningRecord } from '../../core/signing/record.ts'
import bft from '../../plugins/bft/index.ts'
import finality from '../../plugins/finality/index.ts'
import poa from '../../plugins/poa/index.ts'
import { planEngine, type Plugins } from './authorityengines.ts'
import type { Plan } from './plan.ts'
import type { Invariant } from './invariants.ts'
import { planted, replace, type Where } from './planting.ts'
import { spoiltPlugin, type Edit } from './plantedsource.ts'
import { suites } from './suites.ts'

const inFinality = { plan: suites.finality.plan, engine: planEngine }
const inAuthorities = { plan: suites.authorities.plan, engine: planEngine }

/** Of the worlds of a suite those of one engine. */
const only =
  (engine: Plan['engine'], isFinal?: boolean) =>
  (seed: number): Plan => {
    for (let n = seed * 1_000; ; n++) {
      const plan = suites.authorities.plan(n)
      if (plan.engine !== engine) continue
      if (isFinal === undefined || (plan.authorities?.finality !== undefined) === isFinal) return plan
    }
  }

type Suite = Pick<Where, 'plan'>

/** As `planted`, with the bug in the source of a plugin. */
function plantedIn(
  name: keyof Plugins,
  bug: string,
  expected: readonly Invariant[],
  edits: readonly Edit[],
  where: Suite,
): void {
  const plant = async () => {
    const spoilt = await spoiltPlugin(name, edits)
    return { engine: (plan: Plan) => planEngine(plan, { poa, bft, finality, [name]: spoilt }) }
  }
  planted(bug, expected, plant, where)
}

export function plantAuthorityBugs(): void {
  // ---- what is final ----

  planted(
    'fork choice takes no notice of what is justified',
    ['the chain is the one that is justified'],
    () => {
      replace(
        ForkChoice.prototype,
        'isBetter',
        (original) =>
          function (this: ForkChoice, challenger, holder) {
            return this.holdsFinal(challenger.line) === this.holdsFinal(holder.line)
              ? challenger.totalWork > holder.totalWork
              : original.call(this, challenger, holder)
          },
      )
      return {}
    },
    inFinality,
  )

  planted(
    'a heavier chain wins, whatever was final',
    ['no reorganisation goes below a final block', 'what is final stays final'],
    () => {
      replace(ForkChoice.prototype, 'isBetter', () => (a, b) => a.totalWork > b.totalWork)
      replace(DepthLimit.prototype, 'check', () => () => accepted)
      return {}
    },
    inFinality,
  )

  planted(
    'a voter forgets at a restart what it signed',
    // It may meet what it signed before it signs anything else, and stops.
    ['no honest key contradicts itself', 'no node fails or logs an error'],
    () => {
      const written = new WeakMap<SigningRecord, Set<string>>()
      replace(
        SigningRecord.prototype,
        'changeTo',
        (original) =>
          function (this: SigningRecord, track, last) {
            written.set(this, (written.get(this) ?? new Set()).add(track))
            return original.call(this, track, last)
          },
      )
      replace(
        SigningRecord.prototype,
        'last',
        (original) =>
          function (this: SigningRecord, track) {
            return written.get(this)?.has(track) === true ? original.call(this, track) : undefined
          },
      )
      return {}
    },
    { ...inAuthorities, plan: only('poa') },
  )

  planted(
    'the record of a vote is written after the vote is sent',
    ['no honest key contradicts itself', 'no node fails or logs an error'],
    () => {
      const held = new WeakMap<SigningRecord, Parameters<SigningRecord['write']>[0]>()
      replace(
        SigningRecord.prototype,
        'write',
        (original) =>
          function (this: SigningRecord, changes) {
            original.call(this, held.get(this) ?? [])
            held.set(this, changes)
          },
      )
      return {}
    },
    inFinality,
  )

  plantedIn(
    'finality',
    'a voter goes around its own votes',
    ['no honest key contradicts itself'],
    [
      {
        file: 'voter.ts',
        from: 'return commit === undefined || source.index >= commit.target.index',
        to: 'return true',
      },
      { file: 'standing.ts', from: 'return candidates.find(holds)', to: 'return candidates.findLast(holds)' },
    ],
    inFinality,
  )

  plantedIn(
    'finality',
    'two thirds are a quorum, and not more than two thirds',
    ['every stored block is valid', 'no two final blocks conflict'],
    [{ file: 'rules.ts', from: 'Math.floor((2 * authorities) / 3) + 1', to: 'Math.floor((2 * authorities) / 3)' }],
    inFinality,
  )

  // ---- who lies ----

  planted(
    'evidence is kept to oneself',
    ['everybody has the evidence'],
    () => {
      replace(EvidenceBook.prototype, 'onNew', () => () => {})
      replace(EvidenceBook.prototype, 'all', () => () => [])
      return {}
    },
    { plan: suites.clones.plan, engine: planEngine },
  )

  // ---- blocks of authorities ----

  plantedIn(
    'poa',
    'who has just signed signs again',
    ['every stored block is valid'],
    [{ file: 'turns.ts', from: 'Math.floor(authorities / 2)', to: 'Math.min(0, authorities)' }],
    { plan: only('poa') },
  )

  planted(
    'of two chains of one weight the one that came first is kept',
    ['honest heads are equal within 60 s of healing', 'honest heads stay equal after healing'],
    () => {
      replace(
        ForkChoice.prototype,
        'isBetter',
        (original) =>
          function (this: ForkChoice, challenger, holder) {
            return challenger.totalWork !== holder.totalWork && original.call(this, challenger, holder)
          },
      )
      return {}
    },
    { ...inAuthorities, plan: only('poa', false) },
  )
}
