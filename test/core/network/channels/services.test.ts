import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { createBus } from '../../../../core/bus.ts'
import { Contributed } from '../../../../core/contributions.ts'
import { AurexError, accepted, decline, found, refuse } from '../../../../core/errors.ts'
import { defaultNodeLimits } from '../../../../core/limits.ts'
import { setUpPlugins } from '../../../../core/load.ts'
import type { PluginMessages } from '../../../../core/network/pluginmessages.ts'
import { definePlugin, type Answering, type LoadedPlugin } from '../../../../core/plugin.ts'
import { openServices } from '../../../../core/services.ts'
import { makeKey } from '../../../support/blocks.ts'
import { join, type Stranger } from '../town.ts'
import { note, NoteTown } from './rig.ts'

const nothing = (): void => undefined
const quiet = { debug: nothing, info: nothing, warn: nothing, error: nothing }
const question = v.object({ who: v.string() })

/** A node whose plugin answers, and a client on its own machine and one from elsewhere. */
function scene(answering: Answering<{ who: string }>) {
  const town = new NoteTown()
  const node = town.noteNode(1, { more: (of) => of('paper').serve('ask', question, answering) })
  const client = (host: string): Stranger => town.stranger(node, host)
  const ask = async (of: Stranger, more = {}): Promise<unknown> => {
    of.say({ type: 'paper.ask', who: 'me', ...more })
    await town.world.advance(20)
    return of.heard.at(-1)
  }
  return { town, node, here: client('127.0.0.1'), elsewhere: client('10.1.1.1'), ask }
}

describe('a question of clients', () => {
  test('is answered under its type, with the id of the question; peers may ask, too', async () => {
    const { node, town, elsewhere, ask } = scene({ answer: ({ who }) => found({ hello: who, type: 'x' }) })
    expect(await ask(elsewhere)).toEqual({ type: 'paper.ask', hello: 'me' })
    expect(await ask(elsewhere, { request_id: 7, who: 'you' })).toEqual({
      type: 'paper.ask',
      hello: 'you',
      request_id: 7,
    })
    const { stranger } = await join(town, node)
    expect(await ask(stranger, { request_id: 8 })).toEqual({ type: 'paper.ask', hello: 'me', request_id: 8 })
  })

  test('may be for the node’s own machine only', async () => {
    const { here, elsewhere, ask } = scene({ loopbackOnly: true, answer: () => Promise.resolve(found({ ok: true })) })
    expect(await ask(here)).toEqual({ type: 'paper.ask', ok: true })
    expect(await ask(elsewhere)).toMatchObject({ type: 'ERROR', code: 'loopback-only' })
  })

  test('is refused in the plugin’s own words, and where it is not what it must be', async () => {
    const { here, ask } = scene({ answer: () => decline('not-now', 'ask again tomorrow') })
    expect(await ask(here, { request_id: 1 })).toEqual({
      type: 'ERROR',
      code: 'not-now',
      error: 'ask again tomorrow',
      request_id: 1,
    })
    expect(await ask(here, { who: 7 })).toMatchObject({ code: 'bad-message', error: expect.stringContaining('who') })
  })

  test('whoever asks what no honest program asks, again and again, is closed', async () => {
    const { town, here, ask } = scene({ answer: () => refuse('bad-signature', 'by nobody') })
    for (let n = 0; n < 10; n++) await ask(here)
    await town.world.advance(50)
    expect(here.codes).toEqual(Array.from({ length: 10 }, () => 'bad-signature'))
    expect(here.isClosed).toBe(true)
  })

  const wrong: Record<string, () => never | Promise<never>> = {
    throws: () => {
      throw new Error('broken')
    },
    rejects: () => Promise.reject(new Error('broken')),
    'answers with no object': () => found('x' as never) as never,
    'never ends': () => new Promise(() => undefined),
  }
  for (const [what, answer] of Object.entries(wrong)) {
    test(`threats row 33: a plugin that ${what} is named in the log, and the client is told`, async () => {
      const { town, node, here, ask } = scene({ answer })
      await ask(here)
      await town.world.advance(15_000)
      expect(here.heard).toMatchObject([{ type: 'ERROR', code: 'internal' }])
      expect(node.ofPlugins).toMatchObject([{ plugin: 'paper', level: 'error', fields: { type: 'paper.ask' } }])
      here.say({ type: 'ping' })
      await town.world.advance(20)
      expect(here.heard.at(-1)).toMatchObject({ type: 'pong' })
    })
  }
})

describe('registering', () => {
  const hear = () => accepted
  const of = (messages: PluginMessages, plugin = 'paper', defer: (release: () => void) => void = nothing) =>
    messages.of(plugin, defer)
  const fresh = () => new NoteTown().messages('10.0.0.1')

  test('a channel is called after its plugin, and finality’s votes as the protocol has them', () => {
    const messages = fresh()
    of(messages).channel('note', note, hear)
    of(messages, 'finality').channel('vote', note, hear)
    expect(messages.features()).toEqual(['paper.note', 'finality_vote'])
  })

  test('a name is taken once, by a channel or a question, and each plugin has its own', () => {
    const messages = fresh()
    of(messages).channel('note', note, hear)
    of(messages).serve('ask', question, { answer: () => found({}) })
    for (const name of ['note', 'ask']) {
      expect(() => of(messages).channel(name, note, hear)).toThrow(/there is a message paper\./)
      expect(() => of(messages).serve(name, question, { answer: () => found({}) })).toThrow(
        /there is a message paper\./,
      )
    }
    of(messages, 'pencil').channel('note', note, hear)
    expect(messages.features()).toEqual(['paper.note', 'pencil.note'])
  })

  test('names that others could not read are refused, and more channels than a handshake names', () => {
    const messages = fresh()
    for (const name of ['', 'Note', 'a.b', 'x'.repeat(32), '1']) {
      expect(() => of(messages).channel(name, note, hear)).toThrow(/a message's name: expected/)
    }
    for (let n = 0; n < 24; n++) of(messages).channel(`note${n}`, note, hear)
    expect(() => of(messages).channel('one-more', note, hear)).toThrow(/at most 24 channels/)
  })

  test('once the network is open it is too late', () => {
    const town = new NoteTown()
    const messages = town.messages('10.0.0.1')
    town.node('10.0.0.1', { messages })
    expect(() => of(messages).channel('note', note, hear)).toThrow(AurexError)
    expect(() => of(messages).serve('ask', question, { answer: () => found({}) })).toThrow(/in setup\(\)/)
  })

  test('a plugin whose setup fails leaves nothing behind', async () => {
    const clock = new NoteTown().world.host('10.0.0.1')
    const contributed = new Contributed()
    const services = openServices({
      identity: makeKey(1),
      contributed,
      clock: clock.clock,
      logFor: () => quiet,
      emit: nothing,
    })
    const broken = definePlugin({
      name: 'broken',
      summary: 'fails',
      provides: 'none',
      needs: [],
      config: v.strictObject({}),
      setup(context) {
        context.channel('note', note, hear)
        context.serve('ask', question, { answer: () => found({}) })
        throw new Error('no')
      },
    }) as LoadedPlugin
    await setUpPlugins({
      plugins: [{ plugin: broken, config: {}, parameters: {} }],
      bus: createBus({ clock: clock.clock, mailboxFactsMax: 10, report: nothing }),
      runtime: clock,
      identity: makeKey(1),
      genesis: undefined,
      node: { name: 'x', dataDir: '/data', port: 1, version: '0' },
      limits: defaultNodeLimits,
      network: { genesis: () => undefined, peers: () => [] },
      contributed,
      services,
      logFor: () => quiet,
    })
    expect(services.messages.features()).toEqual([])
    // Both names are free again.
    services.messages.of('broken', nothing).channel('note', note, hear)
    services.messages.of('broken', nothing).serve('ask', question, { answer: () => found({}) })
  })
})
