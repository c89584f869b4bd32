//! Certificates: files that are noticed when they change, and self-signed ones for those who have none.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;
use std::{fs, io};

use async_trait::async_trait;
use tokio::net::TcpStream;
use tokio::time::Duration;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use wsk_service::http::{Accept, Stream};

wsk_service::settings! {
    /// Options of the encrypting listener.
    pub struct Config {
        /// Address and port for HTTPS; empty: none.
        pub listen: String = String::new(),
        /// Certificate chain, PEM; read anew when it changes. Empty: `ferrowhisk serve` makes a self-signed one in its data
        /// folder; `ferrowhisk-gateway` makes none and needs one named.
        pub certificate: PathBuf = PathBuf::new(),
        /// Its private key, PEM.
        pub key: PathBuf = PathBuf::new(),
        /// Names and addresses of the self-signed certificate that `ferrowhisk serve` makes, beside `localhost` and the loopback
        /// addresses; of no use to `ferrowhisk-gateway`.
        pub names: Vec<String> = Vec::new(),
    }
}

/// How long a self-signed certificate is good for. Some clients refuse one that is to last longer than 825 days, though they were
/// told to trust it.
const LIFE: Duration = Duration::from_secs(820 * DAY);
/// With less than this left at a start, another takes its place.
const REST: Duration = Duration::from_secs(60 * DAY);
/// A client's clock may be behind ours.
const BEHIND: Duration = Duration::from_secs(DAY);
const DAY: u64 = 24 * 60 * 60;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What is wrong with a certificate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{} holds no usable certificate or key: {reason}", path.display())]
    Unusable { path: PathBuf, reason: String },
    #[error("no certificate can be made: {0}")]
    Unmade(String),
}

/// A certificate and its key in files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Encrypts connections with what the files hold.
#[derive(Clone)]
pub struct Acceptor {
    files: Files,
    current: Arc<RwLock<Current>>,
}

struct Current {
    texts: [Vec<u8>; 2],
    acceptor: TlsAcceptor,
}

impl Config {
    /// The files in force; `folder` is where a self-signed certificate lies.
    pub fn files(&self, folder: &Path) -> Files {
        let or = |path: &Path, name: &str| match path.as_os_str().is_empty() {
            true => folder.join(name),
            false => path.to_owned(),
        };
        Files {
            certificate: or(&self.certificate, "tls.crt"),
            key: or(&self.key, "tls.key"),
        }
    }

    /// Whether the certificate is ours to make.
    pub fn is_self_signed(&self) -> bool {
        self.certificate.as_os_str().is_empty() && self.key.as_os_str().is_empty()
    }
}

impl Files {
    /// Makes a self-signed certificate for `localhost` and `names` unless there is one that lasts.
    pub fn ensure(&self, names: &[String]) -> Result<(), Error> {
        self.ensure_at(names, SystemTime::now())
    }

    fn ensure_at(&self, names: &[String], now: SystemTime) -> Result<(), Error> {
        if self.certificate.exists() && self.key.exists() && !self.ends_before(now + REST) {
            return Ok(());
        }
        let own = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let made =
            rcgen::CertificateParams::new(own.iter().chain(names).cloned().collect::<Vec<_>>()).and_then(|params| {
                let mut params = params;
                params.distinguished_name = rcgen::DistinguishedName::new();
                params
                    .distinguished_name
                    .push(rcgen::DnType::CommonName, "Ferrowhisk self-signed");
                params.not_before = (now - BEHIND).into();
                params.not_after = (now + LIFE).into();
                params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
                params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
                let key = rcgen::KeyPair::generate()?;
                Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
            });
        let (certificate, key) = made.map_err(|error| Error::Unmade(error.to_string()))?;
        write(&self.key, &key, 0o600)?;
        write(&self.certificate, &certificate, 0o644)
    }

    /// Whether the certificate is one of ours that is of no use at `time`. What cannot be read is not said to end: it is another's,
    /// or one that never does.
    fn ends_before(&self, time: SystemTime) -> bool {
        let read = fs::read(&self.certificate).ok();
        let first = read.and_then(|text| CertificateDer::from_pem_slice(&text).ok());
        first.and_then(|der| last_day(&der)).is_some_and(|last| last < time)
    }

    /// The certificate as text, for those who want to trust it.
    pub fn certificate_text(&self) -> Result<String, Error> {
        fs::read_to_string(&self.certificate).map_err(|source| Error::Read {
            path: self.certificate.clone(),
            source,
        })
    }

    fn texts(&self) -> Result<[Vec<u8>; 2], Error> {
        let read = |path: &Path| {
            fs::read(path).map_err(|source| Error::Read {
                path: path.to_owned(),
                source,
            })
        };
        Ok([read(&self.certificate)?, read(&self.key)?])
    }

    fn usable(&self, [certificate, key]: &[Vec<u8>; 2]) -> Result<TlsAcceptor, Error> {
        let unusable = |path: &Path, reason: &dyn std::fmt::Display| Error::Unusable {
            path: path.to_owned(),
            reason: reason.to_string(),
        };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
        let chain = chain.map_err(|error| unusable(&self.certificate, &error))?;
        if chain.is_empty() {
            return Err(unusable(&self.certificate, &"there is none in it"));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| unusable(&self.key, &error))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&self.certificate, &error))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| unusable(&self.certificate, &error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl Acceptor {
    /// Reads the files. Errors name the one that cannot be used.
    pub fn new(files: Files) -> Result<Acceptor, Error> {
        let texts = files.texts()?;
        let acceptor = files.usable(&texts)?;
        Ok(Acceptor {
            current: Arc::new(RwLock::new(Current { texts, acceptor })),
            files,
        })
    }

    /// Looks at the files for ever; what is half written is left for the next look, the former certificate serves on.
    pub async fn watch(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            match self.reload() {
                Ok(false) => {}
                Ok(true) => tracing::info!("the certificate was replaced"),
                Err(error) => tracing::warn!(%error, "the former certificate stays in use"),
            }
        }
    }

    /// Whether another certificate is in use now.
    fn reload(&self) -> Result<bool, Error> {
        let texts = self.files.texts()?;
        if self.current.read().unwrap_or_else(PoisonError::into_inner).texts == texts {
            return Ok(false);
        }
        let acceptor = self.files.usable(&texts)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current { texts, acceptor };
        Ok(true)
    }
}

#[async_trait]
impl Accept for Acceptor {
    async fn accept(&self, tcp: TcpStream) -> io::Result<Box<dyn Stream>> {
        let acceptor = self
            .current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .acceptor
            .clone();
        Ok(Box::new(acceptor.accept(tcp).await?))
    }
}

/// Whether a text is a name or address that a certificate can carry.
pub fn is_name(text: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || "-._*".contains(c);
    text.parse::<IpAddr>().is_ok() || (!text.is_empty() && text.chars().all(letters))
}

/// The beginning of the last day of a certificate, where it says so with years of two digits as RFC 5280 wants before 2050.
fn last_day(der: &[u8]) -> Option<SystemTime> {
    // A sequence of two UTCTime values, `YYMMDDhhmmssZ` each, is the only thing of this form in a certificate.
    let is_validity = |w: &[u8]| w.starts_with(&[0x30, 0x1e, 0x17, 0x0d]) && w[17..19] == [0x17, 0x0d];
    let validity = der.windows(32).find(|window| is_validity(window))?;
    let number = |at: usize| std::str::from_utf8(&validity[at..at + 2]).ok()?.parse::<u8>().ok();
    let (year, month, day) = (number(19)?, number(21)?, number(23)?);
    let possible = year < 50 && (1..=12).contains(&month) && (1..=31).contains(&day);
    let first: SystemTime = possible
        .then(|| rcgen::date_time_ymd(2000 + i32::from(year), month, 1))?
        .into();
    Some(first + Duration::from_secs(u64::from(day - 1) * DAY))
}

/// Writes a file whole or not at all.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let write = || {
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .create(true)
            .write(true)
            .truncate(true)
            .mode(mode)
            .open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    write().map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path) -> Files {
        Config::default().files(dir)
    }

    #[test]
    fn a_certificate_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path());
        files.ensure(&["example.org".into()]).unwrap();
        let first = files.certificate_text().unwrap();
        files.ensure(&[]).unwrap();
        assert_eq!(files.certificate_text().unwrap(), first);
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&files.key).unwrap().permissions().mode() & 0o777, 0o600);
        Acceptor::new(files).unwrap();
    }

    #[test]
    fn a_certificate_lasts_as_long_as_clients_take_it_and_is_renewed_in_time() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path());
        let days = |n| SystemTime::now() + Duration::from_secs(n * DAY);
        files.ensure(&[]).unwrap();
        let first = files.certificate_text().unwrap();
        assert!(!files.ends_before(days(818)));
        assert!(files.ends_before(days(825)));
        files.ensure_at(&[], days(750)).unwrap();
        assert_eq!(files.certificate_text().unwrap(), first, "it has 70 days left");
        files.ensure_at(&[], days(770)).unwrap();
        assert_ne!(files.certificate_text().unwrap(), first);
        assert!(!files.ends_before(days(1500)));
        Acceptor::new(files).unwrap();
    }

    #[test]
    fn a_last_day_is_read_where_there_is_one() {
        let validity = |text: &str| {
            let mut der = vec![0, 0x30, 0x1e, 0x17, 0x0d];
            der.extend_from_slice(b"260101000000Z");
            der.extend_from_slice(&[0x17, 0x0d]);
            der.extend_from_slice(text.as_bytes());
            last_day(&der)
        };
        assert_eq!(
            validity("281231235959Z"),
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_861_833_600))
        );
        for text in [
            "281331235959Z",
            "280032235959Z",
            "28xx31235959Z",
            "500101000000Z",
            "281200000000Z",
            "2812",
        ] {
            assert_eq!(validity(text), None, "{text}");
        }
        assert_eq!(last_day(b""), None);
    }

    #[test]
    fn a_change_is_noticed_and_half_a_file_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path());
        files.ensure(&[]).unwrap();
        let acceptor = Acceptor::new(files.clone()).unwrap();
        assert!(!acceptor.reload().unwrap());
        let whole = fs::read(&files.certificate).unwrap();
        fs::write(&files.certificate, &whole[..whole.len() / 2]).unwrap();
        assert!(matches!(acceptor.reload(), Err(Error::Unusable { .. })));
        fs::write(&files.certificate, &whole).unwrap();
        assert!(!acceptor.reload().unwrap());
        fs::remove_file(&files.certificate).unwrap();
        assert!(matches!(acceptor.reload(), Err(Error::Read { .. })));
        files.ensure(&[]).unwrap();
        assert!(acceptor.reload().unwrap());
    }

    #[test]
    fn names() {
        assert!(
            ["localhost", "*.example.org", "10.0.0.1", "::1"]
                .iter()
                .all(|name| is_name(name))
        );
        assert!(["", "a b", "a/b", "[::1]"].iter().all(|name| !is_name(name)));
    }
}
