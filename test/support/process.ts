// Nodes as real processes, for tests that look at them from outside.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const main = join(import.meta.dir, '../../core/main.ts')

/** What a node says on stdout with `--json` as soon as it is ready. */
export interface Ready {
  readonly port: number
  readonly address: string
  readonly node_id: string
  readonly chain_id: string
  readonly ledger: string
}

export interface NodeProcess {
  readonly ready: Ready
  readonly process: Bun.Subprocess<'ignore', 'pipe', 'pipe'>
  /** Everything that was logged so far. */
  log(): string
  /** TERM, then waits. Returns the exit code. */
  stop(): Promise<number>
  /** KILL, then waits. */
  kill(): Promise<void>
}

export interface Run {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** An environment without anything that configures aurex, and a home of its own. */
export const cleanEnvironment = (home: string): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  HOME: home,
  XDG_DATA_HOME: home,
})

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'aurex-'))
}

export const removeFolder = (path: string): void => rmSync(path, { recursive: true, force: true })

/** Runs one command of the program to its end. */
export async function aurex(home: string, ...args: string[]): Promise<Run> {
  const child = Bun.spawn([process.execPath, main, ...args], {
    env: cleanEnvironment(home),
    cwd: home,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { code, stdout, stderr }
}

/** Starts a node and waits until it says that it is ready. Fails with its log when it ends before. */
export async function startNode(home: string, ...args: string[]): Promise<NodeProcess> {
  const child = Bun.spawn([process.execPath, main, 'node', '--json', '--data-dir', home, ...args], {
    env: cleanEnvironment(home),
    cwd: home,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  let logged = ''
  const logging = (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of child.stderr) logged += decoder.decode(chunk, { stream: true })
  })()
  const line = await firstLine(child.stdout)
  if (line === undefined) {
    await logging
    throw new Error(`the node ended with ${await child.exited} before it was ready:\n${logged}`)
  }
  return {
    ready: JSON.parse(line) as Ready,
    process: child,
    log: () => logged,
    stop: async () => {
      child.kill('SIGTERM')
      return await child.exited
    },
    kill: async () => {
      child.kill('SIGKILL')
      await child.exited
    },
  }
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string | undefined> {
  const decoder = new TextDecoder()
  const reader = stream.getReader()
  let text = ''
  while (!text.includes('\n')) {
    const { done, value } = await reader.read()
    if (done) return undefined
    text += decoder.decode(value, { stream: true })
  }
  reader.releaseLock()
  return text.slice(0, text.indexOf('\n'))
}
