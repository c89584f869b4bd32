'use strict';
// Gives back what it was given.

function main(params) {
  return params;
}
