import { UsageError } from './usage.js'

/** A tag as commands are given it. */
export interface TagOperand {
  readonly repository: string
  readonly tag: string
}

/**
 * `team/app:v1`. Whether these are names the API says; a name of a registry is not expected before them.
 *
 * @throws {@link UsageError} without a tag
 */
export function parseTagOperand(text: string): TagOperand {
  const { repository, tag } = parseOptionalTag(text)
  if (!tag) throw new UsageError(`${text} names no tag: write REPOSITORY:TAG`)
  return { repository, tag }
}

/** `team/app` or `team/app:v1`. */
export function parseOptionalTag(text: string): { repository: string; tag: string | undefined } {
  const at = text.indexOf(':')
  return at === -1
    ? { repository: text, tag: undefined }
    : { repository: text.slice(0, at), tag: text.slice(at + 1) }
}

/**
 * `team/app@sha256:…`
 *
 * @throws {@link UsageError} without a digest
 */
export function parseManifestOperand(text: string): { repository: string; digest: string } {
  const at = text.indexOf('@')
  if (at === -1 || at === text.length - 1)
    throw new UsageError(`${text} names no digest: write REPOSITORY@DIGEST`)
  return { repository: text.slice(0, at), digest: text.slice(at + 1) }
}

/**
 * The path of a repository behind `/api/v1`.
 *
 * @throws {@link UsageError} for no name at all
 */
export function repositoryPath(repository: string): string {
  if (repository === '') throw new UsageError('the name of a repository is missing')
  return `/repositories/${encodeURIComponent(repository)}`
}

export function tagPath({ repository, tag }: TagOperand): string {
  return `${repositoryPath(repository)}/tags/${encodeURIComponent(tag)}`
}

export function manifestPath({
  repository,
  digest,
}: {
  readonly repository: string
  readonly digest: string
}): string {
  return `${repositoryPath(repository)}/manifests/${encodeURIComponent(digest)}`
}

/**
 * The path of a user, a robot, a group, or whatever else has one name, behind `/api/v1`.
 *
 * @throws {@link UsageError} for no name at all
 */
export function namedPath(collection: string, name: string): string {
  if (name === '') throw new UsageError('a name is missing')
  return `/${collection}/${encodeURIComponent(name)}`
}
