// A mining worker's whole program: it takes one job after the other, and looks at shared memory to learn that a job is
// not wanted any more, since a worker that hashes hears no messages.
import { parentPort } from 'node:worker_threads'
import { generationAt, type Job, type Reply } from './job.ts'
import { search } from './search.ts'

parentPort?.on('message', (job: Job) => {
  const { control, generation, attemptsAt } = job
  const outcome = search(job, job.start, job.end, (attempts) => {
    Atomics.store(control, attemptsAt, attempts)
    return Atomics.load(control, generationAt) === generation
  })
  const reply: Reply = { id: job.id, ...outcome }
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(reply)
})
