'use strict';
// Gives the first lines.

function main({ lines, num = 1 }) {
  if (!Array.isArray(lines)) return { error: 'You must specify a lines parameter!' };
  return { lines: lines.slice(0, num), num };
}
