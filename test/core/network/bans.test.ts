import { describe, expect, test } from 'bun:test'
import { mkdtempSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { bunRuntime } from '../../../core/bun.ts'
import { keyPairOfPem, privatePemOf } from '../../../core/chain/keys.ts'
import { Bans, readTarget, type BansParts } from '../../../core/network/bans.ts'
import type { Files } from '../../../core/runtime.ts'
import { simRuntime } from '../../sim/runtime.ts'

const key = (seed: number) => keyPairOfPem(privatePemOf(new Uint8Array(32).fill(seed)), 'test')
const id = key(1).nodeId
const other = key(2).nodeId
const path = '/data/node_1.bans'

function setUp(options: Partial<BansParts> = {}) {
  const world = simRuntime({ seed: 1 })
  const runtime = world.host('10.0.0.1')
  const warnings: string[] = []
  const hear = (message: string, fields?: Record<string, unknown>) =>
    void warnings.push(`${message} ${JSON.stringify(fields?.['line'] ?? '')}`)
  const log = { debug: hear, info: hear, warn: hear, error: hear }
  const open = (more: Partial<BansParts> = {}) =>
    new Bans({ runtime, log, path, bansMax: 100, fileBytesMax: 1_000_000, ...options, ...more })
  const write = (text: string) => runtime.files.appendText(path, text, 0o600)
  return { world, runtime, warnings, open, write }
}

describe('who is banned', () => {
  test('a node by its id or its address, a host by its IP address in any spelling', () => {
    const bans = setUp().open()
    expect(bans.ban(key(1).address, 'spam').ok).toBe(true)
    expect(bans.ban('2001:DB8:0::1', 'spam').ok).toBe(true)
    expect(bans.ban('::ffff:203.0.113.7', 'spam').ok).toBe(true)
    expect(bans.find(id, '198.51.100.1')?.reason).toBe('spam')
    expect(bans.find(undefined, '2001:db8::1')).toBeDefined()
    expect(bans.find(undefined, '203.0.113.7')).toBeDefined()
    expect(bans.find(other, '203.0.113.8')).toBeUndefined()
  })

  test('loopback never is: a whole development network lives there', () => {
    const bans = setUp().open()
    for (const host of ['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1']) {
      expect(bans.ban(host, 'spam')).toMatchObject({ ok: false, code: 'bad-target' })
      expect(bans.find(other, host)).toBeUndefined()
    }
    bans.ban(id, 'spam')
    expect(bans.find(id, '127.0.0.1')).toBeDefined()
  })

  test('until it ends, or is freed', async () => {
    const { world, runtime, open } = setUp()
    const bans = open()
    bans.ban(id, 'spam', runtime.clock.now() + 1_000)
    bans.ban(other, 'spam')
    await world.advance(1_001)
    expect(bans.find(id, '10.0.0.2')).toBeUndefined()
    expect(bans.list().map(({ target }) => target)).toEqual([other])
    bans.free(key(2).address)
    expect(bans.list()).toEqual([])
  })

  test('what is no target is refused with what would be one', () => {
    expect(readTarget('203.0.113.7:13245')).toMatchObject({ ok: false, code: 'bad-target' })
    const said = readTarget('203.0.113.7:13245')
    expect(said.ok ? '' : said.detail).toEndWith('without the port: 203.0.113.7')
    for (const text of ['', 'example.org', 'fe80::1%eth0', '0'.repeat(64), id.slice(1)]) {
      expect(readTarget(text).ok).toBe(false)
    }
  })

  test('at most so many: the one that ends first makes room, those without an end stay', () => {
    const { open, runtime } = setUp({ bansMax: 3 })
    const bans = open()
    const now = runtime.clock.now()
    bans.ban('203.0.113.1', 'for ever')
    for (const i of [2, 3, 4, 5]) bans.ban(`203.0.113.${i}`, 'a while', now + i * 1_000)
    expect(bans.list().map(({ target }) => target)).toEqual(['203.0.113.1', '203.0.113.4', '203.0.113.5'])
  })
})

describe('the file', () => {
  test('survives a restart; the last line about a target counts', () => {
    const { open, runtime } = setUp()
    const bans = open()
    bans.ban(id, 'first')
    bans.ban(other, 'spam', runtime.clock.now() + 60_000)
    bans.free(id)
    bans.ban(id, 'second')
    expect(open().list()).toEqual(bans.list())
    expect(open().find(id, '10.0.0.2')?.reason).toBe('second')
    expect(runtime.files.mode(path)).toBe(0o600)
  })

  test('what another process adds is noticed, and told once', () => {
    const { open } = setUp()
    const node = open()
    const command = open()
    command.ban(id, 'by the operator')
    expect(node.find(id, '10.0.0.2')).toBeUndefined()
    expect(node.refresh().map(({ target }) => target)).toEqual([id])
    expect(node.refresh()).toEqual([])
    command.free(id)
    expect(node.refresh()).toEqual([])
    expect(node.find(id, '10.0.0.2')).toBeUndefined()
  })

  test('two processes that write in turn lose nothing', () => {
    const { open } = setUp()
    const writers = [open(), open()]
    for (let i = 0; i < 40; i++) writers[i % 2]!.ban(`203.0.113.${i}`, 'spam')
    expect(open().list().length).toBe(40)
    writers[0]!.refresh()
    expect(writers[0]!.list().length).toBe(40)
  })

  test('a line that was cut off is named, and does not damage the next one', () => {
    const { open, write, warnings } = setUp()
    open().ban(id, 'spam')
    write('{"ban": "203.0.1')
    const bans = open()
    expect(warnings).toEqual(['a line of the file of bans is damaged and skipped 2'])
    bans.ban(other, 'spam')
    expect(
      open()
        .list()
        .map(({ target }) => target),
    ).toEqual([id, other])
  })

  test('damaged lines are named once, and skipped', () => {
    const { open, write, warnings } = setUp()
    write('junk\n{"ban": 7}\n{"ban": "nobody", "reason": "", "at": "2026-11-21T00:00:00.000Z"}\n\u0000\n')
    const bans = open()
    bans.ban(id, 'spam')
    expect(warnings.length).toBe(4)
    open().ban(other, 'spam')
    warnings.length = 0
    bans.refresh()
    expect(warnings).toEqual([])
    expect(bans.list().length).toBe(2)
  })

  test('whatever stands in it, it is read, and takes the next ban', () => {
    const line = fc.oneof(fc.string(), fc.json(), fc.constant(`{"free":"${id}"}`), fc.constant('{"ban":"x"'))
    fc.assert(
      fc.property(fc.array(line), fc.boolean(), (lines, ended) => {
        const { open, write } = setUp()
        write(lines.join('\n') + (ended ? '\n' : ''))
        open().ban(id, 'spam')
        expect(open().find(id, '10.0.0.2')).toBeDefined()
      }),
      { numRuns: 100 },
    )
  })

  test('a full disk: the ban holds, is not promised, and the reader says so', () => {
    const { open, runtime } = setUp()
    const full: Files = {
      ...runtime.files,
      appendText: () => {
        throw new Error('ENOSPC: no space left on device')
      },
    }
    const bans = open({ runtime: { clock: runtime.clock, files: full } })
    expect(bans.ban(id, 'spam')).toMatchObject({ ok: false, code: 'bans-not-written' })
    open().ban(other, 'spam')
    bans.refresh()
    expect(bans.find(id, '10.0.0.2')).toBeDefined()
    expect(bans.find(other, '10.0.0.2')).toBeDefined()
  })

  test('is not filled without end', () => {
    const { open, runtime } = setUp({ fileBytesMax: 1_000, bansMax: 10_000 })
    const bans = open()
    const verdicts = Array.from({ length: 50 }, (_, i) => bans.ban(`203.0.113.${i}`, 'spam'))
    expect(verdicts.filter(({ ok }) => ok).length).toBeGreaterThan(5)
    expect(runtime.files.size(path)).toBeLessThanOrEqual(1_000)
    expect(bans.list().length).toBe(50)
  })

  test('on a real disk, with other bytes than UTF-8 in it', () => {
    const runtime = bunRuntime()
    const file = join(mkdtempSync(join(tmpdir(), 'aurex-bans-')), 'node_1.bans')
    const warnings: string[] = []
    const hear = (message: string) => void warnings.push(message)
    const log = { debug: hear, info: hear, warn: hear, error: hear }
    const open = () => new Bans({ runtime, log, path: file, bansMax: 100, fileBytesMax: 1_000_000 })
    open().ban(id, 'spam')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    writeFileSync(file, new Uint8Array([0xff, 0xfe, 0x0a]), { flag: 'a' })
    const bans = open()
    bans.ban(other, 'spam')
    expect(bans.refresh()).toEqual([])
    expect(open().list().length).toBe(2)
  })
})
