// A node that has no room or no time now may take the same transaction later. Codes as core and its network give them;
// what is not among them will be said again, whenever that node is asked.
const passing: ReadonlySet<string> = new Set([
  'mempool-full',
  'sender-quota',
  'storage-unavailable',
  'busy',
  'stopping',
  'internal',
  'no-chain',
  'no-answer',
  'unknown-type',
  'too-many-requests',
  'too-many-messages',
  'too-many-connections',
])

/** Whether a refusal says nothing against the transaction itself. */
export const passes = (code: string): boolean => passing.has(code)
