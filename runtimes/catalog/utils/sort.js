'use strict';
// Sorts lines by the UTF-16 code units of their text, as JavaScript does by itself.

function main({ lines = [] }) {
  const sorted = [...lines].sort();
  return { lines: sorted, length: sorted.length };
}
