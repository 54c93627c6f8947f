import type { Digest } from '../../../src/oci/digest.js'
import {
  bytesOf,
  CONFIG_TYPE,
  descriptor,
  indexOf,
  LAYER_TYPE,
  OCI_INDEX,
  OCI_MANIFEST,
  sha256,
} from '../../support/images.js'
import type { World } from './world.js'

/** Bytes that are called by their digest, and which of them they need to be of use. */
export interface Content {
  readonly bytes: Buffer
  readonly digest: Digest
  /** Of a manifest; a blob has none. */
  readonly mediaType?: string
  readonly needs: readonly Content[]
}

export interface Image extends Content {
  readonly mediaType: string
  /** Its config, which the database keeps, and its layer, which is a file. */
  readonly needs: readonly [small: Content, large: Content]
}

/** Blobs up to so many bytes are kept by the database. */
export const inlineBytesMax = 1024

/**
 * @param part - the first digit of the manifest's digest
 */
export function imageOf(
  seed: string,
  { subject, part = '2' }: { subject?: Content; part?: string } = {},
): Image {
  const small = blobWith('1', (nonce) => Buffer.from(JSON.stringify({ seed, nonce })))
  const rest = bytesOf(2 * inlineBytesMax, seed)
  const large = blobWith('0', (nonce) => Buffer.concat([Buffer.from(`${nonce} `), rest]))
  const manifest = blobWith(part, (nonce) =>
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: OCI_MANIFEST,
        config: descriptor(small.bytes, CONFIG_TYPE),
        layers: [descriptor(large.bytes, LAYER_TYPE)],
        ...(subject && { subject: descriptor(subject.bytes, OCI_MANIFEST) }),
        annotations: { nonce: String(nonce) },
      }),
    ),
  )
  return { ...manifest, mediaType: OCI_MANIFEST, needs: [small, large] }
}

/** An index of one manifest. */
export function indexWith(child: Content): Content {
  const children = [{ digest: child.digest, size: child.bytes.byteLength }]
  const index = blobWith('3', (nonce) =>
    Buffer.from(indexOf(children, { annotations: { nonce: String(nonce) } })),
  )
  return { ...index, mediaType: OCI_INDEX, needs: [child] }
}

/**
 * Bytes whose digest begins with a digit: what is due at the same time is collected in the order of
 * digests, and has to come in the same order in each trial.
 */
function blobWith(digit: string, bytesFor: (nonce: number) => Buffer): Content {
  for (let nonce = 0; ; nonce++) {
    const bytes = bytesFor(nonce)
    const digest = sha256(bytes)
    if (digest.startsWith(`sha256:${digit}`)) return { bytes, digest, needs: [] }
  }
}

export interface Answer {
  readonly status: number
  readonly bytes: Buffer
  /** Where an upload goes on. */
  readonly location: string
}

/**
 * A client that remembers what it was told. Whatever was acknowledged has to be served in the end;
 * and a refusal has changed nothing.
 */
export class Client {
  readonly #world: World
  readonly #served = new Map<string, Content>()
  #isAlone: () => boolean = () => false

  constructor(world: World) {
    this.#world = world
  }

  /** @param isAlone - whether nobody else can change anything at the moment */
  whenAlone(isAlone: () => boolean): void {
    this.#isAlone = isAlone
  }

  /**
   * @param expected - every status that is right
   * @throws an error for any other, and when a refusal has changed something
   */
  async request(
    method: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'PUT' | 'DELETE',
    url: string,
    expected: readonly number[],
    { body, type = 'application/octet-stream' }: { body?: Buffer | string; type?: string } = {},
  ): Promise<Answer> {
    const wasAlone = this.#isAlone()
    const before = wasAlone ? this.#rows() : ''
    const { statusCode, headers, rawPayload } = await this.#world.app.inject({
      ...{ method, url },
      ...(body !== undefined && { payload: body, headers: { 'content-type': type } }),
    })
    if (!expected.includes(statusCode)) {
      throw new Error(
        `${method} ${url} is answered ${statusCode}: ${rawPayload.toString('utf8', 0, 500)}`,
      )
    }
    if (statusCode >= 400 && wasAlone && this.#isAlone() && this.#rows() !== before) {
      throw new Error(`${method} ${url} is refused with ${statusCode} and has changed something`)
    }
    const { location } = headers
    return { status: statusCode, bytes: rawPayload, location: String(location) }
  }

  /** By one request. */
  async post(name: string, { digest, bytes }: Content): Promise<void> {
    const url = `/v2/${name}/blobs/uploads/?digest=${digest}`
    await this.request('POST', url, [201], { body: bytes })
    this.hasBlob(name, { digest, bytes, needs: [] })
  }

  async openUpload(name: string): Promise<string> {
    return (await this.request('POST', `/v2/${name}/blobs/uploads/`, [202])).location
  }

  async append(location: string, bytes: Buffer): Promise<void> {
    await this.request('PATCH', location, [202], { body: bytes })
  }

  /** Ends an upload; `rest` is what the session has not got yet. */
  async finish(name: string, location: string, blob: Content, rest: Buffer): Promise<void> {
    const url = `${location}${location.includes('?') ? '&' : '?'}digest=${blob.digest}`
    await this.request('PUT', url, [201], { body: rest })
    this.hasBlob(name, blob)
  }

  /** @returns whether it is there now */
  async putManifest(
    name: string,
    reference: string,
    { bytes, mediaType = OCI_MANIFEST, digest, needs }: Content,
    expected: readonly number[] = [201],
  ): Promise<boolean> {
    const url = `/v2/${name}/manifests/${reference}`
    const { status } = await this.request('PUT', url, expected, { body: bytes, type: mediaType })
    if (status !== 201) return false
    this.hasManifest(name, { bytes, mediaType, digest, needs }, reference)
    return true
  }

  async pushImage(name: string, reference: string | undefined, image: Image): Promise<void> {
    for (const blob of image.needs) await this.post(name, blob)
    await this.putManifest(name, reference ?? image.digest, image)
  }

  /** Whether a blob is there; then its repository goes on having it. */
  async confirmBlob(name: string, blob: Content): Promise<boolean> {
    const { status } = await this.request('HEAD', blobUrl(name, blob), [200, 404])
    if (status === 200) this.hasBlob(name, blob)
    return status === 200
  }

  async confirmManifest(name: string, manifest: Content): Promise<boolean> {
    const url = `/v2/${name}/manifests/${manifest.digest}`
    const { status } = await this.request('HEAD', url, [200, 404])
    // Not what it needs: whoever asks for a manifest alone is promised no more than that.
    if (status === 200) this.#served.set(url, manifest)
    return status === 200
  }

  /** Gets a blob or a manifest: all of it, or 404. */
  async read(url: string, { bytes }: Content, expected = [200, 404]): Promise<void> {
    const answer = await this.request('GET', url, expected)
    if (answer.status === 200 && !answer.bytes.equals(bytes)) {
      throw new Error(`GET ${url} gives ${answer.bytes.byteLength} bytes, and wrong ones`)
    }
  }

  async delete(url: string, expected: readonly number[] = [202]): Promise<boolean> {
    return (await this.request('DELETE', url, expected)).status === 202
  }

  /** Deletes a repository, if it is there, with all that was told of it. */
  async deleteRepository(name: string): Promise<void> {
    const url = `/api/v1/repositories/${encodeURIComponent(name)}?confirm=${encodeURIComponent(name)}`
    await this.request('DELETE', url, [200, 404])
    this.forget(`/v2/${name}/`)
  }

  /** @returns whether it was brought back */
  async restore(name: string, what: object, expected = [200, 404]): Promise<boolean> {
    const url = `/api/v1/repositories/${encodeURIComponent(name)}/restore`
    const request = { body: JSON.stringify(what), type: 'application/json' }
    return (await this.request('POST', url, expected, request)).status === 200
  }

  /** From now on this is to be served. */
  hasBlob(name: string, blob: Content): void {
    this.#served.set(blobUrl(name, blob), blob)
  }

  /** From now on this is to be served, with all that it needs. */
  hasManifest(name: string, manifest: Content, ...references: readonly string[]): void {
    for (const reference of [manifest.digest, ...references]) {
      this.#served.set(`/v2/${name}/manifests/${reference}`, manifest)
    }
    for (const needed of manifest.needs) {
      if (needed.mediaType === undefined) this.hasBlob(name, needed)
      else this.hasManifest(name, needed)
    }
  }

  /** What was told of this is taken back: somebody has deleted it, or it was too long ago. */
  forget(prefix: string): void {
    for (const url of [...this.#served.keys()]) if (url.startsWith(prefix)) this.#served.delete(url)
  }

  /** @throws an error when something is not served that should be */
  async requireServed(): Promise<void> {
    for (const [url, content] of this.#served) await this.read(url, content, [200])
  }

  #rows(): string {
    const { repositories, manifests, links, blobs } = this.#world.state.rows()
    return JSON.stringify([[...repositories], [...manifests], [...links], [...blobs]])
  }
}

export function blobUrl(name: string, { digest }: Content): string {
  return `/v2/${name}/blobs/${digest}`
}

export function manifestUrl(name: string, { digest }: Content): string {
  return `/v2/${name}/manifests/${digest}`
}
