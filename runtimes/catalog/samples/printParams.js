'use strict';
// Writes its parameters to the log, by name.

function main(params) {
  const sorted = Object.keys(params).sort().map((name) => [name, params[name]]);
  const shown = sorted.map(([name, value]) => `params.${name}: ${typeof value === 'object' ? JSON.stringify(value) : value}`);
  console.log(shown.join('\n '));
  return { params: Object.fromEntries(sorted) };
}
