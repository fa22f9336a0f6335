import { afterEach, beforeEach, expect, test } from 'bun:test'
import { chmodSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { bunRuntime } from '../../../core/bun.ts'
import type { Files } from '../../../core/index.ts'
import { createKeyFile } from '../../../core/keyfile.ts'
import { KeyHold } from '../../../core/signing/keyhold.ts'
import { removeFolder, temporaryFolder } from '../../support/process.ts'

const runtime = bunRuntime()
let [folder, path] = ['', '']
const children: Holder[] = []
beforeEach(() => {
  folder = temporaryFolder()
  path = join(folder, 'key.pem')
  createKeyFile(runtime.files, path, (length) => runtime.random(length))
})
afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.kill()))
  removeFolder(folder)
})

interface Holder {
  /** Whether it may sign: `mine`, or whom it waits for. */
  ask(): Promise<string>
  /** As the system does it: the process has no chance to let go. */
  kill(): Promise<void>
}

/** Another process, which asks for the key whenever it is told to. */
function startHolder(keyPath: string): Holder {
  const child = Bun.spawn([process.execPath, '-e', holderScript(keyPath)], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const reader = child.stdout.getReader()
  const holder: Holder = {
    async ask() {
      void child.stdin.write('sign\n')
      void child.stdin.flush()
      return new TextDecoder().decode((await reader.read()).value).trim()
    },
    async kill() {
      child.kill('SIGKILL')
      await child.exited
    },
  }
  children.push(holder)
  return holder
}

const core = join(import.meta.dir, '../../../core')
const holderScript = (keyPath: string): string => `
  const { bunRuntime } = await import(${JSON.stringify(join(core, 'bun.ts'))})
  const { KeyHold } = await import(${JSON.stringify(join(core, 'signing/keyhold.ts'))})
  const silent = () => {}
  const { files, clock } = bunRuntime()
  const log = { debug: silent, info: silent, warn: silent, error: silent }
  const hold = new KeyHold({ files, path: ${JSON.stringify(keyPath)}, clock, log })
  for await (const line of process.stdin) process.stdout.write((hold.take()?.waitsFor ?? 'mine') + '\\n')
`

interface Own {
  readonly hold: KeyHold
  readonly logged: string[]
  /** Moves the monotonic clock. */
  later(milliseconds: number): void
}

function ownHold(keyPath: string, files: Pick<Files, 'hold'> = runtime.files): Own {
  const logged: string[] = []
  const silent = (): void => undefined
  const say = (message: string): void => void logged.push(message)
  let now = 0
  const clock = { now: () => 1_000, monotonic: () => now, after: () => ({ cancel: silent }), soon: silent }
  const hold = new KeyHold({ files, path: keyPath, clock, log: { debug: silent, info: silent, warn: say, error: say } })
  return { hold, logged, later: (milliseconds) => void (now += milliseconds) }
}

test('of two processes with one key file one signs, until the other is gone, however it went', async () => {
  const [first, second] = [startHolder(path), startHolder(path)]
  expect(await first.ask()).toBe('mine')
  expect(await second.ask()).toContain('another process on this machine')
  expect(await first.ask()).toBe('mine')
  const own = ownHold(path)
  expect(own.hold.take()).toMatchObject({ since: 1_000, help: expect.stringContaining('stop that process') as unknown })
  await first.kill()
  own.later(1_000)
  expect(own.hold.take()).toBeUndefined()
  expect(await startHolder(path).ask()).toContain(path)
  own.hold.release()
  expect(await startHolder(path).ask()).toBe('mine')
})

test('a link to the key file is the same key file', async () => {
  mkdirSync(join(folder, 'other'))
  const link = join(folder, 'other/link.pem')
  symlinkSync(path, link)
  expect(await startHolder(link).ask()).toBe('mine')
  expect(ownHold(path).hold.take()).toBeDefined()
})

test('who has it is asked for once a second at most, and logged once', () => {
  let asked = 0
  const own = ownHold(path, { hold: () => void asked++ })
  for (let i = 0; i < 10; i++) own.hold.take()
  expect(asked).toBe(1)
  own.later(1_000)
  own.hold.take()
  expect([asked, own.logged.length]).toEqual([2, 1])
})

test('held once, it is not asked for again; let go, it is', () => {
  let asked = 0
  let letGo = 0
  const hold = () => {
    asked++
    return () => void letGo++
  }
  const own = ownHold(path, { hold })
  for (let i = 0; i < 3; i++) expect(own.hold.take()).toBeUndefined()
  own.hold.release()
  own.hold.release()
  own.hold.take()
  expect([asked, letGo]).toEqual([2, 1])
})

test('where no lock can be made beside the key, it is said once, and the node signs', () => {
  const own = ownHold(path, {
    hold: () => {
      throw new Error('EROFS: read-only file system')
    },
  })
  expect([own.hold.take(), own.hold.take()]).toEqual([undefined, undefined])
  expect(own.logged).toEqual([expect.stringContaining('cannot be seen')])
})

test.skipIf(process.getuid?.() === 0)('a folder that may not be written is such a place', () => {
  chmodSync(folder, 0o500)
  const own = ownHold(path)
  expect(own.hold.take()).toBeUndefined()
  expect(own.logged).toHaveLength(1)
  chmodSync(folder, 0o700)
})
