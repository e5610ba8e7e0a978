/** Which parts of data of one's own their files hold out. */
export interface OwnSplits {
  readonly test: boolean;
  readonly valid: boolean;
}
