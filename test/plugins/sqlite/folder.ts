import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A temporary folder that is gone with `using`. */
export function temporaryFolder() {
  const path = mkdtempSync(join(tmpdir(), 'aurex-sqlite-'))
  return {
    path,
    ledger: join(path, 'node_13245.sqlite3'),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  }
}

/** Runs a task of child.ts; `shell` may set limits before it (`ulimit -f 100`). */
export function startChild(task: string, path: string, shell = ':') {
  const script = join(import.meta.dir, 'child.ts')
  return Bun.spawn(['bash', '-c', `${shell}; exec "$0" "$@"`, process.execPath, script, task, path], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  })
}

/** The first line that a process says. */
export async function firstLine(stdout: ReadableStream<Uint8Array>): Promise<string> {
  let text = ''
  for await (const bytes of stdout) {
    text += new TextDecoder().decode(bytes)
    if (text.includes('\n')) break
  }
  return text.split('\n')[0]!
}

/** What a program says that is run to its end. */
export function run(command: string[]): string {
  const { stdout, stderr, exitCode } = Bun.spawnSync(command)
  if (exitCode !== 0) throw new Error(stderr.toString())
  return stdout.toString()
}
