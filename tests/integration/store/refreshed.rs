//! Refresh tokens, home tokens and the end of logins in the store.

use procura_store::{
    Store,
    refresh::{Family, HomeToken},
};
use procura_token::Ts;

use super::{
    Empty, on_both,
    world::{NOW, PARTNER, SESSION, USER, portal, world},
};

fn family(name: &str) -> Family {
    Family {
        origin_hash: name.to_owned(),
        session: SESSION,
        user: USER,
        tenant: PARTNER,
        client: portal(),
        grant_json: "{}".to_owned(),
        ends_at: NOW.plus_secs(1000),
        idle_ends_at: NOW.plus_secs(100),
        ended_at: None,
    }
}

fn home_token(jti: &str, expires_at: Ts) -> HomeToken {
    HomeToken {
        jti: jti.to_owned(),
        session: SESSION,
        user: USER,
        client: portal(),
        origin_hash: "one".to_owned(),
        claims: None,
        expires_at,
    }
}

async fn begun(empty: &Empty) -> Store {
    let store = world(empty).await;
    let mut tx = store.begin(NOW).await.unwrap();
    for (name, token) in [("one", "a"), ("two", "x")] {
        tx.insert_family(&family(name), token).await.unwrap();
    }
    tx.insert_home_token(&home_token("j1", NOW.plus_secs(60))).await.unwrap();
    tx.insert_home_token(&home_token("j2", NOW)).await.unwrap();
    tx.commit().await.unwrap();
    store
}

on_both! {
    async fn a_token_gives_its_place_to_one_successor(empty: &Empty) {
        let store = begun(empty).await;
        let mut tx = store.begin(NOW).await.unwrap();
        assert!(tx.rotate_refresh_token("a", "b", &family("one")).await.unwrap());
        assert!(!tx.rotate_refresh_token("a", "c", &family("one")).await.unwrap());
        let old = tx.find_refresh_token("a").await.unwrap().unwrap();
        assert_eq!((old.used_at, old.is_successor_used), (Some(NOW), false));
        let new = tx.find_refresh_token("b").await.unwrap().unwrap();
        assert_eq!((new.used_at, new.family.origin_hash.as_str()), (None, "one"));
        assert!(tx.find_refresh_token("c").await.unwrap().is_none());
        assert!(tx.rotate_refresh_token("b", "d", &family("one")).await.unwrap());
        assert!(tx.find_refresh_token("a").await.unwrap().unwrap().is_successor_used);
        tx.commit().await.unwrap();
        assert_eq!(store.find_refresh_client("a").await.unwrap(), Some(portal()));
    }

    async fn the_end_of_a_login_ends_its_families_once(empty: &Empty) {
        let store = begun(empty).await;
        let mut tx = store.begin(NOW).await.unwrap();
        assert!(tx.end_family("one").await.unwrap());
        assert!(!tx.end_family("one").await.unwrap());
        assert!(tx.end_session(SESSION).await.unwrap());
        assert!(!tx.end_session(SESSION).await.unwrap());
        let two = tx.find_refresh_token("x").await.unwrap().unwrap();
        assert_eq!(two.family.ended_at, Some(NOW));
        assert_eq!(tx.list_home_tokens_from("one").await.unwrap(), ["j1"], "those that live");
        let between = tx.list_home_tokens_between(USER, &portal()).await.unwrap();
        assert_eq!(between, [("j1".to_owned(), SESSION)]);
        tx.commit().await.unwrap();
    }

    async fn what_is_over_for_an_hour_is_forgotten(empty: &Empty) {
        let store = begun(empty).await;
        let known = async |token| store.find_refresh_client(token).await.unwrap().is_some();
        let mut tx = store.begin(NOW).await.unwrap();
        tx.end_family("one").await.unwrap();
        tx.update_family("two", NOW.plus_secs(900)).await.unwrap();
        tx.insert_session_client(SESSION, &portal()).await.unwrap();
        tx.insert_session_client(SESSION, &portal()).await.unwrap();
        tx.commit().await.unwrap();
        store.forget_home_tokens(NOW.plus_secs(3599)).await.unwrap();
        assert!(known("a").await && known("x").await);
        store.forget_home_tokens(NOW.plus_secs(3600)).await.unwrap();
        assert!(!known("a").await && known("x").await);
        store.forget_home_tokens(NOW.plus_secs(4500)).await.unwrap();
        assert!(!known("x").await);
        store.forget_session_clients(NOW.plus_secs(99_999)).await.unwrap();
    }
}
