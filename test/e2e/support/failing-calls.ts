import { constants } from 'node:os'
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { temporaryDirectory } from '../../support/directories.js'
import { run } from './run.js'

const source = fileURLToPath(new URL('failing-calls.c', import.meta.url))

/** In the order of `enum kind` in failing-calls.c, which calls the first one NONE. */
export const FAILING_KINDS = [
  'write',
  'read',
  'open',
  'sync',
  'rename',
  'unlink',
  'mkdir',
  'truncate',
] as const

export type FailingKind = (typeof FAILING_KINDS)[number]

/** What a call answers; `short` moves fewer bytes than it was asked to, and says so. */
export type FailingError = 'EIO' | 'ENOSPC' | 'EMFILE' | 'short'

export interface Failure {
  readonly kind: FailingKind
  readonly error: FailingError
  /** Only of files that have this in their path below the folder; of all when absent. */
  readonly part?: string
  /** The first one to fail from now on, counted from 1; none when absent. */
  readonly first?: number
  /** The last one; the first one alone when absent. */
  readonly last?: number
}

/** As in `struct control`: six numbers of 32 bits, and a text. */
const countAt = 16
const partAt = 24
const controlBytes = partAt + 64

/** Lets system calls fail in a process that was started with its settings. */
export class FailingCalls {
  /** Variables of the environment of that process. */
  readonly settings: Readonly<Record<string, string>>
  readonly #control: number

  private constructor(library: string, folder: string, control: string) {
    this.settings = {
      LD_PRELOAD: library,
      FAILING_CALLS_FOLDER: folder,
      FAILING_CALLS_CONTROL: control,
    }
    this.#control = openSync(control, 'r+')
  }

  /** @param folder - calls that have to do with nothing in it never fail */
  static async prepare(folder: string): Promise<FailingCalls> {
    const made = await temporaryDirectory()
    const library = path.join(made, 'failing-calls.so')
    await run('c++', ['-x', 'c', '-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'])
    const control = path.join(made, 'control')
    await writeFile(control, Buffer.alloc(controlBytes))
    const calls = new FailingCalls(library, folder, control)
    onTestFinished(() => closeSync(calls.#control))
    return calls
  }

  /** From now on counts calls of a kind, and lets some of them fail. */
  expect({ kind, error, part = '', first = 0, last = first }: Failure): void {
    const control = Buffer.alloc(controlBytes)
    const code = error === 'short' ? 0 : constants.errno[error]
    const numbers = [FAILING_KINDS.indexOf(kind) + 1, first, last, code]
    numbers.forEach((number, index) => control.writeInt32LE(number, 4 * index))
    control.write(part, partAt)
    this.#write(control)
  }

  /** From now on every call does what it is asked to. */
  stop(): void {
    this.#write(Buffer.alloc(controlBytes))
  }

  /** How many calls there were since they were last expected, and how many of them failed. */
  get counts(): { readonly calls: number; readonly failed: number } {
    const numbers = Buffer.alloc(8)
    readSync(this.#control, numbers, 0, numbers.byteLength, countAt)
    return { calls: numbers.readUInt32LE(0), failed: numbers.readUInt32LE(4) }
  }

  #write(control: Buffer): void {
    writeSync(this.#control, control, 0, control.byteLength, 0)
  }
}
