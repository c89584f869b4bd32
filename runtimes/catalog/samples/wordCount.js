'use strict';
// Counts the words of a text.

function main({ payload }) {
  const count = String(payload).split(' ').length;
  console.log(`The message '${payload}' has ${count} words`);
  return { count };
}
