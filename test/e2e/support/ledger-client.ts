import { randomUUID } from 'node:crypto'
import {
  CONFIG_TYPE,
  descriptor,
  indexOf,
  LAYER_TYPE,
  OCI_INDEX,
  OCI_MANIFEST,
  sha256,
} from '../../support/images.js'
import { HttpClient, type Answer, type RequestOptions } from './http-client.js'
import {
  blobKey,
  HERE,
  manifestKey,
  tagKey,
  type Change,
  type Ledger,
  type Outcome,
} from './ledger.js'

/** The registry has answered something that no client should ever read. */
export class WrongAnswerError extends Error {
  override readonly name = 'WrongAnswerError'
}

/** The connection ended before the answer did. */
export class ConnectionLostError extends Error {
  override readonly name = 'ConnectionLostError'
}

export interface LedgerClientOptions {
  /**
   * Answers that say that the registry cannot do it now. Nothing else from 500 on is right, nor any
   * refusal that the request does not expect.
   */
  readonly failures?: readonly number[]
}

/** A manifest or an index, as it is pushed. */
export interface Document {
  readonly digest: string
  readonly mediaType: string
  readonly text: string
}

interface Expected {
  /** The status that says that it is done. */
  readonly done: number
  /** Those that say that it cannot be, and that nothing has changed. */
  readonly refused?: readonly number[]
}

const OCTETS = { 'Content-Type': 'application/octet-stream' }

/** A client that writes down in a ledger whatever it asks for, and what it is told. */
export class LedgerClient {
  readonly http: HttpClient
  readonly #ledger: Ledger
  readonly #failures: readonly number[]

  constructor(url: string, ledger: Ledger, { failures = [] }: LedgerClientOptions = {}) {
    this.http = new HttpClient(url)
    this.#ledger = ledger
    this.#failures = failures
  }

  close(): void {
    this.http.close()
  }

  /** One blob by one request. */
  async pushBlob(name: string, bytes: Uint8Array): Promise<Answer> {
    const digest = sha256(bytes)
    const path = `/v2/${name}/blobs/uploads/?digest=${digest}`
    return this.#change({ done: 201 }, 'POST', path, [blobIs(name, digest, HERE)], {
      headers: OCTETS,
      body: bytes,
    })
  }

  /** One blob by a session: a request for each piece, and an empty one at the end. */
  async pushPieces(name: string, pieces: readonly Uint8Array[]): Promise<Answer> {
    const digest = sha256(Buffer.concat(pieces))
    const answer = await this.openSession(name, pieces)
    const location = locationOf(answer)
    if (location === undefined) return answer
    const path = `${location}?digest=${digest}`
    return this.#change({ done: 201 }, 'PUT', path, [blobIs(name, digest, HERE)])
  }

  /** A session that has received something and is left alone; the answer says where it is. */
  async openSession(name: string, pieces: readonly Uint8Array[] = []): Promise<Answer> {
    let answer = await this.#change({ done: 202 }, 'POST', `/v2/${name}/blobs/uploads/`)
    for (const body of pieces) {
      const location = locationOf(answer)
      if (location === undefined) return answer
      answer = await this.#change({ done: 202 }, 'PATCH', location, [], { headers: OCTETS, body })
    }
    return answer
  }

  async cancelSession(opened: Answer): Promise<Answer> {
    const location = locationOf(opened)
    return location === undefined ? opened : this.#change({ done: 204 }, 'DELETE', location)
  }

  /** Answered with 202, and an upload to go on with, when the other repository does not have it. */
  async mount(name: string, digest: string, from: string): Promise<Answer> {
    const path = `/v2/${name}/blobs/uploads/?mount=${digest}&from=${from}`
    const expected = { done: 201, refused: [202] }
    return this.#change(expected, 'POST', path, [blobIs(name, digest, HERE)])
  }

  /** Under a tag, or under its digest when there is none. */
  async putManifest(
    name: string,
    { digest, mediaType, text }: Document,
    tag?: string,
  ): Promise<Answer> {
    const changes: Change[] = [{ key: manifestKey(name, digest), to: HERE }]
    if (tag !== undefined) changes.push({ key: tagKey(name, tag), to: digest })
    const path = `/v2/${name}/manifests/${tag ?? digest}`
    return this.#change({ done: 201 }, 'PUT', path, changes, {
      headers: { 'Content-Type': mediaType },
      body: Buffer.from(text),
    })
  }

  async deleteTag(name: string, tag: string): Promise<Answer> {
    const changes = [{ key: tagKey(name, tag), to: undefined }]
    return this.#delete(`/v2/${name}/manifests/${tag}`, changes)
  }

  /** And with it every tag that points to it. */
  async deleteManifest(name: string, digest: string): Promise<Answer> {
    const tags = this.#ledger.tagsOf(name, digest)
    return this.#delete(`/v2/${name}/manifests/${digest}`, [
      { key: manifestKey(name, digest), to: undefined },
      ...tags.map((key) => ({ key, to: undefined, onlyFrom: digest })),
    ])
  }

  async deleteBlob(name: string, digest: string): Promise<Answer> {
    return this.#delete(`/v2/${name}/blobs/${digest}`, [blobIs(name, digest, undefined)])
  }

  #delete(path: string, changes: readonly Change[]): Promise<Answer> {
    return this.#change({ done: 202, refused: [404] }, 'DELETE', path, changes)
  }

  async #change(
    { done, refused = [] }: Expected,
    method: string,
    path: string,
    changes: readonly Change[] = [],
    options: RequestOptions = {},
  ): Promise<Answer> {
    const what = `${method} ${path}`
    const end = this.#ledger.begin(what, changes)
    let answer: Answer
    try {
      answer = await this.http.send(method, path, options)
    } catch (error) {
      end('unclear')
      throw new ConnectionLostError(`${what} got no answer`, { cause: error })
    }
    const { status, body } = answer
    end(outcomeOf(status, { done, refused }), answer.place)
    if (status !== done && ![...refused, ...this.#failures].includes(status)) {
      throw new WrongAnswerError(`${what} is answered with ${status}: ${body.toString()}`)
    }
    return answer
  }
}

export function isDone({ status }: Answer): boolean {
  return status >= 200 && status < 300
}

/** Where to go on with a session; undefined when there is none. */
function locationOf(answer: Answer): string | undefined {
  return answer.status === 202 ? answer.headers.location : undefined
}

function outcomeOf(status: number, { done, refused = [] }: Expected): Outcome {
  if (status === done) return 'done'
  return refused.includes(status) || (status >= 400 && status < 500) ? 'refused' : 'unclear'
}

function blobIs(name: string, digest: string, to: string | undefined): Change {
  return { key: blobKey(name, digest), to }
}

/** An image of a config that no other has and of these layers. */
export function imageOf(config: Uint8Array, layers: readonly Uint8Array[], members = {}): Document {
  return documentOf(
    OCI_MANIFEST,
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: descriptor(config, CONFIG_TYPE),
      layers: layers.map((layer) => descriptor(layer, LAYER_TYPE)),
      ...members,
    }),
  )
}

export function indexDocumentOf(children: readonly Document[]): Document {
  const described = children.map(({ digest, mediaType, text }) => ({
    digest,
    mediaType,
    size: Buffer.byteLength(text),
  }))
  // Two indexes of the same children are two all the same.
  const annotations = { 'org.example.id': randomUUID() }
  return documentOf(OCI_INDEX, indexOf(described, { annotations }))
}

/** What a referrer calls its subject. */
export function subjectIs({ digest, mediaType, text }: Document): object {
  return { subject: { mediaType, digest, size: Buffer.byteLength(text) } }
}

function documentOf(mediaType: string, text: string): Document {
  return { digest: sha256(text), mediaType, text }
}
