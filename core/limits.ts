import * as v from 'valibot'

const whole = (fallback: number, min = 1) => v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(min)), fallback)
const KiB = 1024
const MiB = 1024 * KiB

/**
 * The config section `[limits]`: what this node is willing to hold and to wait for (protocol section 10). Every name
 * carries its unit. Nothing here is consensus: those limits stand in the genesis.
 */
export const limitsSchema = v.strictObject({
  peer_message_bytes_max: whole(10 * MiB),
  /** Before the handshake, and from clients. */
  client_message_bytes_max: whole(256 * KiB),
  connections_max: whole(2048),
  /** From one address; loopback is exempt while the node listens on loopback only. */
  connections_per_host_max: whole(3),
  /** A message that was begun must be complete after so long. */
  message_milliseconds_max: whole(15_000),
  /** A connection without a handshake is closed after so long without a message. */
  idle_milliseconds_max: whole(60_000),
  /** Silence after which a complete JSON object without a newline is taken as a message. */
  silence_milliseconds: whole(50),
  /** Requests of one connection that are being worked on; beyond that its reading pauses. */
  requests_in_flight_max: whole(256),
  send_queue_bytes_max: whole(16 * MiB),
  mempool_transactions_max: whole(10_000),
  mempool_bytes_max: whole(64 * MiB),
  mempool_sender_transactions_max: whole(1_000),
  orphan_blocks_max: whole(100),
  orphan_bytes_max: whole(32 * MiB),
  /** From one connection. */
  orphan_blocks_per_source_max: whole(10),
  side_blocks_max: whole(2_000),
  side_bytes_max: whole(64 * MiB),
  reorganisation_blocks_max: whole(1_000),
  /** Facts that wait for one listener; beyond that it is detached. */
  mailbox_facts_max: whole(4_096),
  /** Of one plugin; beyond that the start is given up. */
  setup_milliseconds_max: whole(10_000),
})

export type Limits = v.InferOutput<typeof limitsSchema>

export const defaultNodeLimits: Limits = v.parse(limitsSchema, {})
