import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { hexOf, RunningDigest, type Digest } from '../../src/oci/digest.js'
import {
  BlobDamagedError,
  type BlobStore,
  type ByteRange,
  type BlobSink,
  type OpenBlob,
  type StoredFile,
} from '../../src/storage/blob-store.js'
import { eventually } from '../support/eventually.js'
import { bytesOf, sha256, sha512 } from '../support/images.js'
import { cut, failingAfter, piecesOf, PlayedSource, sourceOf } from '../support/sources.js'

const MEBIBYTE = 1024 * 1024

/** What every BlobStore promises. Each backend's test file calls this once. */
export function blobStoreContract(backend: string, open: () => Promise<BlobStore>): void {
  describe(`BlobStore on ${backend}`, () => {
    describe('append', () => {
      it('counts what it received', async () => {
        const store = await open()

        const appended = await store.append('upload-1', 0, piecesOf('hello'))

        expect(appended).toEqual({ receivedBytes: 5 })
        expect(await text(store, 'upload-1', 5)).toBe('hello')
      })

      it('goes on where it is told to', async () => {
        const store = await open()
        await store.append('upload-1', 0, piecesOf('hello'))

        const second = await store.append('upload-1', 5, piecesOf(', ', 'world'))

        expect(second).toEqual({ receivedBytes: 7 })
        expect(await text(store, 'upload-1', 12)).toBe('hello, world')
      })

      it('writes over bytes that were taken back', async () => {
        const store = await open()
        await store.append('upload-1', 0, piecesOf('hello'))
        await store.append('upload-1', 5, piecesOf(' and what nobody counted'))

        await store.append('upload-1', 5, piecesOf(' there'))

        expect(await text(store, 'upload-1', 11)).toBe('hello there')
        await store.commit('upload-1', blobOf('hello there'))
        expect(await readAll(store, sha256('hello there'), 11)).toEqual(Buffer.from('hello there'))
      })

      it('receives nothing from a source that has nothing', async () => {
        const store = await open()

        const appended = await store.append('upload-1', 0, piecesOf())

        expect(appended).toEqual({ receivedBytes: 0 })
      })

      it('is not confused by pieces without bytes', async () => {
        const store = await open()
        const pieces = Array.from({ length: 3_000 }, (_, index) => (index % 1_000 ? '' : 'abc'))

        const appended = await store.append('upload-1', 0, piecesOf(...pieces, '', 'd', ''))

        expect(appended).toEqual({ receivedBytes: 10 })
        expect(await text(store, 'upload-1', 10)).toBe('abcabcabcd')
      })

      it.each([
        ['thousands of tiny ones', () => Array.from({ length: 5_000 }, (_, n) => (n % 7) + 1)],
        ['ones that are larger than a mebibyte', () => [MEBIBYTE + 1, 3 * MEBIBYTE + 17, 1]],
        ['ones of a mebibyte', () => [MEBIBYTE, MEBIBYTE, MEBIBYTE]],
        [
          'odd sizes in any order',
          () => Array.from({ length: 300 }, (_, n) => 1 + ((n * 7_919) % 40_000)),
        ],
        ['a large one behind many tiny ones', () => [...Array<number>(700).fill(3), 2 * MEBIBYTE]],
      ])('keeps the order of its pieces, and feeds the digest with it: %s', async (_, sizesOf) => {
        const store = await open()
        const sizes = sizesOf()
        const bytes = bytesOf(sizes.reduce((sum, size) => sum + size, 0))
        const running = new RunningDigest('sha512')

        const appended = await store.append('upload-1', 0, sourceOf(cut(bytes, sizes)), running)

        expect(appended).toEqual({ receivedBytes: bytes.length })
        expect(running.current()).toBe(sha512(bytes))
        await store.commit('upload-1', { digest: sha256(bytes), sizeBytes: bytes.length })
        const stored = await readAll(store, sha256(bytes), bytes.length)
        expect(stored.equals(bytes)).toBe(true)
      })

      it('continues a digest over several calls', async () => {
        const store = await open()
        const running = new RunningDigest('sha256')

        await store.append('upload-1', 0, piecesOf('one'), running)
        await store.append('upload-1', 3, piecesOf('two', 'three'), running)

        expect(running.current()).toBe(sha256('onetwothree'))
      })

      it('keeps and counts what came before a source failed', async () => {
        const store = await open()
        const bytes = bytesOf(3 * MEBIBYTE + 5)
        const failure = new Error('the client went away')

        const source = sourceOf(failingAfter(cut(bytes, [777]), failure))
        const appended = await store.append('upload-1', 0, source)
        const rest = bytes.subarray(appended.receivedBytes)
        await store.append('upload-1', appended.receivedBytes, piecesOf(rest))

        expect(appended).toEqual({ receivedBytes: bytes.length, failure })
        await store.commit('upload-1', { digest: sha256(bytes), sizeBytes: bytes.length })
        expect((await readAll(store, sha256(bytes), bytes.length)).equals(bytes)).toBe(true)
      })

      it('counts nothing when the source fails before its first byte', async () => {
        const store = await open()
        const failure = new Error('the client went away')

        const appended = await store.append('upload-1', 0, sourceOf(failingAfter([], failure)))

        expect(appended).toEqual({ receivedBytes: 0, failure })
      })

      it('serves many uploads at once without mixing them', async () => {
        const store = await open()
        const uploads = Array.from({ length: 20 }, (_, n) => ({
          id: randomUUID(),
          bytes: bytesOf(200_000 + n, `upload ${n}`),
        }))

        await Promise.all(
          uploads.map(({ id, bytes }) =>
            store.append(id, 0, sourceOf(cut(bytes, [1_000 + (bytes.length % 77)]))),
          ),
        )
        await Promise.all(
          uploads.map(({ id, bytes }) =>
            store.commit(id, { digest: sha256(bytes), sizeBytes: bytes.length }),
          ),
        )

        for (const { bytes } of uploads) {
          const stored = await readAll(store, sha256(bytes), bytes.length)
          expect(stored.equals(bytes)).toBe(true)
        }
      })

      it('keeps each upload in order while many write at once, hashing what it writes', async () => {
        const store = await open()
        const uploads = Array.from({ length: 48 }, (_, n) => {
          const bytes = bytesOf(1_500_000 + n * 1_111, `upload ${n}`)
          const sizes = Array.from({ length: 400 }, (_, at) => 1 + ((at * 7_919 + n) % 9_973))
          return { id: randomUUID(), bytes, sizes, running: new RunningDigest('sha256') }
        })

        await Promise.all(
          uploads.map(({ id, bytes, sizes, running }) =>
            store.append(id, 0, sourceOf(cut(bytes, sizes)), running),
          ),
        )

        for (const { id, bytes, running } of uploads) {
          expect(running.current()).toBe(sha256(bytes))
          expect((await store.readUpload(id, bytes.length)).equals(bytes)).toBe(true)
        }
      })

      it.each([
        ['one byte', [1]],
        ['less than it writes at once', [100_000]],
        ['just what it writes at once', [262_144]],
        ['one byte more', [262_144, 1]],
        ['some of what is under way', [524_288, 524_288, 77]],
      ])('counts all that came before a failure: %s', async (_, sizes) => {
        const store = await open()
        const bytes = bytesOf(sizes.reduce((sum, size) => sum + size))
        const failure = new Error('the client went away')
        const pieces = cut(bytes, sizes)

        const appended = await store.append('upload-1', 3, sourceOf(failingAfter(pieces, failure)))

        expect(appended).toEqual({ receivedBytes: bytes.length, failure })
        const stored = await store.readUpload('upload-1', 3 + bytes.length)
        expect(stored.subarray(3).equals(bytes)).toBe(true)
      })

      it('counts bytes when their source fails while it is asked to wait', async () => {
        const store = await open()
        const source = new PlayedSource()
        const bytes = bytesOf(8 * MEBIBYTE)
        const failure = new Error('the client went away')

        const appending = store.append('upload-1', 0, source)
        await eventually(
          () => source.isOpen,
          (isOpen) => isOpen,
        )
        source.give(bytes)
        expect(source.isPaused).toBe(true)
        source.end(failure)

        expect(await appending).toEqual({ receivedBytes: bytes.length, failure })
        expect((await store.readUpload('upload-1', bytes.length)).equals(bytes)).toBe(true)
      })

      it('is not held up by a thousand sources that have begun and say no more', async () => {
        const store = await open()
        const slow = Array.from({ length: 1_000 }, () => new PlayedSource())
        const appending = slow.map((source, n) => store.append(`slow-${n}`, 0, source))
        await eventually(
          () => slow.every(({ isOpen }) => isOpen),
          (areOpen) => areOpen,
        )
        for (const source of slow) source.give('a')
        const bytes = bytesOf(5 * MEBIBYTE)

        const fast = await store.append('fast', 0, sourceOf(cut(bytes, [65_536])))
        await eventually(
          () => slow.every(({ isPaused }) => !isPaused),
          (flow) => flow,
        )
        for (const source of slow) source.give('b')
        for (const source of slow) source.end()
        const ends = await Promise.all(appending)

        expect(fast).toEqual({ receivedBytes: bytes.length })
        expect(ends.every(({ receivedBytes }) => receivedBytes === 2)).toBe(true)
        expect(await text(store, 'slow-0', 2)).toBe('ab')
        expect(await text(store, 'slow-999', 2)).toBe('ab')
        expect((await store.readUpload('fast', bytes.length)).equals(bytes)).toBe(true)
      })
    })

    describe('readUpload', () => {
      it('gives the first bytes of an upload, and no others', async () => {
        const store = await open()
        await store.append('upload-1', 0, piecesOf('hello, world'))

        expect(await text(store, 'upload-1', 5)).toBe('hello')
        expect(await text(store, 'upload-1', 0)).toBe('')
      })

      it('refuses to give more than there is', async () => {
        const store = await open()
        await store.append('upload-1', 0, piecesOf('hello'))

        await expect(store.readUpload('upload-1', 6)).rejects.toMatchObject({
          code: 'BLOB_UPLOAD_INVALID',
        })
        await expect(store.readUpload('upload-2', 1)).rejects.toMatchObject({
          code: 'BLOB_UPLOAD_INVALID',
        })
      })

      it('gives nothing of an upload that never received anything', async () => {
        const store = await open()

        const bytes = await store.readUpload('upload-1', 0)

        expect(bytes).toHaveLength(0)
      })
    })

    describe('commit', () => {
      it.each([
        ['sha256', sha256('hello')],
        ['sha512', sha512('hello')],
      ])('makes an upload a blob under its %s digest', async (_, digest) => {
        const store = await open()
        await store.append('upload-1', 0, piecesOf('hello'))

        await store.commit('upload-1', { digest, sizeBytes: 5 })

        expect(await readAll(store, digest, 5)).toEqual(Buffer.from('hello'))
        await expect(store.readUpload('upload-1', 5)).rejects.toMatchObject({
          code: 'BLOB_UPLOAD_INVALID',
        })
      })

      it('takes the digest that was made while the bytes came in', async () => {
        const store = await open()
        await store.append('upload-1', 0, piecesOf('hello'))

        await store.commit('upload-1', { ...blobOf('hello'), receivedDigest: sha256('hello') })

        expect(await readAll(store, sha256('hello'), 5)).toEqual(Buffer.from('hello'))
      })

      it('hashes again where that digest has another algorithm', async () => {
        const store = await open()
        await store.append('upload-1', 0, piecesOf('hello'))
        const wrong = store.commit('upload-1', {
          digest: sha512('goodbye'),
          sizeBytes: 5,
          receivedDigest: sha256('hello'),
        })
        await expect(wrong).rejects.toMatchObject({ code: 'DIGEST_INVALID' })

        await store.commit('upload-1', {
          digest: sha512('hello'),
          sizeBytes: 5,
          receivedDigest: sha256('hello'),
        })

        expect(await readAll(store, sha512('hello'), 5)).toEqual(Buffer.from('hello'))
      })

      it.each([
        ['which it finds by reading', {}],
        ['which it knows from receiving', { receivedDigest: sha256('hello') }],
      ])('refuses bytes of another digest, %s, and keeps the upload', async (_, known) => {
        const store = await open()
        await store.append('upload-1', 0, piecesOf('hello'))

        const commit = store.commit('upload-1', {
          digest: sha256('goodbye'),
          sizeBytes: 5,
          ...known,
        })

        await expect(commit).rejects.toMatchObject({
          code: 'DIGEST_INVALID',
          details: [{ digest: sha256('goodbye'), received: sha256('hello') }],
        })
        await expectDamaged(store, sha256('goodbye'), 5)
        expect(await text(store, 'upload-1', 5)).toBe('hello')
      })

      it('refuses a digest that it cannot compute', async () => {
        const store = await open()
        await store.append('upload-1', 0, piecesOf('hello'))
        const digest = `blake3:${'0'.repeat(64)}` as Digest

        const commit = store.commit('upload-1', { digest, sizeBytes: 5 })

        await expect(commit).rejects.toMatchObject({ code: 'DIGEST_INVALID' })
      })

      it('refuses fewer bytes than it is told of', async () => {
        const store = await open()
        await store.append('upload-1', 0, piecesOf('hello'))

        const commit = store.commit('upload-1', { digest: sha256('hello'), sizeBytes: 6 })

        await expect(commit).rejects.toMatchObject({ code: 'BLOB_UPLOAD_INVALID' })
        expect(await text(store, 'upload-1', 5)).toBe('hello')
        await expectDamaged(store, sha256('hello'), 5)
      })

      it('refuses an upload that received nothing', async () => {
        const store = await open()

        const commit = store.commit('upload-1', blobOf('hello'))

        await expect(commit).rejects.toMatchObject({ code: 'BLOB_UPLOAD_INVALID' })
      })

      it('cuts bytes that nobody counted', async () => {
        const store = await open()
        await store.append('upload-1', 0, piecesOf('hello', ' and more'))

        await store.commit('upload-1', blobOf('hello'))

        expect(await readAll(store, sha256('hello'), 5)).toEqual(Buffer.from('hello'))
      })

      it('makes the empty blob, received or not', async () => {
        const store = await open()
        await store.append('upload-1', 0, piecesOf())

        await store.commit('upload-1', blobOf(''))
        await store.commit('upload-2', blobOf(''))

        expect(await readAll(store, sha256(''), 0)).toHaveLength(0)
      })

      it('takes the place of the same blob', async () => {
        const store = await open()
        await put(store, 'hello')

        await put(store, 'hello')

        expect(await readAll(store, sha256('hello'), 5)).toEqual(Buffer.from('hello'))
      })

      it('may happen to one digest fifty times at once', async () => {
        const store = await open()
        const bytes = bytesOf(100_000)
        const ids = Array.from({ length: 50 }, () => randomUUID())
        await Promise.all(ids.map((id) => store.append(id, 0, piecesOf(bytes))))

        const blob = { digest: sha256(bytes), sizeBytes: bytes.length }
        const commits = await Promise.allSettled(ids.map((id) => store.commit(id, blob)))

        expect(commits.filter(({ status }) => status === 'rejected')).toEqual([])
        expect((await readAll(store, sha256(bytes), bytes.length)).equals(bytes)).toBe(true)
      })

      it('does not disturb who is reading the blob that it replaces', async () => {
        const store = await open()
        const bytes = bytesOf(2 * MEBIBYTE)
        await put(store, bytes)
        const blob = await store.open(sha256(bytes), bytes.length)
        const sink = new HeldSink()
        const sent = blob.send({ firstByte: 0, lastByte: bytes.length - 1 }, sink)
        await sink.hasPiece()

        await put(store, bytes)
        sink.release()
        await sent
        await blob.close()

        const read = Buffer.concat(sink.pieces)
        expect(read.equals(bytes)).toBe(true)
      })
    })

    describe('abort', () => {
      it('removes what an upload has received', async () => {
        const store = await open()
        await store.append('upload-1', 0, piecesOf('hello'))

        await store.abort('upload-1')

        await expect(store.readUpload('upload-1', 5)).rejects.toMatchObject({
          code: 'BLOB_UPLOAD_INVALID',
        })
      })

      it('may be repeated, and may come before anything was received', async () => {
        const store = await open()
        await store.append('upload-1', 0, piecesOf('hello'))

        await store.abort('upload-1')
        await store.abort('upload-1')
        await store.abort('upload-2')

        const appended = await store.append('upload-1', 0, piecesOf('again'))
        expect(appended).toEqual({ receivedBytes: 5 })
        expect(await text(store, 'upload-1', 5)).toBe('again')
      })

      it('leaves a blob that the upload has become', async () => {
        const store = await open()
        await put(store, 'hello', 'upload-1')

        await store.abort('upload-1')

        expect(await readAll(store, sha256('hello'), 5)).toEqual(Buffer.from('hello'))
      })
    })

    describe('read', () => {
      it('gives every range of a small blob byte for byte', async () => {
        const store = await open()
        const bytes = bytesOf(12)
        await put(store, bytes)

        for (let firstByte = 0; firstByte < bytes.length; firstByte++) {
          for (let lastByte = firstByte; lastByte < bytes.length; lastByte++) {
            const part = await readAll(store, sha256(bytes), 12, { firstByte, lastByte })
            expect(part).toEqual(bytes.subarray(firstByte, lastByte + 1))
          }
        }
      })

      it.each([
        ['the first byte', 0, 0],
        ['the last byte', 3 * MEBIBYTE + 4, 3 * MEBIBYTE + 4],
        ['all of it', 0, 3 * MEBIBYTE + 4],
        ['all but both ends', 1, 3 * MEBIBYTE + 3],
        ['a part across many pieces', 256 * 1024 - 1, 2 * MEBIBYTE + 1],
        ['exactly one piece', 256 * 1024, 512 * 1024 - 1],
      ])('gives %s of a large blob', async (_, firstByte, lastByte) => {
        const store = await open()
        const bytes = bytesOf(3 * MEBIBYTE + 5)
        await put(store, bytes)

        const part = await readAll(store, sha256(bytes), bytes.length, { firstByte, lastByte })

        expect(part.equals(bytes.subarray(firstByte, lastByte + 1))).toBe(true)
      })

      it('gives a hundred readers of one blob the whole of it', async () => {
        const store = await open()
        const bytes = bytesOf(700_000)
        await put(store, bytes)

        const copies = await Promise.all(
          Array.from({ length: 100 }, () => readAll(store, sha256(bytes), bytes.length)),
        )

        expect(copies.every((copy) => copy.equals(bytes))).toBe(true)
      })

      it('promises nothing of a blob that is not there', async () => {
        const store = await open()

        await expectDamaged(store, sha256('hello'), 5)
      })

      it.each([4, 6, 0])(
        'promises nothing of a blob that has 5 bytes instead of %i',
        async (size) => {
          const store = await open()
          await put(store, 'hello')

          await expectDamaged(store, sha256('hello'), size)
        },
      )

      it('tells blobs of the same digits and another algorithm apart', async () => {
        const store = await open()
        await put(store, 'hello')

        await expectDamaged(store, sha512('hello'), 5)
      })

      it('sends several ranges of a blob that is open, one after the other', async () => {
        const store = await open()
        const bytes = bytesOf(2 * MEBIBYTE)
        await put(store, bytes)
        const blob = await store.open(sha256(bytes), bytes.length)
        const sink = new HeldSink()
        sink.release()

        await blob.send({ firstByte: MEBIBYTE, lastByte: 2 * MEBIBYTE - 1 }, sink)
        await blob.send({ firstByte: 0, lastByte: MEBIBYTE - 1 }, sink)
        await blob.close()

        const halves = [bytes.subarray(MEBIBYTE), bytes.subarray(0, MEBIBYTE)]
        expect(Buffer.concat(sink.pieces).equals(Buffer.concat(halves))).toBe(true)
      })

      it('gives the next piece only when the one before is done with', async () => {
        const store = await open()
        const bytes = bytesOf(2 * MEBIBYTE)
        await put(store, bytes)
        const blob = await store.open(sha256(bytes), bytes.length)
        const sink = new HeldSink()
        const sent = blob.send({ firstByte: 0, lastByte: bytes.length - 1 }, sink)

        const first = await sink.hasPiece()
        const copy = Buffer.from(first)
        // Others come and go meanwhile, and must not get its memory.
        await Promise.all(
          Array.from({ length: 20 }, () => readAll(store, sha256(bytes), bytes.length)),
        )

        expect(sink.pieces).toHaveLength(1)
        expect(copy.equals(first)).toBe(true)
        sink.release()
        await sent
        await blob.close()
        expect(Buffer.concat(sink.pieces).equals(bytes)).toBe(true)
      })

      it.each([0, 1, 5])('fails as its sink does, after %i pieces', async (count) => {
        const store = await open()
        const bytes = bytesOf(3 * MEBIBYTE)
        await put(store, bytes)
        const blob = await store.open(sha256(bytes), bytes.length)
        const failure = new Error('nobody takes it')
        let taken = 0
        const write = async () => {
          if (taken === count) throw failure
          taken++
        }

        const sent = blob.send({ firstByte: 0, lastByte: bytes.length - 1 }, { write })

        await expect(sent).rejects.toBe(failure)
        await blob.close()
        expect((await readAll(store, sha256(bytes), bytes.length)).equals(bytes)).toBe(true)
      })

      it('can be closed unread', async () => {
        const store = await open()
        await put(store, 'hello')

        const blob = await store.open(sha256('hello'), 5)
        await blob.close()

        expect(await readAll(store, sha256('hello'), 5)).toEqual(Buffer.from('hello'))
      })
    })

    describe('locate', () => {
      it('names a blob in a way that a URI can hold, or says that nobody else can read it', async () => {
        const store = await open()
        await put(store, 'hello')

        const location = await store.locate(sha256('hello'), 5)

        expect(location ?? 'x').toMatch(/^[\w-]+(\/[\w-]+)*$/)
      })

      it.each([4, 6, 0])('names no blob that has 5 bytes instead of %i', async (size) => {
        const store = await open()
        await put(store, 'hello')

        const location = store.locate(sha256('hello'), size)

        await expect(location).rejects.toBeInstanceOf(BlobDamagedError)
      })

      it('names no blob that is not there', async () => {
        const store = await open()

        const location = store.locate(sha256('hello'), 5)

        await expect(location).rejects.toBeInstanceOf(BlobDamagedError)
      })
    })

    describe('check', () => {
      it.each([0, 1, 5, 3 * MEBIBYTE + 5])(
        'finds nothing wrong with %i good bytes',
        async (size) => {
          const store = await open()
          const bytes = bytesOf(size)
          await put(store, bytes)

          const check = store.check(sha256(bytes), size)

          await expect(check).resolves.toBeUndefined()
        },
      )

      it('compares in the algorithm of the digest', async () => {
        const store = await open()
        await store.append('upload-1', 0, piecesOf('hello'))
        await store.commit('upload-1', { digest: sha512('hello'), sizeBytes: 5 })

        await expect(store.check(sha512('hello'), 5)).resolves.toBeUndefined()
      })

      it('says that a blob is missing', async () => {
        const store = await open()

        const check = store.check(sha256('hello'), 5)

        await expect(check).rejects.toMatchObject({ name: 'BlobDamagedError', damage: 'missing' })
      })

      it.each([4, 6, 0])('says that a blob has 5 bytes instead of %i', async (size) => {
        const store = await open()
        await put(store, 'hello')

        const check = store.check(sha256('hello'), size)

        await expect(check).rejects.toMatchObject({
          damage: 'size',
          message: `the blob has 5 bytes instead of ${size}`,
        })
      })

      it('is no faster than it may be, and ends when it is told to', async () => {
        const store = await open()
        const bytes = bytesOf(MEBIBYTE)
        await put(store, bytes)
        const stop = new AbortController()
        const reason = new Error('enough')

        // At this rate it would take twelve days.
        const check = store.check(sha256(bytes), bytes.length, {
          bytesPerSecond: 1,
          signal: stop.signal,
        })
        const first = await Promise.race([check, readAll(store, sha256(bytes), bytes.length)])
        stop.abort(reason)

        expect(first).toHaveLength(bytes.length)
        await expect(check).rejects.toBe(reason)
      })

      it('reads nothing when it was told to end before', async () => {
        const store = await open()
        const reason = new Error('enough')
        await put(store, 'hello')

        const check = store.check(sha256('hello'), 5, { signal: AbortSignal.abort(reason) })

        await expect(check).rejects.toBe(reason)
      })

      it('ends at a rate that is enough', async () => {
        const store = await open()
        const bytes = bytesOf(MEBIBYTE)
        await put(store, bytes)

        const check = store.check(sha256(bytes), bytes.length, { bytesPerSecond: 1e9 })

        await expect(check).resolves.toBeUndefined()
      })
    })

    describe('remove', () => {
      it('takes one blob away and leaves the others', async () => {
        const store = await open()
        await put(store, 'hello')
        await put(store, 'goodbye')

        await store.remove(sha256('hello'))

        await expectDamaged(store, sha256('hello'), 5)
        expect(await readAll(store, sha256('goodbye'), 7)).toEqual(Buffer.from('goodbye'))
      })

      it('may be repeated, and may come where nothing ever was', async () => {
        const store = await open()
        await put(store, 'hello')

        await store.remove(sha256('hello'))
        await store.remove(sha256('hello'))
        await store.remove(sha512('something else'))

        expect(await listAll(store)).toEqual([])
      })

      it('does not stop who is reading', async () => {
        const store = await open()
        const bytes = bytesOf(2 * MEBIBYTE)
        await put(store, bytes)
        const blob = await store.open(sha256(bytes), bytes.length)

        await store.remove(sha256(bytes))

        const read = await bytesFrom(blob, { firstByte: 0, lastByte: bytes.length - 1 })
        expect(read.equals(bytes)).toBe(true)
        await blob.close()
      })

      it('leaves the place to the next commit', async () => {
        const store = await open()
        await put(store, 'hello')
        await store.remove(sha256('hello'))

        await put(store, 'hello')

        expect(await readAll(store, sha256('hello'), 5)).toEqual(Buffer.from('hello'))
      })
    })

    describe('quarantine', () => {
      it('takes a blob out of sight and says where it is', async () => {
        const store = await open()
        await put(store, 'hello')

        const name = await store.quarantine(sha256('hello'))

        expect(name).toContain(hexOf(sha256('hello')))
        await expectDamaged(store, sha256('hello'), 5)
        expect(await listAll(store)).toEqual([])
      })

      it('keeps what it took before of the same digest', async () => {
        const store = await open()
        const names = new Set<string | undefined>()

        for (let round = 0; round < 4; round++) {
          await put(store, 'hello')
          names.add(await store.quarantine(sha256('hello')))
        }

        expect(names.size).toBe(4)
        expect(names).not.toContain(undefined)
      })

      it('has nothing to say of a blob that is not there', async () => {
        const store = await open()

        expect(await store.quarantine(sha256('hello'))).toBeUndefined()
        expect(await store.quarantine(sha512('hello'))).toBeUndefined()
      })

      it('leaves the place to the next commit', async () => {
        const store = await open()
        await put(store, 'hello')
        await store.quarantine(sha256('hello'))

        await put(store, 'hello')

        expect(await readAll(store, sha256('hello'), 5)).toEqual(Buffer.from('hello'))
      })
    })

    describe('listBlobs', () => {
      it('has nothing to list at first', async () => {
        const store = await open()

        expect(await store.listBlobs({ limit: 10 })).toEqual({ entries: [], hasMore: false })
      })

      it('lists each blob with its size and time', async () => {
        const before = Date.now()
        const store = await open()
        await put(store, 'hello')

        const { entries, hasMore } = await store.listBlobs({ limit: 10 })

        expect(entries).toMatchObject([{ digest: sha256('hello'), sizeBytes: 5 }])
        // The clock of a file system is coarser than ours.
        expect(entries[0]?.modifiedAt).toBeGreaterThan(before - 1000)
        expect(entries[0]?.modifiedAt).toBeLessThan(Date.now() + 1000)
        expect(hasMore).toBe(false)
      })

      it.each([1, 2, 7, 30, 59, 60, 61, 1000])(
        'lists every blob once, in the order of digests, in pages of %i',
        async (limit) => {
          const store = await open()
          const texts = Array.from({ length: 50 }, (_, n) => `blob ${n}`)
          const digests = await Promise.all(texts.map((text) => put(store, text)))
          for (const text of texts.slice(0, 10)) {
            await store.append('upload-1', 0, piecesOf(text))
            const digest = sha512(text)
            await store.commit('upload-1', { digest, sizeBytes: text.length })
            digests.push(digest)
          }

          const listed = await listAll(store, limit)

          expect(listed.map(({ digest }) => digest)).toEqual(digests.sort())
        },
      )

      it('goes on behind a name that has gone meanwhile', async () => {
        const store = await open()
        const texts = Array.from({ length: 20 }, (_, n) => `blob ${n}`)
        const digests = (await Promise.all(texts.map((text) => put(store, text)))).sort()
        const { entries } = await store.listBlobs({ limit: 10 })
        const last = entries.at(-1)

        await store.remove(digests[9] as Digest)
        const rest = await store.listBlobs({ limit: 100, ...(last && { after: last.name }) })

        expect(rest.entries.map(({ digest }) => digest)).toEqual(digests.slice(10))
      })

      it('lists no bytes of uploads', async () => {
        const store = await open()
        await store.append('upload-1', 0, piecesOf('hello'))

        expect(await listAll(store)).toEqual([])
      })
    })

    describe('listUploads', () => {
      it('lists the bytes of each upload that is under way', async () => {
        const store = await open()
        await store.append('upload-2', 0, piecesOf('hello, world'))
        await store.append('upload-1', 0, piecesOf('hello'))
        await put(store, 'goodbye', 'upload-3')
        await store.append('upload-4', 0, piecesOf('hello'))
        await store.abort('upload-4')
        await store.checkReady()

        const first = await store.listUploads({ limit: 1 })
        const second = await store.listUploads({ limit: 1, after: first.entries[0]?.name ?? '' })

        expect(first).toMatchObject({
          entries: [{ uploadId: 'upload-1', sizeBytes: 5 }],
          hasMore: true,
        })
        expect(second).toMatchObject({
          entries: [{ uploadId: 'upload-2', sizeBytes: 12 }],
          hasMore: false,
        })
      })
    })

    describe('removeStray', () => {
      it('refuses what is a blob or an upload', async () => {
        const store = await open()
        await put(store, 'hello')
        await store.append('upload-1', 0, piecesOf('hello'))
        const [blob] = (await store.listBlobs({ limit: 1 })).entries
        const [upload] = (await store.listUploads({ limit: 1 })).entries

        await expect(store.removeStray(blob?.name ?? '')).rejects.toThrow('stray')
        await expect(store.removeStray(upload?.name ?? '')).rejects.toThrow('stray')

        expect(await readAll(store, sha256('hello'), 5)).toEqual(Buffer.from('hello'))
        expect(await text(store, 'upload-1', 5)).toBe('hello')
      })
    })

    it('knows how much room there is, where there is an end of it', async () => {
      const store = await open()

      const space = await store.freeSpace()

      if (space === undefined) return
      expect(space.freeBytes).toBeGreaterThan(0)
      expect(space.totalBytes).toBeGreaterThan(space.freeBytes)
    })

    it('is ready', async () => {
      const store = await open()

      await expect(store.checkReady()).resolves.toBeUndefined()
    })
  })
}

export async function put(
  store: BlobStore,
  content: Buffer | string,
  uploadId: string = randomUUID(),
): Promise<Digest> {
  const blob = blobOf(content)
  await store.append(uploadId, 0, piecesOf(content))
  await store.commit(uploadId, blob)
  return blob.digest
}

/** Everything that lies where blobs are, page by page. */
export async function listAll(store: BlobStore, limit = 1000): Promise<StoredFile[]> {
  const all: StoredFile[] = []
  for (let hasMore = true; hasMore;) {
    const after = all.at(-1)?.name
    const page = await store.listBlobs({ limit, ...(after !== undefined && { after }) })
    expect(page.entries.length).toBeLessThanOrEqual(limit)
    all.push(...page.entries)
    hasMore = page.hasMore
  }
  return all
}

export function blobOf(content: Buffer | string): { digest: Digest; sizeBytes: number } {
  return { digest: sha256(content), sizeBytes: Buffer.byteLength(content) }
}

export async function readAll(
  store: BlobStore,
  digest: Digest,
  sizeBytes: number,
  range?: ByteRange,
): Promise<Buffer> {
  const blob = await store.open(digest, sizeBytes)
  try {
    return await bytesFrom(blob, range ?? { firstByte: 0, lastByte: sizeBytes - 1 })
  } finally {
    await blob.close()
  }
}

export async function bytesFrom(blob: OpenBlob, range: ByteRange): Promise<Buffer> {
  const sink = new HeldSink()
  sink.release()
  await blob.send(range, sink)
  return Buffer.concat(sink.pieces)
}

/** Keeps what it is given; takes nothing more than one piece before it is released. */
export class HeldSink implements BlobSink {
  readonly pieces: Buffer[] = []
  #release!: () => void
  readonly #released = new Promise<void>((resolve) => (this.#release = resolve))
  #arrived!: (piece: Uint8Array) => void
  readonly #first = new Promise<Uint8Array>((resolve) => (this.#arrived = resolve))

  async write(piece: Uint8Array): Promise<void> {
    this.#arrived(piece)
    this.pieces.push(Buffer.from(piece))
    await this.#released
  }

  /** The first piece as it was given: its memory is the store's. */
  hasPiece(): Promise<Uint8Array> {
    return this.#first
  }

  release(): void {
    this.#release()
  }
}

export async function expectDamaged(
  store: BlobStore,
  digest: Digest,
  sizeBytes: number,
): Promise<void> {
  await expect(store.open(digest, sizeBytes)).rejects.toMatchObject({ name: 'BlobDamagedError' })
}

async function text(store: BlobStore, uploadId: string, sizeBytes: number): Promise<string> {
  return (await store.readUpload(uploadId, sizeBytes)).toString()
}
