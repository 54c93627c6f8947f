import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { X509Certificate } from 'node:crypto'
import { syncPath } from '../durable-files.js'
import {
  isAuthority,
  isIssuedBy,
  makeAuthority,
  makeServerCertificate,
  type KeyPair,
} from './authority.js'
import { CA_FILE_NAME } from './ca-routes.js'
import { CertificateError } from './certificates.js'

const secretMode = 0o600
const publicMode = 0o644

/** What {@link makeCertificateFiles} has left in its folder. */
export interface MadeFiles {
  readonly caFile: string
  readonly certificateFile: string
  readonly keyFile: string
  /** False where there was one already, which the clients trust. */
  readonly isCaNew: boolean
  readonly caText: string
  readonly caExpires: Date
  readonly expires: Date
}

/**
 * Makes a CA in a folder unless it has one, and a new certificate of a server. What is there and was not
 * made here is left alone.
 *
 * @param hosts - names and addresses under which clients reach the server
 * @throws {@link CertificateError} when the folder holds something else under these names, or nothing
 *   can be written there
 */
export async function makeCertificateFiles(
  folder: string,
  wanted: { readonly hosts: readonly string[]; readonly days: number; readonly now: Date },
): Promise<MadeFiles> {
  const caFile = path.join(folder, CA_FILE_NAME)
  const caKeyFile = path.join(folder, 'ca.key')
  const certificateFile = path.join(folder, 'server.crt')
  const keyFile = path.join(folder, 'server.key')
  try {
    await mkdir(folder, { recursive: true })
    const kept = await keptAuthority(caFile, caKeyFile, wanted.now)
    await requireOurs(certificateFile, keyFile, kept)
    const authority = kept ?? (await makeAuthority(wanted.now))
    const server = await makeServerCertificate(authority, wanted)
    if (kept === undefined) {
      await replaceFile(caKeyFile, authority.key, secretMode)
      await replaceFile(caFile, authority.certificate, publicMode)
    }
    // The certificate first: alone it can be known for ours, if this ends between the two.
    await replaceFile(certificateFile, server.certificate, publicMode)
    await replaceFile(keyFile, server.key, secretMode)
    syncPath(folder)
    return {
      ...{ caFile, certificateFile, keyFile, isCaNew: kept === undefined },
      caText: authority.certificate,
      caExpires: expiryOf(authority.certificate),
      expires: expiryOf(server.certificate),
    }
  } catch (error) {
    if (error instanceof CertificateError) throw error
    const reason = (error as Error).message
    throw new CertificateError(`no certificate can be made in ${folder}: ${reason}`, {
      cause: error,
    })
  }
}

async function keptAuthority(
  caFile: string,
  caKeyFile: string,
  now: Date,
): Promise<KeyPair | undefined> {
  const [hasCertificate, hasKey] = [existsSync(caFile), existsSync(caKeyFile)]
  if (!hasCertificate && !hasKey) return undefined
  if (!hasCertificate || !hasKey) {
    const [there, missing] = hasKey ? [caKeyFile, caFile] : [caFile, caKeyFile]
    throw new CertificateError(
      `${there} is there without ${missing}: bring the other back, or take it away`,
    )
  }
  const pair = {
    certificate: await readFile(caFile, 'utf8'),
    key: await readFile(caKeyFile, 'utf8'),
  }
  if (!isAuthority(pair)) {
    throw new CertificateError(`${caFile} and ${caKeyFile} are no CA that berth tls init has made`)
  }
  if (expiryOf(pair.certificate) <= now) {
    throw new CertificateError(
      `${caFile} has expired: take it away with its key, and clients must trust the next one anew`,
    )
  }
  return pair
}

async function requireOurs(
  certificateFile: string,
  keyFile: string,
  authority: KeyPair | undefined,
): Promise<void> {
  if (existsSync(certificateFile)) {
    const certificate = await readFile(certificateFile, 'utf8')
    if (authority !== undefined && isIssuedBy(certificate, authority)) return
    throw new CertificateError(
      `${certificateFile} is there already, and not of the CA beside it: it is not overwritten`,
    )
  }
  if (existsSync(keyFile)) {
    throw new CertificateError(
      `${keyFile} is there without ${certificateFile}: it is not overwritten`,
    )
  }
}

/** Whole or not at all, also for a server that is reading it now. */
async function replaceFile(file: string, text: string, mode: number): Promise<void> {
  const temporary = `${file}.new`
  // What a crash has left may have another mode.
  await rm(temporary, { force: true })
  await writeFile(temporary, text, { mode, flag: 'wx', flush: true })
  await rename(temporary, file)
}

function expiryOf(certificate: string): Date {
  return new Date(new X509Certificate(certificate).validTo)
}
