/** Parts of paths and queries that several routes have, as their schemas say them. */

const name = {
  type: 'string',
  description: 'The name of a repository; its slashes are percent-encoded.',
} as const

const tag = { type: 'string', description: 'A tag.' } as const

const digest = { type: 'string', description: 'The digest of a manifest.' } as const

/** The schema of a path with these parameters. */
export function pathOf<T extends object>(properties: T) {
  return { type: 'object', required: Object.keys(properties), properties } as const
}

/** The path of what has a name without slashes: anything but a repository. */
export function namePath(description: string) {
  return pathOf({ name: { type: 'string', description } })
}

export const repositoryPath = pathOf({ name })
export const tagPath = pathOf({ name, tag })
export const manifestPath = pathOf({ name, digest })
export const tokenPath = pathOf({
  id: { type: 'string', maxLength: 200, description: 'What the token is called.' },
})

export interface NamePath {
  readonly name: string
}

export interface RepositoryPath {
  readonly name: string
}

export interface TagPath extends RepositoryPath {
  readonly tag: string
}

export interface ManifestPath extends RepositoryPath {
  readonly digest: string
}

export interface TokenPath {
  readonly id: string
}

/** The path under which the API has a repository. */
export function repositoryUrl(repository: string): string {
  return `/api/v1/repositories/${encodeURIComponent(repository)}`
}
