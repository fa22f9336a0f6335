// What a command gets in tests: a folder of its own, what it printed, and a clock that runs its timers early.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bunRuntime } from '../../../core/bun.ts'
import type { Io } from '../../../core/commands/command.ts'
import { AurexError } from '../../../core/errors.ts'
import type { Runtime } from '../../../core/runtime.ts'

export interface TestIo extends Io {
  stdout: string
  stderr: string
  readonly controller: AbortController
  file(name: string, content: string | Uint8Array): string
  remove(): void
}

const hurry = 20

/** The real runtime, but for timers that end after a twentieth of their time. */
export function hastyRuntime(): Runtime {
  const runtime = bunRuntime()
  const { clock } = runtime
  return { ...runtime, clock: { ...clock, after: (milliseconds, run) => clock.after(milliseconds / hurry, run) } }
}

export function testIo(extra: Partial<Pick<Io, 'isTerminal' | 'env' | 'runtime'>> = {}): TestIo {
  const cwd = mkdtempSync(join(tmpdir(), 'aurex-command-'))
  const controller = new AbortController()
  const io: TestIo = {
    stdout: '',
    stderr: '',
    out: (text) => void (io.stdout += text),
    err: (text) => void (io.stderr += text),
    env: { HOME: cwd },
    cwd,
    isTerminal: false,
    columns: 80,
    runtime: hastyRuntime(),
    controller,
    signal: controller.signal,
    outlive: () => undefined,
    file(name, content) {
      writeFileSync(join(cwd, name), content)
      return name
    },
    remove: () => rmSync(cwd, { recursive: true, force: true }),
    ...extra,
  }
  return io
}

/** The `AurexError` that a promise ends with. */
export async function failure(promise: Promise<unknown>): Promise<AurexError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof AurexError) return error
    throw error
  }
  throw new Error('expected an AurexError, and nothing was thrown')
}
