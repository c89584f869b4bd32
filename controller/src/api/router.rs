//! Which request is what: one table, read by the dispatcher, the coverage tests and the API description alike.
//!
//! Matching allocates nothing. Segments stay percent-encoded until a handler asks for one. What the table does not hold is
//! answered by [`classify`] after upstream's rules: below `/api/v1` an unknown path, or a verb that a path does not know,
//! wants a key first and is then a route that could not be found; elsewhere it is a method that is not allowed.

use hyper::Method;
use wsk_entities::Collection;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// Anybody may ask.
    Open(Open),
    /// Starts activations; wants a key. The warm path.
    Start(Start),
    /// Everything else that wants a key.
    Resource(Resource),
}

/// What needs no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Open {
    Info,
    Ping,
    ApiInfo,
    ApiDocs,
    ApiViewer,
    InfoDocs,
    InfoViewer,
    /// The page that shows a description.
    Viewer,
    Invokers,
    HealthyInvokers,
    ReadyInvokers,
    ActivationsInFlight,
    ActivationsInFlightCount,
}

/// What starts activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Start {
    Action,
    PackagedAction,
    Trigger,
}

/// Entities, records, limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource {
    Namespaces,
    Limits,
    LimitsEntity,
    List(Collection),
    PackageActions,
    Get(Collection),
    Put(Collection),
    Delete(Collection),
    GetPackaged,
    PutPackaged,
    DeletePackaged,
    RuleStatus,
    Activations,
    Activation,
    CancelActivation,
    ActivationResult,
    ActivationLogs,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    pub method: &'static str,
    /// Segments after the leading slash; `{…}` takes one segment, a trailing slash is a last empty segment.
    pub path: &'static str,
    pub route: Route,
}

/// What a request turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Matched<'a> {
    Known {
        route: Route,
        captures: Captures<'a>,
    },
    /// `/api/v1/web/{ns}/{pkg}/{action}…`, whose verbs the web handler judges.
    Web(WebPath<'a>),
    /// `OPTIONS` on a management path, or outside.
    Options {
        management: bool,
    },
    /// An unknown path, or verb of a path, below `/api/v1`.
    UnknownManagement,
    /// Outside `/api/v1`: the methods that the path knows.
    NotAllowed {
        allow: &'static str,
    },
}

/// The segments that a pattern's `{…}` took, still percent-encoded, in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Captures<'a>([&'a str; 3]);

/// The parts of a web action's path, still percent-encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebPath<'a> {
    pub namespace: &'a str,
    /// `default` stands for the default package.
    pub package: &'a str,
    /// The action's name with its extension.
    pub action: &'a str,
    /// What follows, with its leading slash; empty when nothing does.
    pub rest: &'a str,
}

/// Longest pattern.
const MAX_SEGMENTS: usize = 8;

const fn row(method: &'static str, path: &'static str, route: Route) -> Endpoint {
    Endpoint { method, path, route }
}

use Collection::{Actions, Packages, Rules, Triggers};

/// Every route but web actions and `OPTIONS`. The most frequent first.
#[rustfmt::skip]
pub static ROUTES: &[Endpoint] = &[
    row("POST", "api/v1/namespaces/{ns}/actions/{name}", Route::Start(Start::Action)),
    row("POST", "api/v1/namespaces/{ns}/actions/{package}/{name}", Route::Start(Start::PackagedAction)),
    row("POST", "api/v1/namespaces/{ns}/triggers/{name}", Route::Start(Start::Trigger)),
    row("GET", "api/v1/namespaces/{ns}/activations/{id}", Route::Resource(Resource::Activation)),
    row("GET", "api/v1/namespaces/{ns}/activations/{id}/", Route::Resource(Resource::Activation)),
    row("DELETE", "api/v1/namespaces/{ns}/activations/{id}", Route::Resource(Resource::CancelActivation)),
    row("GET", "api/v1/namespaces/{ns}/activations/{id}/result", Route::Resource(Resource::ActivationResult)),
    row("GET", "api/v1/namespaces/{ns}/activations/{id}/logs", Route::Resource(Resource::ActivationLogs)),
    row("GET", "api/v1/namespaces/{ns}/activations", Route::Resource(Resource::Activations)),
    row("GET", "api/v1/namespaces/{ns}/activations/", Route::Resource(Resource::Activations)),
    row("GET", "api/v1/namespaces/{ns}/actions", Route::Resource(Resource::List(Actions))),
    row("GET", "api/v1/namespaces/{ns}/actions/", Route::Resource(Resource::List(Actions))),
    row("GET", "api/v1/namespaces/{ns}/actions/{name}", Route::Resource(Resource::Get(Actions))),
    row("PUT", "api/v1/namespaces/{ns}/actions/{name}", Route::Resource(Resource::Put(Actions))),
    row("DELETE", "api/v1/namespaces/{ns}/actions/{name}", Route::Resource(Resource::Delete(Actions))),
    row("GET", "api/v1/namespaces/{ns}/actions/{package}/", Route::Resource(Resource::PackageActions)),
    row("GET", "api/v1/namespaces/{ns}/actions/{package}/{name}", Route::Resource(Resource::GetPackaged)),
    row("PUT", "api/v1/namespaces/{ns}/actions/{package}/{name}", Route::Resource(Resource::PutPackaged)),
    row("DELETE", "api/v1/namespaces/{ns}/actions/{package}/{name}", Route::Resource(Resource::DeletePackaged)),
    row("GET", "api/v1/namespaces/{ns}/triggers", Route::Resource(Resource::List(Triggers))),
    row("GET", "api/v1/namespaces/{ns}/triggers/", Route::Resource(Resource::List(Triggers))),
    row("GET", "api/v1/namespaces/{ns}/triggers/{name}", Route::Resource(Resource::Get(Triggers))),
    row("PUT", "api/v1/namespaces/{ns}/triggers/{name}", Route::Resource(Resource::Put(Triggers))),
    row("DELETE", "api/v1/namespaces/{ns}/triggers/{name}", Route::Resource(Resource::Delete(Triggers))),
    row("GET", "api/v1/namespaces/{ns}/rules", Route::Resource(Resource::List(Rules))),
    row("GET", "api/v1/namespaces/{ns}/rules/", Route::Resource(Resource::List(Rules))),
    row("GET", "api/v1/namespaces/{ns}/rules/{name}", Route::Resource(Resource::Get(Rules))),
    row("PUT", "api/v1/namespaces/{ns}/rules/{name}", Route::Resource(Resource::Put(Rules))),
    row("DELETE", "api/v1/namespaces/{ns}/rules/{name}", Route::Resource(Resource::Delete(Rules))),
    row("POST", "api/v1/namespaces/{ns}/rules/{name}", Route::Resource(Resource::RuleStatus)),
    row("GET", "api/v1/namespaces/{ns}/packages", Route::Resource(Resource::List(Packages))),
    row("GET", "api/v1/namespaces/{ns}/packages/", Route::Resource(Resource::List(Packages))),
    row("GET", "api/v1/namespaces/{ns}/packages/{name}", Route::Resource(Resource::Get(Packages))),
    row("PUT", "api/v1/namespaces/{ns}/packages/{name}", Route::Resource(Resource::Put(Packages))),
    row("DELETE", "api/v1/namespaces/{ns}/packages/{name}", Route::Resource(Resource::Delete(Packages))),
    row("GET", "api/v1/namespaces/{ns}/limits", Route::Resource(Resource::Limits)),
    row("GET", "api/v1/namespaces/{ns}/limits/", Route::Resource(Resource::Limits)),
    row("GET", "api/v1/namespaces/{ns}/limits/{name}", Route::Resource(Resource::LimitsEntity)),
    row("GET", "api/v1/namespaces", Route::Resource(Resource::Namespaces)),
    row("GET", "api/v1/namespaces/", Route::Resource(Resource::Namespaces)),
    row("GET", "api/v1", Route::Open(Open::ApiInfo)),
    row("GET", "api/v1/", Route::Open(Open::ApiInfo)),
    row("GET", "api/v1/api-docs", Route::Open(Open::ApiDocs)),
    row("GET", "api/v1/docs", Route::Open(Open::ApiViewer)),
    row("GET", "api/v1/docs/index.html", Route::Open(Open::Viewer)),
    row("GET", "", Route::Open(Open::Info)),
    row("GET", "ping", Route::Open(Open::Ping)),
    row("GET", "api-docs", Route::Open(Open::InfoDocs)),
    row("GET", "docs", Route::Open(Open::InfoViewer)),
    row("GET", "docs/index.html", Route::Open(Open::Viewer)),
    row("GET", "invokers", Route::Open(Open::Invokers)),
    row("GET", "invokers/healthy/count", Route::Open(Open::HealthyInvokers)),
    row("GET", "invokers/ready", Route::Open(Open::ReadyInvokers)),
    row("GET", "activation", Route::Open(Open::ActivationsInFlight)),
    row("GET", "activation/count", Route::Open(Open::ActivationsInFlightCount)),
];

/// Verbs of the protocol that this server knows; others are 501.
const VERBS: [Method; 9] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::HEAD,
    Method::OPTIONS,
    Method::PATCH,
    Method::TRACE,
    Method::CONNECT,
];

impl<'a> Captures<'a> {
    /// The `n`th captured segment; empty when the pattern has fewer.
    pub fn raw(&self, n: usize) -> &'a str {
        self.0[n]
    }
}

/// Whether the verb is one that HTTP defines.
pub fn is_known(method: &Method) -> bool {
    VERBS.contains(method)
}

/// Finds out what a request is. `path` is the path part of the target, percent-encoded, without dot segments.
pub fn classify<'a>(method: &Method, path: &'a str) -> Matched<'a> {
    let management = is_management(path);
    if let Some(web) = web_path(path) {
        return Matched::Web(web);
    }
    let segments = Segments::of(path);
    if let Some((endpoint, captures)) = segments.as_ref().and_then(|s| s.find(|e| e.method == method.as_str())) {
        return Matched::Known {
            route: endpoint.route,
            captures,
        };
    }
    if *method == Method::OPTIONS {
        return Matched::Options { management };
    }
    if management {
        return Matched::UnknownManagement;
    }
    let known = segments.is_some_and(|s| s.find(|_| true).is_some());
    Matched::NotAllowed {
        allow: if known { "GET, OPTIONS" } else { "OPTIONS" },
    }
}

fn is_management(path: &str) -> bool {
    path.strip_prefix("/api/v1")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn web_path(path: &str) -> Option<WebPath<'_>> {
    let rest = path.strip_prefix("/api/v1/web/")?;
    let (namespace, rest) = rest.split_once('/')?;
    let (package, rest) = rest.split_once('/')?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (action, rest) = rest.split_at(end);
    if namespace.is_empty() || package.is_empty() || action.is_empty() {
        return None;
    }
    Some(WebPath {
        namespace,
        package,
        action,
        rest,
    })
}

/// A path cut at its slashes.
struct Segments<'a> {
    parts: [&'a str; MAX_SEGMENTS],
    count: usize,
}

impl<'a> Segments<'a> {
    /// None when there are more segments than any pattern has.
    fn of(path: &'a str) -> Option<Segments<'a>> {
        let mut segments = Segments {
            parts: [""; MAX_SEGMENTS],
            count: 0,
        };
        for part in path.strip_prefix('/').unwrap_or(path).split('/') {
            *segments.parts.get_mut(segments.count)? = part;
            segments.count += 1;
        }
        Some(segments)
    }

    fn find(&self, wanted: impl Fn(&Endpoint) -> bool) -> Option<(&'static Endpoint, Captures<'a>)> {
        ROUTES
            .iter()
            .filter(|e| wanted(e))
            .find_map(|e| self.captured_by(e).map(|c| (e, c)))
    }

    fn captured_by(&self, endpoint: &Endpoint) -> Option<Captures<'a>> {
        let (mut captures, mut taken, mut count) = (Captures::default(), 0, 0);
        for pattern in endpoint.path.split('/') {
            let part = *self.parts[..self.count].get(count)?;
            count += 1;
            if pattern.starts_with('{') {
                if part.is_empty() {
                    return None;
                }
                captures.0[taken] = part;
                taken += 1;
            } else if pattern != part {
                return None;
            }
        }
        (count == self.count).then_some(captures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(method: &str, path: &str) -> Option<(Route, Vec<String>)> {
        match classify(&method.parse().unwrap(), path) {
            Matched::Known { route, captures, .. } => Some((
                route,
                captures
                    .0
                    .iter()
                    .filter(|c| !c.is_empty())
                    .map(ToString::to_string)
                    .collect(),
            )),
            _ => None,
        }
    }

    #[test]
    fn every_row_is_reached_by_its_own_path() {
        for endpoint in ROUTES {
            let path = format!("/{}", endpoint.path.replace(['{', '}'], ""));
            let (route, _) = known(endpoint.method, &path).unwrap_or_else(|| panic!("{path} is not matched"));
            assert_eq!(
                route, endpoint.route,
                "{} {path} is hidden by an earlier row",
                endpoint.method
            );
        }
    }

    #[test]
    fn captures_keep_their_encoding() {
        let (route, captures) = known("GET", "/api/v1/namespaces/_/actions/p/a%20b").unwrap();
        assert_eq!(route, Route::Resource(Resource::GetPackaged));
        assert_eq!(captures, ["_", "p", "a%20b"]);
    }

    #[test]
    fn what_is_not_in_the_table() {
        let get = Method::GET;
        for path in [
            "/api/v1/nope",
            "/api/v1/namespaces/_//actions",
            "/api/v1/namespaces/_/triggers/t/",
            "/api/v1/web/a/b",
        ] {
            assert_eq!(classify(&get, path), Matched::UnknownManagement, "{path}");
        }
        assert_eq!(
            classify(&Method::POST, "/api/v1/namespaces/_/actions"),
            Matched::UnknownManagement
        );
        assert_eq!(
            classify(&Method::POST, "/ping"),
            Matched::NotAllowed { allow: "GET, OPTIONS" }
        );
        for path in ["/ping/", "/api", "/api/v2", "/x"] {
            assert_eq!(classify(&get, path), Matched::NotAllowed { allow: "OPTIONS" }, "{path}");
        }
        assert_eq!(
            classify(&Method::OPTIONS, "/api/v1/nope"),
            Matched::Options { management: true }
        );
        assert_eq!(classify(&Method::OPTIONS, "/"), Matched::Options { management: false });
    }

    #[test]
    fn web_paths_keep_the_rest() {
        let web = |path| match classify(&Method::PUT, path) {
            Matched::Web(web) => Some((web.namespace, web.package, web.action, web.rest)),
            _ => None,
        };
        assert_eq!(
            web("/api/v1/web/guest/default/a.json"),
            Some(("guest", "default", "a.json", ""))
        );
        assert_eq!(
            web("/api/v1/web/guest/p/a/b/c%2F/"),
            Some(("guest", "p", "a", "/b/c%2F/"))
        );
        assert_eq!(web("/api/v1/web/guest/p/"), None);
    }
}
