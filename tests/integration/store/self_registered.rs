//! Clients that registered themselves, and the tokens that let them, in the store.

use procura_store::{
    Store,
    self_registration::{InitialToken, SelfRegistered},
};
use procura_token::{InitialTokenId, Ts};

use super::{
    Empty, on_both,
    world::{NOW, PARTNER, USER, client, customer, world},
};

const TOKEN: InitialTokenId = InitialTokenId::from_bits(7);

fn token(uses_left: i64) -> InitialToken {
    InitialToken {
        id: TOKEN,
        tenant: PARTNER,
        name: "For a test".to_owned(),
        uses_left,
        created_by: Some(USER),
        created_at: NOW,
        expires_at: NOW.plus_secs(60),
        ended_at: None,
    }
}

/// Uses the token at an instant: whether it was good.
async fn uses(store: &Store, at: Ts) -> bool {
    let mut tx = store.begin(at).await.unwrap();
    let is_good = tx.use_initial_token(TOKEN).await.unwrap();
    tx.commit().await.unwrap();
    is_good
}

on_both! {
    async fn a_token_is_good_so_many_times_and_until_then(empty: &Empty) {
        let store = world(empty).await;
        let mut tx = store.begin(NOW).await.unwrap();
        tx.insert_initial_token(&token(3), "hash").await.unwrap();
        tx.commit().await.unwrap();
        assert!(!uses(&store, NOW.plus_secs(60)).await, "too late");
        assert!(uses(&store, NOW).await && uses(&store, NOW.plus_secs(59)).await);
        let found = store.find_initial_token("hash").await.unwrap().unwrap();
        assert_eq!((found.uses_left, found.is_live(NOW)), (1, true));
        let mut tx = store.begin(NOW).await.unwrap();
        tx.end_initial_token(TOKEN).await.unwrap();
        tx.commit().await.unwrap();
        assert!(!uses(&store, NOW).await, "ended");
        assert!(store.find_initial_token("other").await.unwrap().is_none());
        assert_eq!(store.list_initial_tokens(PARTNER).await.unwrap().len(), 1);
        assert_eq!(store.list_initial_tokens(customer(1)).await.unwrap().len(), 0);
        // It is listed for a month more.
        for (days, left) in [(30, 1), (31, 0)] {
            store.forget_initial_tokens(NOW.plus_secs(days * 86_400)).await.unwrap();
            assert_eq!(store.list_all_initial_tokens().await.unwrap().len(), left, "{days}");
        }
    }
}

on_both! {
    async fn a_client_is_due_once_and_goes_with_what_is_known_of_it(empty: &Empty) {
        let store = world(empty).await;
        let mut tx = store.begin(NOW).await.unwrap();
        for name in ["cli_agreed", "cli_unused"] {
            let client = client(name);
            tx.insert_client(&client).await.unwrap();
            let known = SelfRegistered {
                client: client.id.clone(),
                token_hash: "hash".to_owned(),
                initial_token: Some(TOKEN),
                kept_until: NOW.plus_secs(60),
            };
            tx.insert_self_registered(&known).await.unwrap();
        }
        let agreed = client("cli_agreed").id;
        tx.insert_consent(USER, &agreed, &"openid".parse().unwrap()).await.unwrap();
        tx.commit().await.unwrap();
        assert!(!store.is_self_registered_due(NOW.plus_secs(59)).await.unwrap());
        assert!(store.is_self_registered_due(NOW.plus_secs(60)).await.unwrap());

        let mut tx = store.begin(NOW.plus_secs(60)).await.unwrap();
        let due = tx.list_self_registered_due().await.unwrap();
        let due: Vec<_> = due.iter().map(|due| (due.client.as_str(), due.is_used)).collect();
        assert_eq!(due, [("cli_agreed", true), ("cli_unused", false)]);
        tx.keep_self_registered(&agreed, NOW.plus_secs(120)).await.unwrap();
        tx.replace_registration_token(&agreed, "other").await.unwrap();
        assert_eq!(tx.count_self_registered().await.unwrap(), 2);
        let unused = client("cli_unused").id;
        tx.delete_client(&unused).await.unwrap();
        assert_eq!(tx.count_self_registered().await.unwrap(), 1);
        assert!(tx.find_self_registered(&unused).await.unwrap().is_none());
        tx.commit().await.unwrap();
        assert!(!store.is_self_registered_due(NOW.plus_secs(60)).await.unwrap());
        let known = store.find_self_registered(&agreed).await.unwrap().unwrap();
        assert_eq!((known.token_hash.as_str(), known.initial_token), ("other", Some(TOKEN)));
    }
}
