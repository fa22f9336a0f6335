/** Peers that follow no rules. A batch of seeds in which one kind never did its worst fails. */
export const hostileKinds = ['invalid', 'equivocating', 'stalling', 'flooding', 'eclipsing', 'lying'] as const
export type HostileKind = (typeof hostileKinds)[number]
