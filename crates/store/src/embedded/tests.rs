use std::sync::Arc;

use super::*;

#[tokio::test]
async fn smoke() {
    let dir = tempfile::tempdir().unwrap();
    for path in [None, Some(dir.path().join("store.db"))] {
        let stores = open(&Config {
            path,
            ..Config::default()
        })
        .await
        .unwrap();
        let ns = wsk_entities::Namespace::new("guest").unwrap();
        let record: wsk_entities::Activation = serde_json::from_str(
            r#"{"namespace":"guest","name":"hi","version":"0.0.1","subject":"guest","activationId":"0123456789abcdef0123456789abcdef",
            "start":5,"end":7,"duration":2,"response":{"statusCode":0,"result":{"a":1}},"logs":["x"],"annotations":[{"key":"path","value":"guest/hi"}],"publish":false}"#).unwrap();
        stores.activations.store(vec![Arc::new(record.clone())]).await.unwrap();
        assert_eq!(
            stores.activations.get(&ns, record.activation_id).await.unwrap(),
            Some(record.clone())
        );
        let all = crate::ActivationFilter::default();
        let page = crate::Page { skip: 0, limit: 10 };
        assert_eq!(
            stores.activations.summaries(&ns, &all, page).await.unwrap(),
            [record.summary()]
        );
        assert_eq!(stores.activations.count(&ns, &all).await.unwrap(), 1);
    }
}
