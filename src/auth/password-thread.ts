/** A thread that hashes and checks passwords, one at a time. */
import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'
import path from 'node:path'
import { parentPort, type MessagePort } from 'node:worker_threads'
import { hashSync, verifySync } from '@node-rs/argon2'
import { verifySync as verifyBcryptSync } from '@node-rs/bcrypt'

/** To the thread. */
export type PasswordJob =
  | { readonly kind: 'hash'; readonly password: string }
  | { readonly kind: 'argon2id' | 'bcrypt'; readonly password: string; readonly stored: string }

/** From the thread. */
export type PasswordResult = { readonly value: string | boolean } | { readonly error: Error }

/**
 * RFC 9106 and OWASP name these as the least that will do. `algorithm: 2` is argon2id: the package
 * declares the number as an enumeration that exists for the compiler only.
 *
 * @see passwords.ts, whose decoys say the same
 */
const argon2id = { algorithm: 2, memoryCost: 19456, timeCost: 2, parallelism: 1 }

/**
 * How far requests go before passwords where both want a core: as far as is possible. With less, a
 * hundred checks at once trebled the p99 of small pulls on two cores. They have what is left, and that
 * was the same seven milliseconds each.
 */
const niceness = 19

function startThread(port: MessagePort): void {
  yieldToRequests()
  port.on('message', (job: PasswordJob) => {
    let result: PasswordResult
    try {
      result = { value: done(job) }
    } catch (error) {
      result = { error: error as Error }
    }
    port.postMessage(result)
  })
}

function done(job: PasswordJob): string | boolean {
  switch (job.kind) {
    case 'hash':
      return hashSync(job.password, argon2id)
    case 'argon2id':
      return isArgon2id(job)
    case 'bcrypt':
      return verifyBcryptSync(job.password, job.stored)
  }
}

function isArgon2id({ password, stored }: { password: string; stored: string }): boolean {
  try {
    return verifySync(stored, password)
  } catch {
    // What looks like a hash and cannot be decoded is not the hash of any password.
    return false
  }
}

/** On Linux each thread has a priority of its own; elsewhere it would be that of the process. */
function yieldToRequests(): void {
  try {
    setPriority(Number(path.basename(readlinkSync('/proc/thread-self'))), niceness)
  } catch {
    // There is no such file, or it may not be read: checks then compete with requests as equals.
  }
}

if (parentPort) startThread(parentPort)
