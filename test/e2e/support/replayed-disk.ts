import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Random } from './random.js'
import type { Step } from './recording.js'

/** What a disk writes whole or not at all. */
const sectorBytes = 512

/** What a file holds. */
class Content {
  #bytes = Buffer.alloc(0)
  #sizeBytes = 0

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#sizeBytes)
  }

  write(bytes: Uint8Array, atByte: number): void {
    this.#grow(Math.max(this.#sizeBytes, atByte + bytes.byteLength))
    this.#bytes.set(bytes, atByte)
  }

  truncate(sizeBytes: number): void {
    if (sizeBytes > this.#sizeBytes) this.#grow(sizeBytes)
    this.#bytes.fill(0, sizeBytes)
    this.#sizeBytes = sizeBytes
  }

  copy(): Content {
    const copy = new Content()
    copy.write(this.bytes, 0)
    return copy
  }

  #grow(sizeBytes: number): void {
    if (sizeBytes > this.#bytes.byteLength) {
      const larger = Buffer.alloc(Math.max(sizeBytes, 2 * this.#bytes.byteLength))
      larger.set(this.bytes)
      this.#bytes = larger
    }
    this.#sizeBytes = sizeBytes
  }
}

type Names = Map<string, Node>

/** A file or folder, as the disk surely has it and as the process sees it. */
class File {
  synced = new Content()
  seen = new Content()
}
class Folder {
  synced: Names = new Map()
  seen: Names = new Map()
}
type Node = File | Folder

/** Something done that a power cut may still take back. */
type Change =
  | { readonly of: File; readonly bytes: Buffer; readonly atByte: number }
  | { readonly of: File; readonly sizeBytes: number }
  | {
      readonly of: Folder
      readonly name: string
      readonly node: Node | undefined
      /** A rename is one change of two folders for the disk too: the new name comes first. */
      readonly after?: Change
    }

/** The contents and names that a state of the disk has instead of those that are synced. */
interface Overlay {
  readonly contents: ReadonlyMap<File, Content>
  readonly names: ReadonlyMap<Folder, Names>
}

/**
 * A disk that gets the steps of a recording one after the other, and knows at each moment what it
 * could hold if the power went away: whatever was synced, and of all else any part or nothing.
 *
 * It promises no more than POSIX does. A file is safe when it was synced, its name when the folder
 * was synced that it is in, and only what was done before the sync began.
 */
export class ReplayedDisk {
  readonly #root = new Folder()
  #unsynced: Change[] = []
  readonly #syncs = new Map<Step, readonly Change[]>()
  #answers: ReadonlyMap<number, number> = new Map()

  /** How many answers have begun to be sent by now, by the port of the client. */
  get answers(): ReadonlyMap<number, number> {
    return this.#answers
  }

  /** Begins a step: a sync counts for what was done before. */
  begin(step: Step): void {
    if (step.kind === 'answer') {
      const before = this.#answers.get(step.clientPort) ?? 0
      // A new one each time, for those who keep it.
      this.#answers = new Map(this.#answers).set(step.clientPort, before + 1)
    } else if (step.kind === 'sync') {
      const node = this.#find(step.path)
      this.#syncs.set(
        step,
        this.#unsynced.filter(({ of }) => of === node),
      )
    }
  }

  /** Whether the end of a step changes what the disk surely has. */
  makesDurable(step: Step): boolean {
    return (this.#syncs.get(step)?.length ?? 0) > 0
  }

  end(step: Step): void {
    switch (step.kind) {
      case 'write':
        this.#changeFile(step.path, (of) => ({ of, bytes: step.bytes, atByte: step.atByte }))
        break
      case 'truncate':
        this.#changeFile(step.path, (of) => ({ of, sizeBytes: step.sizeBytes }))
        break
      case 'create':
        if (this.#find(step.path) === undefined) this.#name(step.path, new File())
        else if (step.truncates) this.#changeFile(step.path, (of) => ({ of, sizeBytes: 0 }))
        break
      case 'makeFolder':
        this.#name(step.path, new Folder())
        break
      case 'remove':
        this.#name(step.path, undefined)
        break
      case 'rename': {
        const named = this.#name(step.to, this.#find(step.path))
        this.#name(step.path, undefined, named)
        break
      }
      case 'sync':
        this.#sync(this.#syncs.get(step) ?? [])
        this.#syncs.delete(step)
        break
      case 'answer':
        break
    }
  }

  /** Writes what is left when everything is lost that was not synced. */
  writeSynced(folder: string): void {
    write(this.#root, folder, { contents: new Map(), names: new Map() })
  }

  /** Writes what is there when only the process is gone. */
  writeSeen(folder: string): void {
    const contents = new Map<File, Content>()
    const names = new Map<Folder, Names>()
    for (const { of } of this.#unsynced) {
      if (of instanceof File) contents.set(of, of.seen)
      else names.set(of, of.seen)
    }
    write(this.#root, folder, { contents, names })
  }

  /** Writes what is left when some of what was not synced is lost; of writes, some sectors. */
  writeSome(folder: string, random: Random): void {
    const contents = new Map<File, Content>()
    const names = new Map<Folder, Names>()
    for (const change of this.#someUnsynced(random)) {
      if (change.of instanceof File) {
        const content = contents.get(change.of) ?? change.of.synced.copy()
        contents.set(change.of, content)
        changeContent(content, change, random)
      } else {
        const changed = names.get(change.of) ?? new Map(change.of.synced)
        names.set(change.of, changed)
        changeNames(changed, change)
      }
    }
    write(this.#root, folder, { contents, names })
  }

  #someUnsynced(random: Random): Change[] {
    const probability = random.pick([0.1, 0.5, 0.9])
    return this.#withWhatComesBefore(this.#unsynced.filter(() => random.isTrue(probability)))
  }

  #withWhatComesBefore(changes: readonly Change[]): Change[] {
    const all = new Set(changes)
    for (const change of changes) if ('after' in change && change.after) all.add(change.after)
    return this.#unsynced.filter((change) => all.has(change))
  }

  #sync(changes: readonly Change[]): void {
    const synced = new Set(this.#withWhatComesBefore(changes))
    for (const change of synced) {
      if (change.of instanceof File) changeContent(change.of.synced, change)
      else changeNames(change.of.synced, change)
    }
    this.#unsynced = this.#unsynced.filter((change) => !synced.has(change))
  }

  /** A file that has no name any more is of no interest. */
  #changeFile(file: string, changeOf: (file: File) => Change): void {
    const node = this.#find(file)
    if (!(node instanceof File)) return
    const change = changeOf(node)
    changeContent(node.seen, change)
    this.#unsynced.push(change)
  }

  #name(named: string, node: Node | undefined, after?: Change): Change {
    const of = this.#find(path.dirname(named))
    if (!(of instanceof Folder)) throw new Error(`${named} is in no folder`)
    const change: Change = { of, name: path.basename(named), node, ...(after && { after }) }
    changeNames(of.seen, change)
    this.#unsynced.push(change)
    return change
  }

  #find(named: string): Node | undefined {
    let node: Node | undefined = this.#root
    for (const name of named.split('/')) {
      if (name === '' || name === '.') continue
      node = node instanceof Folder ? node.seen.get(name) : undefined
    }
    return node
  }
}

/** @param torn - which sectors of a write are there; all when absent */
function changeContent(content: Content, change: Change, torn?: Random): void {
  if ('sizeBytes' in change) content.truncate(change.sizeBytes)
  if (!('bytes' in change)) return
  const { bytes, atByte } = change
  const probability = torn?.pick([1, 1, 0.5]) ?? 1
  for (let at = 0; at < bytes.byteLength;) {
    const end = Math.min(bytes.byteLength, at + sectorBytes - ((atByte + at) % sectorBytes))
    if (!torn || torn.isTrue(probability)) content.write(bytes.subarray(at, end), atByte + at)
    at = end
  }
}

function changeNames(names: Names, change: Change): void {
  if (!('name' in change)) return
  if (change.node) names.set(change.name, change.node)
  else names.delete(change.name)
}

function write(folder: Folder, target: string, overlay: Overlay): void {
  mkdirSync(target, { recursive: true })
  for (const [name, node] of overlay.names.get(folder) ?? folder.synced) {
    const named = path.join(target, name)
    if (node instanceof Folder) write(node, named, overlay)
    else writeFileSync(named, (overlay.contents.get(node) ?? node.synced).bytes)
  }
}
