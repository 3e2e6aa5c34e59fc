// What the browser keeps for the page. Where it may not (a policy, a private window, no room) this window still knows.
// @ts-check

/** @type {Map<string, string>} What could not be kept. */
const unkept = new Map();

/** @param {string} name @returns {string | null} */
export function recall(name) {
  const known = unkept.get(name);
  if (known !== undefined) return known;
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** @param {string} name @param {string} value @returns {boolean} whether it is there after this window too */
export function keep(name, value) {
  try {
    localStorage.setItem(name, value);
    unkept.delete(name);
    return true;
  } catch {
    unkept.set(name, value);
    return false;
  }
}
