/**
 * Pushes one blob that is to be read.
 *
 * @param {import('../run.mjs').Run} run
 * @param {import('../run.mjs').Running} running
 * @param {string} repository
 * @param {number} sizeBytes
 * @returns {Promise<string>} its path
 */
export async function pushedBlob(run, running, repository, sizeBytes) {
  const { digest } = await run.load(running, 'pushes', {
    repository,
    way: 'docker',
    sizeBytes,
    connections: 1,
    limits: { count: 1 },
  })
  return `/v2/${repository}/blobs/${digest}`
}
