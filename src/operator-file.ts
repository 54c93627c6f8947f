import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import type { TlsConfig } from './config-schema.js'

/** How whoever can read the data directory speaks to the server that has it. */
export interface OperatorAccess {
  /** `http://127.0.0.1:5000`, without a slash at the end. */
  readonly url: string
  readonly token: string
  readonly pid: number
  /**
   * Where the server speaks nothing but TLS, the SHA-256 of the certificate that it shows, as Node.js
   * writes it: whoever shows another is not the server.
   */
  readonly certificate?: string
  /** What to show the server in return, where it asks each client for a certificate. */
  readonly clientFiles?: { readonly certificateFile: string; readonly keyFile: string }
}

const fileName = 'berth.operator.json'

/** Puts it where only the owner of the data directory can read it; whole, or not at all. */
export function writeOperatorFile(directory: string, access: OperatorAccess): void {
  const temporary = path.join(directory, `.${fileName}.new`)
  // What a crash has left may have another mode.
  rmSync(temporary, { force: true })
  writeFileSync(temporary, `${JSON.stringify(access)}\n`, { mode: 0o600 })
  renameSync(temporary, path.join(directory, fileName))
}

/** Undefined when there is none, or nothing that a server has written. */
export function readOperatorFile(directory: string): OperatorAccess | undefined {
  try {
    const text = readFileSync(path.join(directory, fileName), 'utf8')
    const access = JSON.parse(text) as Partial<OperatorAccess>
    const { url, token, pid } = access
    if (typeof url !== 'string' || typeof token !== 'string' || typeof pid !== 'number') {
      return undefined
    }
    return { ...access, url, token, pid }
  } catch {
    return undefined
  }
}

export function removeOperatorFile(directory: string): void {
  rmSync(path.join(directory, fileName), { force: true, recursive: true })
}

/**
 * The URL under which this machine reaches what listens at an address: over plain HTTP where that is
 * spoken.
 */
export function localUrl(
  { address, family, port }: AddressInfo,
  tlsMode: TlsConfig['mode'],
): string {
  const reachable = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address
  const scheme = tlsMode === 'only' ? 'https' : 'http'
  return `${scheme}://${family === 'IPv6' ? `[${reachable}]` : reachable}:${port}`
}
