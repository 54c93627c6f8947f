import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { request, type IncomingMessage } from 'node:http'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { bytesOf, sha256 } from '../support/images.js'
import { makeBaseImage } from './support/base-image.js'
import {
  eventually,
  freePort,
  startContainerEngine,
  type ContainerEngine,
  type Environment,
} from './support/container-engine.js'

const projectDirectory = fileURLToPath(new URL('../..', import.meta.url))
const composeFile = path.join(projectDirectory, 'docker-compose.yml')

/** Shorter than `http.shutdownSeconds`: whoever waits for an idle connection is killed, and not with 0. */
const stopSeconds = '25'

let engine: ContainerEngine
let baseImage: string

beforeAll(async () => {
  engine = await startContainerEngine()
  baseImage = await makeBaseImage(engine)
  await engine.docker([
    'build',
    ...['--build-arg', `BASE_IMAGE=${baseImage}`],
    ...['http_proxy', 'https_proxy', 'no_proxy'].flatMap((name) => ['--build-arg', name]),
    ...['--network', 'host', '--tag', 'berth', projectDirectory],
  ])
})

afterAll(() => engine.stop())

describe('the container image', () => {
  it('holds what production needs, and nothing that only building needs', async () => {
    const installed = await engine.docker([
      ...['run', '--rm', '--entrypoint', 'ls', 'berth'],
      ...['/berth', '/berth/node_modules'],
    ])

    const names = installed.split('\n')
    expect(names).toEqual(expect.arrayContaining(['dist', 'migrations', 'package.json', 'LICENSE']))
    expect(names).toEqual(expect.arrayContaining(['better-sqlite3', 'fastify']))
    for (const name of ['src', 'scripts', 'test', 'typescript', 'vitest', 'eslint', '@types']) {
      expect(names).not.toContain(name)
    }
  })

  it('becomes healthy by its own check, which fails where no registry answers', async () => {
    const { container } = await startContainer()
    const check = await inspect<string[]>('berth', '.Config.Healthcheck.Test')
    const elsewhere = await freePort()

    const [kind, ...command] = check
    const failing = engine.docker([
      ...['exec', '--env', `BERTH_HTTP_PORT=${elsewhere}`, container],
      ...command,
    ])

    expect(kind).toBe('CMD')
    await expect(failing).rejects.toThrow('failed')
    await becomesHealthy(container)
  })

  it('runs as a fixed user without rights, also on a root that it cannot write', async () => {
    const { container, url } = await startContainer([
      ...['--read-only', '--tmpfs', '/tmp'],
      ...['--cap-drop', 'ALL', '--security-opt', 'no-new-privileges:true'],
    ])

    const status = await engine.docker(['exec', container, 'cat', '/proc/1/status'])
    const program = await engine.docker(['exec', container, 'cat', '/proc/1/cmdline'])

    expect(status).toMatch(/^Uid:\t10001\t10001\t10001\t10001$/m)
    expect(status).toMatch(/^Gid:\t10001\t10001\t10001\t10001$/m)
    // Signals reach what is process 1: no shell stands before it.
    expect(program).toMatch(/^node\0.*berth\0serve\0$/)
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
  })

  it('is configured by the environment, and by a file that is mounted', async () => {
    const folder = path.join(engine.directory, 'config')
    await mkdir(folder)
    await writeFile(path.join(folder, 'berth.json'), '{"undo":{"days":3},"http":{"port":1}}')

    const shown = await engine.docker([
      ...['run', '--rm', '--volume', `${folder}:/etc/berth:ro`],
      ...['--env', 'BERTH_CONFIG=/etc/berth/berth.json', '--env', 'BERTH_LEASES_SECONDS=61'],
      ...['berth', 'config', 'show'],
    ])

    expect(JSON.parse(shown)).toMatchObject({
      dataDirectory: '/data',
      http: { host: '0.0.0.0', port: 5000 },
      undo: { days: 3 },
      leases: { seconds: 61 },
    })
  })

  it('ends gracefully when it is stopped, and the next one serves what was pushed', async () => {
    const volume = ['--volume', 'kept:/data']
    const first = await startContainer(volume)
    const { image, id } = await makeImage(`${first.host}/team/app:1`)
    await engine.docker(['push', image])

    await engine.docker(['stop', '--time', stopSeconds, first.container])

    expect(await inspect(first.container, '.State.ExitCode')).toBe(0)

    await engine.docker(['rm', first.container])
    const second = await startContainer(volume)
    await engine.docker(['rmi', image])
    const again = `${second.host}/team/app:1`
    await engine.docker(['pull', again])

    expect(await inspect(again, '.Id')).toBe(id)
  })

  it('lets an upload under way end before it stops', async () => {
    const { container, url } = await startContainer()
    const bytes = bytesOf(1024 * 1024)
    const opened = await fetch(`${url}/v2/team/late/blobs/uploads/`, { method: 'POST' })
    const location = new URL(opened.headers.get('location') ?? '', url)
    location.searchParams.set('digest', sha256(bytes))
    const upload = request(location, {
      method: 'PUT',
      headers: { 'content-length': bytes.length, expect: '100-continue' },
    })
    const answered = once(upload, 'response') as Promise<[IncomingMessage]>
    await once(upload, 'continue')
    upload.write(bytes.subarray(0, 1000))

    const stopped = engine.docker(['stop', '--time', stopSeconds, container])
    await eventually('Berth to accept nothing more', () => isRefused(url))
    upload.end(bytes.subarray(1000))
    const [{ statusCode }] = await answered
    await stopped

    expect(statusCode).toBe(201)
    expect(await inspect(container, '.State.ExitCode')).toBe(0)
  })

  it('does not start on a volume that another container is using', async () => {
    const { container } = await startContainer(['--volume', 'shared:/data'])

    const second = engine.docker(['run', '--rm', '--volumes-from', container, 'berth'])

    await expect(second).rejects.toThrow('/data is in use by another Berth')
  })
})

describe('docker-compose.yml', () => {
  it('is accepted as it is', async () => {
    await engine.compose(['--file', composeFile, 'config', '--quiet'])
  })

  it('builds and starts Berth, and what was pushed outlives the container', async () => {
    const port = await freePort()
    const compose = await composeProject({ BERTH_PORT: String(port) })
    onTestFinished(async () => {
      await compose(['down', '--volumes'])
    })
    const host = `127.0.0.1:${port}`
    const isReady = async () => (await fetch(`http://${host}/readyz`)).ok

    await compose(['build'])
    await compose(['up', '--detach'])
    await eventually('Berth to be ready', isReady)
    const { image, id } = await makeImage(`${host}/team/composed:1`)
    await engine.docker(['push', image])
    await compose(['down'])
    await engine.docker(['rmi', image])
    expect(await isRefused(`http://${host}`)).toBe(true)
    await compose(['up', '--detach'])
    await eventually('Berth to be ready', isReady)
    await engine.docker(['pull', image])

    expect(await inspect(image, '.Id')).toBe(id)
  })

  it('gives Berth no more than it needs, and the time to end that it may take', async () => {
    const compose = await composeProject({ BERTH_PORT: String(await freePort()) })
    onTestFinished(async () => {
      await compose(['down', '--volumes'])
    })

    await compose(['up', '--detach'])
    const container = await compose(['ps', '--quiet'])
    const config = JSON.parse(
      await compose(['exec', '-T', 'berth', 'berth', 'config', 'show']),
    ) as { http: { shutdownSeconds: number } }

    expect(await inspect(container, '.HostConfig')).toMatchObject({
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges:true'],
      RestartPolicy: { Name: 'unless-stopped' },
      PortBindings: { '5000/tcp': [{ HostIp: '127.0.0.1' }] },
    })
    expect(await inspect(container, '.Config.StopTimeout')).toBeGreaterThan(
      config.http.shutdownSeconds,
    )
    await becomesHealthy(container)
  })
})

/** Berth in a container on the host's network, healthy; removed when the test is over. */
async function startContainer(options: readonly string[] = []) {
  const port = await freePort()
  const container = await engine.docker([
    ...['run', '--detach', '--network', 'host', '--env', `BERTH_HTTP_PORT=${port}`],
    // More often than in earnest, so that nobody waits for it.
    ...['--health-interval', '1s', ...options, 'berth'],
  ])
  onTestFinished(async () => {
    await engine.docker(['rm', '--force', '--volumes', container]).catch(() => undefined)
  })
  await becomesHealthy(container)
  return { container, host: `127.0.0.1:${port}`, url: `http://127.0.0.1:${port}` }
}

function isRefused(url: string): Promise<boolean> {
  return fetch(`${url}/healthz`, { headers: { connection: 'close' } }).then(
    () => false,
    () => true,
  )
}

async function becomesHealthy(container: string): Promise<void> {
  await eventually(
    'the container to be healthy',
    async () => (await inspect(container, '.State.Health.Status')) === 'healthy',
  )
}

async function inspect<T = unknown>(name: string, field: string): Promise<T> {
  return JSON.parse(await engine.docker(['inspect', '--format', `{{json ${field}}}`, name])) as T
}

/** A small image of two layers, one of them too large to be kept in the database. */
async function makeImage(image: string): Promise<{ image: string; id: string }> {
  const folder = path.join(engine.directory, 'image')
  await mkdir(folder, { recursive: true })
  await writeFile(path.join(folder, 'name'), image)
  await writeFile(path.join(folder, 'payload'), bytesOf(1024 * 1024, image))
  await writeFile(
    path.join(folder, 'Dockerfile'),
    'FROM scratch\nCOPY name /name\nCOPY payload /payload\nCMD ["/name"]\n',
  )
  await engine.docker(['build', '--tag', image, folder])
  return { image, id: await inspect<string>(image, '.Id') }
}

/** `docker compose` on the project's own file, with what this machine's builds need on top. */
async function composeProject(environment: Environment) {
  const override = path.join(engine.directory, 'compose.json')
  const build = { network: 'host', args: { BASE_IMAGE: baseImage } }
  await writeFile(override, JSON.stringify({ services: { berth: { build } } }))
  const options = ['--project-name', 'test', '--file', composeFile, '--file', override]
  return (args: readonly string[]) => engine.compose([...options, ...args], environment)
}
