import * as v from 'valibot'

const whole = (fallback: number, description: string) =>
  v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.description(description)), fallback)
const KiB = 1024
const MiB = 1024 * KiB

/**
 * The config section `[limits]`: what this node is willing to hold and to wait for (protocol section 10). Every name
 * carries its unit. Nothing here is consensus: those limits stand in the genesis.
 */
export const limitsSchema = v.strictObject({
  peer_message_bytes_max: whole(10 * MiB, 'the longest message from a peer'),
  client_message_bytes_max: whole(256 * KiB, 'the longest message before the handshake, and from clients'),
  connections_max: whole(2048, 'connections at once'),
  connections_per_host_max: whole(3, 'of them from one address; loopback is exempt on a node that listens there'),
  peers_max: whole(50, 'peers at once; those that this node looks for may come beside them'),
  outbound_peers: whole(8, 'peers that this node looks for and connects to by itself'),
  handshake_milliseconds_max: whole(5_000, 'a handshake, or opening a connection, must be done after so long'),
  silent_connections_max: whole(64, "connections that said nothing yet and may take an idle client's time"),
  peer_messages_per_second_max: whole(100, 'messages from one peer, without answers to our own requests'),
  peer_channel_messages_per_second_max: whole(400, "of plugins' own messages from one peer, beside those"),
  peer_addresses_max: whole(100, 'addresses taken from one message of a peer'),
  peer_addresses_milliseconds: whole(10_000, 'between two such messages of one peer'),
  known_addresses_max: whole(1_000, 'addresses of nodes that are remembered'),
  request_milliseconds_max: whole(5_000, 'a peer must have answered a request after so long'),
  ban_milliseconds: whole(24 * 60 * 60 * 1_000, 'how long a peer that sent what no honest program sends is kept out'),
  bans_max: whole(10_000, 'nodes and addresses that are kept out at once'),
  bans_file_bytes_max: whole(8 * MiB, 'the file that remembers them; beyond it only the operator adds'),
  sync_headers_max: whole(20_000, 'headers held in memory ahead of their blocks'),
  sync_bytes_max: whole(64 * MiB, 'blocks held in memory ahead of their turn to be recorded'),
  message_milliseconds_max: whole(15_000, 'a message that was begun must be complete after so long'),
  idle_milliseconds_max: whole(60_000, 'a client is disconnected after so long without a message'),
  silence_milliseconds: whole(50, 'silence after which a complete JSON object without a newline is a message'),
  requests_in_flight_max: whole(256, 'requests of one connection in work; beyond that its reading pauses'),
  send_queue_bytes_max: whole(16 * MiB, 'what may wait for one connection; beyond that it is dropped'),
  mempool_transactions_max: whole(10_000, 'transactions that wait for a block'),
  mempool_bytes_max: whole(64 * MiB, 'their size'),
  mempool_sender_transactions_max: whole(1_000, 'of them from one sender'),
  orphan_blocks_max: whole(100, 'blocks that wait for their parents'),
  orphan_bytes_max: whole(32 * MiB, 'their size'),
  orphan_blocks_per_source_max: whole(10, 'of them from one connection'),
  side_blocks_max: whole(2_000, 'valid blocks kept that are not on the heaviest branch'),
  side_bytes_max: whole(64 * MiB, 'their size'),
  reorganisation_blocks_max: whole(1_000, 'blocks that a heavier branch may undo'),
  mailbox_facts_max: whole(4_096, 'facts that wait for one listener; beyond that it is detached'),
  setup_milliseconds_max: whole(10_000, 'a plugin that is not set up after so long is given up'),
  release_milliseconds_max: whole(10_000, 'what a plugin has not released after so long at the end is not waited for'),
})

export type Limits = v.InferOutput<typeof limitsSchema>

export const defaultNodeLimits: Limits = v.parse(limitsSchema, {})
