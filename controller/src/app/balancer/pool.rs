//! A range of the invokers, and the order in which it is probed. Pure.

use std::sync::Arc;

/// A range of the invokers, with the steps to probe it.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    pub first: usize,
    pub size: usize,
    steps: Arc<[usize]>,
}

impl Pool {
    pub fn new(first: usize, size: usize) -> Pool {
        Pool {
            first,
            size,
            steps: coprime_steps(size).into(),
        }
    }

    /// Every invoker of the pool once, from the `start`th on, in the `stride`th of the steps. The pool is not empty.
    pub fn round(&self, start: usize, stride: usize) -> impl Iterator<Item = usize> + use<> {
        let (first, size, step) = (self.first, self.size, self.steps[stride % self.steps.len()]);
        let mut next = start % size;
        (0..size).map(move |_| {
            let at = next;
            next += step;
            if next >= size {
                next -= size;
            }
            first + at
        })
    }
}

/// Numbers up to `n` that are coprime with it and with each other, 1 first.
pub(super) fn coprime_steps(n: usize) -> Vec<usize> {
    let mut steps: Vec<usize> = Vec::new();
    for candidate in 1..=n.max(1) {
        if gcd(candidate, n.max(1)) == 1 && steps.iter().all(|step| gcd(candidate, *step) == 1) {
            steps.push(candidate);
        }
    }
    steps
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
