/**
 * The exact package version of each major: prereleases are never a range. 15 is the dependency's own.
 * @type {Record<number, string>}
 */
export const majors = {
  13: "13.23.0-beta.16",
  14: "14.23.0-beta.17",
  16: "16.14.0-beta.17",
  17: "17.10.0-beta.17",
  18: "18.4.0-beta.17",
};
