import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { amountMax, amountOfClient, amountOfText, amountText, parseAmount } from '../../../core/chain/money.ts'

const amountOf = (text: unknown) => {
  const parsed = parseAmount(text)
  return parsed.ok ? parsed.value : undefined
}

describe('reading', () => {
  test.each([
    ['0', 0n],
    ['5', 500_000_000n],
    ['12.34', 1_234_000_000n],
    ['12.340', 1_234_000_000n],
    ['0.00000001', 1n],
    ['999999999999999999.99999999', amountMax],
  ])('%p', (text, amount) => expect(amountOf(text)).toBe(amount))

  test.each([
    ['', '-1', '+1', ' 1', '1 ', '1\n', '01', '00', '.5', '5.', '1e2', '1,5', '0x1', 'NaN', 'Infinity', '١', '１'],
    ['1.123456789', '1000000000000000000', '9'.repeat(100_000), null, undefined, true, 5, 5n, ['5'], { amount: '5' }],
  ])('what is no decimal is declined, and the text says what was got', (...texts) => {
    for (const text of texts)
      expect(parseAmount(text)).toMatchObject({ ok: false, code: 'bad-amount', provable: false })
  })

  test('the refusal says what was expected and got, in a bounded text without control characters', () => {
    const detailOf = (value: unknown) => (parseAmount(value) as { readonly detail: string }).detail
    expect(detailOf('1e2')).toEndWith('no exponent, got "1e2"')
    expect(detailOf(undefined)).toEndWith('got nothing')
    expect(detailOf({})).toEndWith('got an object')
    expect(detailOf('\u001b[2J\n'.repeat(9_999))).toMatch(/^[\x20-\x7e…]{1,600}$/)
  })
})

describe('writing', () => {
  const amounts = fc.bigInt(-amountMax, amountMax)

  test('what was written is read back, whatever its sign', () => {
    fc.assert(fc.property(amounts, (amount) => expect(amountOfText(amountText(amount))).toBe(amount)))
  })

  test('it is the shortest decimal of its value, and each value has one', () => {
    fc.assert(
      fc.property(amounts, (amount) => expect(amountText(amount)).toMatch(/^(-(?!0$))?(0|[1-9]\d*)(\.\d{0,7}[1-9])?$/)),
    )
  })

  test.each([
    [-1n, '-0.00000001'],
    [0n, '0'],
    [-1_234_000_000n, '-12.34'],
    [100n, '0.000001'],
  ])('%p', (amount, text) => expect(amountText(amount)).toBe(text))

  test('kept text that is no amount is our fault', () => {
    for (const text of ['', '-', '--1', '1e2', '- 1'])
      expect(() => amountOfText(text)).toThrow('an amount that was kept')
  })
})

describe('a number of a client is its shortest decimal, never a float that was rounded', () => {
  const textOf = (value: unknown) => {
    const read = amountOfClient(value)
    return read.ok ? read.value : read.code
  }

  test.each([
    [0.1, '0.1'],
    [-0, '0'],
    [1_000_000, '1000000'],
    [19.99, '19.99'],
    ['19.990', '19.990'],
    [0.1 + 0.2, 'bad-amount'],
    [1e-7, 'bad-amount'],
    [1e21, 'bad-amount'],
    [2 ** 53, 'bad-amount'],
    [12345678901.23456, 'bad-amount'],
    [-1, 'bad-amount'],
    [Number.NaN, 'bad-amount'],
    [Number.POSITIVE_INFINITY, 'bad-amount'],
    [true, 'bad-amount'],
  ])('%p: %p', (value, text) => expect(textOf(value)).toBe(text))

  test('every number of cents up to ten million is exact', () => {
    fc.assert(
      fc.property(fc.nat(1_000_000_000), (cents) => {
        expect(amountOf(textOf(cents / 100))).toBe(BigInt(cents) * 1_000_000n)
      }),
    )
  })
})
