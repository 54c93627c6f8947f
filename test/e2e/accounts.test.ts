import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { Containerd } from './support/containerd.js'
import { newFile, writeBuildContext, writeLayout } from './support/images.js'
import { usePodman } from './support/podman.js'
import { run } from './support/run.js'
import { PASSWORDS, Teams, TRANSPORTS, type TeamsBerth, type Transport } from './support/teams.js'

const loginWanted = 'unauthorized: authentication required: log in to do this'

let teams: Teams

beforeAll(async () => {
  teams = await Teams.prepare()
  return () => teams.remove()
})

interface Place extends TeamsBerth {
  /** What podman, buildah and skopeo have to be told of the registry. */
  readonly trust: readonly string[]
  /** What `ctr` has to be told of it. */
  readonly hosts: readonly string[]
}

async function start(transport: Transport = 'plain HTTP'): Promise<Place> {
  if (transport === 'plain HTTP') {
    return { ...(await teams.start()), trust: ['--tls-verify=false'], hosts: ['--plain-http'] }
  }
  const berth = await teams.startTls(transport === 'TLS' ? 'only' : 'both')
  const { certDirectory, hostsDirectory } = berth
  return {
    ...berth,
    trust: ['--cert-dir', certDirectory],
    hosts: ['--hosts-dir', hostsDirectory],
  }
}

function credentials(name: string, password: string): string[] {
  return ['--username', name, '--password', password]
}

describe.each(TRANSPORTS)('over %s', (transport) => {
  it('podman pushes and pulls with a password until it logs out', async () => {
    const { host, trust } = await start(transport)
    const { podman, podmanToFailure, build, imageId, removeAllImages } = await usePodman()
    const image = `${host}/red/app:1`
    await build(image, await writeBuildContext())
    const id = await imageId(image)

    const wrong = await podmanToFailure('login', ...trust, ...credentials('rob', 'no'), host)
    const before = await podmanToFailure('push', ...trust, image)
    await podman('login', ...trust, ...credentials('rob', PASSWORDS.rob), host)
    await podman('push', ...trust, image)
    await removeAllImages()
    await podman('pull', ...trust, image)
    const pulledId = await imageId(image)
    await podman('logout', host)
    const after = await podmanToFailure('pull', ...trust, image)

    expect(wrong).toContain('invalid username/password')
    expect(pulledId).toBe(id)
    expect(before).toContain('denied: requested access to the resource is denied')
    expect(after).toContain(loginWanted)
  })

  it('buildah and skopeo push and pull with a token until they log out', async () => {
    const { host, trust } = await start(transport)
    const { buildah, buildahToFailure, skopeo, skopeoToFailure } = await usePodman()
    const image = `docker://${host}/red/app:1`
    const ci = credentials('ci', teams.token)
    await buildah('build', '--isolation', 'chroot', '--tag', 'built', await writeBuildContext())

    await buildah('login', ...trust, ...ci, host)
    await buildah('push', ...trust, 'built', image)
    await buildah('pull', '--policy', 'always', ...trust, image)
    await buildah('logout', host)
    const buildahAfter = await buildahToFailure('pull', '--policy', 'always', ...trust, image)
    await skopeo('login', ...trust, ...ci, host)
    const tags = await skopeo('list-tags', ...trust, `docker://${host}/red/app`)
    const { source } = await writeLayout()
    const moved = await skopeoToFailure('copy', ...destination(trust), source, image)
    await skopeo('copy', ...destination(trust), source, `docker://${host}/red/app:2`)
    await skopeo('logout', host)
    const skopeoAfter = await skopeoToFailure('inspect', ...trust, image)

    expect(JSON.parse(tags)).toMatchObject({ Tags: ['1'] })
    expect(moved).toContain('the tag 1 of red/app is there already, and ci may not overwrite it')
    expect(buildahAfter).toContain(loginWanted)
    expect(skopeoAfter).toContain(loginWanted)
  })

  it('ctr pushes and pulls with a name and a password', async () => {
    const { host, trust, hosts } = await start(transport)
    const { skopeo } = await usePodman()
    const containerd = await Containerd.start()
    onTestFinished(() => containerd.stop())
    const [pushed, copy] = [`${host}/red/app:1`, `${host}/red/copy:1`] as const
    const { source } = await writeLayout([newFile()])
    const rob = `rob:${PASSWORDS.rob}`
    const creds = ['--dest-creds', rob, ...destination(trust)]
    await skopeo('copy', ...creds, source, `docker://${pushed}`)
    const pull = ['images', 'pull', '--snapshotter', 'native', ...hosts]

    const before = await containerd.runToFailure(...pull, pushed)
    const wrong = await containerd.runToFailure(...pull, '--user', 'rob:no', pushed)
    await containerd.run(...pull, '--user', rob, pushed)
    await containerd.run('images', 'tag', pushed, copy)
    const push = ['images', 'push', ...hosts]
    const denied = await containerd.runToFailure(...push, '--user', `gwen:${PASSWORDS.gwen}`, copy)
    await containerd.run(...push, '--user', rob, copy)
    await containerd.remove(pushed, copy)
    const output = await containerd.run(...pull, '--user', `ci:${teams.token}`, copy)

    expect(before).toContain('pull access denied')
    expect(wrong).toContain('failed to fetch oauth token: unexpected status: 401')
    expect(denied).toContain('403 Forbidden')
    expect(output).toContain('unpacking linux/amd64')
  })
})

/** The same for the place that `skopeo copy` writes to. */
function destination(trust: readonly string[]): string[] {
  return trust.map((argument) => argument.replace(/^--/, '--dest-'))
}

describe('two teams', () => {
  it('list what is theirs and what is public, and nothing of each other', async () => {
    const { host, url, trust } = await start()
    const { skopeo, skopeoToFailure } = await usePodman()
    const { source } = await writeLayout()
    const ci = ['--dest-creds', `ci:${teams.token}`]
    const gwen = `gwen:${PASSWORDS.gwen}`
    await skopeo('copy', ...destination(trust), ...ci, source, `docker://${host}/red/app:1`)
    await skopeo('copy', ...destination(trust), ...ci, source, `docker://${host}/mirror/app:1`)
    await skopeo(
      ...['copy', ...destination(trust), '--dest-creds', gwen],
      ...[source, `docker://${host}/green/app:1`],
    )
    const list = (repository: string) =>
      skopeoToFailure('list-tags', ...trust, '--creds', gwen, `docker://${host}/${repository}`)

    const ofRob = await run('curl', ['-fsSu', `rob:${PASSWORDS.rob}`, `${url}/v2/_catalog`])
    const ofGwen = await run('curl', ['-fsSu', gwen, `${url}/v2/_catalog`])
    const hidden = await list('red/app')
    const absent = await list('red/none')

    expect(JSON.parse(ofRob)).toEqual({ repositories: ['mirror/app', 'red/app'] })
    expect(JSON.parse(ofGwen)).toEqual({ repositories: ['green/app', 'mirror/app'] })
    expect(timeless(hidden).replaceAll('red/app', 'red/none')).toBe(timeless(absent))
  })
})

function timeless(output: string): string {
  return output.replace(/time="[^"]*"/, '')
}
