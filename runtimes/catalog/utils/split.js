'use strict';
// Cuts a text at a separator, or into its lines.

const NEWLINE = /\r?\n/;

function main({ payload = '', separator }) {
  return { lines: String(payload).split(separator || NEWLINE), payload };
}
