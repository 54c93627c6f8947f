/**
 * Repository names have slashes, a route's parameter has none. So before routing a name is folded
 * into one segment, and the parameter is the name again.
 *
 * Names may contain `blobs`, `manifests`, `tags`, …: only the last such group of a path is an
 * endpoint, whatever stands before it is the name (`/v2/a/tags/list/tags/list`).
 */

interface Endpoint {
  /** The path behind `/v2/`: a name, then what this endpoint ends with. */
  readonly pattern: RegExp
  readonly methods: readonly string[]
}

const ENDPOINTS: readonly Endpoint[] = [
  { pattern: /^(.+)\/blobs\/uploads()\/?$/, methods: ['POST'] },
  {
    pattern: /^(.+)\/blobs\/uploads\/([^/]+)$/,
    methods: ['GET', 'HEAD', 'PATCH', 'PUT', 'DELETE'],
  },
  { pattern: /^(.+)\/tags\/list$/, methods: ['GET', 'HEAD'] },
  { pattern: /^(.+)\/manifests\/([^/]+)$/, methods: ['GET', 'HEAD', 'PUT', 'DELETE'] },
  { pattern: /^(.+)\/blobs\/([^/]+)$/, methods: ['GET', 'HEAD', 'DELETE'] },
  { pattern: /^(.+)\/referrers\/([^/]+)$/, methods: ['GET', 'HEAD'] },
]

const READ_ONLY: readonly string[] = ['GET', 'HEAD']

const prefix = '/v2/'

/** `/v2/team/app/manifests/v1?x` → `/v2/team%2Fapp/manifests/v1?x`; other URLs as they are. */
export function foldName(url: string): string {
  if (!url.startsWith(prefix)) return url
  const { path, query } = split(url)
  const rest = path.slice(prefix.length)
  const name = endpointOf(rest)?.name
  if (name === undefined) return url
  const end = rest.slice(name.length)
  // A new session is asked for with and without the slash at the end.
  const ending = end === '/blobs/uploads' ? '/blobs/uploads/' : end
  // What is encoded already is encoded once more, so that %2F in a name never becomes a slash.
  return `${prefix}${encodeURIComponent(name)}${ending}${query}`
}

/** The methods of the endpoint at a URL as the client sent it; undefined when there is none. */
export function methodsAt(url: string): readonly string[] | undefined {
  const { path } = split(url)
  if (path === '/v2' || path === prefix || path === '/v2/_catalog') return READ_ONLY
  if (!path.startsWith(prefix)) return undefined
  return endpointOf(path.slice(prefix.length))?.endpoint.methods
}

function endpointOf(rest: string): { endpoint: Endpoint; name: string } | undefined {
  for (const endpoint of ENDPOINTS) {
    const name = endpoint.pattern.exec(rest)?.[1]
    if (name !== undefined) return { endpoint, name }
  }
  return undefined
}

function split(url: string): { path: string; query: string } {
  const at = url.indexOf('?')
  return at === -1 ? { path: url, query: '' } : { path: url.slice(0, at), query: url.slice(at) }
}
