import { Worker } from 'node:worker_threads'
import { definePlugin } from '../../core/index.ts'
import { powEngine } from './engine.ts'
import { Miner } from './miner.ts'
import { configSchema, parametersSchema } from './schema.ts'

// The source is run as it is, and a build has compiled files side by side: the worker is found in either.
const workerUrl = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)

export default definePlugin({
  name: 'pow',
  summary: 'proof of work (SHA-256), with optional retargeting',
  provides: 'consensus',
  needs: ['storage'],
  config: configSchema,
  parameters: parametersSchema,
  setup(context, config, parameters) {
    const miner = new Miner({
      threads: config.threads,
      startWorker: () => new Worker(workerUrl),
      storage: context.use.storage,
      clock: context.runtime.clock,
      log: context.log,
      publish: (event, fact) => context.publish(event, fact),
    })
    context.defer(() => miner.stop())
    return powEngine(parameters, config, miner)
  },
})
