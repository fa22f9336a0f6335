import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { command } from '../../../core/commands/tx.ts'
import { gatewayOf, nodeOf } from '../../../core/commands/whom.ts'
import { FakeNode } from './fakenode.ts'
import { failure, hastyRuntime, testIo, type TestIo } from './testio.ts'

let io: TestIo
let node: FakeNode
beforeEach(async () => {
  io = testIo()
  node = await FakeNode.start(hastyRuntime())
})
afterEach(() => {
  node.stop()
  io.remove()
})

const tx = (...argv: string[]) => command.run([...argv, '--node', node.address], io)
const result = () => JSON.parse(io.stdout.trimEnd().split('\n').at(-1)!) as Record<string, unknown>
const submitted = () => node.received.filter(({ type }) => type === 'NEW_TRANSACTION')
const lines = (count: number) => Array.from({ length: count }, (_, n) => `{"n":${n}}\n`).join('')

describe('one transaction', () => {
  test('is signed with a key that is made on first use', async () => {
    expect(await tx('--data', '{"note":"hi"}')).toBe(0)
    const path = join(io.cwd, '.local/share/aurex/client.pem')
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(io.stderr).toContain(`made a key for you: ${path}`)
    const [known] = [...node.known.values()]
    expect(known!.transaction.data).toEqual({ note: 'hi' })
    expect(io.stdout).toBe(`id     ${known!.hash}\nnode   Mining started\n`)
    io.stderr = ''
    expect(await tx('--data', '{"note":"hi"}')).toBe(0)
    expect(io.stderr).toBe('')
    expect(node.known.size).toBe(1)
  })

  test('the data directory is XDG’s, or the one that is given', async () => {
    const xdg = testIo({ env: { XDG_DATA_HOME: join(io.cwd, 'xdg') } })
    await command.run(['--data', '{}', '--node', node.address], xdg)
    expect(statSync(join(io.cwd, 'xdg/aurex/client.pem')).isFile()).toBe(true)
    await tx('--data', '{}', '--data-dir', 'here')
    expect(statSync(join(io.cwd, 'here/client.pem')).isFile()).toBe(true)
    xdg.remove()
  })

  test('--sender sends in a name, signed by the key beside it', async () => {
    expect(await tx('--data', '{"action":"register"}', '--sender', 'alice', '--nonce', '3')).toBe(0)
    const [sent] = submitted()
    expect(sent).toMatchObject({ sender: 'alice', nonce: 3, data: { action: 'register' } })
    expect(sent!['public_key_pem']).toMatch(/BEGIN PUBLIC KEY/)
    const [known] = [...node.known.values()]
    expect(io.stdout).toContain(`id     ${known!.hash}`)
    const wrong = await failure(tx('--from', 'x.csv', '--sender', 'alice'))
    expect(wrong).toMatchObject({ exit: 64 })
  })

  test('--wait answers with its block', async () => {
    node.minesWhenAsked = true
    expect(await tx('--data', '{"a":1}', '--wait', '--json', '--nonce', '7')).toBe(0)
    const [known] = [...node.known.values()]
    expect(known!.transaction.nonce).toBe(7)
    expect(result()).toMatchObject({ tx_hash: known!.hash, status: 'included', known: false, block_index: 1 })
    io.stdout = ''
    expect(await tx('--data', '{"a":1}', '--nonce', '7')).toBe(0)
    expect(io.stdout).toContain('already in block 1')
  })

  test('--wait submits again what the node has lost', async () => {
    let asked = 0
    node.before = ({ type }) => {
      if (type === 'transaction_status' && ++asked === 2) node.known.clear()
      return true
    }
    node.minesWhenAsked = true
    expect(await tx('--data', '{}', '--wait')).toBe(0)
    expect(submitted()).toHaveLength(2)
  })

  test('--wait waits on while its block is undone, and takes a final one', async () => {
    const told = ['orphaned', 'pending', 'orphaned', 'final']
    node.before = ({ type, tx_hash: hash }) => {
      if (type !== 'transaction_status' || node.known.size === 0) return true
      const block = { block_index: 2, block_hash: 'c'.repeat(64), confirmations: 5 }
      node.fates.set(hash as string, { ...block, status: told.shift()! })
      return true
    }
    expect(await tx('--data', '{}', '--wait', '--json')).toBe(0)
    expect(told).toEqual([])
    expect(submitted()).toHaveLength(1)
    expect(result()).toMatchObject({ status: 'final', block_index: 2 })
  })

  test.each(['unknown', 'orphaned'])(
    '--wait tells why one that was taken is %s for good, with exit code 1',
    async (status) => {
      node.before = ({ type, tx_hash: hash }) => {
        if (type !== 'transaction_status' || node.known.size === 0) return true
        node.fates.set(hash as string, { status, code: 'insufficient-funds', error: 'alice has 1' })
        return true
      }
      expect(await tx('--data', '{}', '--wait')).toBe(1)
      expect(io.stdout.match(/^id /gm)).toHaveLength(1)
      expect(io.stderr).toContain('refused: insufficient-funds: alice has 1')
    },
  )

  test('--wait tells when the node lost it and does not take it again', async () => {
    let asked = 0
    node.before = ({ type }) => {
      if (type !== 'transaction_status' || ++asked !== 2) return true
      node.known.clear()
      node.refuse = () => ({ code: 'asset-owned', error: 'too late' })
      return true
    }
    expect(await tx('--data', '{}', '--wait')).toBe(1)
    expect(io.stderr).toContain('refused: asset-owned: too late')
  })

  test('a refusal is told, with exit code 1; no room is 75', async () => {
    node.refuse = () => ({ code: 'bad-thing', error: 'no \u001b[31mthanks' })
    expect(await tx('--data', '{}', '--json')).toBe(1)
    expect(result()).toMatchObject({ status: 'refused', code: 'bad-thing' })
    expect(io.stderr).toContain('refused: bad-thing: no \\u{1b}[31mthanks')
    node.refuse = () => undefined
    node.pendingMax = 0
    expect(await tx('--data', '{}')).toBe(75)
  })

  test('INT ends the waiting', async () => {
    node.before = ({ type }) => {
      if (type === 'transaction_status' && node.known.size === 1) io.controller.abort()
      return true
    }
    expect(await failure(tx('--data', '{}', '--wait'))).toMatchObject({ code: 'interrupted', exit: 75 })
    expect(io.stdout).toContain('id     ')
  })

  test.each([
    [['--data', '{'], 'bad-value'],
    [['--data', '[]'], 'bad-value'],
    [['--data', '{"a":1,"a":2}'], 'bad-value'],
    [['--data', '{}', '--from', 'x.csv'], 'bad-value'],
    [['--from', 'x.csv', '--nonce', '1'], 'bad-value'],
    [['--from', 'missing.csv'], 'bad-file'],
    [[], 'missing-value'],
    [['--dta', '{}'], 'unknown-flag'],
    [['--data', '{}', '--in-flight', '0'], 'bad-value'],
  ])('%j is a usage error, and nothing is sent', async (argv, code) => {
    expect(await failure(tx(...argv))).toMatchObject({ code, exit: 64 })
    expect(node.connections).toBe(0)
  })

  test('where no node is, exit code 69 and the address', async () => {
    const { address } = node
    node.stop()
    const running = command.run(['--data', '{}', '--node', address], io)
    expect(await failure(running)).toMatchObject({ code: 'node-unreachable', exit: 69 })
    expect((await failure(running)).message).toContain(address)
  })
})

test('--node', () => {
  expect(nodeOf()).toEqual({ host: '127.0.0.1', port: 13245 })
  expect(nodeOf('a.example')).toEqual({ host: 'a.example', port: 13245 })
  expect(nodeOf('a.example:1')).toEqual({ host: 'a.example', port: 1 })
  expect(nodeOf('[::1]:80')).toEqual({ host: '::1', port: 80 })
  for (const wrong of ['', ':80', 'a:0', 'a:65536', 'a:b', '::1']) expect(() => nodeOf(wrong)).toThrow('--node')
  expect(gatewayOf()).toEqual({ host: '127.0.0.1', port: 5000 })
  expect(() => gatewayOf('a:b')).toThrow('--gateway')
})

describe('a file', () => {
  test('is submitted line by line; the same file again adds nothing and says where each line is', async () => {
    io.file('sales.csv', 'item,note\n1,"a\nb"\n2,\n')
    expect(await tx('--from', 'sales.csv')).toBe(0)
    expect([...node.known.values()].map(({ transaction }) => transaction.data)).toEqual([
      { item: '1', note: 'a\nb' },
      { item: '2', note: '' },
    ])
    expect(io.stdout).toMatch(/^submitted 2: recorded new 2, already known 0, refused 0; [\d.]+ s, [\d.]+ a second\n$/)
    node.mine()
    io.stdout = ''
    expect(await tx('--from', 'sales.csv')).toBe(0)
    const [first, second] = [...node.known.keys()]
    expect(io.stdout).toStartWith(
      `line 2  ${first}  already in block 1\nline 4  ${second}  already in block 1\n` +
        'submitted 2: recorded new 0, already known 2, refused 0',
    )
    expect(node.known.size).toBe(2)
  })

  test('--wait counts a line as refused that was taken and then ruled out', async () => {
    io.file('x.ndjson', '{"n":1}\n{"n":2}\n')
    node.before = ({ type, tx_hash: hash }) => {
      const known = node.known.get(hash as string)
      if (type === 'transaction_status' && known?.transaction.data['n'] === 1) {
        node.fates.set(hash as string, { status: 'unknown', code: 'conflict', error: 'sold' })
      } else if (type === 'transaction_status') node.mine()
      return true
    }
    expect(await tx('--from', 'x.ndjson', '--wait')).toBe(1)
    expect(io.stdout).toContain('submitted 2: recorded new 1, already known 0, refused 1')
    expect(io.stderr).toMatch(/^line 1 {2}[0-9a-f]{64} {2}refused: conflict: sold$/m)
  })

  test('identical lines are told apart by nonce, also where the names stand in another order', async () => {
    io.file('x.ndjson', '{"a":1,"b":2}\n{"b":2,"a":1}\n{"c":1}\n{"a":1,"b":2}\n')
    expect(await tx('--from', 'x.ndjson', '--json')).toBe(0)
    const nonces = [...node.known.values()].map(({ transaction }) => [transaction.data['c'], transaction.nonce])
    expect(nonces).toEqual([
      [undefined, undefined],
      [undefined, 1],
      [1, undefined],
      [undefined, 2],
    ])
    const ids = [...node.known.keys()]
    io.stdout = ''
    expect(await tx('--from', 'x.ndjson', '--json')).toBe(0)
    expect([...node.known.keys()]).toEqual(ids)
    expect(result()).toMatchObject({ submitted: 4, admitted: 0, known: 4, refused: 0 })
    expect(JSON.parse(io.stdout.split('\n')[3]!)).toEqual({ line: 4, tx_hash: ids[3], status: 'pending' })
  })

  test('a refused line is told and the others go on; exit code 1', async () => {
    node.refuse = ({ data }) => (data['n'] === 1 ? { code: 'bad-thing', error: 'not this' } : undefined)
    io.file('x.ndjson', lines(3))
    expect(await tx('--from', 'x.ndjson', '--json')).toBe(1)
    expect(io.stderr).toMatch(/line 2 {2}[0-9a-f]{64} {2}refused: bad-thing: not this\n/)
    expect(result()).toMatchObject({ submitted: 3, admitted: 2, known: 0, refused: 1 })
    expect(Object.keys(result())).toEqual(['submitted', 'admitted', 'known', 'refused', 'seconds', 'per_second'])
  })

  test('a line that no node would take is refused without being sent', async () => {
    io.file('x.ndjson', `{"a":"${'x'.repeat(300_000)}"}\n{"a":1}\n`)
    expect(await tx('--from', 'x.ndjson', '--json')).toBe(1)
    expect(result()).toMatchObject({ admitted: 1, refused: 1 })
    expect(io.stderr).toContain('line 1')
    expect(submitted()).toHaveLength(1)
  })

  test('a malformed line ends it; those before were submitted, and the summary says so', async () => {
    io.file('x.csv', 'a,b\n1,2\n3,4\n5\n6,7\n')
    expect(await failure(tx('--from', 'x.csv'))).toMatchObject({
      code: 'bad-row',
      exit: 1,
      message: 'x.csv: line 4: expected 2 values as in the header, got 1',
    })
    expect(io.stdout).toContain('submitted 2: recorded new 2')
    expect(io.stdout).toContain('stopped early (bad-row): the lines before were submitted')
    expect(node.known.size).toBe(2)
  })

  test('an empty file is no mistake', async () => {
    io.file('x.csv', '')
    expect(await tx('--from', 'x.csv', '--json', '--wait')).toBe(0)
    expect(result()).toMatchObject({ submitted: 0, per_second: 0 })
  })

  test('where the node has no room, lines wait for it', async () => {
    node.pendingMax = 10
    node.before = ({ type }) => {
      // A block comes only after it was seen that there is no room.
      if (type === 'NEW_TRANSACTION' && submitted().length % 40 === 0) node.mine()
      return true
    }
    io.file('x.ndjson', lines(100))
    expect(await tx('--from', 'x.ndjson', '--json', '--in-flight', '8')).toBe(0)
    expect(result()).toMatchObject({ submitted: 100, admitted: 100, known: 0, refused: 0 })
    expect(node.known.size).toBe(100)
    expect(submitted().length).toBeGreaterThan(100)
    expect(io.stderr).toEndWith(')\nthe node has no room for more (sender-quota): waiting for its next blocks\n')
  })

  test('--wait ends when all are in blocks', async () => {
    node.minesWhenAsked = true
    io.file('x.ndjson', lines(500))
    expect(await tx('--from', 'x.ndjson', '--wait')).toBe(0)
    expect(node.pending()).toHaveLength(0)
    expect(node.known.size).toBe(500)
    expect(io.stdout).toContain('all that were taken are in blocks')
  })

  test('a lost connection is made again, and nothing is counted twice', async () => {
    let taken = 0
    node.loses = ({ type }) => type === 'NEW_TRANSACTION' && ++taken % 30 === 0
    io.file('x.ndjson', lines(200))
    expect(await tx('--from', 'x.ndjson', '--json', '--in-flight', '16')).toBe(0)
    expect(result()).toMatchObject({ submitted: 200, admitted: 200, known: 0, refused: 0 })
    expect(node.known.size).toBe(200)
    expect(submitted().length).toBeGreaterThan(200)
    expect(node.connections).toBeGreaterThan(3)
  })

  test('a node that is away for a while is waited for', async () => {
    const { port } = node
    let gone = false
    node.before = ({ type }) => {
      if (gone || type !== 'NEW_TRANSACTION') return true
      gone = true
      node.stop()
      node.known.clear()
      io.runtime.clock.after(4_000, () => void node.listen(port))
      return false
    }
    io.file('x.ndjson', lines(20))
    expect(await command.run(['--from', 'x.ndjson', '--json', '--node', `127.0.0.1:${port}`], io)).toBe(0)
    expect(result()).toMatchObject({ submitted: 20, admitted: 20 })
  })

  test('after --timeout it gives up, with the counts and exit code 69', async () => {
    node.before = ({ type }) => {
      if (type !== 'NEW_TRANSACTION' || submitted().length < 3) return true
      node.stop()
      return false
    }
    io.file('x.ndjson', lines(20))
    const running = tx('--from', 'x.ndjson', '--in-flight', '1', '--timeout', '0')
    expect(await failure(running)).toMatchObject({ code: 'connection-lost', exit: 69 })
    expect(io.stdout).toContain('submitted 2: recorded new 2')
    expect(io.stdout).toContain('stopped early (connection-lost)')
  })

  test('another chain at the same address is noticed', async () => {
    let changed = false
    node.before = ({ type }, socket) => {
      if (type === 'NEW_TRANSACTION') {
        changed = true
        node.drop()
        return false
      }
      if (type !== 'chain_info' || !changed) return true
      const chain_id = 'f'.repeat(64)
      const info = { type, chain_id, genesis_name: 'other', consensus: 'x', height: 0, head: chain_id, pending: 0 }
      socket.write(Buffer.from(`${JSON.stringify(info)}\n`))
      return false
    }
    io.file('x.ndjson', lines(2))
    expect(await failure(tx('--from', 'x.ndjson'))).toMatchObject({ code: 'wrong-chain' })
  })

  test('INT stops it with the counts so far', async () => {
    node.before = () => {
      if (submitted().length === 50) io.controller.abort()
      return true
    }
    io.file('x.ndjson', lines(5_000))
    expect(await tx('--from', 'x.ndjson', '--json')).toBe(75)
    const { submitted: count, admitted, stopped } = result()
    expect(stopped).toBe('interrupted')
    expect(count).toBe(node.known.size)
    expect(admitted).toBe(node.known.size)
    expect(node.known.size).toBeLessThan(5_000)
  })

  test('INT ends the waiting for room', async () => {
    node.pendingMax = 0
    node.refuse = () => {
      io.controller.abort()
      return undefined
    }
    io.file('x.ndjson', lines(5))
    expect(await tx('--from', 'x.ndjson', '--json')).toBe(75)
    expect(result()).toMatchObject({ submitted: 0, stopped: 'interrupted' })
  })

  test('a terminal sees the progress on stderr, and it is gone in the end', async () => {
    const terminal = testIo({ isTerminal: true, env: { HOME: io.cwd, NO_COLOR: '1' } })
    terminal.file('x.ndjson', lines(50))
    expect(await command.run(['--from', 'x.ndjson', '--node', node.address], terminal)).toBe(0)
    expect(terminal.stderr).toContain('█')
    expect(terminal.stderr).toContain('lines')
    expect(terminal.stderr).toEndWith('\r\x1b[2K')
    expect(terminal.stdout).not.toContain('\x1b')
    terminal.remove()
  })
})
