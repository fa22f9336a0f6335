// A peer that was not made from this program's code: the handshake as plugins/tcp/README.md describes it, on node's own
// sockets and keys. It does afterwards whatever a test wants.
import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'
import { connect, type Socket } from 'node:net'

export type Message = Record<string, unknown>

export interface StrangerOptions {
  readonly chainId: string
  readonly height?: number
  /** `host:port`, or nothing where it does not listen. */
  readonly listen?: string
  /** Types of messages that are only sent to who says that it knows them. */
  readonly features?: readonly string[]
  /** Whatever arrives, before it is read. */
  readonly bytes?: (text: string) => void
  readonly hear?: (message: Message, peer: StrangerPeer) => void
}

export class StrangerPeer {
  readonly nodeId: string
  readonly publicKeyPem: string
  readonly #secret: KeyObject
  readonly #socket: Socket
  readonly #challenge = randomBytes(32).toString('hex')
  readonly #hear: (message: Message, peer: StrangerPeer) => void
  #text = ''
  #shaken = Promise.withResolvers<boolean>()
  /** Resolves when the connection is over, to the code of the last `ERROR`, if there was one. */
  readonly closed: Promise<string | undefined>
  #lastCode: string | undefined

  constructor(port: number, options: StrangerOptions) {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519')
    this.#secret = privateKey
    this.publicKeyPem = publicKey.export({ type: 'spki', format: 'pem' })
    this.nodeId = nodeIdOf(publicKey.export({ type: 'spki', format: 'der' }).subarray(12))
    this.#hear = options.hear ?? (() => undefined)
    this.#socket = connect(port, '127.0.0.1')
    this.#socket.setNoDelay(true)
    this.#socket.setEncoding('utf8')
    this.#socket.on('data', (text: string) => {
      options.bytes?.(text)
      this.#take(text)
    })
    this.#socket.on('error', () => undefined)
    this.closed = new Promise((resolve) =>
      this.#socket.on('close', () => {
        this.#shaken.resolve(false)
        resolve(this.#lastCode)
      }),
    )
    this.send({
      type: 'handshake',
      version: 1,
      chain_id: options.chainId,
      height: options.height ?? 0,
      node_type: 'full',
      listen_addr: options.listen ?? '',
      node_id: this.nodeId,
      public_key_pem: this.publicKeyPem,
      challenge: this.#challenge,
      features: options.features ?? [],
    })
  }

  /** Whether the other side accepted the handshake; false when it closed instead. */
  get shaken(): Promise<boolean> {
    return this.#shaken.promise
  }

  send(message: Message): void {
    this.#socket.write(`${JSON.stringify(message)}\n`)
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(text: string): void {
    const lines = (this.#text + text).split('\n')
    this.#text = lines.pop()!
    for (const line of lines) this.#took(JSON.parse(line) as Message)
  }

  #took(message: Message): void {
    if (message['type'] === 'ERROR') this.#lastCode = String(message['code'])
    if (message['type'] === 'handshake') {
      const text = `aurex/handshake/1\n${this.#challenge}${String(message['challenge'])}`
      this.send({ type: 'handshake_ack', signature: sign(null, Buffer.from(text), this.#secret).toString('base64') })
    }
    if (message['type'] === 'handshake_ack') this.#shaken.resolve(true)
    this.#hear(message, this)
  }
}

/** RFC 9562, version 8, of the first half of SHA-256. */
function nodeIdOf(raw: Buffer): string {
  const bytes = createHash('sha256').update(raw).digest().subarray(0, 16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x80
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
