/** What may come to pass in a world beside faults. A batch of seeds in which one of them never does fails. */
export const scenes = [
  'market',
  'rivals',
  'declined',
  'dropped',
  'light-peer',
  'light-crash',
  // Where keys are named.
  'final',
  'evidence',
  'named-missing',
] as const
export type Scene = (typeof scenes)[number]
