'use strict';
// Counts the words of a text, and answers a moment later.

const LATER = 100;

function main({ payload }) {
  return new Promise((resolve) => {
    setTimeout(() => {
      const count = String(payload).split(' ').length;
      console.log(`The message '${payload}' has ${count} words`);
      resolve({ count });
    }, LATER);
  });
}
