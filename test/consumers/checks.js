// @ts-check

/** Runs, prints and counts checks. A failed check does not stop the others. */
export class Checks {
  passed = 0;
  failed = 0;

  /**
   * @param {string} name
   * @param {() => unknown} act throws or rejects when the check fails
   * @returns {Promise<boolean>}
   */
  async check(name, act) {
    const startedAt = performance.now();
    const seconds = () => `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
    try {
      await act();
      this.passed += 1;
      console.log(`ok    ${name} (${seconds()})`);
      return true;
    } catch (error) {
      this.failed += 1;
      const reason = error instanceof Error ? error.message : String(error);
      console.log(`FAIL  ${name} (${seconds()})\n${reason.replaceAll(/^/gm, '      ')}`);
      return false;
    }
  }

  get summary() {
    return `${this.passed} passed, ${this.failed} failed`;
  }
}
