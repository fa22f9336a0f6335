// The one door through which plugins import core. What is not exported here is core's own affair.
export { definePlugin } from './plugin.ts'
export type {
  Admission,
  Ancestry,
  AppliedBlock,
  Chain,
  Change,
  Connection,
  ConnectionHandlers,
  Consensus,
  Context,
  Due,
  Filled,
  Inbox,
  LoadedPlugin,
  MiningRange,
  NodeFacts,
  NodeRecord,
  PendingTransaction,
  Plugin,
  RecordedTransaction,
  Seal,
  Slot,
  Slots,
  Storage,
  StoredHeader,
  TransactionStatus,
  Transport,
} from './plugin.ts'
export type { CoreEvents } from './events.ts'
export { accepted, AurexError, decline, exitCode, found, messageOf, refuse } from './errors.ts'
export type { Refusal, Result, Verdict } from './errors.ts'
export type { Limits } from './limits.ts'
export type { Log } from './log.ts'
export type { Clock, Files, Listener, Runtime, Socket, SocketHandlers, Timer } from './runtime.ts'
export { canonicalJson, isHash, sha256, sha256Hex, utf8Bytes, zeroHash } from './chain/canonical.ts'
export type { Hash } from './chain/canonical.ts'
export { headerHash, headerOf, headerText, sealedHeaderOf } from './chain/block.ts'
export type { Block, Header, SealedHeader } from './chain/block.ts'
export type { Genesis } from './chain/genesis.ts'
export { excerpt, jsonFault, parseJson } from './chain/json.ts'
export type { Json, JsonObject } from './chain/json.ts'
export type { Address, KeyPair, NodeId } from './chain/keys.ts'
export { sidesToDrop } from './chain/sides.ts'
export type { Side } from './chain/sides.ts'
export { formatTimestamp, parseTimestamp } from './chain/timestamp.ts'
export type { Timestamp } from './chain/timestamp.ts'
export type { Transaction } from './chain/transaction.ts'
