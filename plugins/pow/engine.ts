import { parseTimestamp, type Ancestry, type Consensus, type Due, type Header, type Seal } from '../../core/index.ts'
import { verifyHeader, workAt } from './rules.ts'
import type { PowConfig, PowParameters } from './schema.ts'

/** Finds nonces. The miner hashes; a simulation can put in one that draws the time from its dice. */
export interface Sealer {
  /** undefined when `signal` was aborted first, or another call took over. */
  seal(header: Header, signal: AbortSignal): Promise<Seal | undefined>
}

/** Proof of work as an engine: the rules, and whatever finds the nonces. */
export function powEngine(parameters: PowParameters, config: PowConfig, sealer: Sealer): Consensus {
  return {
    id: 'pow',
    futureMillisecondsMax: 2 * 60 * 60 * 1000,
    prepare: (draft, ancestry) => ({ ...draft, work: workAt(ancestry, parameters) }),
    verify: (header, ancestry) => verifyHeader(header, ancestry, parameters),
    weight: (header) => BigInt(header.work),
    due: (ancestry, pending, now) => due(ancestry, pending, now, config),
    seal: (header, signal) => sealer.seal(header, signal),
  }
}

function due(ancestry: Ancestry, pending: number, now: number, config: PowConfig): Due {
  if (!config.mine) return { waitsFor: 'a block from others: mine is off' }
  if (pending > 0) return { when: now }
  if (config.mine_empty_after === 0) return { waitsFor: 'a transaction' }
  return { when: (parseTimestamp(ancestry.parent.timestamp) ?? now) + config.mine_empty_after * 1000 }
}
