import { DurabilityLostError, RegistryError, type ErrorCode } from '../../errors.js'
import type { Writes } from './writes.js'

/** What the writer thread is started with. */
export interface WriterOptions {
  readonly file: string
  readonly migrations: string
}

/** To the writer thread. */
export type WriterRequest =
  | { readonly id: number; readonly name: keyof Writes; readonly args: readonly unknown[] }
  | { readonly close: true }

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
    return { kind: 'refusal', code, message, details, cause }
  }
  if (error instanceof DurabilityLostError) {
    return { kind: 'durability', message: error.message, cause: error.cause }
  }
  return { kind: 'defect', cause: error }
}

export function errorOf(record: ErrorRecord): Error {
  switch (record.kind) {
    case 'refusal':
      return new RegistryError(record.code, record.message, record)
    case 'durability':
      return new DurabilityLostError(record.message, { cause: record.cause })
    case 'defect':
      return new Error('a write to the database failed', { cause: record.cause })
  }
}
