/** What a manifest type is made of; see `manifest.ts` for the members of each. */
export type ManifestKind = 'image' | 'index' | 'artifact'

export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
export const DOCKER_MANIFEST_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'

/** Only in release candidates of the specification; old oras and notation still push it. */
export const OCI_ARTIFACT = 'application/vnd.oci.artifact.manifest.v1+json'

const KINDS: ReadonlyMap<string, ManifestKind> = new Map([
  [OCI_MANIFEST, 'image'],
  [DOCKER_MANIFEST, 'image'],
  [OCI_INDEX, 'index'],
  [DOCKER_MANIFEST_LIST, 'index'],
  [OCI_ARTIFACT, 'artifact'],
])

/** What a manifest of this media type is, or undefined when Berth does not store such. */
export function manifestKind(mediaType: string): ManifestKind | undefined {
  return KINDS.get(mediaType)
}

/**
 * Layers that stay where their `urls` point: clients do not push their bytes.
 *
 * @see image-spec, layer.md, "Non-Distributable Layers"
 */
const NON_DISTRIBUTABLE: ReadonlySet<string> = new Set([
  'application/vnd.oci.image.layer.nondistributable.v1.tar',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd',
  'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
])

export function isNonDistributable(mediaType: string): boolean {
  return NON_DISTRIBUTABLE.has(mediaType)
}

/** `Application/JSON; charset=utf-8` → `application/json`. */
export function withoutParameters(contentType: string): string {
  return contentType.split(';', 1)[0]?.trim().toLowerCase() ?? ''
}
