interface Answer {
  readonly status: number
  /** The code on the wire where it is not our own name for the case. */
  readonly wireCode?: string
}

/**
 * Every refusal a client can be told about: its HTTP status, and its code on the wire.
 *
 * The first block is the list of the OCI distribution specification ("Error Codes"), the second
 * holds what registries have added to it and clients know. The third block tells apart cases that
 * the two lists have one word for.
 */
const ANSWERS = {
  BLOB_UNKNOWN: { status: 404 },
  BLOB_UPLOAD_INVALID: { status: 400 },
  BLOB_UPLOAD_UNKNOWN: { status: 404 },
  DIGEST_INVALID: { status: 400 },
  MANIFEST_BLOB_UNKNOWN: { status: 400 },
  MANIFEST_INVALID: { status: 400 },
  MANIFEST_UNKNOWN: { status: 404 },
  NAME_INVALID: { status: 400 },
  NAME_UNKNOWN: { status: 404 },
  SIZE_INVALID: { status: 400 },
  UNAUTHORIZED: { status: 401 },
  DENIED: { status: 403 },
  UNSUPPORTED: { status: 405 },
  TOOMANYREQUESTS: { status: 429 },

  PAGINATION_NUMBER_INVALID: { status: 400 },
  RANGE_INVALID: { status: 416 },
  TAG_INVALID: { status: 400 },
  UNAVAILABLE: { status: 503 },
  UNKNOWN: { status: 500 },

  ACCOUNT_UNKNOWN: { status: 404, wireCode: 'UNKNOWN' },
  BODY_TOO_LARGE: { status: 413, wireCode: 'SIZE_INVALID' },
  CONFLICT: { status: 409, wireCode: 'DENIED' },
  ENDPOINT_UNKNOWN: { status: 404, wireCode: 'NAME_UNKNOWN' },
  GRANT_UNKNOWN: { status: 404, wireCode: 'UNKNOWN' },
  GROUP_UNKNOWN: { status: 404, wireCode: 'UNKNOWN' },
  HEADERS_TOO_LARGE: { status: 431, wireCode: 'SIZE_INVALID' },
  MANIFEST_TOO_LARGE: { status: 413, wireCode: 'SIZE_INVALID' },
  MEDIA_TYPE_INVALID: { status: 415, wireCode: 'UNSUPPORTED' },
  NAMESPACE_UNKNOWN: { status: 404, wireCode: 'UNKNOWN' },
  REQUEST_INVALID: { status: 400, wireCode: 'UNSUPPORTED' },
  REQUEST_TIMEOUT: { status: 408, wireCode: 'UNSUPPORTED' },
  RUN_UNKNOWN: { status: 404, wireCode: 'UNKNOWN' },
  STORAGE_FULL: { status: 507, wireCode: 'UNAVAILABLE' },
  TOKEN_UNKNOWN: { status: 404, wireCode: 'UNKNOWN' },
  TOO_MANY_TAGS: { status: 414, wireCode: 'TAG_INVALID' },
  URL_TOO_LONG: { status: 414, wireCode: 'NAME_INVALID' },
} as const satisfies Record<string, Answer>

export type ErrorCode = keyof typeof ANSWERS

export const ERROR_CODES = Object.keys(ANSWERS) as readonly ErrorCode[]

export interface RegistryErrorOptions {
  /** One entry of the answer's `errors` for each; usually the digest or name it is about. */
  readonly details?: readonly unknown[]
  /** When it is worth asking again, where that is known better than by the status. */
  readonly retryAfterSeconds?: number
  readonly cause?: unknown
}

/** A refusal the client is told about. Anything else thrown is a defect: logged, answered 500. */
export class RegistryError extends Error {
  override readonly name = 'RegistryError'
  readonly code: ErrorCode
  readonly details: readonly unknown[]
  readonly retryAfterSeconds: number | undefined

  constructor(code: ErrorCode, message: string, options: RegistryErrorOptions = {}) {
    super(message, { cause: options.cause })
    this.code = code
    this.details = options.details ?? [null]
    this.retryAfterSeconds = options.retryAfterSeconds
  }

  /** The HTTP status that tells it. */
  get statusCode(): number {
    return ANSWERS[this.code].status
  }

  /** The code that tells it on the wire. */
  get wireCode(): string {
    const answer: Answer = ANSWERS[this.code]
    return answer.wireCode ?? this.code
  }
}

/**
 * A failed fsync, of a file, a directory or the database: from here on nobody knows what the disk
 * holds, and asking again may answer "fine" for pages that the kernel has dropped. The process
 * stops and recovers on its next start; no client is told anything.
 */
export class DurabilityLostError extends Error {
  override readonly name = 'DurabilityLostError'
}

/** Whether an error of the file system says that there is no room, for us or at all. */
export function isDiskFull(error: unknown): boolean {
  const code = errorCode(error)
  return code === 'ENOSPC' || code === 'EDQUOT'
}

/** Whether an error of the system says only that the process has too much open, or no memory. */
export function isShortage(error: unknown): boolean {
  return ['EMFILE', 'ENFILE', 'ENOMEM'].includes(errorCode(error) ?? '')
}

/** The `code` of a Node.js or SQLite error, or undefined. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** What a client reads when the disk has no room left. */
export function storageFull(cause: unknown): RegistryError {
  return new RegistryError(
    'STORAGE_FULL',
    'the registry has no space left to store this; free some and try again',
    { cause },
  )
}

/** What a client reads that asks for a repository which is not there, or which it may not see. */
export function repositoryUnknown(name: string): RegistryError {
  return new RegistryError('NAME_UNKNOWN', 'there is no repository of this name', {
    details: [{ name }],
  })
}

/** What a client reads when the process has too much open, or no memory. */
export function outOfReach(cause: unknown): RegistryError {
  return new RegistryError(
    'UNAVAILABLE',
    'the registry has too many files open, or too little memory, to do this now; try again soon',
    { cause },
  )
}
