import {
  decline,
  excerpt,
  parseAmount,
  type Amount,
  type Json,
  type JsonObject,
  type Refusal,
} from '../../core/index.ts'
import { hasLength, isPerson, personExpected } from './names.ts'

/**
 * Reads the fields of an action. The first that is not as it must be is kept as `fault`, `bad-<action>` with what was
 * expected and got; what is read of it, and after it, is then of no use.
 */
export class Fields {
  fault: Refusal | undefined
  readonly #action: string
  readonly #data: JsonObject

  constructor(action: string, data: JsonObject) {
    this.#action = action
    this.#data = data
  }

  get(field: string): Json | undefined {
    return Object.hasOwn(this.#data, field) ? this.#data[field] : undefined
  }

  text(field: string, charactersMin: number, charactersMax: number): string {
    const value = this.get(field)
    if (typeof value === 'string' && hasLength(value, charactersMin, charactersMax)) return value
    return this.refuse(field, `text of ${charactersMin} to ${charactersMax} characters`)
  }

  /** A name or an address. */
  person(field: string): string {
    const value = this.get(field)
    return typeof value === 'string' && isPerson(value) ? value : this.refuse(field, personExpected)
  }

  amount(field: string): Amount {
    const amount = parseAmount(this.get(field))
    if (amount.ok) return amount.value
    this.fault ??= this.#bad(`${field}: ${amount.detail}`)
    return 0n
  }

  /** A field that says once more what is known already, if it is there at all. */
  repeats(field: string, known: string, what: string): void {
    const value = this.get(field)
    if (value !== undefined && value !== known) this.refuse(field, `${what}, ${excerpt(known)}, or nothing`)
  }

  /** A field without a meaning here, which others rely on to be text. */
  textOrNothing(field: string): void {
    const value = this.get(field)
    if (value !== undefined && typeof value !== 'string') this.refuse(field, 'text')
  }

  /** Returns an empty text, to stand for what cannot be read. */
  refuse(field: string, expected: string): '' {
    this.fault ??= this.#bad(`${field}: expected ${expected}, got ${described(this.get(field))}`)
    return ''
  }

  #bad(detail: string): Refusal {
    return decline(`bad-${this.#action}`, detail)
  }
}

function described(value: Json | undefined): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (typeof value === 'string') return value === '' ? 'an empty text' : `${excerpt(value)} (${value.length} long)`
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `${typeof value} ${String(value)}`
}
