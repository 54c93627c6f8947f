import { describe, expect, it } from 'vitest'
import { parseManifest, type Manifest } from '../../src/oci/manifest.js'
import { OCI_ARTIFACT } from '../../src/oci/media-types.js'
import {
  ABSENT,
  ABSENT_SHA512,
  CONFIG_TYPE,
  descriptor,
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  LAYER_TYPE,
  OCI_INDEX,
  OCI_MANIFEST,
  sha256,
} from '../support/images.js'

type Members = Readonly<Record<string, unknown>>

const config = descriptor('{}', CONFIG_TYPE)
const layer = descriptor('layer', LAYER_TYPE)
const child = descriptor('child', OCI_MANIFEST)

const image: Members = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] }
const index: Members = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [child] }
const artifact: Members = {
  mediaType: OCI_ARTIFACT,
  artifactType: 'application/x.sbom',
  blobs: [layer],
}

/** Leaves out the members that are undefined, as JSON does. */
function parse(document: unknown, contentType?: string): Manifest {
  return parseManifest(Buffer.from(JSON.stringify(document)), contentType)
}

function refusal(message: RegExp): Error {
  return expect.objectContaining({
    code: 'MANIFEST_INVALID',
    statusCode: 400,
    message: expect.stringMatching(message) as string,
  }) as Error
}

describe('the type of a manifest', () => {
  it.each([
    ['an OCI image', OCI_MANIFEST, image, 'image'],
    ['a Docker image', DOCKER_MANIFEST, { ...image, mediaType: DOCKER_MANIFEST }, 'image'],
    ['an OCI index', OCI_INDEX, index, 'index'],
    ['a Docker list', DOCKER_MANIFEST_LIST, { ...index, mediaType: DOCKER_MANIFEST_LIST }, 'index'],
    ['an OCI artifact', OCI_ARTIFACT, artifact, 'artifact'],
  ])('is known for %s', (_, mediaType, document, kind) => {
    const manifest = parse(document, mediaType)

    expect(manifest).toMatchObject({ kind, mediaType })
  })

  it('comes from Content-Type when the document does not say it', () => {
    const manifest = parse({ ...image, mediaType: undefined }, DOCKER_MANIFEST)

    expect(manifest.mediaType).toBe(DOCKER_MANIFEST)
  })

  it('comes from the document when there is no Content-Type', () => {
    const manifest = parse({ ...index, mediaType: DOCKER_MANIFEST_LIST })

    expect(manifest).toMatchObject({ kind: 'index', mediaType: DOCKER_MANIFEST_LIST })
  })

  it.each([
    ['config and layers make an image', { ...image, mediaType: undefined }, OCI_MANIFEST],
    ['manifests make an index', { ...index, mediaType: undefined }, OCI_INDEX],
  ])('comes from the structure when neither says it: %s', (_, document, mediaType) => {
    const manifest = parse(document)

    expect(manifest.mediaType).toBe(mediaType)
  })

  it('is refused when nothing tells it', () => {
    expect(() => parse({ schemaVersion: 2 })).toThrow(refusal(/what type this is/))
    expect(() => parse({ schemaVersion: 2, config })).toThrow(refusal(/what type this is/))
  })

  it.each([`${OCI_MANIFEST}; charset=utf-8`, `${OCI_MANIFEST};x=y;z`, ` ${OCI_MANIFEST} `])(
    'is that of %j without its parameters',
    (contentType) => {
      const manifest = parse(image, contentType)

      expect(manifest.mediaType).toBe(OCI_MANIFEST)
    },
  )

  it('has no case, wherever it is said', () => {
    const shouted = 'Application/vnd.OCI.image.manifest.v1+JSON'

    expect(parse(image, shouted).mediaType).toBe(OCI_MANIFEST)
    expect(parse({ ...image, mediaType: shouted }, OCI_MANIFEST).mediaType).toBe(OCI_MANIFEST)
    expect(parse({ ...image, mediaType: shouted }).mediaType).toBe(OCI_MANIFEST)
  })

  it.each([
    [OCI_INDEX, image],
    [DOCKER_MANIFEST, image],
    [OCI_MANIFEST, index],
    [OCI_MANIFEST, { ...image, mediaType: '' }],
  ])('is refused when Content-Type %s contradicts the document', (contentType, document) => {
    expect(() => parse(document, contentType)).toThrow(
      refusal(/Content-Type is .* but the manifest's mediaType is/),
    )
  })

  it.each([
    'application/vnd.docker.distribution.manifest.v1+json',
    'application/vnd.docker.distribution.manifest.v1+prettyjws',
    'application/json',
    'application/octet-stream',
    'application/vnd.example.unknown.v7+json',
    'constructor',
  ])('is refused when it is %s', (mediaType) => {
    expect(() => parse({ ...image, mediaType: undefined }, mediaType)).toThrow(
      refusal(/are not stored/),
    )
    expect(() => parse({ ...image, mediaType })).toThrow(refusal(/are not stored/))
  })

  it('is refused when it is schema 1 without saying so', () => {
    const schema1 = { schemaVersion: 1, name: 'a', tag: 'b', fsLayers: [], history: [] }

    expect(() => parse(schema1)).toThrow(refusal(/what type/))
    expect(() => parse(schema1, OCI_MANIFEST)).toThrow(refusal(/fsLayers/))
  })

  it('is refused when mediaType is not a text', () => {
    expect(() => parse({ ...image, mediaType: 7 }, OCI_MANIFEST)).toThrow(
      refusal(/mediaType must be a text/),
    )
  })
})

describe('a document that is an image to one reader and something else to another', () => {
  it.each([
    ['an image with manifests', { ...image, manifests: [] }, OCI_MANIFEST],
    ['an image with manifests that are null', { ...image, manifests: null }, OCI_MANIFEST],
    ['an index with a config', { ...index, config }, OCI_INDEX],
    ['an index with layers', { ...index, layers: [] }, OCI_INDEX],
    ['an index with layers of schema 1', { ...index, fsLayers: [] }, OCI_INDEX],
    ['an image with layers of schema 1', { ...image, fsLayers: [] }, OCI_MANIFEST],
    ['an artifact with layers', { ...artifact, layers: [layer] }, OCI_ARTIFACT],
    ['an artifact with manifests', { ...artifact, manifests: [] }, OCI_ARTIFACT],
  ])('is refused: %s', (_, document, contentType) => {
    expect(() => parse(document, contentType)).toThrow(refusal(/must not have the member/))
  })

  it('is refused without a Content-Type too', () => {
    const both = { schemaVersion: 2, config, layers: [layer], manifests: [child] }

    expect(() => parse(both)).toThrow(refusal(/must not have the member/))
  })

  it('is refused when a key stands twice', () => {
    const text = JSON.stringify(image).replace('{', `{"layers":[],`)

    expect(() => parseManifest(Buffer.from(text), OCI_MANIFEST)).toThrow(
      refusal(/"layers" stands twice/),
    )
  })
})

describe('a document that cannot be a manifest', () => {
  it.each(['', '{', 'null', '[]', '"text"', '1', '\ufeff{}'])('is refused: %j', (text) => {
    expect(() => parseManifest(Buffer.from(text), OCI_MANIFEST)).toThrow(refusal(/./))
  })

  it('is refused when it is not UTF-8', () => {
    const bytes = Buffer.concat([Buffer.from('{"a":"'), Buffer.of(0xff), Buffer.from('"}')])

    expect(() => parseManifest(bytes, OCI_MANIFEST)).toThrow(refusal(/UTF-8/))
  })

  it.each([undefined, null, 1, 3, '2', [2]])('is refused with schemaVersion %j', (version) => {
    expect(() => parse({ ...image, schemaVersion: version })).toThrow(
      refusal(/schemaVersion must be 2/),
    )
    expect(() => parse({ ...index, schemaVersion: version })).toThrow(
      refusal(/schemaVersion must be 2/),
    )
  })

  it('quotes no more than the beginning of a long media type', () => {
    const mediaType = `application/${'x'.repeat(5_000)}`

    expect(() => parse({ ...image, mediaType })).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^.{1,400}$/) as string }),
    )
  })
})

describe('what a manifest refers to', () => {
  it('is the config and the layers of an image, in order', () => {
    const other = descriptor('other', LAYER_TYPE)

    const { references } = parse({ ...image, layers: [layer, other, layer] })

    const reference = (d: typeof layer, kind: string) => ({
      kind,
      mediaType: d.mediaType,
      digest: d.digest,
      sizeBytes: d.size,
      external: false,
    })
    expect(references).toEqual([
      reference(config, 'config'),
      reference(layer, 'layer'),
      reference(other, 'layer'),
      reference(layer, 'layer'),
    ])
  })

  it('is each child of an index, whatever its type, with its platform', () => {
    const onArm = { ...child, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } }
    const halfKnown = { ...child, platform: { os: 'linux' } }

    const { references } = parse({ ...index, manifests: [onArm, layer, halfKnown] })

    expect(references.map(({ kind, mediaType, platform }) => [kind, mediaType, platform])).toEqual([
      ['child', OCI_MANIFEST, 'linux/arm64'],
      ['child', LAYER_TYPE, undefined],
      ['child', OCI_MANIFEST, undefined],
    ])
  })

  it('is each blob of an artifact', () => {
    const { references } = parse(artifact)

    expect(references).toMatchObject([{ kind: 'blob', digest: layer.digest }])
  })

  it.each([
    ['an image without layers', { ...image, layers: [] }, 1],
    ['an image whose layers are null', { ...image, layers: null }, 1],
    ['an index without children', { ...index, manifests: [] }, 0],
    ['an artifact without blobs', { ...artifact, blobs: [] }, 0],
    ['an artifact whose blobs are null', { ...artifact, blobs: null }, 0],
  ])('may be little: %s', (_, document, count) => {
    expect(parse(document).references).toHaveLength(count)
  })

  it.each([
    ['an image without config', { ...image, config: undefined }, /"config" is missing/],
    ['an image whose config is null', { ...image, config: null }, /"config" is missing/],
    ['an index without manifests', { ...index, manifests: undefined }, /"manifests" is missing/],
    ['an index whose manifests are null', { ...index, manifests: null }, /"manifests" is missing/],
    ['layers that are an object', { ...image, layers: {} }, /layers must be a list/],
    ['layers that are a text', { ...image, layers: 'x' }, /layers must be a list/],
    ['manifests that are an object', { ...index, manifests: {} }, /manifests must be a list/],
    ['blobs that are a number', { ...artifact, blobs: 0 }, /blobs must be a list/],
  ])('is refused: %s', (_, document, message) => {
    expect(() => parse(document)).toThrow(refusal(message))
  })

  it.each([
    ['a text', 'x', /must be a descriptor/],
    ['null', null, /must be a descriptor/],
    ['a list', [], /must be a descriptor/],
    ['an empty object', {}, /mediaType must be/],
    ['no mediaType', { ...layer, mediaType: undefined }, /mediaType must be/],
    ['an empty mediaType', { ...layer, mediaType: '' }, /mediaType must be/],
    ['a mediaType that is a number', { ...layer, mediaType: 1 }, /mediaType must be/],
    ['no digest', { ...layer, digest: undefined }, /digest must be/],
    ['an empty digest', { ...layer, digest: '' }, /digest must be/],
    ['a malformed digest', { ...layer, digest: 'sha256:abc' }, /digest must be/],
    ['an upper-case digest', { ...layer, digest: layer.digest.toUpperCase() }, /digest must be/],
    ['a digest that is a number', { ...layer, digest: 1 }, /digest must be/],
    ['no size', { ...layer, size: undefined }, /size must be/],
    ['a size that is null', { ...layer, size: null }, /size must be/],
    ['a size that is a text', { ...layer, size: '5' }, /size must be/],
    ['a negative size', { ...layer, size: -1 }, /size must be/],
    ['half a byte', { ...layer, size: 1.5 }, /size must be/],
    ['more bytes than can be counted', { ...layer, size: 2 ** 53 }, /size must be/],
  ])('is refused when a descriptor is wrong anywhere: %s', (_, wrong, message) => {
    const inLists: Record<string, Members> = {
      'layers\\[1\\]': { ...image, layers: [layer, wrong] },
      'manifests\\[0\\]': { ...index, manifests: [wrong] },
      'blobs\\[0\\]': { ...artifact, blobs: [wrong] },
    }
    // Null there is another case: the member counts as missing.
    const asMembers: Record<string, Members> = {
      config: { ...image, config: wrong },
      subject: { ...index, subject: wrong },
    }
    const documents = { ...inLists, ...(wrong !== null && asMembers) }

    for (const [where, document] of Object.entries(documents)) {
      expect(() => parse(document)).toThrow(refusal(message))
      expect(() => parse(document)).toThrow(refusal(new RegExp(`^${where}`)))
    }
  })

  it('is refused when a size is a number that JSON has and nobody can count', () => {
    const text = JSON.stringify(image).replace(/"size":\d+/, '"size":1e999')

    expect(() => parseManifest(Buffer.from(text), OCI_MANIFEST)).toThrow(refusal(/size must be/))
  })

  it('may be of any size that can be counted, and of any algorithm', () => {
    const largest = { ...layer, size: Number.MAX_SAFE_INTEGER, digest: ABSENT_SHA512 }
    const unknown = { ...layer, size: 0, digest: `blake3:${'0'.repeat(64)}` }

    const { references } = parse({ ...image, layers: [largest, unknown] })

    expect(references.slice(1)).toMatchObject([
      { sizeBytes: Number.MAX_SAFE_INTEGER, digest: ABSENT_SHA512 },
      { sizeBytes: 0, digest: unknown.digest },
    ])
  })

  it.each(['application/vnd.wasm.config.v0+json', 'application/x.anything', 'not a media type'])(
    'may have any media type: %s',
    (mediaType) => {
      const document = {
        ...image,
        config: { ...config, mediaType },
        layers: [{ ...layer, mediaType }],
      }

      expect(() => parse(document)).not.toThrow()
    },
  )

  it.each([
    'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
    'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  ])('lies elsewhere for good when it is a %s with urls', (mediaType) => {
    const urls = ['https://example.com/layer']

    const { references } = parse({
      ...image,
      layers: [
        { ...layer, mediaType, urls },
        { ...layer, mediaType, urls: [] },
        { ...layer, mediaType },
        { ...layer, mediaType, urls: 'https://example.com/layer' },
        { ...layer, urls },
      ],
    })

    expect(references.map(({ external }) => external)).toEqual([
      false,
      true,
      false,
      false,
      false,
      false,
    ])
  })
})

describe('subject', () => {
  it.each([
    ['an image', image],
    ['an index', index],
    ['an artifact', artifact],
  ])('of %s is understood, and is not something it keeps alive', (_, document) => {
    const subject = { mediaType: OCI_MANIFEST, digest: ABSENT, size: 7 }

    const manifest = parse({ ...document, subject })

    expect(manifest.subject).toEqual({ mediaType: OCI_MANIFEST, digest: ABSENT, sizeBytes: 7 })
    expect(manifest.references.map(({ digest }) => digest)).not.toContain(ABSENT)
  })

  it('may be null, as Go clients write it', () => {
    expect(parse({ ...image, subject: null })).not.toHaveProperty('subject')
  })
})

describe('artifactType', () => {
  it.each([
    ['its own', { ...image, artifactType: 'application/x.sbom' }, 'application/x.sbom'],
    ['the config media type of an image without', image, CONFIG_TYPE],
    ['the config media type when it is empty', { ...image, artifactType: '' }, CONFIG_TYPE],
    ['the config media type when it is null', { ...image, artifactType: null }, CONFIG_TYPE],
    ['that of an index', { ...index, artifactType: 'application/x.set' }, 'application/x.set'],
    ['nothing for an index without', index, undefined],
    ['nothing for an index whose is empty', { ...index, artifactType: '' }, undefined],
    ['that of an artifact', artifact, 'application/x.sbom'],
    ['nothing for an artifact without', { ...artifact, artifactType: undefined }, undefined],
  ])('is %s', (_, document, artifactType) => {
    expect(parse(document).artifactType).toBe(artifactType)
  })

  it('is refused when it is not a text', () => {
    expect(() => parse({ ...image, artifactType: 1 })).toThrow(
      refusal(/artifactType must be a text/),
    )
  })
})

describe('annotations', () => {
  it('are all kept, whatever they are called', () => {
    const annotations = '{"a":"1","":"empty","__proto__":"x","ä":"","constructor":"y"}'
    const text = JSON.stringify(image).replace('{', `{"annotations":${annotations},`)

    const manifest = parseManifest(Buffer.from(text), OCI_MANIFEST)

    expect(JSON.stringify(manifest.annotations)).toBe(annotations)
  })

  it('may be null', () => {
    expect(parse({ ...image, annotations: null })).not.toHaveProperty('annotations')
  })

  it.each([
    ['a list', []],
    ['a text', 'x'],
    ['a number inside', { a: 1 }],
    ['null inside', { a: null }],
    ['an object inside', { a: {} }],
  ])('are refused: %s', (_, annotations) => {
    expect(() => parse({ ...image, annotations })).toThrow(refusal(/annotations/))
  })
})

describe('what Berth does not know', () => {
  it('is no reason to refuse a manifest', () => {
    const extra = { 'x-extra': { deep: [1, null] } }

    const manifest = parse({
      ...image,
      ...extra,
      config: { ...config, ...extra, data: 'e30=' },
      layers: [{ ...layer, ...extra, annotations: { a: 'b' } }],
    })

    expect(manifest.references.map(({ digest }) => digest)).toEqual([sha256('{}'), sha256('layer')])
  })
})
