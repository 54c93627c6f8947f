import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { RegistryError } from '../errors.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import type { Upload } from '../metadata/uploads.js'
import {
  algorithmOf,
  digestOf,
  requireSameDigest,
  RunningDigest,
  type Digest,
  type DigestAlgorithm,
} from '../oci/digest.js'
import type { RepositoryName } from '../oci/reference.js'
import type { BlobStore } from '../storage/blob-store.js'
import { headOf, sourceOf, type ByteSource } from '../storage/byte-source.js'
import type { DiskFloor } from './disk-floor.js'
import type { Leases } from './leases.js'
import type { Quotas } from './quotas.js'
import { RunningDigests } from './running-digests.js'
import { bytesOf, isComplete, requireNext, sizeInvalid, type UploadBody } from './upload-body.js'
import { SpanExceeded, watched } from './watched-source.js'

export interface UploadsOptions {
  readonly now: () => number
  readonly floor: DiskFloor
  /** Removes some time soon the bytes of commits that came to nothing. */
  readonly finishRemovals: () => void
  /** Blobs up to this size are kept by the metadata store. */
  readonly inlineBytesMax: number
  /** A session without progress for so long is over. */
  readonly expireMs: number
  readonly sessionsMax: number
}

/** What a session has after a request has brought its body. */
interface Received {
  readonly offsetBytes: number
  /** All of it, while it is little. */
  readonly bytes?: Buffer
  readonly running?: RunningDigest | undefined
}

/** How many expired sessions one transaction ends. */
const expireBatch = 100

/** Signs of life of one long request; never rarer than a quarter of the expiry. */
const touchMsMax = 5 * 60 * 1000

/** How often, and how many times, is looked whether a removal has ended: ten seconds. */
const removalPollMs = 20
const removalAttempts = 500

/** How much of a body comes in between two looks at what the disk has left. */
const lookEveryBytes = 64 * 1024 * 1024

/**
 * Upload sessions: open, append, commit, abort, expire.
 *
 * A session's offset is in the metadata store and only ever tells bytes that are there: with it, as
 * long as they are no more than a small blob may have, so that a small upload is one durable
 * transaction and no file; and with the blob store from then on. One request writes to a session
 * at a time.
 *
 * @see distribution-spec, "Pushing blobs"
 */
export class Uploads {
  readonly #metadata: MetadataStore
  readonly #store: BlobStore
  readonly #leases: Leases
  readonly #quotas: Quotas
  readonly #options: UploadsOptions
  readonly #running = new RunningDigests()
  readonly #beingWritten = new Set<string>()

  constructor(
    stores: { readonly metadata: MetadataStore; readonly blobs: BlobStore },
    leases: Leases,
    quotas: Quotas,
    options: UploadsOptions,
  ) {
    this.#metadata = stores.metadata
    this.#store = stores.blobs
    this.#leases = leases
    this.#quotas = quotas
    this.#options = options
  }

  /**
   * Begins a session.
   *
   * @param algorithm - what to hash with while bytes come in; the commit may ask for another
   * @throws {@link RegistryError} `TOOMANYREQUESTS`, `STORAGE_FULL`
   */
  async open(
    repository: RepositoryName,
    algorithm: DigestAlgorithm,
    identity: string,
  ): Promise<Upload> {
    await this.#options.floor.requireRoom(0)
    const id = randomUUID()
    const { now, sessionsMax } = this.#options
    await this.#metadata.openUpload({ id, repository, algorithm, identity, at: now(), sessionsMax })
    return { id, repository, algorithm, offsetBytes: 0 }
  }

  /** @throws {@link RegistryError} `BLOB_UPLOAD_UNKNOWN` */
  get(repository: RepositoryName, id: string): Promise<Upload> {
    return this.#metadata.getUpload(repository, id)
  }

  /**
   * Adds bytes to a session. When the client goes away or the disk fills up, what has arrived
   * stays and counts.
   *
   * @throws {@link RegistryError} `BLOB_UPLOAD_UNKNOWN`; `RANGE_INVALID` when the range does not
   *   begin at the session's offset or another request is writing; `SIZE_INVALID` when the bytes
   *   are not as many as announced; `STORAGE_FULL`; `DENIED` when it is known before that a quota has
   *   no room for them
   */
  async append(repository: RepositoryName, id: string, body: UploadBody): Promise<Upload> {
    return this.#alone(id, async () => {
      const upload = await this.get(repository, id)
      requireNext(upload, body)
      return this.#leavingNothing(id, async () => {
        await this.#requireRoom(upload, body)
        const received = await this.#receive(upload, body, upload.algorithm)
        const { offsetBytes, running } = received
        await this.#advance(upload, received)
        if (running) this.#running.keep(id, running, offsetBytes)
        return { ...upload, offsetBytes }
      })
    })
  }

  /**
   * Makes what a session has received, and the bytes of this request, a blob of the repository;
   * when this returns it is durable. The session is over then, and also when the digest is wrong.
   *
   * @throws {@link RegistryError} `DIGEST_INVALID`, and what `append` and `body.confirm` throw
   */
  async commit(
    repository: RepositoryName,
    id: string,
    digest: Digest,
    body: UploadBody,
  ): Promise<void> {
    const algorithm = algorithmOf(digest)
    await this.#alone(id, async () => {
      const upload = await this.get(repository, id)
      requireNext(upload, body)
      await this.#leavingNothing(id, async () => {
        await this.#requireRoom(upload, body, digest)
        // Bytes that come with their digest need be hashed in no other algorithm.
        const received = await this.#receive(
          upload,
          body,
          keptBytes(upload) ? algorithm : upload.algorithm,
        )
        // Refused, the session is where it was: clients send the same request again with another token.
        await body.confirm?.()
        await this.#commitReceived(upload, digest, received)
      })
    })
  }

  /**
   * Stores a blob that comes with the request that asks for it.
   *
   * @throws {@link RegistryError} `DIGEST_INVALID`, `SIZE_INVALID`, `STORAGE_FULL`, `DENIED`, and what
   *   `body.confirm` throws
   * @see distribution-spec, "Single POST"
   */
  async putWhole(
    repository: RepositoryName,
    digest: Digest,
    body: UploadBody,
    identity: string,
  ): Promise<void> {
    const algorithm = algorithmOf(digest)
    await this.#options.floor.requireRoom(body.announcedBytes ?? 0)
    if (this.#isSmall(body)) {
      await this.#requireRoom({ repository, offsetBytes: 0 }, body, digest)
      const bytes = await bytesOf(body)
      await body.confirm?.()
      requireDigest(bytes, digest)
      await this.#putBlob({ repository, digest, bytes, sizeBytes: bytes.byteLength })
      return
    }
    const { id } = await this.open(repository, algorithm, identity)
    try {
      await this.commit(repository, id, digest, body)
    } catch (error) {
      // Nobody was told of this session, so nobody can go on with it. Where the database has no
      // room to end it either, it expires; the room that its bytes took is free at once.
      await this.abort(repository, id).catch(ignoreRefusal)
      throw error
    }
  }

  /** @throws {@link RegistryError} `BLOB_UPLOAD_UNKNOWN` */
  async abort(repository: RepositoryName, id: string): Promise<void> {
    await this.get(repository, id)
    // First the bytes: on a full disk that makes the room to write down that they are gone.
    await this.#store.abort(id)
    const leftBytes = await this.#metadata.abortUpload(repository, id, this.#options.now())
    if (leftBytes) this.#options.finishRemovals()
    this.#running.forget(id)
  }

  /** Ends sessions that nobody has gone on with, and removes what ended ones have left. */
  async expire(): Promise<void> {
    const { now, expireMs } = this.#options
    let expired: string[]
    do {
      expired = await this.#metadata.expireUploads(now() - expireMs, now(), expireBatch)
      for (const id of expired) this.#running.forget(id)
    } while (expired.length === expireBatch)
    let remains: string[]
    do {
      remains = await this.#metadata.listUploadRemains(expireBatch)
      for (const id of remains) await this.#store.abort(id)
      if (remains.length > 0) await this.#metadata.forgetUploadRemains(remains)
    } while (remains.length === expireBatch)
  }

  /** Takes in a body, and leaves the session at its old offset or, after a failure, further on. */
  async #receive(upload: Upload, body: UploadBody, algorithm: DigestAlgorithm): Promise<Received> {
    const { id, offsetBytes } = upload
    const bytes = keptBytes(upload)
    if (body.announcedBytes === 0) {
      return {
        offsetBytes,
        ...(bytes ? { bytes } : { running: this.#running.take(id, offsetBytes) }),
      }
    }
    await this.#options.floor.requireRoom(body.announcedBytes ?? 0)
    const source = this.#watched(upload, body)
    if (bytes === undefined) {
      return this.#receiveStored(upload, body, source, this.#running.take(id, offsetBytes))
    }
    // Also of what is announced to be much: its client may be gone before a file is there for it.
    const head = await headOf(source, this.#options.inlineBytesMax - offsetBytes)
    if (head.whole) {
      try {
        return await this.#moveAndReceive(upload, body, head.whole, { bytes, algorithm })
      } catch (error) {
        head.whole.stop()
        throw error
      }
    }
    const received = {
      offsetBytes: offsetBytes + head.bytes.byteLength,
      bytes: offsetBytes === 0 ? head.bytes : Buffer.concat([bytes, head.bytes]),
    }
    if (head.failure) return this.#giveUp(upload, received, head.failure)
    if (!isComplete(body, head.bytes.byteLength)) throw sizeInvalid()
    return received
  }

  /** Takes in a body that is too much to be kept with the session, whose bytes go ahead of it. */
  async #moveAndReceive(
    upload: Upload,
    body: UploadBody,
    source: ByteSource,
    kept: { readonly bytes: Buffer; readonly algorithm: DigestAlgorithm },
  ): Promise<Received> {
    const { id, offsetBytes } = upload
    const running = new RunningDigest(kept.algorithm)
    await this.#metadata.storeUpload({ id, fromByte: offsetBytes, at: this.#options.now() })
    if (offsetBytes > 0) {
      const { failure } = await this.#store.append(id, 0, sourceOf(kept.bytes), running)
      // The session has them still, whatever became of the copy.
      if (failure) throw failure
    }
    return this.#receiveStored(upload, body, source, running)
  }

  async #receiveStored(
    upload: Upload,
    body: UploadBody,
    source: ByteSource,
    running: RunningDigest | undefined,
  ): Promise<Received> {
    const { id, offsetBytes } = upload
    const before = running?.copy()
    const appended = await this.#store.append(id, offsetBytes, source, running)
    const { receivedBytes, failure } = appended
    const received = { offsetBytes: offsetBytes + receivedBytes }
    if (failure) return this.#giveUp(upload, received, failure)
    if (isComplete(body, receivedBytes)) return { ...received, running }
    if (before) this.#running.keep(id, before, offsetBytes)
    throw sizeInvalid()
  }

  /** What has arrived may be built upon; but nothing of what is more than the range told. */
  async #giveUp(upload: Upload, received: Received, failure: Error): Promise<never> {
    if (failure instanceof SpanExceeded) throw sizeInvalid()
    if (received.offsetBytes > upload.offsetBytes) {
      await this.#leavingNothing(upload.id, () => this.#advance(upload, received)).catch(
        ignoreUnknown,
      )
    }
    throw failure
  }

  /**
   * Keeps the session from expiring while bytes come in, and stops them behind their range or when
   * the disk is too full for more.
   */
  #watched(upload: Upload, { source, range }: UploadBody): ByteSource {
    const { now, floor, expireMs } = this.#options
    return watched(source, {
      spanBytes: range ? range.lastByte - range.firstByte + 1 : Infinity,
      now,
      touchMs: Math.min(touchMsMax, expireMs / 4),
      touch: () => this.#advance(upload, { offsetBytes: upload.offsetBytes }),
      lookEveryBytes,
      look: () => floor.requireRoom(0),
    })
  }

  async #commitReceived(upload: Upload, digest: Digest, received: Received): Promise<void> {
    const { repository, id } = upload
    const { offsetBytes: sizeBytes, bytes, running } = received
    if (bytes) {
      await this.#commitBytes(upload, digest, bytes)
      return
    }
    if (sizeBytes <= this.#options.inlineBytesMax) {
      await this.#commitBytes(upload, digest, await this.#store.readUpload(id, sizeBytes))
      await this.#store.abort(id)
      return
    }
    // Nothing came with this request: the digest may be known from the one that brought the bytes.
    const receivedDigest =
      running?.current() ?? (sizeBytes === upload.offsetBytes ? upload.receivedDigest : undefined)
    await this.#beginCommit(id, digest)
    await this.#droppingWrongDigest(upload, () =>
      this.#store.commit(id, { digest, sizeBytes, ...(receivedDigest && { receivedDigest }) }),
    )
    try {
      await this.#putBlob({ repository, digest, sizeBytes, uploadId: id })
    } catch (error) {
      // The bytes have left the session, and no row tells of them. Where not even that can be
      // written down, it is when the session expires.
      const commit = { id, digest, at: this.#options.now() }
      await this.#metadata.abandonCommit(commit).catch(ignoreRefusal)
      this.#options.finishRemovals()
      throw error
    }
    this.#running.forget(id)
  }

  /** Has nobody remove bytes of the digest from now on; waits for whoever is removing some. */
  async #beginCommit(id: string, digest: Digest): Promise<void> {
    for (let attempt = 0; attempt < removalAttempts; attempt++) {
      if (await this.#metadata.beginCommit({ id, digest, at: this.#options.now() })) return
      await delay(removalPollMs)
    }
    throw new RegistryError(
      'UNAVAILABLE',
      'old bytes of this digest are being removed and that takes long; try again',
    )
  }

  async #commitBytes(upload: Upload, digest: Digest, bytes: Buffer): Promise<void> {
    const { repository, id } = upload
    await this.#droppingWrongDigest(upload, async () => requireDigest(bytes, digest))
    await this.#putBlob({ repository, digest, bytes, sizeBytes: bytes.byteLength, uploadId: id })
    this.#running.forget(id)
  }

  /** A session whose bytes are not what the client says is of no use to anybody. */
  async #droppingWrongDigest(upload: Upload, check: () => Promise<void>): Promise<void> {
    try {
      await check()
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'DIGEST_INVALID') {
        await this.abort(upload.repository, upload.id).catch(ignoreRefusal)
      }
      throw error
    }
  }

  async #putBlob(blob: {
    readonly repository: RepositoryName
    readonly digest: Digest
    readonly sizeBytes: number
    readonly bytes?: Buffer
    readonly uploadId?: string
  }): Promise<void> {
    await this.#metadata.putBlob({
      ...blob,
      at: this.#options.now(),
      leaseUntil: this.#leases.end,
    })
  }

  async #advance(
    { id, offsetBytes: fromByte }: Upload,
    { offsetBytes: toByte, bytes, running }: Received,
  ): Promise<void> {
    await this.#metadata.advanceUpload({
      id,
      fromByte,
      toByte,
      ...(bytes && { bytes }),
      ...(running && { receivedDigest: running.current() }),
      at: this.#options.now(),
    })
  }

  /** Asks of quotas as soon as is known how much there will be, which is the least that it can be. */
  async #requireRoom(
    { repository, offsetBytes }: Pick<Upload, 'repository' | 'offsetBytes'>,
    { announcedBytes = 0 }: UploadBody,
    digest?: Digest,
  ): Promise<void> {
    const sizeBytes = offsetBytes + announcedBytes
    await this.#quotas.requireRoom({ repository, sizeBytes, ...(digest && { digest }) })
  }

  #isSmall({ announcedBytes }: UploadBody): boolean {
    return announcedBytes !== undefined && announcedBytes <= this.#options.inlineBytesMax
  }

  /** Where a session has expired or was cancelled, bytes may have come after its own were removed. */
  async #leavingNothing<T>(id: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (isUploadUnknown(error)) await this.#store.abort(id)
      throw error
    }
  }

  /** Two writers would write over each other's bytes, so the second is refused at once. */
  async #alone<T>(id: string, work: () => Promise<T>): Promise<T> {
    if (this.#beingWritten.has(id)) {
      throw new RegistryError('RANGE_INVALID', 'another request is writing to this upload')
    }
    this.#beingWritten.add(id)
    try {
      return await work()
    } finally {
      this.#beingWritten.delete(id)
    }
  }
}

/** What the session keeps itself, be it nothing; undefined when its bytes are with the blob store. */
function keptBytes({ offsetBytes, bytes }: Upload): Buffer | undefined {
  return offsetBytes === 0 ? Buffer.alloc(0) : bytes
}

function ignoreRefusal(error: unknown): void {
  if (!(error instanceof RegistryError)) throw error
}

function ignoreUnknown(error: unknown): void {
  if (!isUploadUnknown(error)) throw error
}

function requireDigest(bytes: Buffer, digest: Digest): void {
  requireSameDigest(digestOf(bytes, algorithmOf(digest)), digest)
}

function isUploadUnknown(error: unknown): boolean {
  return error instanceof RegistryError && error.code === 'BLOB_UPLOAD_UNKNOWN'
}
