'use strict';
// Joins lines to one text in which each ends with a newline.

function main({ lines }) {
  if (!Array.isArray(lines)) return { error: 'You must specify a lines parameter!' };
  return { lines, payload: lines.map((line) => `${line}\n`).join('') };
}
