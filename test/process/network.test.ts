// Networks of real processes on loopback. The longer stories are in test/network.
import { afterEach, expect, test } from 'bun:test'
import { join } from 'node:path'
import { expectAgreement } from '../support/agreement.ts'
import { Cluster, type ClusterOptions } from '../support/cluster.ts'

const pow = ['--plugins', 'pow,tcp,sqlite', '--difficulty', '2']

let cluster: Cluster | undefined
afterEach(async () => {
  await cluster?.dispose()
  cluster = undefined
})

async function start(options: Partial<ClusterOptions> = {}): Promise<Cluster> {
  return (cluster = await Cluster.start({ count: 5, args: pow, ...options }))
}

test('five nodes, each told of one other: they find each other, all mine, and have the same rows', async () => {
  const five = await start()
  // Each was told of one: the others it learnt of.
  await five.connected(2)
  await five.submit(60)
  await five.until('blocks of three miners at least', async () => {
    await five.submit(10)
    return five.nodes[0]!.miners().length >= 3
  })
  await expectAgreement(five)
  for (const node of five.nodes) expect(await node.stop()).toBe(0)
}, 60_000)

test('one is killed with -9 in the middle and started again: nothing acknowledged is lost', async () => {
  const three = await start({ count: 3 })
  await three.connected(1)
  const [, victim] = three.nodes
  await three.submit(20)
  // What it alone has acknowledged may have reached nobody yet.
  await three.submit(5, [victim!])
  await victim!.kill()
  await three.submit(
    20,
    three.nodes.filter((node) => node !== victim),
  )
  await victim!.start()
  await three.submit(10, [victim!])
  await expectAgreement(three)
}, 60_000)

test("a stranger's peer: Python and openssl shake hands both ways, read, announce, fetch, and are refused with the right codes", async () => {
  const one = await start({ count: 1, peersOf: () => [], args: [...pow, '--log-level', 'debug'] })
  const [node] = one.nodes
  const child = Bun.spawn(['python3', join(import.meta.dir, 'strangerpeer.py'), String(node!.port)], {
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const lines = linesOf(child.stdout)
  const { listening } = (await nextLine(lines)) as { listening: number }
  const dialler = await one.add(['--pow.mine=false', '--peers', `127.0.0.1:${listening}`])
  const result = await nextLine(lines)
  expect(await child.stderr.text()).toBe('')
  expect(await child.exited).toBe(0)
  const codes = ['bad-signature', 'duplicate', 'self', 'wrong-chain', 'wrong-version']
  expect(result).toMatchObject({ codes, dialled_by: dialler.ready.node_id })
  // Both sides name the same reason.
  for (const code of codes) expect(node!.log()).toContain(`"code":"${code}"`)
}, 60_000)

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true })
    const lines = text.split('\n')
    text = lines.pop()!
    yield* lines
  }
}

/** undefined when it ended before. */
async function nextLine(lines: AsyncGenerator<string>): Promise<unknown> {
  const { done, value } = await lines.next()
  return done === true ? undefined : JSON.parse(value)
}
