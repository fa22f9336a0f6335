// Programs as people have them: Python, netcat, and what goes wrong with them.
import { afterEach, beforeAll, afterAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '../../support/eventually.ts'
import type { ChainWorld } from '../../support/chainworld.ts'
import { freePort, metric, notify, worldOf, type Notifying } from './world.ts'

const readme = readFileSync(join(import.meta.dir, '../../../plugins/notifier/README.md'), 'utf8')
const examples = [...readme.matchAll(/```python\n([^]*?)```/g)].map(([, code]) => code!)

let world: ChainWorld
beforeAll(async () => void (world = await worldOf(3)))
afterAll(() => world.dispose())

const releases: (() => unknown)[] = []
afterEach(async () => {
  for (const release of releases.splice(0).toReversed()) await release()
})

interface Program {
  readonly process: Bun.Subprocess<'ignore', 'pipe', 'inherit'>
  /** What it printed so far. */
  printed(): string
}

function run(command: string[]): Program {
  const child = Bun.spawn(command, { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' })
  releases.push(async () => {
    child.kill('SIGKILL')
    await child.exited
  })
  let printed = ''
  void (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of child.stdout) printed += decoder.decode(chunk, { stream: true })
  })()
  return { process: child, printed: () => printed }
}

const python = (code: string, port: number): Program =>
  run(['python3', '-u', '-c', code.replaceAll('23457', String(port))])

const notifying = async (target: string, config: object = {}): Promise<Notifying> => {
  const running = await notify(world, { targets: [target], ...config })
  releases.push(() => running.stop())
  return running
}
const deliveries = (running: Notifying, target: string) => metric(running, 'notifier_deliveries_total', target) ?? 0
const failures = (running: Notifying, target: string) => metric(running, 'notifier_failures_total', target) ?? 0

const line = (text: string): string => text.split(' ').slice(0, 2).join(' ')
const three = ['block_confirmation 1', 'block_confirmation 2', 'block_confirmation 3']

describe('the examples of the README hear everything, in order', () => {
  const schemes: [string, (port: number) => string][] = [
    ['a line', (port) => `ndjson://127.0.0.1:${port}`],
    ['a line and an answer', (port) => `ndjson://127.0.0.1:${port}?answer`],
    ['frames', (port) => `gateway://127.0.0.1:${port}`],
    ['a webhook', (port) => `http://127.0.0.1:${port}/blocks`],
  ]
  test('there is one for each kind', () => expect(examples.length).toBe(schemes.length))
  for (const [at, [name, urlOf]] of schemes.entries()) {
    test(name, async () => {
      const port = await freePort()
      const url = urlOf(port)
      const program = python(examples[at]!, port)
      const running = await notifying(url, { webhook_secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' })
      await eventually(() => deliveries(running, url) === 3, 'all is delivered')
      await eventually(() => program.printed().split('\n').length === 4, 'all is printed')
      expect(program.printed().trim().split('\n').map(line)).toEqual(three)
    })
  }
})

const listen = `
import os, signal, socket, struct, sys, time
server = socket.create_server(("127.0.0.1", 23457))
print("listening", flush=True)
def accepted():
    print("accepted", flush=True)
    return server.accept()[0]
`

describe('over ndjson', () => {
  test('who reads to the end and then closes has it', async () => {
    const port = await freePort()
    const target = `ndjson://127.0.0.1:${port}`
    const program = python(
      `${listen}
while True:
    with accepted() as c:
        text = b""
        while piece := c.recv(100): text += piece
        print(len(text.splitlines()), flush=True)
`,
      port,
    )
    const running = await notifying(target)
    await eventually(() => deliveries(running, target) === 3, 'all is delivered')
    expect(program.printed().match(/1/g)?.length).toBe(3)
  })

  test('netcat (nc -l -k -p) ends when it is ended to, and prints a line each', async () => {
    const port = await freePort()
    const target = `ndjson://127.0.0.1:${port}`
    const program = run(['nc', '-l', '-k', '-p', String(port)])
    const running = await notifying(target)
    await eventually(() => deliveries(running, target) === 3, 'all is delivered')
    await eventually(() => program.printed().split('\n').length === 4, 'all is printed')
    const told = program
      .printed()
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text) as { block_index: number })
    expect(told.map(({ block_index }) => block_index)).toEqual([1, 2, 3])
  })

  const badEnds: [string, string][] = [
    ['is killed before it has read', 'c = accepted(); time.sleep(0.05); os.kill(os.getpid(), signal.SIGKILL)'],
    [
      'is killed when it has read a part',
      'c = accepted(); c.recv(10); time.sleep(0.05); os.kill(os.getpid(), signal.SIGKILL)',
    ],
    ['was killed before it took the connection', 'time.sleep(0.3); os.kill(os.getpid(), signal.SIGKILL)'],
    ['closes when it has read a part', 'c = accepted(); c.recv(10); c.close(); time.sleep(60)'],
    ['closes at once, as a proxy with nobody behind it', 'while True: accepted().close()'],
    [
      'resets',
      'c = accepted(); c.recv(99999); c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); c.close(); time.sleep(60)',
    ],
    ['takes it and says nothing, as one that is stopped', 'c = accepted(); time.sleep(60)'],
    ['takes no connection at all', 'time.sleep(60)'],
  ]
  for (const [what, code] of badEnds) {
    test(`who ${what} has heard nothing`, async () => {
      const port = await freePort()
      const target = `ndjson://127.0.0.1:${port}`
      const program = python(`${listen}\n${code}`, port)
      await eventually(() => program.printed() !== '', 'it listens')
      const running = await notifying(target, { answer_timeout: 0.5, retry_max: 0.02 })
      if (code.includes('SIGKILL')) await program.process.exited
      // Where it serves on, it is called again and again: what depends on chance shows itself.
      const calls = code.includes('while True') ? 40 : 1
      await eventually(() => failures(running, target) >= calls, 'it failed')
      expect(deliveries(running, target)).toBe(0)
    })
  }

  test('who closes without the line that ?answer asks for has not worked on it', async () => {
    const port = await freePort()
    const target = `ndjson://127.0.0.1:${port}?answer`
    const program = python(`${listen}\nwhile True:\n    with accepted() as c: c.recv(99999)`, port)
    const running = await notifying(target)
    await eventually(() => program.printed().split('accepted').length > 3, 'it was called again and again')
    expect(deliveries(running, target)).toBe(0)
  })
})
