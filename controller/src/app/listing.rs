//! Lists of entities and their counts.

use wsk_entities::{Collection, Entity, EntityPath};
use wsk_store::{Page, Visibility};

use super::{App, Caller, Error};

impl App {
    /// A page of a collection below `path`, newest first. In foreign namespaces only public packages show.
    pub async fn list(
        &self,
        caller: &Caller,
        collection: Collection,
        path: &EntityPath,
        page: Page,
    ) -> Result<Vec<Entity>, Error> {
        let visibility = visibility(caller, collection, path);
        Ok(self.entities.list(collection, path, visibility, page).await?)
    }

    /// How many entities a list would show, less `skip`.
    pub async fn count(
        &self,
        caller: &Caller,
        collection: Collection,
        path: &EntityPath,
        skip: u64,
    ) -> Result<u64, Error> {
        let visibility = visibility(caller, collection, path);
        Ok(self
            .entities
            .count(collection, path, visibility)
            .await?
            .saturating_sub(skip))
    }
}

fn visibility(caller: &Caller, collection: Collection, path: &EntityPath) -> Visibility {
    match collection {
        Collection::Packages if !caller.owns(&path.namespace) => Visibility::Public,
        Collection::Packages | Collection::Actions | Collection::Triggers | Collection::Rules => Visibility::All,
    }
}
