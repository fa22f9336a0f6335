import { expect, test } from 'bun:test'
import { boundedLog } from '../../../core/network/boundedlog.ts'

test('a crowd at the door does not fill the log: 60 lines a minute, and then how many more there were', () => {
  const lines: string[] = []
  let now = 0
  const to = (level: string) => (message: string, fields?: object) =>
    void lines.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`)
  const log = boundedLog(
    { debug: to('debug'), info: to('info'), warn: to('warn'), error: to('error') },
    { monotonic: () => now },
  )
  for (let n = 0; n < 1_000; n++) {
    now += 10
    log.info('refused', { n })
    if (n === 500) log.warn('something else')
  }
  expect(lines.filter((line) => line.startsWith('info'))).toHaveLength(60)
  expect(lines.filter((line) => line.startsWith('debug'))).toHaveLength(940)
  expect(lines).toContain('warn something else {}')
  now += 60_000
  log.info('refused', { n: 1_000 })
  expect(lines.slice(-2)).toEqual([
    'info more of such news went to the debug log {"lines":940}',
    'info refused {"n":1000}',
  ])
})
