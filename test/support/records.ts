import { randomUUID } from 'node:crypto'
import type { PutBlob } from '../../src/metadata/blobs.js'
import type { ManifestRemoval, PutManifest } from '../../src/metadata/manifests.js'
import type { MetadataStore } from '../../src/metadata/metadata-store.js'
import type { DigestRemoval } from '../../src/metadata/removals.js'
import type { TagRemoval, TagRules } from '../../src/metadata/tags.js'
import type { OpenUpload } from '../../src/metadata/uploads.js'
import type { Digest } from '../../src/oci/digest.js'
import { parseManifest } from '../../src/oci/manifest.js'
import type { RepositoryName, Tag } from '../../src/oci/reference.js'
import { CONFIG_TYPE, descriptor, indexOf, LAYER_TYPE, OCI_MANIFEST, sha256 } from './images.js'

/** When everything in these tests happens, and when what it promises or frees is due. */
export const AT = 1_700_000_000_000
export const LEASE_UNTIL = AT + 1_000_000
export const REVIEW_AT = AT + 5_000_000

export const NO_TAG_RULES: TagRules = { immutable: [], protected: [] }

export const name = (text: string) => text as RepositoryName
export const tag = (text: string) => text as Tag

export const APP = name('team/app')
export const OTHER = name('team/other')

/** The text of an image of one config and one layer; other texts for other seeds. */
export function imageText(seed = 'image', members: object = {}): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: descriptor(`config of ${seed}`, CONFIG_TYPE),
    layers: [descriptor(`layer of ${seed}`, LAYER_TYPE)],
    ...members,
  })
}

/** What a subject is called by the manifests that refer to it. */
export function subjectOf(digest: string) {
  return { subject: { mediaType: OCI_MANIFEST, digest, size: 1 } }
}

export type ManifestChanges = Partial<Omit<PutManifest, 'manifest' | 'bytes' | 'tags'>> & {
  readonly tags?: readonly string[]
}

/** A manifest as the registry would hand it to the store; nothing need exist unless it is said. */
export function manifestRecord(text: string, changes: ManifestChanges = {}): PutManifest {
  const bytes = Buffer.from(text)
  return {
    repository: APP,
    digest: sha256(bytes),
    manifest: parseManifest(bytes, undefined),
    bytes,
    requiredBlobs: [],
    requiredChildren: [],
    identity: 'tester',
    at: AT,
    leaseUntil: LEASE_UNTIL,
    reviewAt: REVIEW_AT,
    tagRules: NO_TAG_RULES,
    quotas: [],
    mayOverwrite: true,
    ...changes,
    tags: (changes.tags ?? []).map(tag),
  }
}

export async function putImage(
  store: MetadataStore,
  text: string,
  changes: ManifestChanges = {},
): Promise<Digest> {
  const record = manifestRecord(text, changes)
  await store.putManifest(record)
  return record.digest
}

/** An index of digests that need not exist, under tags or none. */
export function putIndex(
  store: MetadataStore,
  children: readonly Digest[],
  changes: ManifestChanges = {},
): Promise<Digest> {
  return putImage(store, indexOf(children.map((digest) => ({ digest, size: 1 }))), changes)
}

/** A blob that the blob store has; with `bytes` the metadata store has it itself. */
export function blobRecord(content: string, changes: Partial<PutBlob> = {}): PutBlob {
  return {
    repository: APP,
    digest: sha256(content),
    sizeBytes: Buffer.byteLength(content),
    at: AT,
    leaseUntil: LEASE_UNTIL,
    ...changes,
  }
}

export async function putBlob(
  store: MetadataStore,
  content: string,
  changes: Partial<PutBlob> = {},
): Promise<Digest> {
  const record = blobRecord(content, changes)
  await store.putBlob(record)
  return record.digest
}

const removal = { repository: APP, identity: 'remover', at: AT, reviewAt: REVIEW_AT }

export function tagRemoval(text: string, changes: Partial<TagRemoval> = {}): TagRemoval {
  return { ...removal, tag: tag(text), tagRules: NO_TAG_RULES, ...changes }
}

export function digestRemoval(
  digest: Digest,
  changes: Partial<ManifestRemoval> = {},
): ManifestRemoval {
  return { ...removal, digest, tagRules: NO_TAG_RULES, ...changes }
}

export function blobRemoval(
  digest: Digest,
  changes: Partial<DigestRemoval & { readonly evenIfReferenced: boolean }> = {},
) {
  return { ...removal, digest, evenIfReferenced: false, ...changes }
}

export async function openUpload(
  store: MetadataStore,
  changes: Partial<OpenUpload> = {},
): Promise<string> {
  const id = randomUUID()
  await store.openUpload({
    id,
    repository: APP,
    algorithm: 'sha256',
    identity: 'tester',
    at: AT,
    sessionsMax: 1_000,
    ...changes,
  })
  return changes.id ?? id
}
