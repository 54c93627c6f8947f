import { describe, expect, it } from 'vitest'
import { isNonDistributable, manifestKind, withoutParameters } from '../../src/oci/media-types.js'

describe('manifestKind', () => {
  it.each([
    ['application/vnd.oci.image.manifest.v1+json', 'image'],
    ['application/vnd.docker.distribution.manifest.v2+json', 'image'],
    ['application/vnd.oci.image.index.v1+json', 'index'],
    ['application/vnd.docker.distribution.manifest.list.v2+json', 'index'],
    ['application/vnd.oci.artifact.manifest.v1+json', 'artifact'],
  ])('knows %s as an %s', (mediaType, kind) => {
    expect(manifestKind(mediaType)).toBe(kind)
  })

  it.each([
    'application/vnd.docker.distribution.manifest.v1+json',
    'application/vnd.docker.distribution.manifest.v1+prettyjws',
    'application/vnd.oci.image.config.v1+json',
    'application/json',
    'text/plain',
    '',
    'constructor',
  ])('does not know %j', (mediaType) => {
    expect(manifestKind(mediaType)).toBeUndefined()
  })
})

describe('isNonDistributable', () => {
  it.each([
    'application/vnd.oci.image.layer.nondistributable.v1.tar',
    'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
    'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd',
    'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  ])('is true of %s', (mediaType) => {
    expect(isNonDistributable(mediaType)).toBe(true)
  })

  it.each([
    'application/vnd.oci.image.layer.v1.tar+gzip',
    'application/vnd.docker.image.rootfs.diff.tar.gzip',
    '',
  ])('is false of %j', (mediaType) => {
    expect(isNonDistributable(mediaType)).toBe(false)
  })
})

describe('withoutParameters', () => {
  it.each([
    ['application/json', 'application/json'],
    ['Application/JSON; charset=utf-8', 'application/json'],
    ['  text/plain ;q=1;v=2', 'text/plain'],
    ['', ''],
    [';', ''],
  ])('makes of %j: %j', (contentType, mediaType) => {
    expect(withoutParameters(contentType)).toBe(mediaType)
  })
})
