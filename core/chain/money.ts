import { AurexError, decline, found, type Result } from '../errors.ts'
import { excerpt } from './json.ts'

/** Money is computed in these: 10^-8 of its unit (protocol section 1). */
export type Amount = bigint

const decimals = 8
const unit = 10n ** BigInt(decimals)
const wholeDigitsMax = 18
/** 18 digits before the point, 8 behind it: more than there is of anything, and a text of bounded length. */
export const amountMax: Amount = 10n ** BigInt(wholeDigitsMax + decimals) - 1n
const decimalPattern = /^(0|[1-9]\d{0,17})(?:\.(\d{1,8}))?$/

/**
 * Reads a decimal such as `12.34`: no sign, no exponent, no leading zeros, at most 18 digits before the point and 8 behind
 * it. Declines `bad-amount`.
 */
export function parseAmount(text: unknown): Result<Amount> {
  const [, whole, fraction = ''] = (typeof text === 'string' && decimalPattern.exec(text)) || []
  if (whole === undefined) return badAmount(text)
  return found(BigInt(whole) * unit + BigInt(fraction.padEnd(decimals, '0')))
}

/** The shortest decimal: `-12.34`, `5`, `0.00000001`. */
export function amountText(amount: Amount): string {
  const size = amount < 0n ? -amount : amount
  const fraction = String(size % unit)
    .padStart(decimals, '0')
    .replace(/0+$/, '')
  const text = fraction === '' ? String(size / unit) : `${size / unit}.${fraction}`
  return amount < 0n ? `-${text}` : text
}

/** Reads back what `amountText` wrote of an amount up to `amountMax`, its sign included. Throws `bad-amount`. */
export function amountOfText(text: string): Amount {
  const negative = text.startsWith('-')
  const size = parseAmount(negative ? text.slice(1) : text)
  if (!size.ok) throw new AurexError(size.code, `an amount that was kept: ${size.detail}`)
  return negative ? -size.value : size.value
}

/**
 * What a client sent as an amount, as the decimal that it stands for: a decimal string as it is, a JSON number as its
 * shortest decimal, which is what JavaScript prints of it. Declines `bad-amount`: what `parseAmount` declines, numbers
 * that need an exponent or more than 8 decimals among it, and those of more than 15 digits, since what was written may
 * have been another number.
 */
export function amountOfClient(value: unknown): Result<string> {
  const text = typeof value === 'number' ? String(value) : value
  const amount = parseAmount(text)
  if (!amount.ok) return amount
  if (typeof value === 'number' && digitsOf(String(value)) > exactDigitsMax) return inexact
  return found(text as string)
}

/** IEEE 754: a double tells all decimals of so many digits apart, and no more. */
const exactDigitsMax = 15
const digitsOf = (decimal: string): number => decimal.replace('.', '').replace(/^0+/, '').length

const inexact = decline(
  'bad-amount',
  `expected at most ${exactDigitsMax} digits of a JSON number, which holds no more; write it as a string, such as "12.34"`,
)

function badAmount(got: unknown) {
  const said = typeof got === 'string' ? JSON.stringify(excerpt(got)) : kindOf(got)
  return decline('bad-amount', `expected ${expected}, got ${said}`)
}

const expected =
  'a decimal such as "12.34", not negative, at most 18 digits before the point and 8 behind it, no exponent'

function kindOf(got: unknown): string {
  if (got === undefined) return 'nothing'
  if (got === null) return 'null'
  if (Array.isArray(got)) return 'an array'
  return typeof got === 'object' ? 'an object' : `a ${typeof got}`
}
