// A node as `aurex tx` sees it: the real wire over real sockets, and a chain that does what the test says.
import { developmentGenesis } from '../../../core/chain/genesis.ts'
import { isObject, parseJsonText, type JsonObject } from '../../../core/chain/json.ts'
import { readTransaction, verifyTransaction, type Transaction } from '../../../core/chain/transaction.ts'
import type { Listener, Runtime, Socket } from '../../../core/runtime.ts'

interface Known {
  readonly transaction: Transaction
  readonly hash: string
  block: number | undefined
}

export class FakeNode {
  readonly genesis = developmentGenesis('instant', {})
  readonly known = new Map<string, Known>()
  readonly sockets = new Set<Socket>()
  /** In the order in which they came, refused ones too. */
  readonly received: JsonObject[] = []
  height = 0
  connections = 0
  /** As a node's sender-quota. */
  pendingMax = Number.POSITIVE_INFINITY
  /** Whether a question about a pending transaction makes a block first. */
  minesWhenAsked = false
  /** What it says of itself beside what every node says. */
  said: JsonObject = {}
  /** What became of transactions that the test speaks of, in place of what did. */
  readonly fates = new Map<string, JsonObject>()
  refuse: (transaction: Transaction) => { code: string; error: string } | undefined = () => undefined
  /** Runs before a message is answered; false leaves it without an answer. */
  before: (message: JsonObject, socket: Socket) => boolean = () => true
  /** Whether the connection is lost after a message was taken and before it is answered. */
  loses: (message: JsonObject) => boolean = () => false
  readonly #runtime: Runtime
  #listener!: Listener

  private constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  static async start(runtime: Runtime): Promise<FakeNode> {
    const node = new FakeNode(runtime)
    await node.listen(0)
    return node
  }

  async listen(port: number): Promise<void> {
    const texts = new Map<Socket, string>()
    this.#listener = await this.#runtime.listen('127.0.0.1', port, {
      open: (socket) => {
        this.connections++
        this.sockets.add(socket)
      },
      data: (socket, bytes) => {
        const lines = ((texts.get(socket) ?? '') + Buffer.from(bytes).toString('utf8')).split('\n')
        texts.set(socket, lines.pop()!)
        for (const line of lines) if (this.sockets.has(socket)) this.#answer(socket, line)
      },
      end: (socket) => socket.destroy(),
      close: (socket) => void this.sockets.delete(socket),
    })
  }

  get port(): number {
    return this.#listener.port
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  pending(): Known[] {
    return [...this.known.values()].filter(({ block }) => block === undefined)
  }

  mine(): void {
    this.height++
    for (const known of this.pending()) known.block = this.height
  }

  drop(): void {
    const open = [...this.sockets]
    this.sockets.clear()
    for (const socket of open) socket.destroy()
  }

  stop(): void {
    this.#listener.stop()
    this.drop()
  }

  #answer(socket: Socket, line: string): void {
    const message = parseJsonText(line)
    if (!message.ok || !isObject(message.value)) throw new Error(`not a message: ${line}`)
    this.received.push(message.value)
    if (!this.before(message.value, socket)) return
    const answer = this.#answerTo(message.value)
    if (this.loses(message.value)) this.drop()
    else socket.write(Buffer.from(`${JSON.stringify(answer)}\n`))
  }

  #answerTo(message: JsonObject): JsonObject {
    const { chainId } = this.genesis.rules
    switch (message['type']) {
      case 'ping':
        return { type: 'pong', node_id: 'fake', chain_id: chainId, height: this.height }
      case 'chain_info':
        return {
          type: 'chain_info',
          chain_id: chainId,
          genesis_name: 'fake',
          consensus: 'instant',
          height: this.height,
          head: chainId,
          pending: this.pending().length,
        }
      case 'genesis_request':
        return { type: 'genesis_response', genesis: this.genesis.text }
      case 'node_status':
        return {
          type: 'node_status',
          node_id: 'fake',
          node_type: 'full',
          version: '0.0.0',
          name: 'fake',
          peers: 0,
          syncing: false,
          metrics: [],
          health: [],
          ...this.said,
        }
      case 'transaction_status':
        return this.#status(message['tx_hash'] as string)
      case 'NEW_TRANSACTION':
        return this.#take(message)
      default:
        return { type: 'ERROR', code: 'unknown-type', error: 'what?' }
    }
  }

  #status(hash: string): JsonObject {
    const known = this.known.get(hash)
    const answer = { type: 'transaction_status', tx_hash: hash }
    const fate = this.fates.get(hash)
    if (fate !== undefined) return { ...answer, ...fate }
    if (known === undefined) return { ...answer, status: 'unknown' }
    if (known.block !== undefined) {
      return { ...answer, status: 'included', block_index: known.block, block_hash: hash, confirmations: 1 }
    }
    if (this.minesWhenAsked) this.mine()
    return { ...answer, status: 'pending' }
  }

  #take(message: JsonObject): JsonObject {
    const read = readTransaction(message, this.genesis.rules)
    if (!read.ok) return { type: 'ERROR', code: read.code, error: read.detail }
    const verdict = verifyTransaction(read.value)
    if (!verdict.ok) return { type: 'ERROR', code: verdict.code, error: verdict.detail }
    const { transaction, hash } = read.value
    const refused = this.refuse(transaction)
    if (refused !== undefined) return { type: 'ERROR', ...refused }
    if (!this.known.has(hash)) {
      if (this.pending().length >= this.pendingMax) {
        return { type: 'ERROR', code: 'sender-quota', error: 'no room' }
      }
      this.known.set(hash, { transaction, hash, block: undefined })
    }
    return { type: 'MINING_STARTED', miner: 'fake', message: 'Mining started', tx_hash: hash }
  }
}
