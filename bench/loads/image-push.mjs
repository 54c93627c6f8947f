import { Buffer } from 'node:buffer'
import { createHash, randomBytes } from 'node:crypto'
import { pushBlob } from './blob-push.mjs'
import { expecting } from './connection.mjs'
import { Content } from './content.mjs'

const layerCount = 3
const layerBytes = 4096
const configBytes = 512

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const CONFIG = 'application/vnd.oci.image.config.v1+json'
const LAYER = 'application/vnd.oci.image.layer.v1.tar'

/**
 * A tiny image: three layers of 4 KiB, a config, a manifest.
 *
 * @typedef {object} Image
 * @property {readonly Content[]} layers
 * @property {Content} config
 * @property {Buffer} manifest
 * @property {string} digest - of the manifest
 */

/**
 * Makes an image that no registry has.
 *
 * @param {readonly Content[]} [layers] - shared with others; its own ones when absent
 * @returns {Image}
 */
export function makeImage(layers = makeLayers()) {
  const config = new Content(configBytes)
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: descriptor(config, CONFIG),
      layers: layers.map((layer) => descriptor(layer, LAYER)),
      annotations: { 'org.opencontainers.image.revision': randomBytes(20).toString('hex') },
    }),
  )
  const digest = `sha256:${createHash('sha256').update(manifest).digest('hex')}`
  return { layers, config, manifest, digest }
}

export function makeLayers() {
  return Array.from({ length: layerCount }, () => new Content(layerBytes))
}

/** Pushes an image as docker does: what the registry has already is not sent again. */
export async function pushImage(connection, repository, tag, image) {
  for (const blob of [...image.layers, image.config]) {
    const path = `/v2/${repository}/blobs/${blob.digest}`
    const { status } = await connection.send({ method: 'HEAD', path })
    if (status !== 200) await pushBlob.docker(connection, repository, blob)
  }
  const request = {
    method: 'PUT',
    path: `/v2/${repository}/manifests/${tag}`,
    headers: `Content-Type: ${MANIFEST}\r\nContent-Length: ${image.manifest.byteLength}\r\n`,
    body: [image.manifest],
  }
  await expecting(201, connection.sendBody(request), `PUT of the manifest of ${repository}:${tag}`)
}

function descriptor({ digest, sizeBytes }, mediaType) {
  return { mediaType, digest, size: sizeBytes }
}
