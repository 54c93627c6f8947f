import { createHash, createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import type { TlsConfig } from '../config-schema.js'
import { errorCode } from '../errors.js'

/** Files that cannot be used for TLS; the message says why, for a person. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError'
}

/** Which files, by the names of their settings; the last is empty where clients need no certificate. */
export type CertificateFiles = Pick<TlsConfig, 'certificateFile' | 'keyFile' | 'clientCaFile'>

/** What a server shows of itself, and whom it trusts, checked and ready for use. */
export interface Certificates {
  /** What `node:tls` makes a secure context of. */
  readonly context: { readonly cert: Buffer; readonly key: Buffer; readonly ca?: Buffer }
  /** The server's own certificate. */
  readonly leaf: X509Certificate
}

/** The bytes of the files at one moment; or why they could not be read. */
export interface CertificateBytes {
  readonly cert: Buffer
  readonly key: Buffer
  readonly ca: Buffer | undefined
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** @throws {@link CertificateError} for a file that is missing or unreadable */
export async function readCertificateFiles(files: CertificateFiles): Promise<CertificateBytes> {
  const { certificateFile, keyFile, clientCaFile } = files
  return {
    cert: await readOrExplain(certificateFile, 'certificate'),
    key: await readOrExplain(keyFile, 'key'),
    ca: clientCaFile === '' ? undefined : await readOrExplain(clientCaFile, 'CA of clients'),
  }
}

/** Equal for equal bytes, and tells nothing about them. */
export function fingerprintOf({ cert, key, ca }: CertificateBytes): string {
  const hash = createHash('sha256')
  for (const bytes of [cert, key, ca ?? Buffer.alloc(0)]) {
    hash.update(`${bytes.byteLength}:`).update(bytes)
  }
  return hash.digest('hex')
}

/**
 * Looks whether the bytes of the files are what they should be, and belong together.
 *
 * @throws {@link CertificateError} with one sentence about the first thing that is wrong
 */
export function checkedCertificates(
  bytes: CertificateBytes,
  files: CertificateFiles,
): Certificates {
  const { cert, key, ca } = bytes
  const [leaf] = certificatesIn(cert, files.certificateFile)
  if (leaf === undefined) throw noCertificate(files.certificateFile)
  const privateKey = keyIn(key, files.keyFile)
  if (!leaf.checkPrivateKey(privateKey)) {
    throw new CertificateError(
      `the key ${files.keyFile} does not belong to the certificate ${files.certificateFile}`,
    )
  }
  if (ca !== undefined && certificatesIn(ca, files.clientCaFile).length === 0) {
    throw noCertificate(files.clientCaFile)
  }
  const context = { cert, key, ...(ca !== undefined && { ca }) }
  try {
    createSecureContext(context)
  } catch (error) {
    throw new CertificateError(
      `the certificate ${files.certificateFile} cannot be used for TLS: ${(error as Error).message}`,
      { cause: error },
    )
  }
  return { context, leaf }
}

/**
 * The certificates in a text in PEM form, in order; whatever else is in it is left out.
 *
 * @param file - for the message
 * @throws {@link CertificateError} for one that cannot be read
 */
export function certificatesIn(text: Buffer, file: string): X509Certificate[] {
  const blocks = text.toString('latin1').match(PEM_CERTIFICATE) ?? []
  return blocks.map((block) => {
    try {
      return new X509Certificate(block)
    } catch (error) {
      throw new CertificateError(`${file} holds a certificate that cannot be read`, {
        cause: error,
      })
    }
  })
}

function noCertificate(file: string): CertificateError {
  return new CertificateError(`${file} holds no certificate in PEM form`)
}

function keyIn(text: Buffer, file: string): KeyObject {
  try {
    return createPrivateKey(text)
  } catch (error) {
    throw new CertificateError(`${file} holds no private key in PEM form without a password`, {
      cause: error,
    })
  }
}

async function readOrExplain(file: string, what: string): Promise<Buffer> {
  try {
    // Of what is no file, reading may never end.
    if (!(await stat(file)).isFile()) throw new Error('it is no file')
    return await readFile(file)
  } catch (error) {
    throw new CertificateError(
      `the ${what} ${file} cannot be read: ${errorCode(error) ?? (error as Error).message}`,
      { cause: error },
    )
  }
}
