import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { onTestFinished } from 'vitest'
import { makeDirectory, removeDirectory } from './directories.js'
import { clientEnvironment, run, runToFailure, type RunOptions } from './run.js'

/** Podman and Buildah over one image storage that has nothing in it. */
export interface Podman {
  readonly podman: (...args: string[]) => Promise<string>
  readonly podmanToFailure: (...args: string[]) => Promise<string>
  readonly buildah: (...args: string[]) => Promise<string>
  readonly buildahToFailure: (...args: string[]) => Promise<string>
  /** It uses the logins of the other two. */
  readonly skopeo: (...args: string[]) => Promise<string>
  readonly skopeoToFailure: (...args: string[]) => Promise<string>
  /** Builds an image from a folder that `writeBuildContext` has written. */
  readonly build: (reference: string, context: string) => Promise<void>
  readonly imageId: (reference: string) => Promise<string>
  /** Drops whatever the storage has, so that the next pull needs every byte. */
  readonly removeAllImages: () => Promise<void>
}

/** A storage that is gone when the test is over. Neither program has a daemon. */
export async function usePodman(): Promise<Podman> {
  const directory = await makeDirectory()
  onTestFinished(() => removeDirectory(directory))
  const authFile = path.join(directory, 'auth.json')
  // A file that was named has to be there.
  await writeFile(authFile, '{}')
  const options: RunOptions = {
    environment: {
      ...clientEnvironment(directory),
      TMPDIR: directory,
      // Else root's logins are in a place that all of the machine has in common.
      REGISTRY_AUTH_FILE: authFile,
    },
    timeoutMs: 120_000,
  }
  const storage = [
    ...['--root', path.join(directory, 'root')],
    ...['--runroot', path.join(directory, 'run')],
    ...['--storage-driver', 'vfs'],
  ]
  const ofPodman = [
    ...storage,
    ...['--tmpdir', path.join(directory, 'libpod')],
    ...['--cgroup-manager', 'cgroupfs'],
    ...['--events-backend', 'none'],
  ]
  const podman = (...args: string[]) => run('podman', [...ofPodman, ...args], options)
  return {
    podman,
    podmanToFailure: (...args) => runToFailure('podman', [...ofPodman, ...args], options),
    buildah: (...args) => run('buildah', [...storage, ...args], options),
    buildahToFailure: (...args) => runToFailure('buildah', [...storage, ...args], options),
    skopeo: (...args) => run('skopeo', args, options),
    skopeoToFailure: (...args) => runToFailure('skopeo', args, options),
    async build(reference, context) {
      await podman('build', '--quiet', '--isolation', 'chroot', '--tag', reference, context)
    },
    async imageId(reference) {
      return podman('image', 'inspect', '--format', '{{.Id}}', reference)
    },
    async removeAllImages() {
      await podman('image', 'rm', '--all', '--force')
    },
  }
}
