/** Peers that follow no rules. A batch of seeds in which one kind never did its worst fails. */
export const hostileKinds = ['invalid', 'equivocating', 'stalling', 'flooding', 'eclipsing', 'lying'] as const
export type HostileKind = (typeof hostileKinds)[number]

/** Those with rights that the genesis or their hash power gives them: lying voters, signers, and miners in secret. */
export const liarKinds = ['perjury', 'doubling', 'two-tongued', 'hiding'] as const
export type LiarKind = (typeof liarKinds)[number]
