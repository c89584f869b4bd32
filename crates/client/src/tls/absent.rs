//! A build that only speaks plain http.

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::connector::Io;
use crate::{Config, Error, Result};

#[derive(Clone)]
pub(crate) struct Client;

impl Client {
    pub(crate) fn new(config: &Config) -> Result<Self> {
        match config.origin().starts_with("https://") {
            true => Err(Error::NoTls {
                host: config.host.clone(),
            }),
            false => Ok(Self),
        }
    }

    pub(crate) async fn handshake(&self, host: &str, _: TokioIo<TcpStream>) -> std::result::Result<Box<dyn Io>, Error> {
        Err(Error::NoTls { host: host.to_owned() })
    }
}
