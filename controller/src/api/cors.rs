//! Cross-origin headers.

use hyper::HeaderMap;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue,
};

/// The request headers that a browser may send.
pub const ALLOWED_HEADERS: HeaderValue =
    HeaderValue::from_static("Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent");
const ANYWHERE: HeaderValue = HeaderValue::from_static("*");

/// Which list of methods an answer names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// Below `/api/v1`.
    Management,
    /// Outside it.
    Outside,
    /// Web actions.
    Web,
}

impl Surface {
    fn methods(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Surface::Management => "GET, DELETE, POST, PUT, HEAD",
            Surface::Outside => "OPTIONS, GET, POST",
            Surface::Web => "OPTIONS, GET, DELETE, POST, PUT, HEAD, PATCH",
        })
    }
}

/// Adds the headers of a surface, allowing `headers` in requests.
pub fn add(surface: Surface, headers: HeaderValue, to: &mut HeaderMap) {
    to.append(ACCESS_CONTROL_ALLOW_ORIGIN, ANYWHERE);
    to.append(ACCESS_CONTROL_ALLOW_METHODS, surface.methods());
    to.append(ACCESS_CONTROL_ALLOW_HEADERS, headers);
}
