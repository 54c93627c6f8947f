import { expect, it } from 'vitest'
import { basic, sharedWithAccounts } from '../support/accounts.js'
import { pushImage } from '../support/images.js'

const started = sharedWithAccounts()

it.each([
  ...['/v2/', '/v2/_catalog', '/v2/app/tags/list', '/v2/app/manifests/v1', '/v1/search?q=app'],
  ...['/v2/app/referrers/DIGEST', '/v2/app/manifests/DIGEST', '/v2/app/blobs/BLOB', '/token'],
  ...['/api/v1/repositories', '/api/v1/repositories/app', '/api/v1/users', '/api/v1/account'],
  ...['/v2/hidden/tags/list', '/api/v1/repositories/hidden', '/api/v1/nothing'],
])('a proxy serves nobody what another has got of %s', async (url) => {
  const admin = basic('admin')
  const { digest, manifest } = await pushImage(started.as(admin), 'app', 'v1')
  const { config } = JSON.parse(manifest) as { config: { digest: string } }
  const path = url.replace('DIGEST', digest).replace('BLOB', config.digest)

  for (const authorization of [admin, basic('admin', 'wrong'), undefined]) {
    const { statusCode, headers } = await started.get(path, authorization)

    expect([statusCode, headers['cache-control']]).toEqual([
      expect.any(Number),
      expect.stringMatching(/^(no-cache|no-store|private, )/),
    ])
  }
})
