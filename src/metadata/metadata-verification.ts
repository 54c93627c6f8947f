/**
 * What the metadata store can tell of itself to whoever verifies it. Nothing else asks any of this: its
 * cost grows with the store, and none of it runs where a request would wait.
 */
export interface MetadataVerification {
  /** What {@link checkPart} can be asked for: all of them together are everything that is kept. */
  listParts(): Promise<string[]>

  /**
   * The backend's own check that a part can be read and agrees with itself.
   *
   * @returns what is wrong, in its words; some of it, where it is much
   */
  checkPart(part: string): Promise<string[]>
}
