/** Waits for a fact. The deadline is no measure of speed: it only turns waiting for ever into a failure. */
export async function eventually(
  fact: () => boolean | Promise<boolean>,
  what: string,
  deadlineMilliseconds = 10_000,
): Promise<void> {
  const deadline = performance.now() + deadlineMilliseconds
  while (!(await fact())) {
    if (performance.now() > deadline) throw new Error(`not within ${deadlineMilliseconds} ms: ${what}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
