import { afterEach, describe, expect, test } from 'bun:test'
import { sealedHeaderOf, type Block, type SealedHeader } from '../../../core/chain/block.ts'
import { developmentGenesis } from '../../../core/chain/genesis.ts'
import { purposes } from '../../../core/chain/keys.ts'
import type { HeaderTrail } from '../../../core/chain/trail.ts'
import type { Verdict } from '../../../core/errors.ts'
import { testKey } from '../../support/headers.ts'
import { blockOn, branchOn, chainWorld, type ChainWorld, type WorldOptions } from '../../support/chainworld.ts'

const genesis = developmentGenesis('pow', { difficulty: 1 }).block
const worlds: ChainWorld[] = []

async function world(options: WorldOptions = {}): Promise<ChainWorld> {
  const made = await chainWorld(options)
  worlds.push(made)
  return made
}

afterEach(async () => {
  for (const node of worlds.splice(0)) await node.dispose()
})

/** As they come from the wire: without transactions. */
const wire = (blocks: readonly Block[]): SealedHeader[] =>
  JSON.parse(JSON.stringify(blocks.map(sealedHeaderOf))) as SealedHeader[]

const trailOn = ({ chain }: ChainWorld, base: Block = genesis): HeaderTrail => chain.trail(base.current_hash)!

/** `ok`, or the code, marked where the sender is provably wrong. */
const codeOf = (verdict: Verdict): string =>
  verdict.ok ? 'ok' : `${verdict.provable ? 'refused ' : ''}${verdict.code}`

const branch = branchOn(genesis, 40)

describe('a trail of headers', () => {
  test('stands on any block of the ledger, recorded or beside, and on no other', async () => {
    const { chain } = await world()
    expect(chain.trail('f'.repeat(64))).toBeUndefined()
    await chain.submitBranch(branch.slice(0, 3))
    const side = branchOn(genesis, 2, 'side')
    await chain.submitBranch(side)
    expect(chain.trail(branch[1]!.current_hash)?.tip).toEqual(sealedHeaderOf(branch[1]!))
    expect(chain.trail(side[1]!.current_hash)?.totalWork).toBe(32n)
  })

  test('grows by headers, adds up their work, and stores nothing', async () => {
    const node = await world()
    const trail = trailOn(node)
    expect(codeOf(await trail.extend(wire(branch.slice(0, 25))))).toBe('ok')
    expect(codeOf(await trail.extend(wire(branch.slice(25))))).toBe('ok')
    expect(trail.base.header.index).toBe(0)
    expect(trail.tip).toEqual(sealedHeaderOf(branch[39]!))
    expect(trail.totalWork).toBe(40n * 16n)
    expect(trail.at(7)).toEqual(sealedHeaderOf(branch[6]!))
    expect([trail.at(0), trail.at(41)]).toEqual([undefined, undefined])
    expect(node.chain.header(branch[0]!.current_hash)).toBeUndefined()
  })

  test('two messages at once are taken one after the other', async () => {
    const trail = trailOn(await world())
    const headers = wire(branch)
    const both = await Promise.all([trail.extend(headers.slice(0, 30)), trail.extend(headers.slice(30))])
    expect(both.map(codeOf)).toEqual(['ok', 'ok'])
    expect(trail.tip.index).toBe(40)
  })

  test('stops at the first that does not hold and keeps those before it', async () => {
    const spoilt: [string, (header: SealedHeader, i: number) => unknown][] = [
      ['refused bad-hash', (header) => ({ ...header, extra: 'another' })],
      ['refused bad-hash', (header) => ({ ...header, current_hash: '0'.repeat(64) })],
      ['refused bad-block', (header) => ({ ...header, transactions: [] })],
      ['refused bad-block', () => 'no header'],
      ['refused bad-parent', (_header, i) => wire([branch[i + 1]!])[0]],
    ]
    for (const [code, spoil] of spoilt) {
      const trail = trailOn(await world())
      const headers = wire(branch).map((header, i) => (i === 20 ? spoil(header, i) : header))
      expect(codeOf(await trail.extend(headers))).toBe(code)
      expect(trail.tip.index).toBe(20)
      expect(trail.totalWork).toBe(20n * 16n)
    }
  })

  test('threats row 11: other work than the rules give is refused by the header alone', async () => {
    for (const work of [1, 15, 17, 256]) {
      const trail = trailOn(await world())
      expect(codeOf(await trail.extend(wire([blockOn(genesis, { header: { work } })])))).toBe('refused bad-work')
    }
  })

  test('threats row 10: times are judged by the headers of the trail and those of the ledger below', async () => {
    const node = await world()
    await node.chain.submitBranch(branch.slice(0, 6))
    const trail = trailOn(node, branch[5])
    await trail.extend(wire(branch.slice(6, 12)))
    const median = Date.parse(branch[6]!.timestamp) // of blocks 2 to 12
    expect(codeOf(await trail.extend(wire([blockOn(branch[11]!, { at: median })])))).toBe('refused bad-timestamp')
    const ahead = blockOn(branch[11]!, { at: Date.now() + 3 * 3_600_000 })
    expect(codeOf(await trail.extend(wire([ahead])))).toBe('timestamp-ahead')
    expect(codeOf(await trail.extend(wire([blockOn(branch[11]!, { at: median + 1 })])))).toBe('ok')
  })

  test('an answer that does not continue the trail is nobody’s fault: its sender may have reorganised', async () => {
    const trail = trailOn(await world())
    await trail.extend(wire(branch.slice(0, 5)))
    expect(codeOf(await trail.extend(wire(branch.slice(6, 9))))).toBe('bad-parent')
    expect(trail.tip.index).toBe(5)
  })

  test('the last of a message must be signed by its key, or none is taken', async () => {
    const trail = trailOn(await world())
    await trail.extend(wire(branch.slice(0, 5)))
    const headers = wire(branch.slice(5, 10))
    const forged = { ...headers[4]!, signature: testKey(7).sign(purposes.block, headers[4]!.current_hash) }
    expect(codeOf(await trail.extend([...headers.slice(0, 4), forged]))).toBe('refused bad-signature')
    expect(trail.tip.index).toBe(5)
    expect(trail.totalWork).toBe(5n * 16n)
    expect(codeOf(await trail.extend(headers))).toBe('ok')
  })

  test('where a message ends early, the last that held must be signed', async () => {
    const trail = trailOn(await world())
    const headers = wire(branch.slice(0, 5))
    const forged = { ...headers[3]!, signature: testKey(7).sign(purposes.block, headers[3]!.current_hash) }
    const spoilt = { ...headers[4]!, extra: 'another' }
    expect(codeOf(await trail.extend([...headers.slice(0, 3), forged, spoilt]))).toBe('refused bad-signature')
    expect(trail.tip.index).toBe(0)
  })

  test('threats row 12: no more headers than the limit are held, however many come', async () => {
    const trail = trailOn(await world({ limits: { sync_headers_max: 30 } }))
    expect(codeOf(await trail.extend(wire(branch)))).toBe('too-many')
    expect(trail.tip.index).toBe(30)
    expect(codeOf(await trail.extend(wire(branch.slice(30))))).toBe('too-many')
  })
})

describe('releasing headers', () => {
  test('makes room once they are in the ledger, and rules go on to look back on them there', async () => {
    const node = await world({ limits: { sync_headers_max: 30 } })
    const trail = trailOn(node)
    await trail.extend(wire(branch.slice(0, 30)))
    await node.chain.submitBranch(branch.slice(0, 20))
    trail.release(20)
    expect([trail.at(20), trail.at(21)?.index, trail.base.header.index]).toEqual([undefined, 21, 0])
    expect(codeOf(await trail.extend(wire(branch.slice(30))))).toBe('ok')
    expect(trail.totalWork).toBe(40n * 16n)
    await node.chain.submitBranch(branch.slice(20))
    trail.release(40)
    expect(trail.tip).toEqual(sealedHeaderOf(branch[39]!))
    const median = Date.parse(branch[34]!.timestamp)
    expect(codeOf(await trail.extend(wire([blockOn(branch[39]!, { at: median })])))).toBe('refused bad-timestamp')
    expect(codeOf(await trail.extend(wire([blockOn(branch[39]!)])))).toBe('ok')
  })

  test('does nothing while they are not in the ledger', async () => {
    const trail = trailOn(await world())
    await trail.extend(wire(branch.slice(0, 30)))
    trail.release(20)
    expect(trail.at(1)?.index).toBe(1)
  })
})

const alarm = 'a heavier branch was refused: it would undo more blocks than allowed'

describe('threats row 13: a trail that leaves too far below the head', () => {
  test('is refused with one alarm a branch, however it grows', async () => {
    const node = await world({ limits: { reorganisation_blocks_max: 5 } })
    await node.chain.submitBranch(branch.slice(0, 6))
    const deep = branchOn(genesis, 12, 'deep')
    expect(codeOf(await trailOn(node).extend(wire(deep.slice(0, 3))))).toBe('ok')
    expect(node.errors).toEqual([])
    for (const length of [8, 12]) {
      const trail = trailOn(node)
      expect(codeOf(await trail.extend(wire(deep.slice(0, length))))).toBe('reorganisation-too-deep')
      expect(trail.tip.index).toBe(0)
    }
    expect(node.errors).toEqual([alarm])
    expect(node.facts.filter(({ event }) => event === 'reorganisation:refused').map(({ fact }) => fact)).toEqual([
      { code: 'reorganisation-too-deep', block: deep[0]!.current_hash, depth: 6, depthMax: 5 },
    ])
    const grown = trailOn(node)
    expect(codeOf(await grown.extend(wire(deep.slice(0, 5))))).toBe('ok')
    expect(codeOf(await grown.extend(wire(deep.slice(5, 9))))).toBe('reorganisation-too-deep')
    expect(grown.tip.index).toBe(5)
    await trailOn(node).extend(wire(branchOn(genesis, 7, 'another')))
    expect(node.errors).toEqual([alarm, alarm])
  })

  test('is no reason for an alarm while it is lighter, however many there are', async () => {
    const node = await world({ limits: { reorganisation_blocks_max: 5 } })
    await node.chain.submitBranch(branch.slice(0, 8))
    for (let n = 0; n < 20; n++) {
      const forged = branchOn(genesis, 2, `forged ${n}`)
      expect(codeOf(await trailOn(node).extend(wire(forged)))).toBe('ok')
      expect((await node.chain.submitBranch(forged)).verdict).toMatchObject({ code: 'reorganisation-too-deep' })
    }
    expect(node.errors).toEqual([])
    expect(node.facts.filter(({ event }) => event === 'reorganisation:refused')).toEqual([])
  })

  test('what was recorded of it meanwhile, released or not, does not count as undone', async () => {
    const node = await world({ limits: { reorganisation_blocks_max: 5 } })
    const trail = trailOn(node)
    await trail.extend(wire(branch.slice(0, 20)))
    await node.chain.submitBranch(branch.slice(0, 18))
    expect(codeOf(await trail.extend(wire(branch.slice(20, 25))))).toBe('ok')
    trail.release(18)
    expect(codeOf(await trail.extend(wire(branch.slice(25))))).toBe('ok')
    expect(node.errors).toEqual([])
  })
})
