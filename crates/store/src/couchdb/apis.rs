//! API routes and their subscriptions: the database `<prefix>apis`, which is ours alone.

use async_trait::async_trait;

use super::answer::{Meta, Row, corrupted, parse};
use super::client::Database;
use crate::{Api, ApiStore, Error, Expected, Revision, Stored, Subscription};

pub(super) struct Apis {
    database: Database,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiDocument {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_rev", default, skip_serializing_if = "Option::is_none")]
    rev: Option<String>,
    tenant: String,
    base_path: String,
    api: String,
    hosts: Vec<String>,
    /// As text, which is how it must come back.
    document: String,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubscriptionDocument {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_rev", default, skip_serializing_if = "Option::is_none")]
    rev: Option<String>,
    client_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl Apis {
    pub fn new(database: Database) -> Apis {
        Apis { database }
    }

    async fn found<T: serde::de::DeserializeOwned>(&self, prefix: &str) -> Result<Vec<T>, Error> {
        let rows = self.database.all(prefix, &format!("{prefix}\u{fff0}")).await?;
        let documents = rows.iter().filter_map(|row: &Row| Some((&row.id, row.doc.as_ref()?)));
        documents
            .map(|(id, document)| parse(id, document.get().as_bytes()))
            .collect()
    }
}

#[async_trait]
impl ApiStore for Apis {
    async fn apis(&self, tenant: &str) -> Result<Vec<Stored<Api>>, Error> {
        let documents: Vec<ApiDocument> = self.found(&api_id(tenant, "")).await?;
        let stored = documents.into_iter().map(|document| {
            let rev = document
                .rev
                .ok_or_else(|| corrupted(&document.id, "it has no revision"))?;
            Ok(Stored {
                value: Api {
                    tenant: document.tenant.into(),
                    base_path: document.base_path.into(),
                    id: document.api.into(),
                    hosts: document.hosts,
                    document: document.document.into(),
                },
                revision: Revision(rev.into()),
            })
        });
        let mut stored = stored.collect::<Result<Vec<_>, Error>>()?;
        stored.sort_by(|one, other| one.value.base_path.cmp(&other.value.base_path));
        Ok(stored)
    }

    async fn put_api(&self, api: &Api, expected: Expected) -> Result<Revision, Error> {
        let document = ApiDocument {
            id: api_id(&api.tenant, &api.base_path),
            rev: match expected {
                Expected::Absent => None,
                Expected::Revision(Revision(rev)) => Some(rev.to_string()),
            },
            tenant: api.tenant.to_string(),
            base_path: api.base_path.to_string(),
            api: api.id.to_string(),
            hosts: api.hosts.clone(),
            document: api.document.to_string(),
        };
        let text = serde_json::to_string(&document).expect("routes serialise to JSON");
        let rev = self.database.put(&document.id, text).await?;
        Ok(Revision(rev.into()))
    }

    async fn delete_api(&self, tenant: &str, base_path: &str, expected: &Revision) -> Result<(), Error> {
        let id = api_id(tenant, base_path);
        let gone = |_| Error::Conflict(id.clone());
        let Some(text) = self.database.get(&id).await? else {
            return Err(gone(()));
        };
        let document: ApiDocument = parse(&id, text.as_bytes())?;
        match self.database.delete(&id, &expected.0).await {
            Ok(()) => {}
            Err(Error::Missing(_)) => return Err(gone(())),
            Err(error) => return Err(error),
        }
        // Without their API they open nothing; what a crash leaves here goes with the next API of this id, which is none.
        for subscription in self
            .found::<SubscriptionDocument>(&subscription_id(tenant, &document.api, ""))
            .await?
        {
            self.database
                .delete(&subscription.id, &subscription.rev.unwrap_or_default())
                .await?;
        }
        Ok(())
    }

    async fn subscribe(&self, tenant: &str, api: &str, subscription: &Subscription) -> Result<(), Error> {
        if !self.apis(tenant).await?.iter().any(|stored| &*stored.value.id == api) {
            return Err(Error::Missing(format!("the API {api}")));
        }
        let id = subscription_id(tenant, api, &subscription.client_id);
        let rev = match self.database.get(&id).await? {
            Some(found) => Some(parse::<Meta>(&id, found.as_bytes())?.rev),
            None => None,
        };
        let document = SubscriptionDocument {
            id,
            rev,
            client_id: subscription.client_id.to_string(),
            secret: subscription.secret.as_deref().map(str::to_owned),
        };
        let text = serde_json::to_string(&document).expect("subscriptions serialise to JSON");
        self.database.put(&document.id, text).await.map(drop)
    }

    async fn unsubscribe(&self, tenant: &str, api: &str, client_id: &str) -> Result<bool, Error> {
        let id = subscription_id(tenant, api, client_id);
        let Some(found) = self.database.get(&id).await? else {
            return Ok(false);
        };
        let Meta { rev, .. } = parse(&id, found.as_bytes())?;
        match self.database.delete(&id, &rev).await {
            Ok(()) => Ok(true),
            Err(Error::Missing(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn subscriptions(&self, tenant: &str, api: &str) -> Result<Vec<Subscription>, Error> {
        let documents: Vec<SubscriptionDocument> = self.found(&subscription_id(tenant, api, "")).await?;
        let mut subscriptions: Vec<_> = documents
            .into_iter()
            .map(|document| Subscription {
                client_id: document.client_id.into(),
                secret: document.secret.map(Into::into),
            })
            .collect();
        subscriptions.sort_by(|one, other| one.client_id.cmp(&other.client_id));
        Ok(subscriptions)
    }

    async fn generation(&self) -> Result<u64, Error> {
        self.database.writes().await
    }
}

fn api_id(tenant: &str, base_path: &str) -> String {
    format!("api:{tenant}:{base_path}")
}

fn subscription_id(tenant: &str, api: &str, client_id: &str) -> String {
    format!("subscription:{tenant}:{api}:{client_id}")
}
