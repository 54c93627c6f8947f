import { truncate } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { bytesOf, pushImage, sha256 } from '../support/images.js'
import { runBerth } from '../support/command.js'
import { startTestServer } from '../support/server.js'
import { blobFile, endOf, tamper } from '../support/verify.js'

const LAYER = bytesOf(100_000).toString('hex')

async function registryWithImage() {
  const server = await startTestServer()
  await pushImage(server.app, 'team/app', 'v1', { layers: [LAYER] })
  return server
}

describe('berth verify', () => {
  it.each(['with a server', 'without one'])('says that all is well, %s', async (how) => {
    const { server, dataDirectory } = await registryWithImage()
    if (how === 'without one') await server.close()

    const { code, stdout, stderr } = await runBerth([
      'verify',
      '--content',
      '--data',
      dataDirectory,
    ])

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toBe(
      'Looked at 2 blobs, 1 files, 1 manifests and 1 tags; 2 blobs and 1 manifests hashed.\nNothing is wrong.\n',
    )
  })

  it.each(['with a server', 'without one'])('fails when something is wrong, %s', async (how) => {
    const { server, dataDirectory } = await registryWithImage()
    await truncate(blobFile(dataDirectory, sha256(LAYER)), 10)
    if (how === 'without one') await server.close()

    const { code, stdout } = await runBerth(['verify', '--data', dataDirectory])

    expect(code).toBe(1)
    expect(stdout).toMatch(
      /^blob-size: blob sha256:\w+ \(200 kB\) is damaged: the blob has 10 bytes instead of 200000; push an image that has it again: team\/app:v1\n/,
    )
    expect(stdout).toMatch(/\n1 found, 0 of them repaired\.\n$/)
  })

  it('succeeds when all that was wrong is repaired, and prints the run as JSON', async () => {
    const { server, dataDirectory } = await registryWithImage()
    await server.close()
    tamper(dataDirectory, 'update repositories set logical_bytes = 1')

    const { code, stdout } = await runBerth([
      ...['verify', '--repair', '--json', '--data', dataDirectory],
    ])

    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ kind: 'verify', status: 'done', startedBy: 'operator' },
      options: { content: false, repair: true },
      report: { findingCount: 1, repairedCount: 1, findings: [{ kind: 'sum-wrong' }] },
    })
  })

  it('stops the run that a server has under way', async () => {
    const server = await startTestServer({ config: { verify: { bytesPerSecond: 1024 } } })
    await pushImage(server.app, 'team/app', 'v1', { layers: [LAYER] })
    const { id } = await server.server.maintenance.verification.begin(
      { content: true, repair: false, confirm: false },
      'tester',
    )

    const { code } = await runBerth(['verify', '--stop', '--data', server.dataDirectory])

    expect(code).toBe(0)
    expect(await endOf(server.app, id)).toMatchObject({ status: 'stopped' })
  })
})
