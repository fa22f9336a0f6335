import { closest, distance } from 'fastest-levenshtein'

// Two kinds of failure, kept apart: a fault of ours or of the operator is thrown as an `AurexError`;
// what a peer or a client did wrong is a value, a `Refusal`.

/** Process exit codes, from sysexits.h. */
export const exitCode = { ok: 0, failure: 1, usage: 64, unavailable: 69, tryAgain: 75, config: 78 } as const
export type ExitCode = (typeof exitCode)[keyof typeof exitCode]

/**
 * Something this program or its operator must mend. `message` says what, where, expected and got, and what to do;
 * `code` is stable and meant for programs.
 */
export class AurexError extends Error {
  override readonly name = 'AurexError'
  readonly code: string
  readonly exit: ExitCode
  constructor(code: string, message: string, options: { cause?: unknown; exit?: ExitCode } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.exit = options.exit ?? exitCode.failure
  }
}

/** Why something from outside was not taken. `provable` is true where whoever sent it cannot have been honest. */
export interface Refusal {
  readonly ok: false
  readonly code: string
  readonly detail: string
  readonly provable: boolean
}
export type Verdict = { readonly ok: true } | Refusal
export type Result<T> = { readonly ok: true; readonly value: T } | Refusal

export const accepted: { readonly ok: true } = { ok: true }
export const found = <T>(value: T): Result<T> => ({ ok: true, value })

/** The sender is provably wrong: no honest program sends this. */
export const refuse = (code: string, detail: string): Refusal => ({ ok: false, code, detail, provable: true })

/** Not taken, but nobody is to blame: it is known already, comes too early, or there is no room. */
export const decline = (code: string, detail: string): Refusal => ({ ok: false, code, detail, provable: false })

/** The text of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/** `; did you mean x?` where one of the right names is near enough to be meant, otherwise nothing. */
export function suggestion(wrong: string, right: readonly string[]): string {
  if (right.length === 0) return ''
  // `warn` for warning, `--diff` for --difficulty.
  const begun = wrong.replace(/^-*/, '').length >= 3 ? right.find((name) => name.startsWith(wrong)) : undefined
  const nearest = begun ?? closest(wrong, right)
  // Half of it mistyped is another word.
  const near = begun !== undefined || distance(wrong, nearest) <= Math.max(2, Math.floor(wrong.length / 2))
  return near ? `; did you mean ${nearest}?` : ''
}
