// A signing node's record in a ledger of its own, for the tests of it.
import { Signing } from '../../../core/signing/signing.ts'
import { openLedger, type Ledger } from '../../../plugins/sqlite/index.ts'
import type { Waiting } from '../../../core/index.ts'
import { makeKey } from '../../support/blocks.ts'

export const startedAt = Date.UTC(2026, 10, 21)

export interface Signer {
  readonly signing: Signing
  readonly ledger: Ledger
  /** What was logged as an error. */
  readonly errors: string[]
}

/** What a process does first: opens the ledger and attaches. */
export function openSigner(path: string, holdKey?: () => Waiting | undefined, ledger = openLedger(path)): Signer {
  const errors: string[] = []
  const signing = detachedSigning(errors, holdKey)
  signing.attach(ledger)
  return { signing, ledger, errors }
}

/** Before there is a ledger. */
export function detachedSigning(errors: string[] = [], holdKey?: () => Waiting | undefined): Signing {
  const silent = (): void => undefined
  return new Signing({
    identity: makeKey(1),
    clock: { now: () => startedAt, monotonic: () => 0, after: () => ({ cancel: silent }), soon: silent },
    log: { debug: silent, info: silent, warn: silent, error: (message) => void errors.push(message) },
    holdKey,
  })
}
