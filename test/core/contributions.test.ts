import { describe, expect, test } from 'bun:test'
import { Contributed } from '../../core/contributions.ts'
import type { HealthCheck, Metric } from '../../core/plugin.ts'

const metric = (name: string, read: Metric['read']): Metric => ({ name, help: 'for a test', kind: 'gauge', read })

/** What a plugin that is not written in TypeScript, or is wrong, may hand over. */
const anything = (value: unknown) => value as never

describe('metrics', () => {
  test('one value, or one for each set of labels', () => {
    const contributed = new Contributed()
    contributed.add(
      'metric',
      metric('a', () => 1),
    )
    contributed.add(
      'metric',
      metric('b', () => [
        { labels: { target: 'x' }, value: 2 },
        { labels: { target: 'y' }, value: 3 },
      ]),
    )
    expect(contributed.figures()).toEqual({
      metrics: [
        { name: 'a', labels: {}, value: 1 },
        { name: 'b', labels: { target: 'x' }, value: 2 },
        { name: 'b', labels: { target: 'y' }, value: 3 },
      ],
      faults: [],
    })
  })

  test('one that fails is shown as failing, and keeps no other from being shown', () => {
    const contributed = new Contributed()
    const wrong: readonly [string, Metric['read']][] = [
      ['throws', () => anything(JSON.parse('{'))],
      ['nothing', () => anything(undefined)],
      ['text', () => anything('7')],
      ['nan', () => Number.NaN],
      ['endless', () => [{ labels: {}, value: Number.POSITIVE_INFINITY }]],
      ['unlabelled', () => anything([{ value: 1 }])],
    ]
    for (const [name, read] of wrong) contributed.add('metric', metric(name, read))
    contributed.add(
      'metric',
      metric('fine', () => 1),
    )
    const { metrics, faults } = contributed.figures()
    expect(metrics).toEqual([{ name: 'fine', labels: {}, value: 1 }])
    expect(faults.map(({ name, status }) => [name, status])).toEqual(wrong.map(([name]) => [`metric:${name}`, 'fail']))
  })

  test('no metric has more than a thousand figures', () => {
    const contributed = new Contributed()
    const many = Array.from({ length: 5_000 }, (_, n) => ({ labels: { n: String(n) }, value: n }))
    contributed.add(
      'metric',
      metric('many', () => many),
    )
    expect(contributed.figures().metrics.length).toBe(1_000)
  })

  test('is read as a method, so that it may be of a class', () => {
    class Counter implements Metric {
      readonly name = 'counter'
      readonly help = ''
      readonly kind = 'counter'
      readonly #value = 4
      read() {
        return this.#value
      }
    }
    const contributed = new Contributed()
    contributed.add('metric', new Counter())
    expect(contributed.figures().metrics).toEqual([{ name: 'counter', labels: {}, value: 4 }])
  })
})

test('a health check that throws, or says what there is not, has failed', () => {
  const contributed = new Contributed()
  const checks: readonly [string, HealthCheck['check']][] = [
    ['passes', () => ({ status: 'pass' })],
    ['warns', () => ({ status: 'warn', output: 'soon' })],
    [
      'throws',
      () => {
        throw new Error('no disk')
      },
    ],
    ['odd', () => anything({ status: 'great' })],
    ['nothing', () => anything(undefined)],
  ]
  for (const [name, check] of checks) contributed.add('health', { name, check })
  expect(contributed.findings().map(({ name, status, output }) => [name, status, output !== ''])).toEqual([
    ['passes', 'pass', false],
    ['warns', 'warn', true],
    ['throws', 'fail', true],
    ['odd', 'fail', true],
    ['nothing', 'fail', true],
  ])
})

test('names are unique, and free again when they are taken back', () => {
  const contributed = new Contributed()
  const one = { name: 'x', check: () => ({ status: 'pass' }) as const }
  const takeBack = contributed.add('health', one)
  expect(() => contributed.add('health', one)).toThrow('there is a health of the name x already')
  contributed.add(
    'metric',
    metric('x', () => 1),
  )
  takeBack()
  expect(contributed.all('health')).toEqual([])
  contributed.add('health', one)
  expect(contributed.all('health')).toEqual([one])
})
