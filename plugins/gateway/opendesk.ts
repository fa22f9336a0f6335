import type { Chain, Context, Storage } from '../../core/index.ts'
import { Attestor } from './attest.ts'
import { ChainOfDesk } from './chainofdesk.ts'
import { Couriers } from './couriers.ts'
import type { Desk, Fate } from './desk.ts'
import { Door } from './door.ts'
import { fateOf } from './fate.ts'
import { contributeFigures, Outcomes } from './figures.ts'
import { Queue } from './queue.ts'
import { Register } from './register.ts'
import { Submissions } from './submissions.ts'
import { Sweep } from './sweep.ts'
import { Writer } from './writer.ts'

export interface DeskParts {
  readonly context: Pick<
    Context,
    'identity' | 'network' | 'runtime' | 'limits' | 'log' | 'on' | 'signal' | 'contribute'
  >
  /** Without it nothing is kept: what no node takes is declined. */
  readonly storage: Pick<Storage, 'records'> | undefined
  /** Where it is there, it is the only node that is asked: its peers hear from it. */
  readonly chain: Chain | undefined
  readonly options: DeskOptions
}

export interface DeskOptions {
  /** Signs in this gateway's name what names send without a signature. */
  readonly attest: boolean
  /** A transaction in a block so deep is not followed any longer. Default 6. */
  readonly settledConfirmations?: number
  /** Kept and not settled; beyond it `queue-full`. Default 100,000. */
  readonly queueTransactionsMax?: number
  /** Without storage: purchases whose `tx_id` is remembered. Default 10,000. */
  readonly rememberedPurchasesMax?: number
  /** A node that leaves a question unanswered for so long is not waited for until it answers again. Default 1,000. */
  readonly slowMilliseconds?: number
  /** What was kept is given up when every node has refused it for so long. Default 60,000. */
  readonly refusedMilliseconds?: number
}

export interface OpenDesk extends Desk {
  /** Takes up what was kept, and begins to send. Before the first request. */
  start(): Promise<void>
  /** Sends nothing more; resolves when what is being written is written. */
  stop(): Promise<void>
}

/** The desk of one gateway. It contributes its own figures. */
export function openDesk({ context, storage, chain, options }: DeskParts): OpenDesk {
  const { runtime, log } = context
  const records = storage?.records('gateway')
  const attestor = new Attestor(context.identity, options.attest)
  const itsChain = new ChainOfDesk({ context, chain, records, attestor })
  const register = new Register(records, options.rememberedPurchasesMax ?? 10_000)
  const writer = records && new Writer(records, runtime.clock, log)
  const transactionsMax = options.queueTransactionsMax ?? 100_000
  const queue = records && writer && new Queue({ records, writer, clock: runtime.clock, transactionsMax })
  const couriers = new Couriers({
    context,
    chain,
    chainId: () => itsChain.rules()?.chainId,
    slowMilliseconds: options.slowMilliseconds ?? 1_000,
    reached: () => sweep?.hasten(),
  })
  const sweep: Sweep | undefined =
    queue &&
    new Sweep({
      queue,
      couriers,
      runtime,
      log,
      settledConfirmations: options.settledConfirmations ?? 6,
      refusedMilliseconds: options.refusedMilliseconds ?? 60_000,
    })
  const submissions = new Submissions({ queue, register, couriers })
  const outcomes = new Outcomes()
  const door = new Door({ itsChain, attestor, submissions, runtime, outcomes })
  const counts = () => {
    const { size = 0, had = 0 } = queue ?? {}
    return { queued: size - had, unsettled: had, nodes: couriers.reachable }
  }
  contributeFigures(context, {
    counts,
    givenUp: () => sweep?.givenUp ?? 0,
    outcomes,
  })
  return {
    submitTransaction: (body) => door.submitTransaction(body),
    submitPurchase: (body) => door.submitPurchase(body),
    fate: async (of) => {
      const hash = 'txHash' in of ? of.txHash : register.find(of.txId)
      return hash === undefined ? unheardOf : await fateOf({ couriers, queue }, hash)
    },
    counts,
    start: async () => {
      await queue?.load()
      itsChain.start()
      couriers.start()
      sweep?.start()
    },
    stop: async () => {
      door.close()
      const swept = sweep?.stop()
      await submissions.settled()
      couriers.close()
      await swept
      await writer?.settled()
    },
  }
}

const unheardOf: Fate = { status: 'unknown', txHash: undefined, blockIndex: undefined, confirmations: 0 }
