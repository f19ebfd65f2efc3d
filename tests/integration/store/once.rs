//! One-time values of others, and pushed requests: used once, and forgotten when nobody takes them.

use procura_store::{
    Error,
    device::{DeviceAnswer, DeviceCode},
    pushed::PushedRequest,
};

use super::{
    Empty, on_both,
    world::{NOW, SESSION, portal, world},
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

    async fn a_device_is_answered_once_redeemed_once_and_remembered_for_a_while(empty: &Empty) {
        let store = world(empty).await;
        let device = DeviceCode {
            code_hash: "code".into(),
            user_hash: "user".into(),
            client: portal(),
            grant_json: "{}".into(),
            interval_secs: 5,
            expires_at: NOW.plus_secs(600),
            answer: None,
            used_at: None,
        };
        store.insert_device_code(&device).await.unwrap();
        let twin = DeviceCode { code_hash: "other".into(), ..device };
        assert_eq!(store.insert_device_code(&twin).await, Err(Error::Conflict));
        assert!(store.note_poll("code", NOW).await.unwrap());
        for (at, why) in [(4, "4 of 5 seconds"), (13, "9 of 10")] {
            assert!(!store.note_poll("code", NOW.plus_secs(at)).await.unwrap(), "{why}");
            store.slow_device("code", NOW.plus_secs(at)).await.unwrap();
        }
        assert!(store.note_poll("code", NOW.plus_secs(28)).await.unwrap(), "15 of 15");
        assert!(store.find_waiting_device("user", NOW).await.unwrap().is_some());
        let over = NOW.plus_secs(600);
        assert!(store.find_waiting_device("user", over).await.unwrap().is_none());
        let mut tx = store.begin(over).await.unwrap();
        assert!(!tx.answer_device("code", SESSION, true).await.unwrap(), "too late");
        drop(tx);
        let mut tx = store.begin(NOW).await.unwrap();
        assert!(!tx.redeem_device_code("code").await.unwrap(), "nobody has answered");
        assert!(tx.answer_device("code", SESSION, true).await.unwrap());
        assert!(!tx.answer_device("code", SESSION, false).await.unwrap());
        assert!(tx.redeem_device_code("code").await.unwrap());
        assert!(!tx.redeem_device_code("code").await.unwrap());
        tx.void_device_codes_of(&portal()).await.unwrap();
        tx.commit().await.unwrap();
        let found = store.find_device_code("code").await.unwrap().unwrap();
        assert_eq!((found.answer, found.used_at), (Some(DeviceAnswer::Allowed(SESSION)), Some(NOW)));
        store.forget_device_codes(over).await.unwrap();
        assert!(store.find_device_code("code").await.unwrap().is_some(), "a replay is seen");
        store.forget_device_codes(over.plus_secs(3600)).await.unwrap();
        assert!(store.find_device_code("code").await.unwrap().is_none());
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
