import { ServerProcess } from '../server-process.mjs'
import { TAGGED } from '../store-builder.mjs'
import { measureRequests, requestColumns } from './requests.mjs'

const pageSize = 100

export const pages = {
  name: 'pages',
  title: 'Lists of the large store, 1 connection',
  promise: 'pages of 100 in less than 2 ms, wherever they are',
  columns: { ...requestColumns, bytes: 'bytes' },

  async measure({ workspace, options, largeStore }) {
    const store = await largeStore()
    const server = await ServerProcess.start(workspace, { data: store.directory })
    const lists = listsOf(store)
    const measure = (paths) =>
      measureRequests(workspace, server, 'get', {
        paths,
        connections: 1,
        seconds: options.seconds,
      })

    // For the just-in-time compiler.
    await measure(Object.values(lists))
    const rows = []
    for (const [name, path] of Object.entries(lists)) {
      rows.push({ name, ...(await measure([path])) })
    }
    await server.stop()
    return rows
  },
}

/** @param {import('../store-builder.mjs').LargeStore} store */
function listsOf({ repositories, tags, subject }) {
  const catalog = '/v2/_catalog'
  const tagList = `/v2/${TAGGED}/tags/list`
  const middle = repositories[Math.floor(repositories.length / 2)]
  return {
    ...hundredsOf('catalog', catalog, repositories),
    'catalog, usual page': catalog,
    ...hundredsOf('tags', tagList, tags),
    'tags, usual page': tagList,
    'referrers, all of one': `/v2/${TAGGED}/referrers/${subject}`,
    'referrers, none': `/v2/${TAGGED}/referrers/sha256:${'0'.repeat(64)}`,
    'search, one found': `/v1/search?q=${encodeURIComponent(middle)}`,
    'search, many found': '/v1/search?q=project',
    'search, none found': '/v1/search?q=nowhere',
    'search, two characters': '/v1/search?q=zz',
  }
}

/** The first, the middle and the last page of a hundred of a list in order. */
function hundredsOf(name, path, entries) {
  const behind = (index) =>
    `${path}?n=${pageSize}&last=${encodeURIComponent(entries[Math.max(0, Math.floor(index))])}`
  return {
    [`${name}, first ${pageSize}`]: `${path}?n=${pageSize}`,
    [`${name}, middle ${pageSize}`]: behind(entries.length / 2),
    [`${name}, last ${pageSize}`]: behind(entries.length - pageSize - 1),
  }
}
