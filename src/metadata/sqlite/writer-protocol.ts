import { DurabilityLostError, errorCode, RegistryError, type ErrorCode } from '../../errors.js'
import type { Writes } from './writes.js'

/** What the writer thread is started with. */
export interface WriterOptions {
  readonly file: string
  readonly migrations: string
}

/** To the writer thread. */
export type WriterRequest = WriteRequest | { readonly close: true }

export type WriteRequest = {
  readonly [Name in keyof Writes]: {
    readonly id: number
    readonly name: Name
    readonly args: Parameters<Writes[Name]>
  }
}[keyof Writes]

/** From the writer thread. */
export type WriterMessage =
  | { readonly ready: true; readonly copy: string | undefined }
  | { readonly answers: readonly WriterAnswer[] }
  | { readonly closed: true }

export type WriterAnswer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: ErrorRecord }

/** An error as it crosses threads: a clone keeps neither its class nor its members. */
export type ErrorRecord =
  | {
      readonly kind: 'refusal'
      readonly code: ErrorCode
      readonly message: string
      readonly details: readonly unknown[]
      readonly cause: unknown
    }
  | { readonly kind: 'durability'; readonly message: string; readonly cause: unknown }
  | { readonly kind: 'defect'; readonly cause: unknown }

export function recordOf(error: unknown): ErrorRecord {
  if (error instanceof RegistryError) {
    const { code, message, details, cause } = error
    return { kind: 'refusal', code, message, details, cause: cloneable(cause) }
  }
  if (error instanceof DurabilityLostError) {
    return { kind: 'durability', message: error.message, cause: cloneable(error.cause) }
  }
  return { kind: 'defect', cause: cloneable(error) }
}

/**
 * SQLite's errors are no errors to the structured clone, which would leave their code and nothing
 * else.
 */
function cloneable(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const code = errorCode(error)
  const message = code === undefined ? error.message : `${error.message} (${code})`
  const copy = new Error(message, { cause: cloneable(error.cause) })
  if (error.stack !== undefined) copy.stack = error.stack
  return copy
}

/** @param failed - what has failed, when it is a defect and no refusal */
export function errorOf(record: ErrorRecord, failed = 'a write to the database failed'): Error {
  switch (record.kind) {
    case 'refusal':
      return new RegistryError(record.code, record.message, record)
    case 'durability':
      return new DurabilityLostError(record.message, { cause: record.cause })
    case 'defect':
      return new Error(failed, { cause: record.cause })
  }
}
