// Three authorities as processes, as the README has them: they make blocks, one dies, is voted out, and another joins.
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { eventually } from '../../support/eventually.ts'
import { makeKey } from '../../support/blocks.ts'
import { useHome } from '../../support/home.ts'
import { aurex, temporaryFolder, removeFolder, type NodeProcess } from '../../support/process.ts'

const home = useHome()

interface Votes {
  readonly height: number
  readonly authorities: readonly { readonly address: string; readonly own: boolean; readonly last_block: unknown }[]
  readonly votes: readonly { readonly vote: string; readonly signers: readonly string[] }[]
  readonly wishes: readonly { readonly target: string }[]
}

test('three authorities: blocks, a death, a vote, a newcomer', async () => {
  const folder = temporaryFolder()
  const run = async (...args: string[]) => await aurex(folder, ...args)
  const json = async <T>(...args: string[]): Promise<T> => {
    const { code, stdout, stderr } = await run(...args, '--json')
    if (code !== 0) throw new Error(`aurex ${args.join(' ')}: ${stderr}`)
    return JSON.parse(stdout) as T
  }
  const addresses: string[] = []
  for (const name of ['a', 'b', 'c', 'd']) {
    addresses.push((await json<{ address: string }>('key', 'new', '--out', `${name}.pem`)).address)
  }
  const genesis = ['--name', 'ring', '--consensus', 'poa', '--out', 'ring.toml', '--gateways', 'any']
  const rules = ['--authorities', addresses.slice(0, 3).join(), '--block-time', '0.1']
  expect(await run('genesis', ...genesis, ...rules)).toMatchObject({ code: 0 })

  const start = async (name: string, peers: readonly NodeProcess[]): Promise<NodeProcess> => {
    const known = peers.map(({ ready }) => `127.0.0.1:${ready.port}`)
    const files = ['--key', join(folder, `${name}.pem`), '--genesis', join(folder, 'ring.toml')]
    const usual = [
      '--plugins',
      'poa,tcp,sqlite',
      '--port',
      '0',
      '--poa.patience',
      '100',
      '--data-dir',
      join(folder, name),
    ]
    return await home.start(...usual, ...files, ...(known.length > 0 ? ['--peers', known.join()] : []))
  }
  const at = (node: NodeProcess) => ['--node', `127.0.0.1:${node.ready.port}`]
  const votes = async (node: NodeProcess) => await json<Votes>('votes', ...at(node))
  const record = async (node: NodeProcess, n: number) => {
    const { code } = await run('tx', '--data', `{"n":${n}}`, '--wait', ...at(node))
    expect(code).toBe(0)
  }

  const a = await start('a', [])
  const b = await start('b', [a])
  const c = await start('c', [a, b])
  for (let n = 0; n < 6; n++) await record(a, n)
  await eventually(async () => (await votes(c)).height >= 6, 'all have the blocks')
  const before = await votes(a)
  expect(before.authorities.map(({ address }) => address)).toEqual(addresses.slice(0, 3).sort())
  expect(before.authorities.find(({ own }) => own)!.address).toBe(addresses[0]!)

  // One dies: the two that are left go on, and vote it out. The chain is idle meanwhile: votes make blocks of their own.
  await c.kill()
  // Long enough for everybody to see that it signs no more.
  for (let n = 100; n < 107; n++) await record(a, n)
  const warned = await run('vote', 'add', addresses[3]!, '--key', 'a.pem', ...at(a))
  expect(warned.stdout).toContain('needed: 2')
  expect(warned.stderr).toContain('3 of 4 authorities must be up')
  expect(await run('vote', 'withdraw', addresses[3]!, '--key', 'a.pem', ...at(a))).toMatchObject({ code: 0 })
  expect(await run('vote', 'remove', addresses[2]!, '--key', 'b.pem', ...at(a))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('bad-signature'),
  })
  expect(await run('vote', 'remove', addresses[2]!, '--key', 'a.pem', ...at(a))).toMatchObject({ code: 0, stderr: '' })
  expect(await run('vote', 'remove', addresses[2]!, '--key', 'b.pem', ...at(b))).toMatchObject({ code: 0, stderr: '' })
  let n = 200
  const isOut = async () => {
    await record(b, n++)
    return (await votes(b)).authorities.length === 2
  }
  await eventually(isOut, 'the dead one is voted out')

  // A newcomer is let in, and takes its turns.
  const d = await start('d', [a, b])
  expect(await run('vote', 'add', addresses[3]!, '--key', 'a.pem', ...at(a))).toMatchObject({ code: 0, stderr: '' })
  expect(await run('vote', 'add', addresses[3]!, '--key', 'b.pem', ...at(b))).toMatchObject({ code: 0, stderr: '' })
  const hasSigned = async () => {
    await record(a, n++)
    const said = (await votes(d)).authorities.find(({ address }) => address === addresses[3])
    return said !== undefined && said.last_block !== null
  }
  await eventually(hasSigned, 'the newcomer makes blocks')

  // With one of three there are no more blocks, and it says whom it waits for.
  await a.kill()
  await b.kill()
  for (const number of [1_000, 1_001]) await run('tx', '--data', `{"n":${number}}`, ...at(d))
  await eventually(async () => /waits for a block/.test((await run('why', ...at(d))).stdout), 'it says so')
  const why = (await run('why', ...at(d))).stdout
  expect(why).toMatch(/waits for a block (of [0-9a-f]{4}\.\.\.[0-9a-f]{2} \(place|\d+ of somebody else)/)
  expect(why).toContain('2 of 3 authorities must be up')
  expect(await d.stop()).toBe(0)
  removeFolder(folder)
}, 60_000)

test('on another chain there is nothing to vote', async () => {
  const node = await home.start('--plugins', 'instant,tcp,memory', '--port', '0')
  const at = ['--node', `127.0.0.1:${node.ready.port}`]
  for (const args of [['votes'], ['vote', 'add', makeKey(1).address]]) {
    const { code, stderr } = await aurex(home.path, ...args, ...at)
    expect(code).toBe(1)
    expect(stderr).toContain('not-poa')
    expect(stderr).toContain('has the engine instant')
  }
  expect(await node.stop()).toBe(0)
})
