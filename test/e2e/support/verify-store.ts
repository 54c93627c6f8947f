import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import Database from 'better-sqlite3'
import { digestOf, type DigestAlgorithm } from '../../../src/oci/digest.js'

interface BlobRow {
  readonly digest: string
  readonly size_bytes: number
  readonly bytes: Buffer | null
}

/**
 * Compares what the database of a store says with the files and bytes that are there, each byte. No
 * registry may have the directory.
 *
 * @returns what does not agree, a sentence each
 */
export async function verifyStore(dataDirectory: string): Promise<string[]> {
  const { blobs, manifests, findings } = readRows(dataDirectory)
  for (const { digest, size_bytes: sizeBytes, bytes } of blobs) {
    const stored = bytes ?? (await readBlobFile(dataDirectory, digest))
    if (stored === undefined) findings.push(`${digest} has no file`)
    else if (stored.byteLength !== sizeBytes) findings.push(`${digest} is not ${sizeBytes} bytes`)
    else if (!hasDigest(stored, digest)) findings.push(`${digest} has other bytes`)
  }
  for (const { digest, bytes } of manifests) {
    if (!hasDigest(bytes, digest)) findings.push(`the manifest ${digest} has other bytes`)
  }
  return findings
}

/** The files of sessions, whether anybody can go on with them or not. */
export async function uploadFiles(dataDirectory: string): Promise<string[]> {
  return readdir(path.join(dataDirectory, 'uploads'))
}

/** Files among the blobs that no row tells of. */
export async function filesWithoutBlob(dataDirectory: string): Promise<string[]> {
  const known = new Set(readRows(dataDirectory).blobs.map(({ digest }) => digest.split(':')[1]))
  const folder = path.join(dataDirectory, 'blobs')
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile() && !known.has(entry.name)).map(({ name }) => name)
}

function readRows(dataDirectory: string) {
  const database = new Database(path.join(dataDirectory, 'berth.db'))
  try {
    const findings: string[] = []
    const integrity = database.prepare<[], string>('pragma integrity_check').pluck().all()
    if (integrity.join() !== 'ok') findings.push(...integrity)
    const orphans = database.prepare('pragma foreign_key_check').all()
    for (const orphan of orphans) findings.push(`no such row: ${JSON.stringify(orphan)}`)
    const blobs = database
      .prepare<[], BlobRow>(
        `select digest, size_bytes, iif(inline, ifnull(bytes, x''), null) as bytes
         from blobs left join blob_contents using (digest) where damaged_at is null`,
      )
      .all()
    const manifests = database
      .prepare<[], { digest: string; bytes: Buffer }>('select digest, bytes from manifest_contents')
      .all()
    return { blobs, manifests, findings }
  } finally {
    database.close()
  }
}

async function readBlobFile(dataDirectory: string, digest: string): Promise<Buffer | undefined> {
  const [algorithm = '', hex = ''] = digest.split(':')
  const file = path.join(dataDirectory, 'blobs', algorithm, hex.slice(0, 2), hex)
  return readFile(file).catch(() => undefined)
}

function hasDigest(bytes: Buffer, digest: string): boolean {
  return digestOf(bytes, digest.split(':')[0] as DigestAlgorithm) === digest
}
