// The whole program of the thread that looks at what the native signature check refused (see rulethread.ts).
import { parentPort } from 'node:worker_threads'
import { checkByRule } from './chain/signature.ts'
import type { SignatureCheck } from './runtime.ts'

export interface Question extends SignatureCheck {
  readonly id: number
}

export interface Reply {
  readonly id: number
  readonly valid: boolean
}

parentPort?.on('message', ({ id, ...check }: Question) => {
  const reply: Reply = { id, valid: checkByRule(check) }
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(reply)
})
