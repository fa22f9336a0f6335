import { Webhook } from 'standardwebhooks'
import { AurexError, type Runtime } from '../../core/index.ts'
import type { News } from './news.ts'
import type { Way } from './target.ts'

/** Whether a secret is one of Standard Webhooks: base64, with or without whsec_ before it, of at least one byte. */
export function isWebhookSecret(secret: string): boolean {
  try {
    return new Webhook(secret) instanceof Webhook
  } catch {
    return false
  }
}

export interface Post {
  readonly runtime: Runtime
  readonly way: Extract<Way, { readonly scheme: 'http' }>
  readonly news: News
  readonly secret: string
  readonly millisecondsMax: number
}

/**
 * Posts a message, signed as https://www.standardwebhooks.com has it; delivered on 2xx. Rejects with `AurexError`
 * `http-failed`, `target-refused`.
 */
export async function postWebhook({ runtime, way, news, secret, millisecondsMax }: Post): Promise<void> {
  const now = new Date(runtime.clock.now())
  const { status } = await runtime.http(way.url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'webhook-id': news.id,
      'webhook-timestamp': String(Math.floor(now.getTime() / 1_000)),
      'webhook-signature': new Webhook(secret).sign(news.id, now, news.line),
      ...(way.authorization === undefined ? {} : { authorization: way.authorization }),
    },
    body: news.line,
    millisecondsMax,
  })
  if (status >= 200 && status < 300) return
  const advice = status >= 300 && status < 400 ? '; redirects are not followed: name the address that it leads to' : ''
  throw new AurexError('target-refused', `${new URL(way.url).host} answered ${status}, expected 2xx${advice}`)
}
