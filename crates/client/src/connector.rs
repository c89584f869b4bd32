//! How a connection to the platform is made: directly or through a proxy, in the clear or encrypted.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Matcher;
use tower_service::Service;

use crate::{Config, Result, tls};

/// Makes connections for the pool.
#[derive(Clone)]
pub(crate) struct Connector {
    tcp: HttpConnector,
    proxies: std::sync::Arc<Matcher>,
    tls: tls::Client,
}

/// Bytes both ways, whatever carries them.
pub(crate) trait Io: Read + Write + Send + Unpin {}

impl<T: Read + Write + Send + Unpin> Io for T {}

/// One connection.
pub(crate) struct Stream {
    io: Box<dyn Io>,
    /// Whether requests name the host they are for, because a proxy reads them.
    proxied: bool,
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

impl Connector {
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // The matcher takes `*` for every name but for no address.
        let none = crate::Proxies::default();
        let everything = config
            .proxies
            .none_for
            .as_deref()
            .is_some_and(|hosts| hosts.trim() == "*");
        let proxies = if everything { &none } else { &config.proxies };
        let proxies = Matcher::builder()
            .http(proxies.http.clone().unwrap_or_default())
            .https(proxies.https.clone().unwrap_or_default())
            .no(proxies.none_for.clone().unwrap_or_default())
            .build();
        Ok(Self {
            tcp,
            proxies: proxies.into(),
            tls: tls::Client::new(config)?,
        })
    }

    /// What a proxy that reads the requests for `uri` wants to be shown.
    pub(crate) fn proxy_authorization(&self, uri: &Uri) -> Option<HeaderValue> {
        match uri.scheme_str() {
            Some("http") => self.proxies.intercept(uri)?.basic_auth().cloned(),
            _ => None,
        }
    }

    async fn connect(mut self, uri: Uri) -> std::result::Result<Stream, Failed> {
        let encrypted = uri.scheme_str() == Some("https");
        let proxy = self.proxies.intercept(&uri);
        let tcp = match (&proxy, encrypted) {
            (Some(proxy), true) => {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), self.tcp);
                if let Some(auth) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(auth.clone());
                }
                tunnel.call(uri.clone()).await?
            }
            (Some(proxy), false) => self.tcp.call(proxy.uri().clone()).await?,
            (None, _) => self.tcp.call(uri.clone()).await?,
        };
        let io: Box<dyn Io> = match encrypted {
            true => self.tls.handshake(uri.host().unwrap_or_default(), tcp).await?,
            false => Box::new(tcp),
        };
        Ok(Stream {
            io,
            proxied: proxy.is_some() && !encrypted,
        })
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = std::result::Result<Stream, Failed>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.proxied)
    }
}

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
