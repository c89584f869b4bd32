//! The namespaces that are there from the first start: `guest`, and `whisk.system` for what the platform itself offers.

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use wsk_entities::{Namespace, SubjectDocument, SubjectNamespace};
use wsk_store::SubjectStore;

use crate::folder::Folder;

/// Subject and namespace of each, and the file that holds its key.
const FIRST: [(&str, &str); 2] = [("guest", "guest.auth"), ("whisk.system", "whisk.system.auth")];

/// Makes the subjects that are missing, with random keys, and writes each key to its file.
pub async fn ensure(store: &dyn SubjectStore, folder: &Folder, rng: &mut StdRng) -> Result<()> {
    for (name, file) in FIRST {
        let document = match store.subject(name).await? {
            Some(document) => document,
            None => {
                let (uuid, key) = wsk_identity::new_key(rng);
                let namespace = SubjectNamespace {
                    name: Namespace::new(name)?,
                    uuid,
                    key,
                };
                let document = SubjectDocument {
                    subject: name.into(),
                    namespaces: vec![namespace],
                    blocked: false,
                };
                store.put_subject(&document).await?;
                document
            }
        };
        let Some(own) = document.namespaces.first() else {
            continue;
        };
        let text = format!("{}:{}\n", own.uuid, own.key);
        if std::fs::read_to_string(folder.path(file)).ok().as_deref() != Some(&text) {
            folder.write(file, &text).context("the key of a first namespace")?;
        }
    }
    Ok(())
}
