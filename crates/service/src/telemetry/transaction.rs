//! What identifies the request that is being worked on, kept beside its future instead of in a span.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

/// One external request and everything it causes. Clones are the same transaction.
#[derive(Clone, Debug)]
pub struct Transaction(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: Arc<str>,
    extra: bool,
    /// Later findings: `activation_id`, `namespace`, `action`. Locked when one is added or a line written, not per poll.
    fields: Mutex<Vec<(&'static str, Box<str>)>>,
}

/// A future that runs in a transaction.
#[derive(Debug)]
pub struct InTransaction<F> {
    transaction: Option<Transaction>,
    future: F,
}

/// Puts the previous transaction back, also when a poll panics.
struct Restore<'a> {
    slot: &'a mut Option<Transaction>,
}

thread_local! {
    static CURRENT: RefCell<Option<Transaction>> = const { RefCell::new(None) };
}

/// Transactions alive that want debug lines. While there is none, a debug line is refused without a look at the thread.
static EXTRA: AtomicUsize = AtomicUsize::new(0);

impl Transaction {
    /// A transaction with this id.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(Arc::new(Inner {
            id: id.into(),
            extra: false,
            fields: Mutex::default(),
        }))
    }

    /// A transaction with this id, and whether its debug lines are shown whatever the level.
    pub fn of(id: impl Into<Arc<str>>, extra: bool) -> Self {
        match extra {
            true => Self::with_extra_logging(id),
            false => Self::new(id),
        }
    }

    /// A transaction whose debug lines are shown whatever the level.
    pub fn with_extra_logging(id: impl Into<Arc<str>>) -> Self {
        EXTRA.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(Inner {
            id: id.into(),
            extra: true,
            fields: Mutex::default(),
        }))
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The transaction of the running task, if any.
    pub fn current() -> Option<Self> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Runs `future` in this transaction: lines logged meanwhile carry its id. What the future spawns does not inherit it;
    /// wrap that too.
    pub fn run<F: Future>(self, future: F) -> InTransaction<F> {
        InTransaction {
            transaction: Some(self),
            future,
        }
    }

    /// Adds a field to all later lines; the same name again replaces the value.
    pub fn record(&self, name: &'static str, value: impl Into<Box<str>>) {
        let mut fields = self.0.fields.lock().expect("no panic under this lock");
        match fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value.into(),
            None => fields.push((name, value.into())),
        }
    }
}

/// Adds a field to the current transaction's later lines; without a transaction, nothing.
pub fn record(name: &'static str, value: impl Into<Box<str>>) {
    CURRENT.with_borrow(|current| {
        if let Some(transaction) = current {
            transaction.record(name, value);
        }
    });
}

/// Whether the running task's transaction wants debug lines.
pub(super) fn wants_extra() -> bool {
    EXTRA.load(Ordering::Relaxed) > 0
        && CURRENT.with_borrow(|current| current.as_ref().is_some_and(|transaction| transaction.0.extra))
}

/// Calls `visit` with the current transaction's id and fields.
pub(super) fn with_current(visit: impl FnOnce(&str, &[(&'static str, Box<str>)])) {
    CURRENT.with_borrow(|current| {
        if let Some(Transaction(inner)) = current {
            visit(&inner.id, &inner.fields.lock().expect("no panic under this lock"));
        }
    });
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.extra {
            EXTRA.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl<F: Future> Future for InTransaction<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: `future` is pinned with `self` and never moved; `transaction` is not pinned.
        let (slot, future) = unsafe {
            let this = self.get_unchecked_mut();
            (&mut this.transaction, Pin::new_unchecked(&mut this.future))
        };
        let _restore = Restore::swap(slot);
        future.poll(cx)
    }
}

impl<'a> Restore<'a> {
    fn swap(slot: &'a mut Option<Transaction>) -> Self {
        CURRENT.with_borrow_mut(|current| std::mem::swap(current, slot));
        Self { slot }
    }
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(|current| std::mem::swap(current, self.slot));
    }
}
