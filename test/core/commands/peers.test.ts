import { afterAll, describe, expect, test } from 'bun:test'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { command } from '../../../core/commands/peers.ts'
import { keyPairOfPem, privatePemOf } from '../../../core/chain/keys.ts'
import { aurex, removeFolder, startNode, temporaryFolder, type NodeProcess } from '../../support/process.ts'
import { failure, testIo, type TestIo } from './testio.ts'

const key = keyPairOfPem(privatePemOf(new Uint8Array(32).fill(7)), 'test')

/** No node listens on port 1. */
async function run(io: TestIo, ...argv: string[]): Promise<string> {
  io.stdout = ''
  expect(await command.run([...argv, '--data-dir', '.', '--port', '1'], io)).toBe(0)
  return io.stdout
}

describe('without a node', () => {
  test('bans, lists and frees', async () => {
    const io = testIo()
    expect(await run(io)).toBe('no node runs at 127.0.0.1:1; what it starts with:\n\nbanned: none\n')
    expect(await run(io, 'ban', '203.0.113.7', '--reason', 'sends junk')).toBe('banned 203.0.113.7 until it is freed\n')
    expect(await run(io, 'ban', key.address, '--for', '24h')).toMatch(
      new RegExp(`^banned ${key.nodeId} until 20..-..-..T..:..:..\\.\\d{3}Z\n$`),
    )
    const listed = await run(io)
    expect(listed).toContain('banned: 2\n')
    expect(listed).toContain('sends junk\n')
    expect(statSync(join(io.cwd, 'node_1.bans')).mode & 0o777).toBe(0o600)
    expect(await run(io, 'free', key.nodeId)).toBe(`freed ${key.nodeId}\n`)
    expect(await run(io, 'free', key.nodeId)).toBe(`${key.nodeId} was not banned\n`)
    expect(JSON.parse(await run(io, '--json'))).toMatchObject({
      node: null,
      peers: [],
      known: [],
      bans: [{ target: '203.0.113.7', reason: 'sends junk', until: null }],
    })
    io.remove()
  })

  test('with --json it says what it did', async () => {
    const io = testIo()
    const banned = JSON.parse(await run(io, 'ban', '2001:DB8::1', '--for', '90s', '--json'))
    expect(banned).toEqual({ banned: '2001:db8::1', until: expect.any(String), reason: 'by the operator' })
    expect(JSON.parse(await run(io, 'free', '2001:db8:0::1', '--json'))).toEqual({
      freed: '2001:db8::1',
      was_banned: true,
    })
    io.remove()
  })

  test('names damaged lines, and works on', async () => {
    const io = testIo()
    writeFileSync(join(io.cwd, 'node_1.bans'), '{"ban": "203.0')
    await run(io, 'ban', '203.0.113.8')
    expect(io.stderr).toContain('damaged')
    expect(await run(io)).toContain('banned: 1\n')
    io.remove()
  })

  test('control characters in a reason are shown, not printed', async () => {
    const io = testIo()
    await run(io, 'ban', '203.0.113.8', '--reason', 'a\u001b[2Jb\nc')
    expect(await run(io)).toContain('a\\u{1b}[2Jb\\u{a}c\n')
    io.remove()
  })

  test.each([
    [['bna', '203.0.113.7'], 'unexpected-argument', 'did you mean ban?'],
    [['ban'], 'missing-argument', 'whom?'],
    [['ban', 'bob'], 'bad-value', 'expected a node id'],
    [['ban', '203.0.113.7:13245'], 'bad-value', 'without the port: 203.0.113.7'],
    [['ban', '127.0.0.1'], 'bad-value', 'name the node by its id'],
    [['ban', '203.0.113.7', '--for', '1w'], 'bad-value', 'as 90s, 30m, 24h or 7d'],
    [['ban', '203.0.113.7', '--for', '99999d'], 'bad-value', 'at most 3650d'],
    [['free', '203.0.113.7', '--for', '1h'], 'bad-value', 'aurex peers ban'],
    [['list', 'all'], 'unexpected-argument', '"all"'],
    [['ban', '203.0.113.7', '--reson', 'x'], 'unknown-flag', 'did you mean --reason?'],
  ])('%p is a mistake of usage', async (argv, code, hint) => {
    const io = testIo()
    const error = await failure(command.run([...argv, '--data-dir', '.'], io))
    expect(error).toMatchObject({ code, exit: 64 })
    expect(error.message).toContain(hint)
    io.remove()
  })

  test('a data directory that is not there is not made', async () => {
    const io = testIo()
    const error = await failure(command.run(['ban', '203.0.113.7', '--data-dir', 'nowhere'], io))
    expect(error).toMatchObject({ code: 'no-data-dir', exit: 78 })
    io.remove()
  })

  test('a ban that could not be written is an error', async () => {
    const io = testIo()
    mkdirSync(join(io.cwd, 'node_1.bans'))
    const error = await failure(command.run(['ban', '203.0.113.7', '--data-dir', '.', '--port', '1'], io))
    expect(error).toMatchObject({ code: 'bans-not-written', exit: 1 })
    io.remove()
  })
})

describe('with real nodes', () => {
  const homes = [temporaryFolder(), temporaryFolder()] as const
  const nodes: NodeProcess[] = []
  afterAll(async () => {
    await Promise.all(nodes.map((node) => node.kill()))
    for (const home of homes) removeFolder(home)
  })

  interface Listed {
    readonly node: string | null
    readonly peers: readonly { node_id: string; outbound: boolean }[]
    readonly known: readonly { node_id: string }[]
    readonly bans: readonly { target: string }[]
  }

  const peersOf = async (port: number): Promise<Listed> => {
    const { stdout, code, stderr } = await aurex(
      homes[0],
      'peers',
      '--json',
      '--port',
      `${port}`,
      '--data-dir',
      homes[0],
    )
    expect(`${code} ${stderr}`).toBe('0 ')
    return JSON.parse(stdout) as Listed
  }
  const until = async (port: number, fact: (listed: Listed) => boolean): Promise<Listed> => {
    for (;;) {
      const listed = await peersOf(port)
      if (fact(listed)) return listed
    }
  }

  test('lists; a ban closes the connection and survives a restart; a freed node comes back', async () => {
    const engine = ['--plugins', 'instant,tcp,sqlite']
    const first = await startNode(homes[0], ...engine, '--port', '0')
    nodes.push(first)
    const { port } = first.ready
    await first.stop()
    // A port of its own: the name of the file of bans has it.
    const again = await startNode(homes[0], ...engine, '--port', `${port}`)
    const second = await startNode(homes[1], ...engine, '--port', '0', '--peers', `127.0.0.1:${port}`)
    nodes.push(again, second)
    const id = second.ready.node_id
    const listed = await until(port, ({ peers, known }) => peers.length === 1 && known.length === 2)
    expect(listed.peers).toMatchObject([{ node_id: id }])
    const text = await aurex(homes[0], 'peers', '--port', `${port}`, '--data-dir', homes[0])
    expect(text.stdout).toContain(id)
    for (const line of text.stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80)

    const banned = await aurex(homes[0], 'peers', 'ban', id, '--port', `${port}`, '--data-dir', homes[0])
    expect(banned.code).toBe(0)
    await until(port, ({ peers }) => peers.length === 0)
    expect(readFileSync(join(homes[0], `node_${port}.bans`), 'utf8')).toContain(id)
    expect(again.log()).toContain('banned')

    await again.stop()
    nodes.push(await startNode(homes[0], ...engine, '--port', `${port}`))
    const after = await peersOf(port)
    expect(after.bans).toMatchObject([{ target: id }])
    expect(after.peers).toEqual([])

    await aurex(homes[0], 'peers', 'free', id, '--port', `${port}`, '--data-dir', homes[0])
    await until(port, ({ peers }) => peers.length === 1)
  }, 120_000)
})
