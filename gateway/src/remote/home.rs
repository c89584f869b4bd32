//! Which requests have a home among the controllers, and when.
//!
//! What reads or writes the entities of a namespace has one always. What runs something has one for a moment after a write of that
//! namespace's entities went through here: the other controllers hear of the change only then, and who has written is the one
//! who would notice.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use hyper::Method;
use hyper::http::request::Parts as Head;
use tokio::time::Instant;
use wsk_identity::Outcome;

/// How long a change may take to reach every controller while all is well.
const MOMENT: Duration = Duration::from_secs(2);

/// What a request has to do with the entities of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Concern<'a> {
    pub namespace: &'a str,
    pub what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Reads,
    Writes,
    Runs,
}

/// Namespaces whose entities were written through here within the last [`MOMENT`].
#[derive(Debug, Default)]
pub(super) struct Written(Mutex<HashMap<String, Instant>>);

/// None for a request that has nothing to do with entities.
pub(super) fn concern<'a>(head: &'a Head, caller: &'a Outcome) -> Option<Concern<'a>> {
    let path = head.uri.path();
    if let Some(web) = path.strip_prefix("/api/v1/web/") {
        let namespace = web.split('/').next()?;
        return Some(Concern {
            namespace,
            what: What::Runs,
        });
    }
    let mut segments = path.strip_prefix("/api/v1/namespaces/")?.split('/');
    let (namespace, collection) = (segments.next()?, segments.next()?);
    let what = match (collection, &head.method) {
        ("actions" | "triggers", &Method::POST) => What::Runs,
        ("actions" | "triggers" | "packages" | "rules", &Method::GET | &Method::HEAD) => What::Reads,
        ("actions" | "triggers" | "packages" | "rules", _) => What::Writes,
        _ => return None,
    };
    let namespace = match namespace {
        "_" => caller.identity()?.namespace.name.as_str(),
        named => named,
    };
    Some(Concern { namespace, what })
}

impl Written {
    /// The namespace whose home a request goes to, if it has one now.
    pub fn home<'a>(&self, concern: Concern<'a>) -> Option<&'a str> {
        let Concern { namespace, what } = concern;
        let at_home = match what {
            What::Reads | What::Writes => true,
            What::Runs => self.lock().get(namespace).is_some_and(|at| at.elapsed() < MOMENT),
        };
        at_home.then_some(namespace)
    }

    /// A request was answered with success.
    pub fn answered(&self, concern: Concern<'_>) {
        match concern.what {
            What::Reads | What::Runs => {}
            What::Writes => {
                let mut written = self.lock();
                written.retain(|_, at| at.elapsed() < MOMENT);
                written.insert(concern.namespace.to_owned(), Instant::now());
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().expect("no panic under this lock")
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn head(method: &str, path: &str) -> Head {
        let request = Request::builder().method(method).uri(path).body(()).unwrap();
        request.into_parts().0
    }

    #[test]
    fn what_is_about_entities() {
        for (method, path, what) in [
            ("PUT", "/api/v1/namespaces/ada/actions/a", What::Writes),
            ("GET", "/api/v1/namespaces/ada/triggers", What::Reads),
            ("POST", "/api/v1/namespaces/ada/rules/r", What::Writes),
            ("DELETE", "/api/v1/namespaces/ada/packages/p?force=true", What::Writes),
            ("POST", "/api/v1/namespaces/ada/actions/p/a", What::Runs),
            ("POST", "/api/v1/namespaces/ada/triggers/t", What::Runs),
            ("GET", "/api/v1/web/ada/default/a.json", What::Runs),
        ] {
            let namespace = "ada";
            let expected = Some(Concern { namespace, what });
            assert_eq!(
                concern(&head(method, path), &Outcome::Missing),
                expected,
                "{method} {path}"
            );
        }
        for (method, path) in [
            ("GET", "/api/v1/namespaces/ada/activations"),
            ("PUT", "/api/v1/namespaces/_/actions/a"),
            ("GET", "/ping"),
        ] {
            assert_eq!(concern(&head(method, path), &Outcome::Missing), None, "{method} {path}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_just_written_is_at_home() {
        let written = Written::default();
        let of = |namespace, what| Concern { namespace, what };
        assert_eq!(written.home(of("ada", What::Reads)), Some("ada"));
        assert_eq!(written.home(of("ada", What::Runs)), None);
        written.answered(of("ada", What::Runs));
        written.answered(of("ada", What::Reads));
        assert_eq!(written.home(of("ada", What::Runs)), None, "nothing was written");
        written.answered(of("ada", What::Writes));
        assert_eq!(written.home(of("ada", What::Runs)), Some("ada"));
        assert_eq!(written.home(of("bob", What::Runs)), None);
        tokio::time::advance(MOMENT).await;
        assert_eq!(written.home(of("ada", What::Runs)), None);
        written.answered(of("bob", What::Writes));
        assert_eq!(written.lock().len(), 1, "what is over is forgotten");
    }
}
