/** The numbers of notifications that were handled and that failed. */
export interface DrainCount {
  handled: number;
  failed: number;
}
