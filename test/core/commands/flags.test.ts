import { describe, expect, test } from 'bun:test'
import { readFlags } from '../../../core/commands/flags.ts'
import { AurexError, suggestion } from '../../../core/errors.ts'

const spec = {
  command: 'aurex demo',
  flags: {
    out: { type: 'string' },
    json: { type: 'boolean' },
    difficulty: { type: 'integer', min: 1, max: 64 },
    nonce: { type: 'integer' },
  },
  positionals: ['file'],
} as const

function faultOf(run: () => unknown): AurexError {
  try {
    run()
  } catch (error) {
    if (error instanceof AurexError) return error
    throw error
  }
  throw new Error('expected an AurexError')
}

describe('readFlags', () => {
  test('reads values of their types, and what was not given', () => {
    const { values, positionals, help } = readFlags(['a.csv', '--out=x', '--difficulty', '4', '--nonce', '-5'], spec)
    expect(values).toMatchObject({ out: 'x', json: false, difficulty: 4, nonce: -5 })
    expect(positionals).toEqual(['a.csv'])
    expect(help).toBe(false)
  })

  test('of a flag given twice the last counts; --json=false takes --json back', () => {
    expect(readFlags(['--json', '--out', 'a', '--out', 'b', '--json=false'], spec).values).toMatchObject({
      out: 'b',
      json: false,
    })
  })

  test('a value that starts with a dash is written with =', () => {
    expect(readFlags(['--out=-x'], spec).values.out).toBe('-x')
  })

  test.each(['--help', '-h'])('%s is always there', (flag) => {
    expect(readFlags([flag], spec).help).toBe(true)
  })

  test.each([
    [['--dificulty', '4'], 'unknown-flag', 'did you mean --difficulty?'],
    [['--jsno'], 'unknown-flag', 'did you mean --json?'],
    [['--completely-else'], 'unknown-flag', 'see: aurex demo --help'],
    [['-x'], 'unknown-flag', '-x'],
    [['--constructor'], 'unknown-flag', '--constructor'],
    [['--out'], 'missing-value', '--out: expected a value'],
    [['--out', '--json'], 'missing-value', '--out: expected a value'],
    [['--difficulty', 'four'], 'bad-value', '--difficulty: expected a whole number from 1 to 64, got "four"'],
    [['--difficulty', '65'], 'bad-value', 'from 1 to 64'],
    [['--nonce', '9007199254740993'], 'bad-value', 'a whole number'],
    [['--nonce', '1e3'], 'bad-value', 'a whole number'],
    [['--json=maybe'], 'bad-value', 'true or false'],
    [['a', 'b'], 'unexpected-argument', 'unexpected argument "b"; it takes file'],
  ])('%j is %s', (argv, code, text) => {
    const fault = faultOf(() => readFlags(argv, spec))
    expect(fault.code).toBe(code)
    expect(fault.exit).toBe(64)
    expect(fault.message).toContain(text)
  })

  test('dotted flags are taken where they are asked for', () => {
    const { dotted } = readFlags(['--pow.difficulty', '4', '--pow.mine=false'], { ...spec, dotted: true })
    expect([...dotted]).toEqual([
      ['pow.difficulty', '4'],
      ['pow.mine', 'false'],
    ])
    expect(faultOf(() => readFlags(['--pow.difficulty', '4'], spec)).code).toBe('unknown-flag')
    const short = faultOf(() => readFlags(['--epoch', '4'], { ...spec, dotted: true }))
    expect(short.message).toContain("a plugin's own is written --<plugin>.epoch")
  })
})

test('a suggestion is made only where it is near', () => {
  expect(suggestion('shwo', ['new', 'show'])).toBe('; did you mean show?')
  expect(suggestion('delete', ['new', 'show'])).toBe('')
  expect(suggestion('x', [])).toBe('')
  expect(suggestion('warn', ['debug', 'warning'])).toBe('; did you mean warning?')
})
