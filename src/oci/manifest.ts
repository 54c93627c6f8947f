import { RegistryError } from '../errors.js'
import { isDigest, type Digest } from './digest.js'
import { JsonError, parseJson } from './json.js'
import {
  isNonDistributable,
  manifestKind,
  OCI_INDEX,
  OCI_MANIFEST,
  withoutParameters,
  type ManifestKind,
} from './media-types.js'

/**
 * What a manifest says of some bytes elsewhere.
 *
 * @see image-spec, descriptor.md
 */
export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly sizeBytes: number
  /** `os/architecture` of an index's child, where it says so. */
  readonly platform?: string
}

/** In what part of a manifest a descriptor stands. */
export type ReferenceKind = 'config' | 'layer' | 'child' | 'blob'

/** A descriptor that keeps what it points to alive. A `subject` is not one of them. */
export interface ManifestReference extends Descriptor {
  readonly kind: ReferenceKind
  /** Its bytes may be elsewhere for good: a non-distributable layer with `urls`. */
  readonly external: boolean
}

/** What Berth understands of a manifest; the bytes stay as they were pushed. */
export interface Manifest {
  readonly kind: ManifestKind
  readonly mediaType: string
  readonly references: readonly ManifestReference[]
  readonly subject?: Descriptor
  /**
   * What the referrers list says: the manifest's own `artifactType`, else an image's config media
   * type. Absent for an index without one.
   *
   * @see distribution-spec, "Listing Referrers"
   */
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

type JsonObject = Readonly<Record<string, unknown>>

/**
 * Understands a manifest that a client pushed.
 *
 * @param bytes - the request's body
 * @param contentType - the request's `Content-Type`; without one the document's `mediaType` tells
 *   its type, and without that its structure
 * @throws {@link RegistryError} `MANIFEST_INVALID` with a message that says what is wrong. That
 *   code makes skopeo, podman and buildah try their next format, so a type that Berth does not
 *   store (schema1 among them) gets it too.
 * @see image-spec, manifest.md and image-index.md
 */
export function parseManifest(bytes: Uint8Array, contentType: string | undefined): Manifest {
  const document = parseDocument(bytes)
  const mediaType = mediaTypeOf(document, contentType)
  const kind = manifestKind(mediaType)
  if (kind === undefined) {
    throw invalid(
      `manifests of type ${quoted(mediaType)} are not stored; push an OCI or Docker schema 2 image, or an index of them`,
    )
  }
  refuseTypeConfusion(document, kind)
  // Only the artifact manifest of the release candidates has no schemaVersion.
  if (kind !== 'artifact' && document['schemaVersion'] !== 2) {
    throw invalid('schemaVersion must be 2')
  }
  const references = referencesOf(document, kind)
  const subject = optional(document, 'subject', parseDescriptor)
  const artifactType = artifactTypeOf(document, kind)
  const annotations = optional(document, 'annotations', parseAnnotations)
  return {
    kind,
    mediaType,
    references,
    ...(subject && { subject }),
    ...(artifactType && { artifactType }),
    ...(annotations && { annotations }),
  }
}

function parseDocument(bytes: Uint8Array): JsonObject {
  let document: unknown
  try {
    document = parseJson(bytes)
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    throw new RegistryError('MANIFEST_INVALID', `the manifest cannot be read: ${error.message}`, {
      cause: error,
    })
  }
  if (!isObject(document)) throw invalid('a manifest is a JSON object')
  return document
}

function mediaTypeOf(document: JsonObject, contentType: string | undefined): string {
  // Media types have no case; ours are written in lower case.
  const declared = optional(document, 'mediaType', parseText)?.toLowerCase()
  const sent = withoutParameters(contentType ?? '')
  if (sent !== '') {
    if (declared !== undefined && declared !== sent) {
      throw invalid(
        `Content-Type is ${quoted(sent)} but the manifest's mediaType is ${quoted(declared)}`,
      )
    }
    return sent
  }
  if (declared !== undefined) return declared
  if ('manifests' in document) return OCI_INDEX
  if ('config' in document && 'layers' in document) return OCI_MANIFEST
  throw invalid('neither Content-Type nor mediaType nor the structure tells what type this is')
}

/** One document must not be an image to one reader and an index to another (CVE-2021-41190). */
function refuseTypeConfusion(document: JsonObject, kind: ManifestKind): void {
  const foreign = {
    image: ['manifests', 'fsLayers'],
    index: ['config', 'layers', 'fsLayers'],
    artifact: ['manifests', 'config', 'layers', 'fsLayers'],
  }[kind].find((member) => member in document)
  if (foreign !== undefined) {
    throw invalid(`an ${kind} manifest must not have the member ${quoted(foreign)}`)
  }
}

function referencesOf(document: JsonObject, kind: ManifestKind): ManifestReference[] {
  switch (kind) {
    case 'image':
      return [
        parseReference(required(document, 'config'), 'config', 'config'),
        ...parseList(document, 'layers', 'layer'),
      ]
    case 'index':
      required(document, 'manifests')
      return parseList(document, 'manifests', 'child')
    case 'artifact':
      return parseList(document, 'blobs', 'blob')
  }
}

function parseList(document: JsonObject, member: string, kind: ReferenceKind): ManifestReference[] {
  const list = document[member] ?? []
  if (!Array.isArray(list)) throw invalid(`${member} must be a list of descriptors`)
  return list.map((item, index) => parseReference(item, `${member}[${index}]`, kind))
}

function parseReference(value: unknown, where: string, kind: ReferenceKind): ManifestReference {
  const descriptor = parseDescriptor(value, where)
  const urls = isObject(value) ? value['urls'] : undefined
  const external =
    isNonDistributable(descriptor.mediaType) && Array.isArray(urls) && urls.length > 0
  return { ...descriptor, kind, external }
}

function parseDescriptor(value: unknown, where: string): Descriptor {
  if (!isObject(value)) throw invalid(`${where} must be a descriptor`)
  const mediaType = value['mediaType']
  if (typeof mediaType !== 'string' || mediaType === '') {
    throw invalid(`${where}.mediaType must be a media type`)
  }
  const digest = value['digest']
  if (typeof digest !== 'string' || !isDigest(digest)) {
    throw invalid(`${where}.digest must be a digest`)
  }
  const size = value['size']
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw invalid(`${where}.size must be a number of bytes`)
  }
  const platform = platformOf(value['platform'])
  return { mediaType, digest, sizeBytes: size, ...(platform && { platform }) }
}

function platformOf(value: unknown): string | undefined {
  if (!isObject(value)) return undefined
  const { os, architecture } = value
  if (typeof os !== 'string' || typeof architecture !== 'string') return undefined
  return `${os}/${architecture}`
}

function artifactTypeOf(document: JsonObject, kind: ManifestKind): string | undefined {
  const own = optional(document, 'artifactType', parseText)
  if (own) return own
  if (kind !== 'image') return undefined
  const config = document['config']
  return isObject(config) ? optional(config, 'mediaType', parseText) : undefined
}

function parseAnnotations(value: unknown, where: string): Record<string, string> {
  if (!isObject(value)) throw invalid(`${where} must be an object of texts`)
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw invalid(`${where}[${quoted(key)}] must be a text`)
  }
  return value as Record<string, string>
}

function parseText(value: unknown, where: string): string {
  if (typeof value !== 'string') throw invalid(`${where} must be a text`)
  return value
}

function required(document: JsonObject, member: string): unknown {
  if (document[member] === undefined || document[member] === null) {
    throw invalid(`the member ${quoted(member)} is missing`)
  }
  return document[member]
}

/** Go clients write `null` for what they leave out. */
function optional<T>(
  document: JsonObject,
  member: string,
  parse: (value: unknown, where: string) => T,
): T | undefined {
  const value = document[member]
  return value === undefined || value === null ? undefined : parse(value, member)
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text)
}

function invalid(message: string): RegistryError {
  return new RegistryError('MANIFEST_INVALID', message)
}
