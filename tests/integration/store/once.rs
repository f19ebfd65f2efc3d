//! One-time values of others, and pushed requests: used once, and forgotten when nobody takes them.

use procura_store::pushed::PushedRequest;

use super::{
    Empty, on_both,
    world::{NOW, portal, world},
};

on_both! {
    async fn a_value_is_used_once_and_forgotten_after_its_end(empty: &Empty) {
        let store = world(empty).await;
        let end = NOW.plus_secs(60);
        assert!(store.use_value(&[1; 32], end).await.unwrap());
        assert!(!store.use_value(&[1; 32], end).await.unwrap());
        assert!(store.use_value(&[2; 32], NOW.plus_secs(61)).await.unwrap());
        store.forget_used_values(NOW.plus_secs(59)).await.unwrap();
        assert!(!store.use_value(&[1; 32], end).await.unwrap());
        store.forget_used_values(end).await.unwrap();
        assert!(store.use_value(&[1; 32], end).await.unwrap(), "nobody takes it any more");
        assert!(!store.use_value(&[2; 32], end).await.unwrap());
    }

    async fn a_pushed_request_is_answered_once_and_remembered_for_a_while(empty: &Empty) {
        let store = world(empty).await;
        let pushed = PushedRequest {
            uri_hash: "hash".into(),
            client: portal(),
            request: "{}".into(),
            expires_at: NOW.plus_secs(90),
            used_at: None,
        };
        store.insert_pushed_request(&pushed).await.unwrap();
        assert!(store.find_pushed_request("other").await.unwrap().is_none());
        let found = store.find_pushed_request("hash").await.unwrap().unwrap();
        assert_eq!((found.client, found.used_at), (portal(), None));
        let mut tx = store.begin(NOW).await.unwrap();
        assert!(tx.use_pushed_request("hash").await.unwrap());
        assert!(!tx.use_pushed_request("hash").await.unwrap());
        assert!(!tx.use_pushed_request("other").await.unwrap());
        tx.commit().await.unwrap();
        let found = store.find_pushed_request("hash").await.unwrap().unwrap();
        assert_eq!(found.used_at, Some(NOW));
        // Somebody may still have its page open.
        store.forget_pushed_requests(NOW.plus_secs(90)).await.unwrap();
        assert!(store.find_pushed_request("hash").await.unwrap().is_some());
        store.forget_pushed_requests(NOW.plus_secs(90 + 15 * 60)).await.unwrap();
        assert!(store.find_pushed_request("hash").await.unwrap().is_none());
    }
}
