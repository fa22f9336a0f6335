import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { command } from '../../../core/commands/signing.ts'
import { openLedger, type Ledger } from '../../../plugins/sqlite/index.ts'
import { adding, genesis, makeChain, storedAt } from '../../contract/storage.ts'
import { openSigner, startedAt } from '../signing/signer.ts'
import { expectOneScreen } from './screen.ts'
import { failure, testIo, type TestIo } from './testio.ts'

let io: TestIo
let path = ''
beforeEach(() => {
  io = testIo()
  path = join(io.cwd, 'node_7.sqlite3')
})
afterEach(() => io.remove())
const run = (...argv: string[]) => {
  io.stdout = ''
  return command.run(argv, io)
}
const jsonOf = async (...argv: string[]): Promise<unknown> => {
  await run(...argv, '--json')
  return JSON.parse(io.stdout)
}

/** A ledger of so many blocks; whose node signed one at height 5 and, if need be, met another of its own that it does not know. */
function makeLedger(blocks: number, met?: number): void {
  const { signing, ledger } = openSigner(path)
  ledger.begin(genesis, genesis.block, storedAt)
  if (blocks > 0) ledger.commit(adding(...makeChain(genesis.block, blocks, 0n)))
  const reserved = signing.reserveBlock([5], 'aa')
  if (reserved.ok) ledger.records('signing').write(reserved.value[0]!.changes)
  signing.signerOf('finality').sign('vote', [4, 3], 'a long vote')
  if (met !== undefined) signing.metBlock([met], 'bb')
  ledger.close()
}
const change = (use: (ledger: Ledger) => void): void => {
  const ledger = openLedger(path)
  use(ledger)
  ledger.close()
}

test('--help is one screen, examples first', () => expectOneScreen(command, io))

describe('shows', () => {
  test('what was signed last on every track, of the ledger by its name or by its node', async () => {
    makeLedger(3)
    expect(await run('node_7.sqlite3')).toBe(0)
    expect(io.stdout).toBe(`ledger         ${path}
height         3
signing        it signs
floor          none
chain/block    5  aa
finality/vote  4.3  a long vote
`)
    const whole = {
      ledger: path,
      height: 3,
      floor: 0,
      stopped: null,
      tracks: [
        { track: 'chain/block', place: [5], text: 'aa' },
        { track: 'finality/vote', place: [4, 3], text: 'a long vote' },
      ],
    }
    expect(await jsonOf('--data-dir', '.', '--port', '7')).toEqual(whole)
    expect(await jsonOf(path)).toEqual(whole)
  })

  test('why nothing is signed: exit code 1', async () => {
    makeLedger(3, 9)
    expect(await run(path)).toBe(1)
    expect(io.stdout).toContain('stopped since 2026-11-21T00:00:00.000Z; it waits for the operator: chain/block 9:')
    expect(await jsonOf(path)).toMatchObject({
      stopped: { waits_for: expect.stringContaining('chain/block 9') as unknown, since: '2026-11-21T00:00:00.000Z' },
    })
    expect(startedAt).toBe(Date.UTC(2026, 10, 21))
  })

  test('damage: exit code 1', async () => {
    makeLedger(3)
    change((ledger) => ledger.records('signing').write([['last/chain/block', '{']]))
    expect(await run(path)).toBe(1)
    expect(io.stdout).toContain('stopped: the record is damaged')
    expect(io.stdout).toMatch(/^chain\/block +damaged$/m)
    change((ledger) =>
      ledger.records('signing').write([
        ['stopped', '{'],
        ['floor', 'x'],
      ]),
    )
    expect(await jsonOf(path)).toMatchObject({ stopped: 'damaged', floor: 'damaged' })
  })

  test('a ledger that is new, and one of a gateway, without a chain', async () => {
    change(() => undefined)
    expect(await jsonOf(path)).toMatchObject({ height: 0, tracks: [], stopped: null })
  })

  test('a ledger that its node holds', async () => {
    makeLedger(3)
    const node = openLedger(path)
    expect(await run(path)).toBe(0)
    node.close()
  })
})

describe('--resume', () => {
  test.each([
    ['the height of the chain', 20, 9, 20],
    ['the height at which another signature was met', 3, 9, 9],
  ])('lets the node sign above %s', async (_what, blocks, met, floor) => {
    makeLedger(blocks, met)
    expect(await run(path, '--resume')).toBe(0)
    expect(io.stdout).toStartWith(`signing goes on: nothing up to height ${floor} is signed`)
    const { signing, ledger } = openSigner(path)
    expect(signing.stopped()).toBeUndefined()
    expect(signing.reserveBlock([floor], 'cc').ok).toBe(false)
    expect(signing.reserveBlock([floor + 1], 'cc').ok).toBe(true)
    ledger.close()
  })

  test('lets it sign above what it signed itself, also with a damaged record', async () => {
    makeLedger(3)
    change((ledger) =>
      ledger.records('signing').write([
        ['last/finality/vote', '{'],
        ['stopped', '{'],
      ]),
    )
    expect(await jsonOf(path, '--resume')).toMatchObject({
      floor: 5,
      stopped: null,
      tracks: [{ track: 'chain/block' }],
    })
  })

  test('--from raises the floor, and lowers it for nobody', async () => {
    makeLedger(3, 9)
    const failed = await failure(run(path, '--resume', '--from', '9'))
    expect(failed).toMatchObject({ code: 'bad-value', exit: 64 })
    expect(failed.message).toContain('expected 10 or more')
    expect(await run(path)).toBe(1)
    expect(await jsonOf(path, '--resume', '--from', '31')).toMatchObject({ floor: 30, stopped: null })
    change((ledger) => ledger.records('signing').write([['stopped', '{']]))
    expect(await failure(run(path, '--resume', '--from', '30'))).toMatchObject({ code: 'bad-value' })
  })

  test('changes nothing where signing is not stopped', async () => {
    makeLedger(3)
    expect(await run(path, '--resume', '--from', '50')).toBe(0)
    expect(io.stdout).toStartWith('nothing to resume')
    expect(await jsonOf(path)).toMatchObject({ floor: 0 })
  })

  test('is refused while a node has the ledger: exit code 75', async () => {
    makeLedger(3, 9)
    const node = openLedger(path)
    expect(await failure(run(path, '--resume'))).toMatchObject({ code: 'ledger-in-use', exit: 75 })
    node.close()
    expect(await run(path)).toBe(1)
  })

  test('makes no ledger where there is none', async () => {
    for (const flags of [[], ['--resume']]) {
      expect(await failure(run(path, ...flags))).toMatchObject({ code: 'ledger-missing', exit: 78 })
    }
    expect(existsSync(path)).toBe(false)
  })
})

test.each([
  [['--from', '3'], 'bad-value', '--resume'],
  [['a.sqlite3', '--port', '3'], 'bad-value', 'not both'],
  [['a.sqlite3', '--data-dir', '.'], 'bad-value', 'not both'],
  [['--resume', '--from', '0'], 'bad-value', '--from'],
  [['a', 'b'], 'unexpected-argument', 'b'],
  [['--resmue'], 'unknown-flag', '--resume'],
])('%j is a mistake of usage', async (argv, code, text) => {
  const failed = await failure(run(...argv))
  expect(failed).toMatchObject({ code, exit: 64 })
  expect(failed.message).toContain(text)
})
