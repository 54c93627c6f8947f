import { RegistryError } from '../errors.js'
import { parseDigest, type Digest } from './digest.js'

declare const nameBrand: unique symbol
declare const tagBrand: unique symbol

export type RepositoryName = string & { readonly [nameBrand]: true }
export type Tag = string & { readonly [tagBrand]: true }

/** What follows `/manifests/`: the name of a manifest that moves, or the one that does not. */
export type Reference =
  { readonly tag: Tag; readonly digest?: never } | { readonly digest: Digest; readonly tag?: never }

const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/
const NOT_IN_TAGS = /[^a-zA-Z0-9._-]/g
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/

/** Clients cap `host/name` at 255 characters; distribution caps the name alone. */
export const nameLengthMax = 255

/**
 * Parses a repository name that a client sent.
 *
 * @throws {@link RegistryError} `NAME_INVALID`
 * @see distribution-spec, "Pulling manifests" (the grammar of `<name>`)
 */
export function parseRepositoryName(text: string): RepositoryName {
  if (text.length > nameLengthMax) {
    throw new RegistryError(
      'NAME_INVALID',
      `a repository name has at most ${nameLengthMax} characters; this one has ${text.length}`,
    )
  }
  if (!NAME.test(text)) {
    throw new RegistryError(
      'NAME_INVALID',
      'a repository name is lower-case letters and digits, joined by one of . _ __ or dashes, in parts separated by single slashes',
      { details: [text] },
    )
  }
  return text as RepositoryName
}

/** Whether text is a repository name, for callers that only want to know. */
export function isRepositoryName(text: string): text is RepositoryName {
  return text.length <= nameLengthMax && NAME.test(text)
}

/** The first component of a name, which may have an owner. */
export function namespaceOf(name: RepositoryName): string {
  return name.split('/', 1)[0] ?? name
}

/**
 * Parses a tag that a client sent.
 *
 * @throws {@link RegistryError} `TAG_INVALID`
 * @see distribution-spec, "Pulling manifests" (the grammar of `<reference>` as a tag)
 */
export function parseTag(text: string): Tag {
  if (!isTag(text)) {
    throw new RegistryError(
      'TAG_INVALID',
      'a tag is at most 128 letters, digits, dots, dashes and underscores, and begins with neither a dot nor a dash',
      { details: [text.slice(0, 200)] },
    )
  }
  return text
}

export function isTag(text: string): text is Tag {
  return TAG.test(text)
}

/**
 * Parses what a client wrote behind `/manifests/`: a digest where there is a colon, else a tag.
 *
 * @throws {@link RegistryError} `DIGEST_INVALID` or `TAG_INVALID`
 */
export function parseReference(text: string): Reference {
  return text.includes(':') ? { digest: parseDigest(text) } : { tag: parseTag(text) }
}

/**
 * The tag under which clients without the referrers API keep the list of a subject's referrers.
 *
 * @see distribution-spec, "Referrers Tag Schema": the algorithm cut to 32 characters, the encoded
 * part to 64
 */
export function fallbackTagOf(subject: Digest): Tag {
  const [algorithm = '', encoded = ''] = subject.split(':')
  const tag = `${algorithm.slice(0, 32)}-${encoded.slice(0, 64)}`
  return tag.replace(NOT_IN_TAGS, '-') as Tag
}
