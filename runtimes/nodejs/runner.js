// Evaluates the user's text in the scope of this module and of nothing else: `require`, `module` and `exports` are there,
// `import()` works, and no name of the runtime is in sight. Not in strict mode, because plain source never was.
module.exports = function () {
  return eval(arguments[0]);
};
