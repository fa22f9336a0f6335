import * as v from 'valibot'
import type { Bus } from './bus.ts'
import { auditLedger, damageText, type AuditParts, type Damage } from './chain/audit.ts'
import { Chain } from './chain/chain.ts'
import { chainDoor, finalityDoor } from './chain/doors.ts'
import type { Contributed } from './contributions.ts'
import { AurexError, exitCode } from './errors.ts'
import type { PluginServices } from './services.ts'
import type { PluginEntry } from './load.ts'
import type { Genesis } from './chain/genesis.ts'
import type { Application, Context, HealthCheck } from './plugin.ts'
import { Producer } from './producer.ts'
import { watchSigned } from './signedblocks.ts'
import { checkRecord } from './signing/checkrecord.ts'
import type { Signing } from './signing/signing.ts'

/** How long a start may take to re-check the ledger before it goes on and does the rest beside its work. */
const auditAtStartMilliseconds = 150
/** Beside the work: a slice of so long, then a pause of so long. */
const auditSliceMilliseconds = 4
const auditPauseMilliseconds = 40

export interface ChainParts {
  readonly bus: Bus
  /** The ledger was found to be damaged while the node runs: it must stop. */
  readonly damaged: (error: AurexError) => void
  readonly services: PluginServices
  readonly contributed: Contributed
}

/** What core adds to the plugins of a node that has a ledger and an engine: the slot `chain`. */
export interface ChainHost {
  readonly entry: PluginEntry
  /** Undefined until they are set up. */
  chain(): Chain | undefined
  producer(): Producer | undefined
}

export function chainHost(parts: ChainParts): ChainHost {
  let producer: Producer | undefined
  let chain: Chain | undefined
  const setup = async (context: Context<'storage' | 'consensus', 'application' | 'finality'>): Promise<Chain> => {
    const { genesis, runtime, limits, log, identity } = context
    const { storage, consensus } = context.use
    if (genesis === undefined) throw new Error('a chain without a genesis: the loader must not have got here')
    const application = applicationOf(genesis, context.use.application)
    const { finality } = context.use
    parts.services.signing.attach(storage)
    parts.services.evidence.attach(storage)
    parts.contributed.add('health', { name: 'signing', check: () => signingHealth(parts.services.signing) })
    storage.begin(genesis, genesis.block, runtime.clock.now(), application?.opening())
    const { signing, evidence } = parts.services
    const { contributed } = parts
    const defer = (release: () => void): void => context.defer(release)
    const hasTurns = consensus.turn !== undefined
    const signed = hasTurns
      ? watchSigned({ genesis, consensus, storage, signing, evidence, contributed, defer })
      : undefined
    const made = new Chain({
      genesis,
      consensus,
      application,
      finality,
      signed,
      signedLast: hasTurns ? () => signing.signerOf('chain').last('block')?.text : undefined,
      storage,
      runtime,
      limits,
      log,
      emit: (event, fact) => parts.bus.emit(event, fact),
      changed: (what) => producer?.changed(what),
    })
    context.defer(() => made.close())
    const audit = auditTwice({ storage, genesis, consensus, finality, application })
    const step = runFor(audit, auditAtStartMilliseconds, context)
    if (step.done === true) refuseDamage(step.value, storage.location)
    else auditBeside(audit, context, parts.damaged)
    checkRecord({ signing, storage, consensus, nodeId: identity.nodeId })
    await made.restorePending()
    openDoors(made, context)
    producer = new Producer({ chain: made, consensus, finality, signing, identity, runtime, log })
    context.defer(() => producer?.stop())
    return (chain = made)
  }
  const plugin = {
    name: 'chain',
    summary: 'the ledger and its rules',
    provides: 'chain' as const,
    needs: ['storage', 'consensus'] as const,
    wants: ['application', 'finality'] as const,
    config: v.strictObject({}),
    setup,
  }
  return { entry: { plugin, config: {}, parameters: undefined }, chain: () => chain, producer: () => producer }
}

/** An authority that signs nothing looks well in everything else. */
function signingHealth(signing: Signing): ReturnType<HealthCheck['check']> {
  const waiting = signing.stopped()
  if (waiting === undefined) return { status: 'pass' }
  return { status: 'fail', output: `nothing is signed: it waits for ${waiting.waitsFor}; see: aurex why` }
}

/** Who has a say in what is recorded gets to see it, before anything is produced. */
function openDoors(chain: Chain, { use, log }: Context<'consensus', 'finality'>): void {
  const { consensus, finality } = use
  finality?.open(finalityDoor(chain, log))
  // What was final when the node stopped, or is it from now on, may not be written yet.
  if (finality !== undefined || consensus.finalAtOnce === true) chain.reconsider()
  consensus.open?.(chainDoor(chain, log))
}

/** Throws `wrong-application` where the one that is set up is not what the genesis names. */
function applicationOf(genesis: Genesis, application: Application | undefined): Application | undefined {
  if (genesis.application === application?.id) return application
  throw new AurexError(
    'wrong-application',
    `the genesis of ${genesis.name} names ${genesis.application ?? 'no application'}, but ` +
      `${application?.id ?? 'none'} is set up`,
    { exit: exitCode.config },
  )
}

type Audit = ReturnType<typeof auditLedger>

/** Everything that costs little first, since the start waits for it only so long; then the signatures. */
function* auditTwice(parts: Omit<AuditParts, 'signatures'>): Audit {
  const damage = yield* auditLedger({ ...parts, signatures: false })
  return damage ?? (yield* auditLedger({ ...parts, application: undefined, signatures: true }))
}

function runFor(audit: Audit, milliseconds: number, { runtime }: Pick<Context, 'runtime'>) {
  const end = runtime.clock.monotonic() + milliseconds
  let step = audit.next()
  while (step.done !== true && runtime.clock.monotonic() < end) step = audit.next()
  return step
}

/** The rest of the audit in small slices, so that a long ledger does not make for a long start. */
function auditBeside(audit: Audit, context: Context<'storage'>, damaged: (error: AurexError) => void): void {
  const { runtime, signal, log } = context
  const { location } = context.use.storage
  const slice = (): void => {
    if (signal.aborted) return
    try {
      const step = runFor(audit, auditSliceMilliseconds, context)
      if (step.done !== true) timer = runtime.clock.after(auditPauseMilliseconds, slice)
      else if (step.value === undefined) log.debug('every block of the ledger was re-checked', { location })
      else refuseDamage(step.value, location)
    } catch (error) {
      damaged(error instanceof AurexError ? error : new AurexError('ledger-damaged', String(error)))
    }
  }
  let timer = runtime.clock.after(auditPauseMilliseconds, slice)
  context.defer(() => timer.cancel())
}

function refuseDamage(damage: Damage | undefined, location: string): void {
  if (damage === undefined) return
  throw new AurexError(
    'ledger-damaged',
    `${location}: ${damageText(damage)}; nothing is built on it. Put back a copy, or let the node fetch the chain ` +
      'anew from its peers with another --data-dir',
    { exit: exitCode.config },
  )
}
