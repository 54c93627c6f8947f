import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import type { Digest } from '../../src/oci/digest.js'
import {
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  OCI_INDEX,
  OCI_MANIFEST,
} from '../../src/oci/media-types.js'

export { DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST }

export const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json'
export const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar+gzip'

/** Well-formed digests that nothing has. */
export const ABSENT = `sha256:${'0'.repeat(64)}` as Digest
export const ABSENT_SHA512 = `sha512:${'0'.repeat(128)}` as Digest

export function sha256(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest
}

export function sha512(bytes: Uint8Array | string): Digest {
  return `sha512:${createHash('sha512').update(bytes).digest('hex')}` as Digest
}

/** Bytes that are the same each time, and other for each seed. */
export function bytesOf(sizeBytes: number, seed = 'seed'): Buffer {
  const bytes = Buffer.alloc(sizeBytes)
  let block = createHash('sha512').update(seed).digest()
  for (let at = 0; at < sizeBytes; at += block.length) {
    block.copy(bytes, at)
    block = createHash('sha512').update(block).digest()
  }
  return bytes
}

export function descriptor(bytes: Uint8Array | string, mediaType: string) {
  return { mediaType, digest: sha256(bytes), size: Buffer.byteLength(bytes) }
}

/** A blob in a repository, by one request. */
export async function pushBlob(
  app: FastifyInstance,
  name: string,
  bytes: Buffer | string,
  digest: Digest = sha256(bytes),
): Promise<Digest> {
  const response = await app.inject({
    method: 'POST',
    url: `/v2/${name}/blobs/uploads/?digest=${digest}`,
    headers: { 'content-type': 'application/octet-stream' },
    payload: bytes,
  })
  if (response.statusCode !== 201) throw new Error(`blob push: ${response.body}`)
  return digest
}

export interface ImageOptions {
  readonly config?: string
  readonly layers?: readonly string[]
  /** Members added to the manifest, or put in place of its own. */
  readonly members?: object
}

/** Pushes an image's blobs, and gives the text of its manifest. */
export async function prepareImage(
  app: FastifyInstance,
  name: string,
  { config = '{}', layers = ['layer'], members = {} }: ImageOptions = {},
): Promise<string> {
  for (const blob of [config, ...layers]) await pushBlob(app, name, blob)
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: descriptor(config, CONFIG_TYPE),
    layers: layers.map((layer) => descriptor(layer, LAYER_TYPE)),
    ...members,
  })
}

export interface PutManifestOptions {
  readonly contentType?: string
  readonly query?: string
}

/** `PUT /v2/<name>/manifests/<reference>`, whatever comes of it. */
export async function putManifest(
  app: FastifyInstance,
  name: string,
  reference: string,
  manifest: string | Buffer,
  { contentType = OCI_MANIFEST, query = '' }: PutManifestOptions = {},
) {
  return app.inject({
    method: 'PUT',
    url: `/v2/${name}/manifests/${reference}${query}`,
    headers: { 'content-type': contentType },
    payload: manifest,
  })
}

/** A whole image under a tag, or under its digest when there is none. */
export async function pushImage(
  app: FastifyInstance,
  name: string,
  tag?: string,
  options: ImageOptions = {},
): Promise<{ digest: Digest; manifest: string }> {
  const manifest = await prepareImage(app, name, options)
  const digest = sha256(manifest)
  const response = await putManifest(app, name, tag ?? digest, manifest)
  if (response.statusCode !== 201) throw new Error(`manifest push: ${response.body}`)
  return { digest, manifest }
}

/** The text of an index of manifests that exist or not. */
export function indexOf(
  children: readonly {
    readonly digest: string
    readonly size: number
    readonly mediaType?: string
  }[],
  members: object = {},
): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: children.map((child) => ({ mediaType: OCI_MANIFEST, ...child })),
    ...members,
  })
}

/** The codes of an error answer. */
export function codesOf(response: { readonly body: string }): string[] {
  const { errors } = JSON.parse(response.body) as { errors: { code: string }[] }
  return errors.map(({ code }) => code)
}
