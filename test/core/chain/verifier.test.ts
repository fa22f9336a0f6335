import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { bunRuntime } from '../../../core/bun.ts'
import { keyPairOfPem, privatePemOf } from '../../../core/chain/keys.ts'
import { verifyNatively } from '../../../core/chain/signature.ts'
import { Verifier } from '../../../core/chain/verifier.ts'
import type { SignatureCheck } from '../../../core/runtime.ts'
import { simRuntime } from '../../sim/runtime.ts'

const key = keyPairOfPem(privatePemOf(new Uint8Array(32).fill(7)), 'a test')
let made = 0

function good(): { readonly check: SignatureCheck } {
  const text = `text ${made++}`
  const signature = new Uint8Array(Buffer.from(key.sign('aurex/tx/1', text), 'base64'))
  return { check: { publicKey: key.raw, message: new TextEncoder().encode(`aurex/tx/1\n${text}`), signature } }
}

const bad = () => ({ check: { ...good().check, message: new TextEncoder().encode('another text') } })

/** Good by the rule, and the native check refuses it. */
function odd(): { readonly check: SignatureCheck } {
  const vectors = join(import.meta.dir, '../../vectors/ed25519-speccheck/cases.json')
  const { pub_key, message, signature } = (JSON.parse(readFileSync(vectors, 'utf8')) as Record<string, string>[])[4]!
  const hex = (digits: string | undefined) => new Uint8Array(Buffer.from(digits!, 'hex'))
  const check = { publicKey: hex(pub_key), message: hex(message), signature: hex(signature) }
  expect(verifyNatively(check)).toBe(false)
  return { check }
}

/** A runtime that counts who is asked; `held` questions to the rule wait until they are released. */
function counting({ holds = false } = {}) {
  const world = simRuntime({ seed: 1 })
  const host = world.host('10.0.0.1')
  const asked = { native: 0, rule: 0 }
  const held: (() => void)[] = []
  const verifier = new Verifier({
    clock: host.clock,
    verifyInBackground(check) {
      asked.native++
      return host.verifyInBackground(check)
    },
    async verifyByRuleInBackground(check) {
      asked.rule++
      if (holds) await new Promise<void>((release) => held.push(release))
      return host.verifyByRuleInBackground(check)
    },
  })
  return { world, verifier, asked, held }
}

describe('the judge of a native no is the rule', () => {
  test('good, bad, and good although the native check refuses it', async () => {
    const { world, verifier, asked } = counting()
    const judge = (signed: { check: SignatureCheck }) => world.settled(verifier.judge(signed))
    expect([await judge(good()), asked.rule]).toEqual(['good', 0])
    expect([await judge(bad()), asked.rule]).toEqual(['bad', 1])
    expect([await judge(odd()), asked.rule]).toEqual(['good', 2])
    expect(await world.settled(verifier.verify(odd()))).toBe(true)
    expect(await world.settled(verifier.verify(bad()))).toBe(false)
  })

  test('of many, the first that does not hold is found, and nothing after it is looked at closely', async () => {
    const { world, verifier, asked } = counting()
    const row = [good(), odd(), good(), bad(), bad(), odd(), good()]
    expect(await world.settled(verifier.firstBad(row))).toBe(3)
    expect(asked).toEqual({ native: 7, rule: 2 })
    expect(await world.settled(verifier.firstBad([good(), odd()]))).toBe(-1)
    expect(await world.settled(verifier.firstBad([]))).toBe(-1)
  })
})

describe('threats row 23: bad signatures at full speed', () => {
  test('a hundred a second are looked at closely; of the others nobody knows, and they prove nothing', async () => {
    const { world, verifier, asked } = counting()
    const told: Record<string, number> = { good: 0, bad: 0, busy: 0 }
    for (let millisecond = 0; millisecond < 2_000; millisecond++) {
      void verifier.judge(bad()).then((judgement) => told[judgement]!++)
      await world.advance(1)
    }
    expect(asked.native).toBe(2_000)
    // As many at once as in a second, and then two seconds of them.
    expect(asked.rule).toBeWithin(290, 301)
    expect(told).toEqual({ good: 0, bad: asked.rule, busy: 2_000 - asked.rule })
  })

  test('no more than 32 wait for it, and good ones wait for none of them', async () => {
    const { world, verifier, asked, held } = counting({ holds: true })
    const told: string[] = []
    const judge = (signed: { check: SignatureCheck }) => void verifier.judge(signed).then((said) => told.push(said))
    for (let i = 0; i < 40; i++) judge(bad())
    await world.advance(1)
    expect([asked.rule, held.length, told]).toEqual([32, 32, Array(8).fill('busy')])
    judge(good())
    await world.advance(1)
    expect(told.at(-1)).toBe('good')
    held.forEach((release) => release())
    await world.advance(1)
    expect(told.slice(9)).toEqual(Array(32).fill('bad'))
  })

  test('what is sealed is checked whatever it costs', async () => {
    const { world, verifier, held } = counting({ holds: true })
    for (let i = 0; i < 40; i++) void verifier.judge(bad())
    await world.advance(1)
    const sealed = verifier.firstBad([good(), odd()])
    await world.advance(1)
    held.at(-1)!()
    expect(await world.settled(sealed)).toBe(-1)
  })

  test('the main thread is free while the rule is asked, and the thread for it lets the process end', async () => {
    const verifier = new Verifier(bunRuntime())
    expect(await verifier.judge(bad())).toBe('bad') // The thread is up.
    const seen = { turns: 0, isOver: false }
    const all = Array.from({ length: 32 }, () => verifier.judge(bad()))
    const judged = Promise.all(all).finally(() => (seen.isOver = true))
    while (!seen.isOver) {
      await new Promise<void>((resolve) => setImmediate(resolve))
      seen.turns++
    }
    expect(new Set(await judged)).toEqual(new Set(['bad']))
    // Thirty-two of them take 16 ms and more: had they been done here, there would have been hardly a turn between.
    expect(seen.turns).toBeGreaterThan(32)
    const bun = JSON.stringify(join(import.meta.dir, '../../../core/bun.ts'))
    const script = `const { bunRuntime } = await import(${bun})
      const empty = new Uint8Array(64)
      const check = { publicKey: empty.subarray(32), message: empty, signature: empty }
      console.log(await bunRuntime().verifyByRuleInBackground(check))`
    const child = Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe', stderr: 'inherit' })
    expect(await child.stdout.text()).toMatch(/^(true|false)\n$/)
    expect(await child.exited).toBe(0)
  })
})
