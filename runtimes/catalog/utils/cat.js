'use strict';
// Joins lines to one text.

function main({ lines = [] }) {
  return { lines, payload: Array.isArray(lines) ? lines.join('\n') : lines };
}
