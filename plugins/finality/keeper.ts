import * as v from 'valibot'
import { AurexError, exitCode, messageOf, type RecordChange, type Records } from '../../core/index.ts'
import { checkSignatures } from './certificate.ts'
import type { Rules } from './rules.ts'
import type { Progress } from './standing.ts'
import { messageOfBallot, messageSchema, readBallot, type Ballot, type IsSigned } from './votes.ts'

/** What must outlast the process, so that no answer goes back: one record each. */
const keys = { final: 'final', justified: 'justified' } as const

/** The quorums that say what is final and justified, in the ledger's own file. */
export class Keeper {
  readonly #records: Records
  readonly #rules: Rules
  readonly #isSigned: IsSigned

  constructor(records: Records, rules: Rules, isSigned: IsSigned) {
    this.#records = records
    this.#rules = rules
    this.#isSigned = isSigned
  }

  /** Throws `finality-damaged`. */
  read(): Progress {
    return { final: this.#read('final', 'commit'), justified: this.#read('justified', 'justify') }
  }

  /** Durable on return. Throws as `Storage` does. */
  write({ final, justified }: Progress): void {
    const changes: RecordChange[] = []
    if (final !== undefined) changes.push([keys.final, JSON.stringify(messageOfBallot(final))])
    if (justified !== undefined) changes.push([keys.justified, JSON.stringify(messageOfBallot(justified))])
    this.#records.write(changes)
  }

  #read(key: keyof typeof keys, kind: Ballot['statement']['kind']): Ballot | undefined {
    const text = this.#records.get(keys[key])
    if (text === undefined) return undefined
    const ballot = this.#parse(text, key)
    const signed = checkSignatures(ballot, this.#rules, this.#isSigned)
    if (!signed.ok) throw damaged(key, signed.detail)
    if (ballot.statement.kind !== kind) throw damaged(key, `expected a ${kind}, got a ${ballot.statement.kind}`)
    if (ballot.signatures.size < this.#rules.quorum) throw damaged(key, 'it has too few signatures')
    return ballot
  }

  #parse(text: string, key: string): Ballot {
    try {
      const read = readBallot(v.parse(messageSchema, JSON.parse(text)), this.#rules)
      if (read.ok) return read.value
      throw damaged(key, read.detail)
    } catch (error) {
      throw error instanceof AurexError ? error : damaged(key, messageOf(error))
    }
  }
}

const damaged = (key: string, why: string): AurexError =>
  new AurexError(
    'finality-damaged',
    `the record ${key} of finality in the ledger cannot be read: ${why}; put back a copy, or let the node fetch the ` +
      'chain anew with another --data-dir',
    { exit: exitCode.config },
  )
