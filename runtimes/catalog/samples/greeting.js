'use strict';
// Greets somebody somewhere.

function main(params) {
  console.log(params);
  const name = params.name || params.payload || 'stranger';
  const place = params.place || 'somewhere';
  return { payload: `Hello, ${name} from ${place}!` };
}
