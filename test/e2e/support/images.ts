import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { temporaryDirectory } from '../../support/directories.js'
import { CONFIG_TYPE, descriptor, indexOf, OCI_INDEX, OCI_MANIFEST } from '../../support/images.js'

const UNCOMPRESSED_LAYER = 'application/vnd.oci.image.layer.v1.tar'

export const MIB = 1024 * 1024

export interface BuildOptions {
  /** The content of each file; each becomes a layer. */
  readonly files?: readonly Uint8Array[]
  readonly description?: string
}

/** Content that no other image has, and that does not compress. */
export function newFile(sizeBytes = 1000): Buffer {
  return randomBytes(sizeBytes)
}

/** A folder that `docker build`, `podman build` and `buildah build` make an image from. */
export async function writeBuildContext({
  files = [newFile()],
  description,
}: BuildOptions = {}): Promise<string> {
  const directory = await temporaryDirectory()
  const lines = ['FROM scratch']
  if (description !== undefined) {
    lines.push(`LABEL org.opencontainers.image.description="${description}"`)
  }
  for (const [index, content] of files.entries()) {
    await writeFile(path.join(directory, `file-${index}`), content)
    lines.push(`COPY file-${index} /file-${index}`)
  }
  // Without a command `docker create` refuses the image.
  lines.push('CMD ["/file-0"]')
  await writeFile(path.join(directory, 'Dockerfile'), `${lines.join('\n')}\n`)
  return directory
}

/** A tar archive of one file, for `docker import`. */
export async function writeArchive(content: Uint8Array = newFile()): Promise<string> {
  const archive = path.join(await temporaryDirectory(), 'root.tar')
  await writeFile(archive, archiveOf('file-0', content))
  return archive
}

export interface Layout {
  /** `oci:DIRECTORY:image`, as skopeo writes it. */
  readonly source: string
  /** Of the manifest or the index; it stays the same only if nothing is recompressed. */
  readonly digest: string
}

/** An image in a folder of the test's own, each layer an uncompressed archive of one file. */
export async function writeLayout(files: readonly Uint8Array[] = [newFile()]): Promise<Layout> {
  const directory = await temporaryDirectory()
  const manifest = await writeImage(directory, 'amd64', files)
  return finishLayout(directory, manifest)
}

/** An index of one image for each architecture. */
export async function writeIndexLayout(architectures: readonly string[]): Promise<Layout> {
  const directory = await temporaryDirectory()
  const children = []
  for (const architecture of architectures) {
    const child = await writeImage(directory, architecture, [newFile()])
    children.push({ ...child, platform: { os: 'linux', architecture } })
  }
  const index = await writeBlob(directory, indexOf(children))
  return finishLayout(directory, { ...index, mediaType: OCI_INDEX })
}

interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

async function finishLayout(directory: string, top: Descriptor): Promise<Layout> {
  const name = 'image'
  const annotated = { ...top, annotations: { 'org.opencontainers.image.ref.name': name } }
  await writeFile(path.join(directory, 'index.json'), indexOf([annotated]))
  await writeFile(path.join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  return { source: `oci:${directory}:${name}`, digest: top.digest }
}

async function writeImage(
  directory: string,
  architecture: string,
  files: readonly Uint8Array[],
): Promise<Descriptor> {
  const layers = []
  for (const [index, content] of files.entries()) {
    const archive = archiveOf(`file-${index}`, content)
    layers.push({ ...(await writeBlob(directory, archive)), mediaType: UNCOMPRESSED_LAYER })
  }
  const config = JSON.stringify({
    architecture,
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
    config: {},
  })
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { ...(await writeBlob(directory, config)), mediaType: CONFIG_TYPE },
    layers,
  })
  return { ...(await writeBlob(directory, manifest)), mediaType: OCI_MANIFEST }
}

async function writeBlob(directory: string, content: Uint8Array | string): Promise<Descriptor> {
  const described = descriptor(content, '')
  const folder = path.join(directory, 'blobs', 'sha256')
  await mkdir(folder, { recursive: true })
  await writeFile(path.join(folder, described.digest.slice('sha256:'.length)), content)
  return described
}

/** A tar archive of one file. */
function archiveOf(name: string, content: Uint8Array): Buffer {
  const header = Buffer.alloc(512)
  header.write(name, 0)
  header.write('0000644\0', 100)
  header.write('0000000\0', 108)
  header.write('0000000\0', 116)
  header.write(`${content.byteLength.toString(8).padStart(11, '0')}\0`, 124)
  header.write('00000000000\0', 136)
  header.write('        0', 148)
  header.write('ustar\x0000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  const padding = Buffer.alloc(-content.byteLength & 511)
  return Buffer.concat([header, content, padding, Buffer.alloc(1024)])
}
