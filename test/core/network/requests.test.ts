import { expect, test } from 'bun:test'
import type { JsonObject } from '../../../core/chain/json.ts'
import { Requests } from '../../../core/network/requests.ts'
import { simRuntime } from '../../sim/runtime.ts'

function ask(question: string, answer: string) {
  const sent: JsonObject[] = []
  const connection = { outbound: true, send: (message: JsonObject) => void sent.push(message) }
  const requests = new Requests(connection, simRuntime({ seed: 1 }).host('10.0.0.1').clock)
  return { requests, asked: requests.ask({ type: question }, answer, 5_000), id: () => sent[0]!['request_id']! }
}

test('an answer is known by its id, or where a program does not repeat it by its type', async () => {
  const { requests, asked, id } = ask('ping', 'pong')
  expect(requests.take({ type: 'pong', request_id: 'x' })).toBe(false)
  expect(requests.take({ type: 'node_list', request_id: id() })).toBe(false)
  expect(requests.take({ type: 'node_list' })).toBe(false)
  expect(requests.take({ type: 'pong' })).toBe(true)
  expect(await asked).toEqual({ ok: true, value: { type: 'pong' } })
  expect(requests.take({ type: 'pong' })).toBe(false)
})

test('peer_list is question and answer: the question of the other side does not answer ours', async () => {
  const { requests, asked, id } = ask('peer_list', 'peer_list')
  expect(requests.take({ type: 'peer_list' })).toBe(false)
  expect(requests.take({ type: 'peer_list', request_id: id() })).toBe(false)
  expect(requests.take({ type: 'peer_list', peers: [] })).toBe(true)
  expect(await asked).toMatchObject({ ok: true, value: { peers: [] } })
})
