import type { Stats } from 'node:fs'
import { lstat, readdir, rm, rmdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { errorCode } from '../errors.js'
import type { StoredFile, StoredFiles, StoredFilesRequest } from './blob-store.js'
import { isAbsent } from './fs-errors.js'
import { BLOBS, digestIn, isFolderName, READINESS_PROBE, uploadIdIn, UPLOADS } from './fs-layout.js'

export function listBlobFiles(root: string, page: StoredFilesRequest): Promise<StoredFiles> {
  return list(root, BLOBS, page)
}

export function listUploadFiles(root: string, page: StoredFilesRequest): Promise<StoredFiles> {
  return list(root, UPLOADS, page)
}

/** As `BlobStore.removeStray`. */
export async function removeStrayFile(root: string, name: string): Promise<boolean> {
  const file = path.join(root, name)
  if (!isStrayName(name) || (await isFolderOfLayout(root, name))) {
    throw new Error('the name is not that of a stray')
  }
  const stats = await statsOf(file)
  if (stats?.isDirectory()) return removeEmptyFolder(file)
  await rm(file, { force: true })
  return true
}

async function list(
  root: string,
  top: string,
  { after, limit }: StoredFilesRequest,
): Promise<StoredFiles> {
  const entries: StoredFile[] = []
  for await (const name of namesBelow(root, top, after?.split('/').slice(1) ?? [])) {
    if (entries.length === limit) return { entries, hasMore: true }
    const stats = await statsOf(path.join(root, name))
    if (stats) entries.push(described(name, stats))
  }
  return { entries, hasMore: false }
}

/** Holds the names of one folder at a time: with 256 of them, a million blobs are 4000 names. */
async function* namesBelow(
  root: string,
  folder: string,
  after: readonly string[],
): AsyncGenerator<string> {
  const [first, ...rest] = after
  for (const entry of (await readdir(path.join(root, folder))).sort()) {
    const name = `${folder}/${entry}`
    if (first !== undefined && entry < first) continue
    if (await isFolderOfLayout(root, name)) {
      yield* namesBelow(root, name, entry === first ? rest : [])
    } else if (entry !== first && name !== `${UPLOADS}/${READINESS_PROBE}`) yield name
  }
}

function described(name: string, { size, mtimeMs, ctimeMs }: Stats): StoredFile {
  const digest = digestIn(name)
  const uploadId = uploadIdIn(name)
  return {
    name,
    ...(digest !== undefined && { digest }),
    ...(uploadId !== undefined && { uploadId }),
    sizeBytes: size,
    // The first does not change when a file is renamed.
    modifiedAt: Math.max(mtimeMs, ctimeMs),
  }
}

/** Through symbolic links: a part of the store may have been moved to another disk. */
async function isFolderOfLayout(root: string, name: string): Promise<boolean> {
  if (!isFolderName(name)) return false
  const stats = await stat(path.join(root, name)).catch(orAbsent)
  return stats?.isDirectory() ?? false
}

/** Of the entry itself: what it may point to is not in the store. */
function statsOf(file: string): Promise<Stats | undefined> {
  return lstat(file).catch(orAbsent)
}

function orAbsent(error: unknown): undefined {
  if (!isAbsent(error)) throw error
}

/**
 * Only what lies directly in a folder of the layout is ever listed. Anything deeper could lead out
 * of the store, through a symbolic link.
 */
function isStrayName(name: string): boolean {
  const slash = name.lastIndexOf('/')
  const entry = name.slice(slash + 1)
  if (slash < 0 || ['', '.', '..'].includes(entry) || entry.includes('\0')) return false
  return (
    isFolderName(name.slice(0, slash)) &&
    digestIn(name) === undefined &&
    uploadIdIn(name) === undefined
  )
}

async function removeEmptyFolder(folder: string): Promise<boolean> {
  try {
    await rmdir(folder)
    return true
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST'].includes(errorCode(error) ?? '')) return false
    throw error
  }
}
