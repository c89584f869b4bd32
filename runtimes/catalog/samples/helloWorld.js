'use strict';
// Writes a greeting to the log.

function main({ payload }) {
  console.log(`hello ${payload}!`);
}
