// The one door through which plugins import core. What is not exported here is core's own affair.
export { definePlugin } from './plugin.ts'
export type {
  Admission,
  Ancestry,
  Answering,
  Application,
  AppliedBlock,
  Chain,
  ChainDoor,
  Change,
  Channel,
  ChannelOptions,
  Checkpoint,
  Connection,
  ConnectionHandlers,
  Consensus,
  Context,
  Due,
  EvidenceKind,
  Filled,
  Finality,
  FinalityDoor,
  HealthCheck,
  Inbox,
  LoadedPlugin,
  Metric,
  MiningRange,
  NetworkView,
  NodeFacts,
  NodeRecord,
  OutboxEntry,
  OwnedChanges,
  PeerView,
  PendingTransaction,
  Place,
  Plugin,
  RecordChange,
  RecordedTransaction,
  Records,
  Report,
  Seal,
  Signer,
  Sink,
  Slot,
  Slots,
  StatedTransaction,
  StateEntry,
  StateView,
  Storage,
  StoredHeader,
  TransactionStatus,
  Transport,
  Wait,
  Waiting,
} from './plugin.ts'
export { Alarms } from './alarms.ts'
export { connect } from './client.ts'
export type { Client } from './client.ts'
export { frameBytesMax, frameOf, FrameReader } from './frames.ts'
export { hostPortText, parseHostPort } from './network/hostport.ts'
export type { HostPort } from './network/hostport.ts'
export type { CoreEvents } from './events.ts'
export { accepted, AurexError, decline, exitCode, found, messageOf, refuse, suggestion } from './errors.ts'
export type { Refusal, Result, Verdict } from './errors.ts'
export type { Limits } from './limits.ts'
export type { Log } from './log.ts'
export type { Clock, Files, HttpRequest, Listener, Runtime, Socket, SocketHandlers, Timer } from './runtime.ts'
export { canonicalJson, isHash, sha256, sha256Hex, utf8Bytes, zeroHash } from './chain/canonical.ts'
export type { Hash } from './chain/canonical.ts'
export { headerHash, headerOf, headerText, producerOf, sealedHeaderOf } from './chain/block.ts'
export type { Block, Header, SealedHeader } from './chain/block.ts'
export type { Genesis } from './chain/genesis.ts'
export { excerpt, isObject, jsonFault, parseJson } from './chain/json.ts'
export type { Json, JsonObject } from './chain/json.ts'
export { readConfirmation, signConfirmation } from './chain/confirmation.ts'
export type { Confirmation } from './chain/confirmation.ts'
export { isAddress, isNodeId, nodeIdOf, publicKeyOf, publicKeyOfPem, purposes } from './chain/keys.ts'
export type { Address, KeyPair, NodeId, PublicKey } from './chain/keys.ts'
export { amountMax, amountOfClient, amountOfText, amountText, parseAmount } from './chain/money.ts'
export type { Amount } from './chain/money.ts'
export { addressList, checkQuorum, quorumOf, signatureList } from './chain/quorum.ts'
export type { SignatureList } from './chain/quorum.ts'
export { isSignedBy } from './chain/signature.ts'
export { sidesToDrop } from './chain/sides.ts'
export type { Side } from './chain/sides.ts'
export { formatTimestamp, parseTimestamp } from './chain/timestamp.ts'
export type { Timestamp } from './chain/timestamp.ts'
export { attestTransaction, readTransaction, transactionHash, verifyTransaction } from './chain/transaction.ts'
export type { ReadTransaction, Transaction } from './chain/transaction.ts'
export { Ballots, ballotText, voteSchema } from './signing/ballots.ts'
export type { Agreement, Vote } from './signing/ballots.ts'
export type { ChainRules } from './chain/rules.ts'
