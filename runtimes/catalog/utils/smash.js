'use strict';
// Moves all parameters into one field, whose name is a parameter too.

const FIELD = '$fieldName';

function main({ [FIELD]: name, ...rest }) {
  if (typeof name !== 'string') return { error: `Expected an argument '${FIELD}' of type 'string'.` };
  return { [name]: rest };
}
