'use strict';
// Tells which namespace it was invoked in.

function main() {
  return { namespace: process.env.__OW_NAMESPACE };
}
