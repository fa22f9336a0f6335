import type { JsonObject } from '../chain/json.ts'
import type { Address } from '../chain/keys.ts'
import type { Result } from '../errors.ts'
import type { Waiting } from './consensus.ts'

/** A figure that whoever shows figures picks up. Read when it is shown, so it must be cheap. */
export interface Metric {
  /** Prometheus' way to name things: `notifier_backlog_blocks`. */
  readonly name: string
  readonly help: string
  readonly kind: 'gauge' | 'counter'
  /** One value, or one for each set of labels. */
  read(): number | readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[]
}

/** Whether a part of the node works. Read when it is shown, so it must be cheap. */
export interface HealthCheck {
  /** `notifier:targets`. */
  readonly name: string
  check(): { readonly status: 'pass' | 'warn' | 'fail'; readonly output?: string }
}

/** A way to tell others what a node has to say of its blocks, for whoever does the telling (the notifier). */
export interface Sink {
  /** The scheme of the URLs that name its targets: `nats` of `nats://127.0.0.1:4222/blocks`. */
  readonly name: string
  /**
   * Resolves when the other side has it for good; rejects, and it is delivered again later. `id` is the same for the same
   * news however often it is delivered, and `line` too: one line of JSON, without its end. `signal` is aborted when the
   * node stops.
   */
  deliver(target: string, news: { readonly id: string; readonly line: string }, signal: AbortSignal): Promise<void>
}

/** Something that a part of the node waits for, for `aurex why`. Read when it is shown, so it must be cheap. */
export interface Wait {
  /** `notifier:backlog`. */
  readonly name: string
  /** undefined: for nothing. */
  read(): Waiting | undefined
}

/** A kind of proof that a key signed what no honest key signs (`Context.accuse`). */
export interface EvidenceKind {
  /** The plugin's name, or begins with it and a dash: `finality`. Core's own is `block`. */
  readonly name: string
  /**
   * Reads a proof that anybody may have sent, and says who is accused, and of what: `height 17`. One proof of each key,
   * kind and `what` is kept. Refusals are told to the sender: `refuse` what proves nothing.
   */
  read(proof: JsonObject): Result<{ readonly address: Address; readonly what: string }>
}

export interface Contributions {
  readonly metric: Metric
  readonly health: HealthCheck
  readonly sink: Sink
  readonly wait: Wait
  readonly evidence: EvidenceKind
}
