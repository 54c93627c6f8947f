import { Agent, request, type IncomingHttpHeaders } from 'node:http'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** On which connection it came, and as which of its answers. */
  readonly place: AnswerPlace
}

/** An answer as it shows on the wire: the client's port, and how many came before it. */
export interface AnswerPlace {
  readonly port: number
  readonly index: number
}

export interface RequestOptions {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

/** No request of a test takes as long, however slow the machine. */
const patienceMs = 60_000

/** HTTP and nothing else: no retry, no redirect, no second connection beside its own. */
export class HttpClient {
  readonly #url: string
  readonly #agent: Agent
  readonly #answers = new Map<number, number>()

  /** @param connectionsMax - how many requests can be under way; others wait */
  constructor(url: string, { connectionsMax = 1 }: { readonly connectionsMax?: number } = {}) {
    this.#url = url
    this.#agent = new Agent({ keepAlive: true, maxSockets: connectionsMax })
  }

  /** One request and its whole answer; rejects when the connection ends before that. */
  send(method: string, path: string, { headers, body }: RequestOptions = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sent = request(`${this.#url}${path}`, {
        method,
        agent: this.#agent,
        timeout: patienceMs,
        headers: { ...headers, 'Content-Length': String(body?.byteLength ?? 0) },
      })
      sent.on('timeout', () => sent.destroy(new Error(`no answer to ${method} ${path}`)))
      sent.on('error', reject)
      sent.on('response', (response) => {
        const place = this.#place(response.socket.localPort ?? 0)
        const pieces: Buffer[] = []
        response.on('data', (piece: Buffer) => pieces.push(piece))
        response.on('error', reject)
        response.on('end', () => {
          const { statusCode: status = 0, headers: received } = response
          resolve({ status, headers: received, body: Buffer.concat(pieces), place })
        })
      })
      sent.end(body)
    })
  }

  close(): void {
    this.#agent.destroy()
  }

  #place(port: number): AnswerPlace {
    const index = this.#answers.get(port) ?? 0
    this.#answers.set(port, index + 1)
    return { port, index }
  }
}
