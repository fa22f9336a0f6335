// What every engine must do, whatever its rules are. An author of an engine runs it on his own (plugins/README.md).
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { headerHash, type SealedHeader } from '../../core/chain/block.ts'
import type { JsonObject } from '../../core/chain/json.ts'
import type { KeyPair } from '../../core/chain/keys.ts'
import type { Verdict } from '../../core/errors.ts'
import type { Consensus, LoadedPlugin } from '../../core/plugin.ts'
import { eventually } from '../support/eventually.ts'
import { ancestryOf, draftAfter, noProposal, signedHeader, testKey, timeOf } from '../support/headers.ts'
import { choiceContract } from './consensus-choice.ts'
import { Crew, type ConsensusOptions } from './consensus-crew.ts'
import { mutationContract } from './consensus-mutations.ts'
import { networkContract } from './consensus-network.ts'

export type { ConsensusOptions } from './consensus-crew.ts'

const blocks = 4
const abortMillisecondsMax = 2_000
/** What an engine may fill in; everything else in a header is core's. */
const enginesFields = new Set(['work', 'seal', 'signer_id'])

/** A plugin that provides consensus, and what the suite needs to know of it. */
export function consensusContract(plugin: LoadedPlugin, options: ConsensusOptions = {}): void {
  describe(`${options.name ?? plugin.name} keeps the contract of an engine`, () => {
    rulesContract(plugin, options)
    mutationContract(plugin, options)
    choiceContract(plugin, options)
    networkContract(plugin, options)
  })
}

function rulesContract(plugin: LoadedPlugin, options: ConsensusOptions): void {
  let crew: Crew
  let engine: Consensus
  let key: KeyPair
  let branch: readonly SealedHeader[]
  /** The last block of the branch, and what is below it. */
  const last = () => branch[blocks]!
  const below = () => ancestryOf(branch.slice(0, blocks))
  const rehashed = (header: SealedHeader) => resealed(header, crew)

  beforeAll(async () => {
    crew = await Crew.of(plugin, options)
    engine = crew.engine
    while (crew.head.index < blocks) await crew.sealNext()
    branch = [...crew.branch]
    branch.forEach(freeze)
    key = crew.keys[0]!
  })
  afterAll(() => crew?.dispose())

  test('its id is the name that the headers bear', () => {
    expect(engine.id).toBe(crew.genesis.consensus)
    expect(engine.futureMillisecondsMax).toBeGreaterThan(0)
  })

  test('what it sealed it accepts, every time, at every node', () => {
    for (let index = 1; index <= blocks; index++) {
      const ancestry = ancestryOf(branch.slice(0, index))
      for (const member of crew.members) {
        expect(member.engine.verify(branch[index]!, ancestry)).toEqual({ ok: true })
        expect(member.engine.verify(branch[index]!, ancestry)).toEqual({ ok: true })
      }
    }
  })

  test('it verifies blocks in any order: nothing is remembered between them', () => {
    for (let index = blocks; index >= 1; index--) {
      expect(engine.verify(branch[index]!, ancestryOf(branch.slice(0, index))).ok).toBe(true)
    }
  })

  test('the same draft is always prepared in the same way, and a second time changes nothing', () => {
    const draft = freeze(draftAfter(branch, key, timeOf(last()) + 60_000))
    const ancestry = ancestryOf(branch)
    const prepared = engine.prepare(draft, ancestry)
    expect(engine.prepare(draft, ancestry)).toEqual(prepared)
    expect(engine.prepare(prepared, ancestry)).toEqual(prepared)
  })

  test('it prepares its own fields and leaves the others as core drafted them', () => {
    const draft = freeze({ ...draftAfter(branch, key, timeOf(last()) + 60_000), extra: 'a tag' })
    const prepared = engine.prepare(draft, ancestryOf(branch))
    expect(cores(prepared)).toEqual(cores(draft))
    expect(Number.isSafeInteger(prepared.work)).toBe(true)
    expect(prepared.work).toBeGreaterThanOrEqual(1)
  })

  test('another work than the rules give is refused', () => {
    const { work } = last()
    const others = [work - 1, work + 1, work * 2, Number.MAX_SAFE_INTEGER].filter((w) => w >= 1 && w !== work)
    for (const other of others) {
      expect(engine.verify(rehashed({ ...last(), work: other }), below())).toMatchObject({ ok: false })
    }
  })

  test('a signer_id where none belongs, or none where one does, is refused', () => {
    const { signer_id, ...without } = last()
    const changed = signer_id === undefined ? { ...without, signer_id: without.miner_id } : without
    expect(engine.verify(rehashed(changed), below())).toMatchObject({ ok: false })
  })

  test('a seal that it does not know is refused', () => {
    const changed = { ...last(), seal: { ...last().seal, 'not-of-this-engine': 1 } }
    expect(engine.verify(rehashed(changed), below())).toMatchObject({ ok: false })
  })

  test('a certificate that it did not give is refused: the hash does not cover it', () => {
    const changed = { ...last(), certificate: { 'not-of-this-engine': 1 } }
    expect(engine.verify(changed, below())).toMatchObject({ ok: false })
  })

  test('another nonce is refused, or makes another block', () => {
    const nonce = last().nonce + 1
    const changed = rehashed({ ...last(), nonce })
    if (engine.verify(changed, below()).ok) expect(changed.current_hash).not.toBe(last().current_hash)
    expect(headerHash(last(), nonce)).not.toBe(last().current_hash)
  })

  test('whatever is well formed gets a verdict, not an exception', () => {
    const odd: JsonObject[] = [
      {},
      { round: -1 },
      { votes: [null] },
      { constructor: 'x' },
      { authority: 'x'.repeat(999) },
    ]
    for (const seal of odd) {
      for (const certificate of [null, 0, 'x', [], {}, { round: 0, signatures: { x: 'y' } }, ...odd]) {
        expectVerdict(engine.verify({ ...last(), seal, certificate }, below()))
        expectVerdict(engine.verify({ ...last(), certificate }, below()))
      }
      expectVerdict(engine.verify({ ...last(), seal, work: Number.MAX_SAFE_INTEGER }, below()))
    }
    expectVerdict(
      engine.verify({ ...last(), nonce: Number.MAX_SAFE_INTEGER, timestamp: '9999-12-31T23:59:59.999Z' }, below()),
    )
  })

  test('due always has an answer: a time, or what is waited for', () => {
    for (let index = 0; index <= blocks; index++) {
      for (const pending of [0, 1, 10_000]) {
        for (const now of [0, timeOf(branch[index]!), 8.64e15]) {
          const due = engine.due(ancestryOf(branch.slice(0, index + 1)), pending, now, now)
          if ('when' in due) expect(Number.isFinite(due.when)).toBe(true)
          else expect(due.waitsFor).not.toBe('')
        }
      }
    }
  })

  test('sealing that was aborted before it began gives nothing', async () => {
    const turn = await crew.turn()
    const header = crew.prepared(turn)
    expect(await turn.member.engine.seal(header, AbortSignal.abort(), noProposal)).toBeUndefined()
  })

  test('sealing that is aborted ends without an error, and the next one works', async () => {
    const turn = await crew.turn()
    const ancestry = crew.ancestry
    const attempt = new AbortController()
    // Nobody answers, where others are asked.
    crew.isMute = true
    let isOver = false
    const sealing = crew.sealed(turn, crew.prepared(turn), attempt.signal).finally(() => void (isOver = true))
    attempt.abort()
    await eventually(() => isOver, 'sealing ends when it is aborted', abortMillisecondsMax)
    crew.isMute = false
    // An engine may have been through already; then it must have told the truth.
    const sealed = (await sealing) ?? (await crew.sealNext())
    expect(engine.verify(sealed, ancestry)).toEqual({ ok: true })
  })
}

/** What the maker of a header would send who changed it: its hash made to fit again, and signed. */
function resealed(header: SealedHeader, crew: Crew): SealedHeader {
  const { current_hash: _hash, nonce, signature: _signature, certificate, ...rest } = header
  const maker = crew.keys.find(({ nodeId }) => nodeId === header.miner_id) ?? testKey(7)
  return signedHeader(rest, nonce, maker, certificate)
}

const cores = (header: object) =>
  Object.fromEntries(Object.entries(header).filter(([field]) => !enginesFields.has(field)))

function expectVerdict(verdict: Verdict): void {
  if (verdict.ok) return
  expect(verdict.code).toMatch(/^[a-z][a-z-]*$/)
  expect(verdict.detail).not.toBe('')
}

/** So that an engine that writes into what it is given fails instead of passing. */
function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(freeze)
    Object.freeze(value)
  }
  return value
}
