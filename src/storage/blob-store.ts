import type { Socket } from 'node:net'
import type { Digest, RunningDigest } from '../oci/digest.js'
import type { ByteSource } from './byte-source.js'

/**
 * Bytes by their digest. The life of an upload: `append` as often as wanted, each time at the
 * offset that the metadata store remembers; then `commit`, which makes the bytes a blob, or
 * `abort`. What exists is not asked here: the metadata store knows.
 *
 * Nothing of an upload need survive a power cut before `commit` has returned; from then on the
 * blob does. All sizes and offsets are bytes.
 */
export interface BlobStore {
  /**
   * Receives bytes of an upload. What earlier calls left behind `atByte` is overwritten. Never
   * throws for what happens to the source or the disk: bytes that arrived before are kept and
   * counted.
   *
   * @param source - is opened at most once, and let flow no faster than the bytes can be stored
   * @param digest - is fed the bytes in order while they are written; of no use any more when the
   *   answer has a failure
   */
  append(
    uploadId: string,
    atByte: number,
    source: ByteSource,
    digest?: RunningDigest,
  ): Promise<Appended>

  /** The first `sizeBytes` of an upload; for small ones only, as they come in one piece. */
  readUpload(uploadId: string, sizeBytes: number): Promise<Buffer>

  /**
   * Makes the first `sizeBytes` of an upload the blob `digest`, durably. If such a blob is there
   * already, these bytes take its place, which heals it if it was damaged.
   *
   * @throws {@link RegistryError} `DIGEST_INVALID` when the bytes have another digest,
   *   `BLOB_UPLOAD_INVALID` when fewer bytes are there, `STORAGE_FULL`; the upload is still there
   * @throws {@link DurabilityLostError} when the disk did not confirm
   */
  commit(uploadId: string, blob: UploadedBlob): Promise<void>

  /** Removes what an upload has received, if anything. */
  abort(uploadId: string): Promise<void>

  /**
   * Opens a blob for reading. Opened and closed again, it is known to be there and to have its size,
   * without a byte of it having been read.
   *
   * @param sizeBytes - the size of the whole blob; checked before anything is promised
   * @throws {@link BlobDamagedError} when it is missing or unreadable, or has another size;
   *   {@link RegistryError} `UNAVAILABLE` when there is no room to open anything at the moment
   */
  open(digest: Digest, sizeBytes: number): Promise<OpenBlob>

  /**
   * Reads every byte of a blob and compares its digest.
   *
   * @throws as {@link open}; {@link BlobDamagedError} also when it has another digest; the reason of
   *   {@link CheckOptions.signal}
   */
  check(digest: Digest, sizeBytes: number, options?: CheckOptions): Promise<void>

  /**
   * The name of a blob, for a server in front that has the same store before it and can send the
   * bytes itself. Relative to wherever that server has the store's root; it begins with no slash and
   * needs no escaping in a URI.
   *
   * @returns undefined when no such server can read what this store keeps
   * @throws {@link BlobDamagedError} as {@link open}
   */
  locate(digest: Digest, sizeBytes: number): Promise<string | undefined>

  /**
   * Removes the bytes of a blob, if there are any. A power cut may bring them back: then they are
   * bytes that no row knows of, which harms nobody, and {@link listBlobs} finds them. To be sure of
   * more would cost a sync for every blob that is collected.
   *
   * The caller has made sure that no {@link commit} of this digest runs meanwhile.
   */
  remove(digest: Digest): Promise<void>

  /**
   * Puts what lies in the place of a blob aside, whatever it is, and whatever was put aside of this
   * digest before: for a person to look at. No read finds it any more. A power cut may bring it
   * back, as with {@link remove}.
   *
   * The caller has made sure that no {@link commit} of this digest runs meanwhile.
   *
   * @returns the name by which a person finds it; undefined when nothing was there
   */
  quarantine(digest: Digest): Promise<string | undefined>

  /**
   * What really lies where blobs are, in the order of their digests. For whoever verifies the store,
   * and for nobody else: what exists is known by the metadata store.
   *
   * Bytes of a blob that is about to exist are here already; what was removed meanwhile may be missing.
   */
  listBlobs(page: StoredFilesRequest): Promise<StoredFiles>

  /** As {@link listBlobs}, what really lies where the bytes of uploads are. */
  listUploads(page: StoredFilesRequest): Promise<StoredFiles>

  /**
   * Removes something that a list has named and that is neither a blob nor an upload.
   *
   * @returns false when it is still there, as it has other things in it: for a person to look at
   * @throws an error for any name that is not one of these
   */
  removeStray(name: string): Promise<boolean>

  /** The room for more bytes; undefined where no end of it is known. */
  freeSpace(): Promise<FreeSpace | undefined>

  /** Throws when nothing can be written. */
  checkReady(): Promise<void>
}

export interface Appended {
  readonly receivedBytes: number
  /** Why the source or the disk stopped early. */
  readonly failure?: Error
}

export interface UploadedBlob {
  readonly digest: Digest
  readonly sizeBytes: number
  /** The digest of these bytes in whatever algorithm they were received, if it is known. */
  readonly receivedDigest?: Digest
}

export interface CheckOptions {
  /** No more than so many on average, so that others get their part of the disk. */
  readonly bytesPerSecond?: number
  readonly signal?: AbortSignal
}

export interface StoredFilesRequest {
  /** Entries after this {@link StoredFile.name}, which need not be there any more. */
  readonly after?: string
  readonly limit: number
}

export interface StoredFiles {
  readonly entries: StoredFile[]
  readonly hasMore: boolean
}

/** A blob, the bytes of an upload, or a stray: something that the store has not put there. */
export interface StoredFile {
  /** What the store calls it. Lists are in the order of these. */
  readonly name: string
  /** Whose bytes they should be, where it lies in the place of a blob. */
  readonly digest?: Digest
  /** Whose bytes they are, where it is called as an upload. */
  readonly uploadId?: string
  readonly sizeBytes: number
  /** When it was written, or got its name, whichever came last; milliseconds since 1970 UTC. */
  readonly modifiedAt: number
}

export interface FreeSpace {
  /** What this process may still fill. */
  readonly freeBytes: number
  /** The size of the whole, be it full or not. */
  readonly totalBytes: number
}

export interface ByteRange {
  readonly firstByte: number
  /** Inclusive. */
  readonly lastByte: number
}

/** A blob while it is read. Whoever has opened it closes it, when no `send` is under way. */
export interface OpenBlob {
  /**
   * Sends exactly the bytes of a range, in order, as fast as the sink takes them.
   *
   * @throws {@link BlobDamagedError} when they end too early or cannot be read; what the sink throws
   */
  send(range: ByteRange, sink: BlobSink): Promise<void>

  close(): Promise<void>
}

/** What takes the bytes of a blob. One call at a time. */
export interface BlobSink {
  /**
   * Takes a piece. When this resolves, the piece is done with and its memory used for the next.
   *
   * @throws an error when nobody takes bytes any more
   */
  write(piece: Uint8Array): Promise<void>

  /** Where the bytes end up, if that is a connection on which the kernel itself may put them. */
  readonly direct?: DirectConnection | undefined
}

/** A way past {@link BlobSink.write}, to a connection that carries the bytes as they are. */
export interface DirectConnection {
  readonly socket: Socket
  /** Waits until everything that was written before is with the kernel. */
  flush(): Promise<void>
  /** Is told of bytes that the kernel has taken. */
  sent(byteCount: number): void
}

/** What is wrong with a blob; the last can be told only by reading all of it. */
export type BlobDamage = 'missing' | 'unreadable' | 'size' | 'content'

/** A blob that should be there is not, or not as it was stored. */
export class BlobDamagedError extends Error {
  override readonly name = 'BlobDamagedError'
  readonly damage: BlobDamage

  constructor(damage: BlobDamage, message: string, options?: ErrorOptions) {
    super(message, options)
    this.damage = damage
  }
}
