//! TLS through rustls, trusting what the system trusts.

use std::sync::{Arc, OnceLock};

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::connector::Io;
use crate::{Config, Error, Identity, Result};

#[derive(Clone)]
pub(crate) struct Client {
    insecure: bool,
    identity: Option<Identity>,
    /// Made when first needed: a platform reached in the clear costs no reading of the system's trust.
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

/// Takes any certificate: what `--insecure` asks for. Signatures are still checked, so that the peer at least holds the
/// key of the certificate it shows.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl Client {
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let client = Self {
            insecure: config.insecure,
            identity: config.identity.clone(),
            config: Arc::new(OnceLock::new()),
        };
        // What cannot work is told at once rather than at the first call.
        if config.identity.is_some() || config.origin().starts_with("https://") {
            client.config()?;
        }
        Ok(client)
    }

    fn config(&self) -> Result<Arc<ClientConfig>> {
        if let Some(made) = self.config.get() {
            return Ok(made.clone());
        }
        let made = Arc::new(self.make()?);
        Ok(self.config.get_or_init(|| made).clone())
    }

    fn make(&self) -> Result<ClientConfig> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match self.insecure {
            true => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider))),
            false => builder.with_root_certificates(system_roots()),
        };
        let mut tls = match &self.identity {
            Some(identity) => {
                let (chain, key) = load(identity)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| unloadable(&error))?
            }
            None => builder.with_no_client_auth(),
        };
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(tls)
    }

    pub(crate) async fn handshake(
        &self,
        host: &str,
        tcp: TokioIo<TcpStream>,
    ) -> std::result::Result<Box<dyn Io>, Box<dyn std::error::Error + Send + Sync>> {
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
        let stream = TlsConnector::from(self.config()?)
            .connect(name, tcp.into_inner())
            .await?;
        Ok(Box::new(TokioIo::new(stream)))
    }
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // Certificates the system has but we cannot read are as good as absent: a host that needs one is refused.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn load(identity: &Identity) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&identity.certificate).collect();
    let chain = chain.map_err(|error| unloadable(&error))?;
    let key = PrivateKeyDer::from_pem_slice(&identity.key).map_err(|error| unloadable(&error))?;
    Ok((chain, key))
}

fn unloadable(reason: &dyn std::fmt::Display) -> Error {
    Error::Tls {
        reason: format!("Unable to load the X509 key pair due to the following reason: {reason}"),
    }
}

fn unusable(error: rustls::Error) -> Error {
    Error::Tls {
        reason: error.to_string(),
    }
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;

    const NAMES: &str = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\n[\"guest\"]";

    /// Gives each request this answer, over TLS with a certificate nobody knows.
    async fn server(answer: String) -> String {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(tcp).await else {
                    continue;
                };
                let mut request = [0; 4096];
                assert!(stream.read(&mut request).await.unwrap() > 0);
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.shutdown().await.ok();
            }
        });
        address
    }

    fn config(host: String, insecure: bool) -> Config {
        Config {
            host,
            insecure,
            credentials: Some(crate::Credentials::new("a:b")),
            ..Config::default()
        }
    }

    #[tokio::test]
    async fn an_unknown_certificate_is_refused_unless_told_otherwise() {
        let host = server(NAMES.to_owned()).await;
        let names = crate::Client::new(config(host.clone(), true))
            .unwrap()
            .namespaces()
            .await
            .unwrap();
        assert_eq!(names, ["guest"]);
        let error = crate::Client::new(config(host, false))
            .unwrap()
            .namespaces()
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Connection { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn nobody_is_asked_in_the_clear_because_a_redirect_says_so() {
        let clear = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = format!("http://{}/a.js", clear.local_addr().unwrap());
        let head = format!("HTTP/1.1 302 Found\r\nlocation: {there}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let host = server(head).await;
        let client = crate::Client::new(config(format!("https://{host}"), true)).unwrap();
        tokio::select! {
            fetched = client.download("a.js") => {
                let told = format!(
                    "GET https://{host}/a.js: it redirects to {there}, which is not encrypted; give an address that stays \
                     with https"
                );
                assert_eq!(fetched.unwrap_err().to_string(), told);
            }
            _ = clear.accept() => panic!("somebody was asked in the clear"),
        }
    }

    #[test]
    fn an_identity_must_be_readable() {
        let identity = Identity {
            certificate: b"nonsense".to_vec(),
            key: b"nonsense".to_vec(),
        };
        let config = Config {
            identity: Some(identity),
            ..config("h".into(), false)
        };
        let error = Client::new(&config).err().unwrap().to_string();
        assert!(
            error.starts_with("Unable to load the X509 key pair due to the following reason: "),
            "{error}"
        );
    }
}
