import { existsSync } from 'node:fs'
import { cp, mkdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { rootCertificates } from 'node:tls'
import { run, type ContainerEngine } from './container-engine.js'

const BASE_IMAGE = 'berth-test-base'

/**
 * Makes what a public Node.js image would be, without fetching one: this machine's release of
 * Debian from its own package mirror, this process's Node.js with npm, and what compiles SQLite.
 *
 * @returns the image's name
 */
export async function makeBaseImage({ docker, directory }: ContainerEngine): Promise<string> {
  const root = path.join(directory, 'base')
  await bootstrapDebian(root)
  await copyNode(path.join(root, 'usr', 'local'))
  const archive = `${root}.tar`
  await run('tar', ['--create', '--file', archive, '--directory', root, '--exclude=./dev/*', '.'])
  await rm(root, { recursive: true })
  await docker(['import', archive, BASE_IMAGE])
  await rm(archive)
  return BASE_IMAGE
}

async function bootstrapDebian(root: string): Promise<void> {
  const release = /^VERSION_CODENAME=(.*)$/m.exec(await readFile('/etc/os-release', 'utf8'))?.[1]
  const sources = await run('apt-get', [
    'indextargets',
    '--format',
    '$(RELEASE) $(REPO_URI)',
    'Created-By: Packages',
    'Component: main',
  ])
  const mirror = sources
    .split('\n')
    .map((line) => line.split(' '))
    .find(([name]) => name === release)?.[1]
  if (release === undefined || mirror === undefined) {
    throw new Error('this machine has no package mirror for its own release of Debian')
  }
  const packages = '--include=python3,make,g++'
  await run('debootstrap', ['--variant=minbase', packages, release, root, mirror])
}

/** Puts Node.js where its own archives have it: bin, include, lib. */
async function copyNode(prefix: string): Promise<void> {
  const npm = path.dirname(path.dirname(await realpath(await run('which', ['npm']))))
  const headers = path.join(path.dirname(path.dirname(process.execPath)), 'include', 'node')
  await mkdir(path.join(prefix, 'bin'), { recursive: true })
  await cp(process.execPath, path.join(prefix, 'bin', 'node'))
  await cp(npm, path.join(prefix, 'lib', 'node_modules', 'npm'), { recursive: true })
  await symlink('../lib/node_modules/npm/bin/npm-cli.js', path.join(prefix, 'bin', 'npm'))
  if (existsSync(headers)) {
    await cp(headers, path.join(prefix, 'include', 'node'), { recursive: true })
  }
  await mkdir(path.join(prefix, 'etc'), { recursive: true })
  await writeFile(path.join(prefix, 'etc', 'npmrc'), await npmSettings(prefix))
}

type NpmConfig = Record<string, string | boolean | readonly string[] | null>

/** How npm reaches its registry from this machine, for npm in a container on it. */
async function npmSettings(prefix: string): Promise<string> {
  const config = JSON.parse(await run('npm', ['config', 'ls', '--json'])) as NpmConfig
  const authorities = [config['cafile'], process.env['NODE_EXTRA_CA_CERTS']].filter(
    (file): file is string => typeof file === 'string' && existsSync(file),
  )
  const certificates = await Promise.all(authorities.map((file) => readFile(file, 'utf8')))
  const caFile = path.join(prefix, 'etc', 'npm-ca.pem')
  await writeFile(caFile, [...new Set(certificates), ...rootCertificates, ''].join('\n'))
  return ['registry', 'proxy', 'https-proxy', 'noproxy', 'strict-ssl']
    .map((key) => [key, config[key]?.toString() ?? ''])
    .filter(([, value]) => value !== '')
    .concat([['cafile', '/usr/local/etc/npm-ca.pem']])
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
}
