//! A namespace's own access to registries, added to what the containers of its images are made from.
//!
//! It is read from the namespace's limits document when such a container is made, and opened right there: it is in no message,
//! and a change applies to the next container.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use wsk_containers::{Config, Container, ContainerFactory, Error, Layer, Login, Spec, Tenant};
use wsk_entities::{Namespace, RegistryLogin};
use wsk_secrets::Vault;
use wsk_store::SubjectStore;

/// A factory whose containers are made with their namespaces' access.
struct Accredited {
    inner: Arc<dyn ContainerFactory>,
    subjects: Arc<dyn SubjectStore>,
    secrets: Arc<Vault>,
}

/// The factory with the namespaces' access to registries, where its backend pulls images; else as it is.
pub fn accredited(
    config: &Config,
    inner: Arc<dyn ContainerFactory>,
    subjects: Arc<dyn SubjectStore>,
    secrets: Arc<Vault>,
) -> Arc<dyn ContainerFactory> {
    match config.pulls() {
        true => Arc::new(Accredited {
            inner,
            subjects,
            secrets,
        }),
        false => inner,
    }
}

impl Accredited {
    async fn with_logins(&self, name: &str, tenant: &Tenant) -> Result<Tenant, Error> {
        let failed = |source: io::Error| Error::Step {
            id: name.to_owned(),
            step: "read the registries of its namespace",
            source,
        };
        let namespace = Namespace::new(&tenant.namespace).map_err(|error| failed(io::Error::other(error)))?;
        let limits = self.subjects.limits(&namespace).await;
        let limits = limits.map_err(|error| failed(io::Error::other(error)))?;
        let stored = limits.and_then(|limits| limits.registries).unwrap_or_default();
        let logins = stored.into_iter().filter_map(|(host, login)| {
            let opened = self.open(&tenant.namespace, &host, login)?;
            Some((host, opened))
        });
        Ok(Tenant {
            namespace: tenant.namespace.clone(),
            logins: logins.collect(),
        })
    }

    /// What does not open is as good as not there: the registry will say so, and the log why.
    fn open(&self, namespace: &str, host: &str, login: RegistryLogin) -> Option<Login> {
        match self.secrets.open(&login.password, &login.encryption) {
            Ok(password) => Some(Login {
                username: login.username,
                password: password.as_str().into(),
            }),
            Err(error) => {
                tracing::warn!(namespace, host, %error, "the password of a registry does not open");
                None
            }
        }
    }
}

#[async_trait]
impl ContainerFactory for Accredited {
    async fn create(&self, spec: Spec) -> Result<Arc<dyn Container>, Error> {
        let tenant = match &spec.tenant {
            Some(tenant) => Some(Arc::new(self.with_logins(&spec.name, tenant).await?)),
            None => None,
        };
        self.inner.create(Spec { tenant, ..spec }).await
    }

    async fn sweep(&self) -> Result<usize, Error> {
        self.inner.sweep().await
    }

    async fn architecture(&self) -> Result<Option<String>, Error> {
        self.inner.architecture().await
    }

    async fn shutdown(&self) -> Result<(), Error> {
        self.inner.shutdown().await
    }

    fn layers(&self) -> Vec<Layer> {
        self.inner.layers()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use wsk_entities::{Architecture, Manifest, UserLimits};
    use wsk_secrets::{Key, Keys};
    use wsk_store::EmbeddedConfig;

    use super::*;

    /// Keeps what it was asked for, and makes nothing, on an engine of another architecture than any of ours.
    #[derive(Default)]
    struct Asked(Mutex<Vec<Spec>>);

    #[async_trait]
    impl ContainerFactory for Asked {
        async fn create(&self, spec: Spec) -> Result<Arc<dyn Container>, Error> {
            self.0.lock().unwrap().push(spec);
            Err(Error::ShuttingDown)
        }

        async fn sweep(&self) -> Result<usize, Error> {
            Ok(0)
        }

        async fn architecture(&self) -> Result<Option<String>, Error> {
            Ok(Some("s390x".to_owned()))
        }

        async fn shutdown(&self) -> Result<(), Error> {
            Ok(())
        }

        fn layers(&self) -> Vec<Layer> {
            Vec::new()
        }
    }

    fn spec(namespace: Option<&str>) -> Spec {
        Spec {
            name: "wsk0".to_owned(),
            image: "host/image:1".to_owned(),
            program: Vec::new(),
            folder: None,
            memory_mb: 256,
            concurrency: 1,
            env: Vec::new(),
            managed: namespace.is_none(),
            tenant: namespace.map(|namespace| Arc::new(Tenant::new(namespace))),
        }
    }

    /// An invoker asks what is behind this factory.
    #[tokio::test]
    async fn an_engine_of_another_architecture_ends_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let config = wsk_store::Config::Embedded(EmbeddedConfig::in_folder(folder.path()));
        let stores = wsk_store::open(&config).await.unwrap();
        let bus = wsk_bus::open(&wsk_bus::Config::default()).unwrap();
        let secrets = Arc::new(Vault::open_with(Keys::Given(Key::generate())).unwrap());
        let factory = Arc::new(Accredited {
            inner: Arc::new(Asked::default()),
            subjects: stores.subjects.clone(),
            secrets: secrets.clone(),
        });
        let settings = crate::Config {
            architecture: Some(Architecture::Arm64),
            ..crate::Config::default()
        };
        let manifest = Arc::new(Manifest::bundled());
        let (entities, activations) = (stores.entities, stores.activations);
        let started = crate::Invoker::start(settings, manifest, bus, entities, activations, factory, secrets).await;
        assert!(matches!(started.err(), Some(crate::Error::Architecture { .. })));
    }

    #[tokio::test]
    async fn each_namespace_gets_its_own_and_what_does_not_open_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let config = wsk_store::Config::Embedded(EmbeddedConfig::in_folder(folder.path()));
        let stores = wsk_store::open(&config).await.unwrap();
        let secrets = Arc::new(Vault::open_with(Keys::Given(Key::generate())).unwrap());
        let sealed = secrets.seal("letmein").unwrap();
        let login = |password: String| RegistryLogin {
            username: "ada".to_owned(),
            encryption: sealed.algorithm.to_owned(),
            password,
        };
        let registries = [
            ("host".to_owned(), login(sealed.text.clone())),
            ("lost".to_owned(), login("AAAA".to_owned())),
        ];
        let limits = UserLimits {
            registries: Some(registries.into()),
            ..UserLimits::default()
        };
        let ada = Namespace::new("ada").unwrap();
        stores.subjects.put_limits(&ada, &limits).await.unwrap();
        let asked = Arc::new(Asked::default());
        let factory = Accredited {
            inner: asked.clone(),
            subjects: stores.subjects.clone(),
            secrets,
        };
        for namespace in [Some("ada"), Some("bob"), None] {
            assert!(factory.create(spec(namespace)).await.is_err());
        }
        let asked = asked.0.lock().unwrap();
        let logins = |at: usize| asked[at].tenant.as_ref().map(|tenant| &tenant.logins);
        let expected = Login {
            username: "ada".to_owned(),
            password: "letmein".into(),
        };
        assert_eq!(logins(0), Some(&[("host".to_owned(), expected)].into()));
        assert_eq!(logins(1), Some(&[].into()));
        assert_eq!(logins(2), None);
        assert!(!format!("{:?}", asked[0]).contains("letmein"));
    }
}
