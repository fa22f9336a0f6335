// Headers that somebody changed, and headers of those who may make none: judged as core judges what comes in, with the
// engine's rules among core's own.
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { readSealedHeader, verifyBlockSignature, type SealedHeader } from '../../core/chain/block.ts'
import type { Json, JsonObject } from '../../core/chain/json.ts'
import type { KeyPair } from '../../core/chain/keys.ts'
import { checkSuccession } from '../../core/chain/succession.ts'
import { formatTimestamp } from '../../core/chain/timestamp.ts'
import type { Verdict } from '../../core/errors.ts'
import type { Ancestry, LoadedPlugin } from '../../core/plugin.ts'
import { ancestryOf, draftAfter, signedHeader, testKey, timeOf } from '../support/headers.ts'
import { Crew, type ConsensusOptions } from './consensus-crew.ts'

const stranger = testKey(99)
const otherHash = 'ab'.repeat(32)
/** What a producer decides: another block of the same maker may differ in these alone. */
const producersOwn: readonly string[] = ['timestamp', 'tx_root', 'extra', 'nonce']
/** A long time after the block below, for those who only wait for their turn. */
const hourMilliseconds = 3_600_000

export function mutationContract(plugin: LoadedPlugin, options: ConsensusOptions): void {
  let crew: Crew
  let good: SealedHeader
  let below: Ancestry
  const judge = (header: SealedHeader): Verdict => judged(header, below, crew)

  beforeAll(async () => {
    crew = await Crew.of(plugin, options)
    for (let block = 0; block < 3; block++) await crew.sealNext()
    good = crew.head
    below = ancestryOf(crew.branch.slice(0, -1))
  })
  afterAll(() => crew?.dispose())

  test('a header as it was sealed is good, and whoever changes any field of it makes it bad', () => {
    expect(judge(good)).toEqual({ ok: true })
    for (const [field, changed] of mutations(good)) {
      expect([field, judge(changed).ok]).toEqual([field, false])
    }
  })

  test('a field that is changed is refused with a hash and a signature of its maker that fit again, or makes another block', () => {
    const maker = crew.keys.find(({ nodeId }) => nodeId === good.miner_id)!
    for (const [field, changed] of mutations(good)) {
      if (field === 'current_hash' || field === 'signature') continue
      const again = signedBy(maker, changed)
      const verdict = judge(again)
      // What others have signed by its hash is theirs; otherwise its maker could have made another one from the start.
      const isBound = good.certificate !== undefined || !producersOwn.includes(field)
      if (isBound) expect([field, verdict.ok]).toEqual([field, false])
      else if (verdict.ok) expect(again.current_hash).not.toBe(good.current_hash)
    }
  })

  test('a stranger who signs a block of somebody else in its place is refused where only some may make blocks', () => {
    for (const [field, changed] of [['nothing', good] as const, ...mutations(good)]) {
      const taken = signedBy(stranger, { ...changed, ...identityOf(stranger, changed) })
      const verdict = judge(taken)
      if (isOfSome(crew)) expect([field, verdict.ok]).toEqual([field, false])
      else if (verdict.ok) expect(taken.current_hash).not.toBe(good.current_hash)
      // The signature alone, under the name of whoever made it.
      expect([field, judge({ ...changed, signature: taken.signature }).ok]).toEqual([field, false])
    }
  })

  test('a key that is no authority is not due, and what it signs all the same is refused', async () => {
    if (!isOfSome(crew)) return
    const engine = await crew.stranger(stranger)
    const now = timeOf(crew.head) + hourMilliseconds
    expect(engine.due(crew.ancestry, 1, now, now)).toHaveProperty('waitsFor')
    for (const certificate of [undefined, good.certificate]) {
      const forged = forgedBy(stranger, crew, now, certificate)
      expect(judged(forged, crew.ancestry, crew)).toMatchObject({ ok: false })
    }
  })

  test('an authority that is not due makes nothing that others take, and one that is due does', async () => {
    if (!isOfSome(crew)) return
    await crew.turn()
    const now = timeOf(crew.head) + hourMilliseconds
    for (const { key, engine } of crew.members) {
      const due = engine.due(crew.ancestry, 1, now, now)
      if (!('when' in due)) expect(judged(forgedBy(key, crew, now), crew.ancestry, crew)).toMatchObject({ ok: false })
    }
    const ancestry = crew.ancestry
    expect(judged(await crew.sealNext(), ancestry, crew)).toEqual({ ok: true })
  })
}

/** Whether only some may make the next block. */
const isOfSome = ({ engine, ancestry }: Crew): boolean => (engine.authorities?.(ancestry).length ?? 0) > 0

/** As core does: what follows from the header alone, what holds on top of those below it, who signed. */
function judged(header: SealedHeader, ancestry: Ancestry, { genesis, engine }: Crew): Verdict {
  const read = readSealedHeader(header, genesis.rules)
  if (!read.ok) return read
  const succession = checkSuccession(header, ancestry, { consensus: engine, rules: genesis.rules })
  return succession.ok ? verifyBlockSignature(read.value) : succession
}

function forgedBy(key: KeyPair, { engine, ancestry, branch }: Crew, at: number, certificate?: Json): SealedHeader {
  return signedHeader(engine.prepare(draftAfter(branch, key, at), ancestry), 0, key, certificate)
}

function signedBy(key: KeyPair, header: SealedHeader): SealedHeader {
  const { current_hash: _hash, nonce, signature: _signature, certificate, ...rest } = header
  return signedHeader(rest, nonce, key, certificate)
}

const identityOf = ({ nodeId, pem }: KeyPair, { signer_id }: SealedHeader) => ({
  miner_id: nodeId,
  public_key_pem: pem,
  ...(signer_id === undefined ? {} : { signer_id: nodeId }),
})

/** Every field of a header, changed in the ways that somebody would try. */
function mutations(good: SealedHeader): readonly (readonly [field: keyof SealedHeader, changed: SealedHeader])[] {
  const { signer_id, seal: _seal, certificate: _certificate, ...bare } = good
  const without = (field: keyof SealedHeader): SealedHeader => {
    const { [field]: _gone, ...rest } = good
    return rest as SealedHeader
  }
  const others: Readonly<Partial<Record<keyof SealedHeader, readonly unknown[]>>> = {
    version: [0, 2],
    chain_id: [otherHash],
    consensus: ['another'],
    index: [good.index - 1, good.index + 1, 0, -1],
    timestamp: [formatTimestamp(timeOf(good) + 1), formatTimestamp(timeOf(good) - hourMilliseconds), 'now'],
    prev_hash: [otherHash],
    current_hash: [otherHash],
    nonce: [good.nonce + 1, -1],
    miner_id: [stranger.nodeId, ''],
    public_key_pem: [stranger.pem, ''],
    signature: [stranger.sign('aurex/block/1', good.current_hash), ''],
    work: [good.work + 1, good.work * 2, 0],
    tx_root: [otherHash],
    state_root: [otherHash],
    extra: [`${good.extra}x`, 'x'.repeat(65)],
    signer_id: signer_id === undefined ? [bare.miner_id] : [stranger.nodeId],
    seal: [{ ...good.seal, 'not-of-this-engine': 1 }, [], ...numbersChanged(good.seal ?? {})],
    finality: [{ index: 1, hash: otherHash, signatures: {} }],
    certificate: [{ 'not-of-this-engine': 1 }, null],
  }
  const changed = Object.entries(others).flatMap(([field, values]) =>
    values.map((value) => [field as keyof SealedHeader, { ...good, [field]: value }] as const),
  )
  const removed = (Object.keys(good) as (keyof SealedHeader)[]).map((field) => [field, without(field)] as const)
  return [...changed, ...removed]
}

/** Each number of a seal made one larger: they are what the rules give. */
const numbersChanged = (seal: JsonObject): readonly JsonObject[] =>
  Object.entries(seal).flatMap(([key, value]) => (typeof value === 'number' ? [{ ...seal, [key]: value + 1 }] : []))
