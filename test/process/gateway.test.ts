// A gateway as a real process, and a client that shares no code with it.
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { eventually } from '../support/eventually.ts'
import { FrameClient } from '../support/frames.ts'
import { useHome } from '../support/home.ts'
import { removeFolder, startNode, temporaryFolder } from '../support/process.ts'

interface Listening {
  readonly plugin: string
  readonly host: string
  readonly port: number
}

const home = useHome()
const plugins = ['--plugins', 'instant,gateway,tcp,sqlite', '--port', '0']

test("threats rows 5, 19, 20, 22 and 26: a shop's client in Python that knows the protocol alone", async () => {
  // So that a body without an end is cut soon.
  const node = await home.start(...plugins, '--gateway.port', '0', '--gateway.body-milliseconds-max', '1500')
  const { listeners } = node.ready as unknown as { readonly listeners: readonly Listening[] }
  const gateway = listeners.find(({ plugin }) => plugin === 'gateway')!
  const child = Bun.spawn(['python3', join(import.meta.dir, 'gatewayclient.py'), String(gateway.port)], {
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()])
  expect(stderr).toBe('')
  expect(await child.exited).toBe(0)
  const { waited } = JSON.parse(stdout) as { readonly waited: number }
  expect(waited).toBeGreaterThan(1.4)
  expect(waited).toBeLessThan(4)
  expect(node.log()).not.toContain('"ERROR"')
  expect(await node.stop()).toBe(0)
}, 60_000)

test('a port that is in use keeps the node from starting', async () => {
  const taken = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => {} } })
  try {
    const failure: unknown = await home.start(...plugins, '--gateway.port', String(taken.port)).catch((e: unknown) => e)
    expect(String(failure)).toContain('the node ended with 69 before it was ready')
    expect(String(failure)).toContain(
      `port ${taken.port} on 127.0.0.1 is in use already; choose another with --gateway.port`,
    )
  } finally {
    taken.stop()
  }
})

test('a gateway alone: what a node confirms to it, signed, reaches the shop in order, each block once', async () => {
  const lines: string[] = []
  const shop = Bun.listen<{ text: string }>({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open: (socket) => void (socket.data = { text: '' }),
      data: (socket, bytes) => void (socket.data.text += bytes.toString()),
      end: (socket) => void socket.end(),
      close: (socket) => void lines.push(socket.data.text),
    },
  })
  const gatewayPort = freePort()
  const target = `gateway://127.0.0.1:${gatewayPort}`
  const node = await home.start('--plugins', 'instant,tcp,sqlite,notifier', '--port', '0', '--notifier.targets', target)
  const folder = temporaryFolder()
  const network = ['--port', '0', '--peers', `127.0.0.1:${node.ready.port}`, '--notifier.port', String(shop.port)]
  const kinds = ['--plugins', 'gateway,tcp,sqlite,notifier', '--gateway.port', String(gatewayPort)]
  const gateway = await startNode(folder, ...kinds, ...network)
  try {
    const client = await FrameClient.open(gatewayPort)
    await eventually(
      async () => (await client.ask({ action: 'health' }))['nodes'] === 1,
      'the gateway reaches the node',
    )
    for (let n = 0; n < 3; n++) {
      const fields = { buyer: 'alice', seller: 'bob', asset_id: `book-${n}`, asset_name: 'A book', price: 1.5 }
      const body = { tx_id: `order-${n}`, ...fields, timestamp: '2026-11-21T01:02:03.456Z' }
      expect(await client.ask({ action: 'submit_purchase', body })).toMatchObject({ status: 'submitted' })
      const status = { action: 'transaction_status', tx_id: body.tx_id }
      await eventually(async () => (await client.ask(status))['status'] === 'included', 'it is in a block')
    }
    await eventually(() => lines.length >= 3, 'the shop is told of three blocks')
    const told = lines.map((line) => JSON.parse(line) as { block_index: number; transactions: { data: object }[] })
    expect(told.map(({ block_index }) => block_index)).toEqual([1, 2, 3])
    expect(told.flatMap(({ transactions }) => transactions)).toMatchObject([
      { sender: 'alice', data: { tx_id: 'order-0' } },
      { sender: 'alice', data: { tx_id: 'order-1' } },
      { sender: 'alice', data: { tx_id: 'order-2' } },
    ])
    expect(await client.ask({ action: 'health' })).toMatchObject({ confirmations: 3, chain_id: node.ready.chain_id })
    client.close()
  } finally {
    expect(await gateway.stop()).toBe(0)
    removeFolder(folder)
    shop.stop(true)
  }
}, 60_000)

/** The node is told of it before the gateway has it. */
function freePort(): number {
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => {} } })
  listener.stop()
  return listener.port
}
