import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { configSchema, targetsOf } from '../../../plugins/notifier/config.ts'
import { readTarget } from '../../../plugins/notifier/target.ts'
import { issueText } from '../../../core/config/value.ts'

const nameOf = (text: string): string => {
  const read = readTarget(text)
  return read.ok ? read.value.name : `refused: ${read.detail}`
}

describe('a target', () => {
  test('is a URL of one of four kinds, and equal ones have one name', () => {
    expect(nameOf('ndjson://127.0.0.1:23457')).toBe('ndjson://127.0.0.1:23457')
    expect(nameOf(' NDJSON://Shop.Example:80/ ')).toBe('ndjson://shop.example:80')
    expect(nameOf('ndjson://[::1]:5?answer')).toBe('ndjson://[::1]:5?answer')
    expect(nameOf('gateway://127.0.0.1:5000/')).toBe('gateway://127.0.0.1:5000')
    expect(nameOf('https://Shop.Example:443/blocks')).toBe('https://shop.example/blocks')
    expect(nameOf('https://%zz:50%@shop.example/blocks')).toBe('https://shop.example/blocks')
  })

  test.each([
    ['127.0.0.1:23457', 'write it like ndjson://127.0.0.1:23457'],
    ['shop.example', 'write it like ndjson://shop.example:23457'],
    ['ndjson://shop.example', 'write it like ndjson://shop.example:23457'],
    ['ndjson://::1', 'write it like ndjson://[::1]:23457'],
    ['gateway://10.0.0.1', 'write it like gateway://10.0.0.1:5000'],
    ['ndjson://10.0.0.1:5/path', 'write it like ndjson://10.0.0.1:5'],
    ['ndjson://10.0.0.1:70000', 'write it like ndjson://127.0.0.1:23457'],
    ['ndjson://10.0.0.1:5?anwser', 'only ?answer may follow'],
    ['ndsjon://10.0.0.1:5', 'did you mean ndjson?'],
    ['htps://10.0.0.1', 'did you mean http'],
    ['https://', 'write it like https://shop.example/confirmations'],
    ['', 'write it like ndjson://127.0.0.1:23457'],
  ])('%p is refused with advice', (text, advice) => expect(nameOf(text)).toContain(advice))

  test('threats row 32: what may be secret in a URL is in no name and in no refusal, and two on one host stay two', () => {
    const secret = 'T0aB3cD4eF5gH6iJ7kL8mN9o'
    const urls = [
      `https://user:${secret}@shop.example/blocks`,
      `https://shop.example/services/${secret}`,
      `https://shop.example/blocks?token=${secret}`,
      `https://shop.example/blocks#${secret}`,
      `ndjson://user:${secret}@shop.example:80`,
      `ftp://user:${secret}@shop.example/?key=${secret}`,
      `https://user:${secret}@:80/`,
      `user:${secret}@shop.example`,
      `ftp://shop.example/${secret}`,
    ]
    for (const url of urls) expect(nameOf(url)).not.toContain(secret.slice(0, 8))
    expect(nameOf(urls[0]!)).toBe('https://shop.example/blocks')
    expect(nameOf(urls[1]!)).toMatch(/^https:\/\/shop\.example\/services\/\.\.\.#[0-9a-f]{12}$/)
    expect(nameOf(urls[2]!)).not.toBe(nameOf(urls[2]!.replace('aB3', 'xxx')))
    // The cursor goes on when only the password is another.
    expect(nameOf(urls[0]!)).toBe(nameOf('https://user:other@shop.example/blocks'))
  })
})

describe('the config', () => {
  const issues = (config: object): string[] =>
    (v.safeParse(configSchema, config).issues ?? []).map((issue) => issueText(issue, configSchema))
  const whsec = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

  test('names one target where it says nothing, by host and port', () => {
    const names = (config: object) => targetsOf(v.parse(configSchema, config)).map(({ name }) => name)
    expect(names({})).toEqual(['ndjson://127.0.0.1:23457'])
    expect(names({ host: '::1', port: 5 })).toEqual(['ndjson://[::1]:5'])
    expect(names({ port: 5, targets: ['gateway://h:1', 'ndjson://h:1'] })).toEqual(['gateway://h:1', 'ndjson://h:1'])
  })

  test('refuses what cannot work, and says what to do', () => {
    expect(issues({ targets: ['ndjson://h:1', 'ndjson://H:1/'] })).toEqual([
      'targets: ndjson://h:1 is named twice; leave one of them out',
    ])
    expect(issues({ targets: ['https://h/x'] })[0]).toContain('make one with: echo whsec_$(openssl rand -base64 32)')
    expect(issues({ targets: ['https://h/x'], webhook_secret: whsec })).toEqual([])
    expect(issues({ targets: [] })).toEqual(['expected at least 1 in the list, got 0'])
    expect(issues({ host: 'a b' })[0]).toContain('expected a name or an IP address')
    expect(issues({ confirmations: 0 }).length).toBe(1)
    expect(issues({ when: 'final' })).toEqual([])
    expect(issues({ when: 'never' }).length).toBe(1)
    expect(issues({ when: 'final', confirmations: 3 })).toEqual([
      'confirmations: says nothing where when is final; leave one of the two out',
    ])
    expect(issues({ targets: ['x'] })[0]).toContain('write it like')
  })

  test('does not repeat a secret that is no secret', () => {
    for (const secret of ['whsec_', 'whsec_not base64!']) {
      const [issue] = v.safeParse(configSchema, { webhook_secret: secret }).issues!
      expect(issueText(issue, configSchema, true)).toBe('is not of the right form')
    }
  })
})
