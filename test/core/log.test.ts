import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AurexError } from '../../core/errors.ts'
import { colorWanted, openLog, type LogOptions } from '../../core/log.ts'

let folder: string
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'aurex-log-'))))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const noon = Date.UTC(2026, 10, 21, 12, 34, 56, 789)

function capture(options: Partial<LogOptions> = {}) {
  const lines: string[] = []
  const write = (line: string) => void lines.push(line)
  const opened = openLog({ level: 'debug', pretty: true, color: false, now: () => noon, write, ...options })
  return { ...opened, lines }
}

describe('pretty lines', () => {
  test('show time, level, name, message and fields', () => {
    const { log, lines } = capture()
    log('chain').info('block accepted', { height: 3, hash: '00ab', note: 'two words', empty: '' })
    expect(lines).toEqual([
      '12:34:56.789 [INF] chain: block accepted height=3 hash=00ab note="two words" empty=""\n'.replace(/[[\]]/g, ''),
    ])
  })

  test('stay one line and leave the terminal alone, whatever is in them', () => {
    const { log, lines } = capture()
    const evil = 'a\n12:34:56.789 INF chain: forged\r\x1b[2J\x9b2J\u2028\u202ex\t\x00\x7f'
    log(`na${evil}me`).warn(`mess${evil}age`, {
      [`ke${evil}y`]: evil,
      list: [evil],
      nested: { [evil]: new Error(evil) },
    })
    expect(lines).toHaveLength(1)
    const [line] = lines as [string]
    expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u)
    expect(line).toEndWith('\n')
    expect(line).toContain('\\n12:34:56.789 INF chain: forged')
  })

  test('have colours only when asked for', () => {
    const plain = capture()
    plain.log('a').error('x')
    expect(plain.lines[0]).not.toContain('\x1b')
    const colored = capture({ color: true })
    colored.log('a').error('x\x1b[31m')
    expect(colored.lines[0]).toContain('\x1b[')
    expect(colored.lines[0]).toContain('x\\u001b[31m')
  })

  test('are coloured on a terminal without NO_COLOR', () => {
    expect(colorWanted({}, true)).toBe(true)
    expect(colorWanted({ NO_COLOR: '' }, true)).toBe(true)
    expect(colorWanted({ NO_COLOR: '1' }, true)).toBe(false)
    expect(colorWanted({}, false)).toBe(false)
  })
})

describe('JSON lines', () => {
  const one = (fields: Record<string, unknown>) => {
    const { log, lines } = capture({ pretty: false })
    log('chain').warn('a\nb', fields)
    expect(lines).toHaveLength(1)
    expect(lines[0]!.indexOf('\n')).toBe(lines[0]!.length - 1)
    return JSON.parse(lines[0]!) as Record<string, unknown>
  }

  test('hold everything', () => {
    expect(one({ height: 3 })).toEqual({
      '@timestamp': '2026-11-21T12:34:56.789Z',
      level: 'WARN',
      logger: 'chain',
      message: 'a\nb',
      height: 3,
    })
  })

  test('threats row 32: hold nothing that a program takes for the end of a line, or a terminal for an order', () => {
    const evil = 'a\u0085b\x9b2J\u2028c\u2029d\u202ee\x7ff'
    const { log, lines } = capture({ pretty: false })
    log('network').info('a peer joined', { node_type: evil })
    expect(lines[0]!.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u)
    expect(JSON.parse(lines[0]!)).toMatchObject({ node_type: evil })
  })

  test('take any value', () => {
    const circle: Record<string, unknown> = {}
    circle['self'] = circle
    const fields = one({
      big: 2n ** 64n,
      bytes: new Uint8Array([0, 255]),
      nan: Number.NaN,
      none: undefined,
      nothing: null,
      symbol: Symbol('s'),
      call: () => 1,
      circle,
      when: new Date(Number.NaN),
      deep: [{ big: 1n }],
    })
    expect(fields).toMatchObject({ big: '18446744073709551616', bytes: '00ff', nan: 'NaN', deep: [{ big: '1' }] })
    expect(JSON.stringify(fields['circle'])).toContain('…')
  })

  test('survive a field that throws when it is looked at', () => {
    const trap = {
      get x(): never {
        throw new Error('trapped')
      },
    }
    expect(one({ trap })).toMatchObject({ message: 'a\nb', unwritable: 'trapped' })
  })

  test('show of an error its message and code', () => {
    expect(one({ error: new AurexError('slot-taken', 'two of them') })['error']).toEqual({
      message: 'two of them',
      code: 'slot-taken',
    })
    expect(one({ error: new Error('plain') })['error']).toEqual({ message: 'plain' })
  })

  test('do not let a field pass for the line itself', () => {
    expect(one({ level: 'INFO', logger: 'forged', message: 'forged' })).toMatchObject({
      level: 'WARN',
      logger: 'chain',
      message: 'a\nb',
      field_level: 'INFO',
    })
  })

  test('never hold secrets', () => {
    const pem = '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n-----END PRIVATE KEY-----'
    const text = JSON.stringify(
      one({ admin_token: 's3cret', inner: { password: 's3cret' }, pem, error: new Error(`cannot read ${pem}`) }),
    )
    expect(text).not.toContain('s3cret')
    expect(text).not.toContain('MC4CAQ')
  })

  test('cut what is long', () => {
    expect((one({ long: 'x'.repeat(100_000) })['long'] as string).length).toBe(4097)
  })
})

test('what is below the level is not written', () => {
  const { log, lines } = capture({ level: 'warning' })
  const a = log('a')
  a.debug('1')
  a.info('2')
  a.warn('3')
  a.error('4')
  expect(lines.map((line) => line.at(-2))).toEqual(['3', '4'])
})

test('two logs have nothing to do with each other', async () => {
  const first = capture({ level: 'error' })
  const second = capture({ pretty: false })
  first.log('a').info('x')
  second.log('a').info('x')
  await first.close()
  second.log('a').info('y')
  expect(first.lines).toEqual([])
  expect(second.lines).toHaveLength(2)
})

describe('the log file', () => {
  test('gets JSON lines beside the pretty ones, is private, and is appended to', async () => {
    const file = join(folder, 'node.log')
    for (const message of ['one', 'two']) {
      const { log, lines, close } = capture({ file })
      log('a').info(message)
      expect(lines[0]).toContain(`INF a: ${message}`)
      await close()
      await close()
      log('a').info('after the end')
      expect(lines).toHaveLength(2)
    }
    const written = readFileSync(file, 'utf8').trimEnd().split('\n')
    expect(written.map((line) => (JSON.parse(line) as { message: string }).message)).toEqual(['one', 'two'])
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  test('that cannot be opened is an error that says which', () => {
    chmodSync(folder, 0o700)
    const file = join(folder, 'no', 'such', 'folder.log')
    expect(() => capture({ file })).toThrow(expect.objectContaining({ code: 'log-file-failed', exit: 78 }))
    expect(() => capture({ file })).toThrow(file)
  })

  test.if(process.platform === 'linux')('that is full is reported once, and does not end the node', () => {
    const { log, lines } = capture({ file: '/dev/full' })
    log('a').info('one')
    log('a').info('two')
    expect(lines.filter((line) => line.includes('not written'))).toHaveLength(1)
    expect(lines.filter((line) => line.includes(' a: '))).toHaveLength(2)
  })
})
