//! Keys of who asks again: claimed by one, fulfilled with the change or not at all.

use procura_store::{
    Store,
    idempotency::{Claim, Claimed, KEPT_SECS},
};
use procura_token::Ts;

use super::{
    Empty, on_both,
    world::{NOW, USER, world},
};

fn claim(id: &str, request: &str) -> Claim {
    let text = |text: &str| text.to_owned();
    Claim { user: USER, key_hash: text("key"), request_hash: text(request), id: text(id) }
}

/// Fulfils a claim, and commits it where it still holds.
async fn fulfil(store: &Store, claim: &Claim, now: Ts) -> bool {
    let mut tx = store.begin(now).await.unwrap();
    let holds = tx.fulfil(claim).await.unwrap();
    if holds {
        tx.commit().await.unwrap();
    }
    holds
}

on_both! {
    async fn of_two_claims_one_holds_and_what_is_done_is_done_once(empty: &Empty) {
        let store = world(empty).await;
        let (one, two) = (claim("1", "a"), claim("2", "a"));
        assert_eq!(store.claim_key(&one, NOW).await.unwrap(), Claimed::First);
        assert_eq!(store.claim_key(&two, NOW.plus_secs(59)).await.unwrap(), Claimed::Running);
        let other = claim("3", "b");
        assert_eq!(store.claim_key(&other, NOW).await.unwrap(), Claimed::OfAnother);
        assert!(fulfil(&store, &one, NOW).await);
        // Done, and nobody has said how it was answered: for a minute somebody may still do so.
        assert_eq!(store.claim_key(&two, NOW.plus_secs(59)).await.unwrap(), Claimed::Running);
        let late = NOW.plus_secs(3600);
        assert_eq!(store.claim_key(&two, late).await.unwrap(), Claimed::Done(None));
        store.keep_answer(&two, "not mine", NOW).await.unwrap();
        store.keep_answer(&one, "answer", NOW).await.unwrap();
        store.release_key(&one).await.unwrap();
        let answered = Claimed::Done(Some("answer".into()));
        assert_eq!(store.claim_key(&two, late).await.unwrap(), answered);
        store.forget_idempotency_keys(NOW.plus_secs(KEPT_SECS - 1)).await.unwrap();
        assert_eq!(store.claim_key(&two, late).await.unwrap(), answered);
        assert_eq!(store.claim_key(&other, NOW.plus_secs(KEPT_SECS)).await.unwrap(), Claimed::First);
    }

    async fn a_claim_that_was_given_up_changes_nothing_any_more(empty: &Empty) {
        let store = world(empty).await;
        let (one, two) = (claim("1", "a"), claim("2", "b"));
        assert_eq!(store.claim_key(&one, NOW).await.unwrap(), Claimed::First);
        // Nothing was committed in a minute: another request may have the key.
        assert_eq!(store.claim_key(&two, NOW.plus_secs(60)).await.unwrap(), Claimed::First);
        assert!(!fulfil(&store, &one, NOW.plus_secs(61)).await, "the first comes too late");
        store.release_key(&one).await.unwrap();
        assert!(fulfil(&store, &two, NOW.plus_secs(61)).await);
        store.release_key(&two).await.unwrap();
        assert_eq!(store.claim_key(&two, NOW.plus_secs(120)).await.unwrap(), Claimed::Done(None));
        let three = claim("3", "c");
        assert_eq!(store.claim_key(&three, NOW.plus_secs(KEPT_SECS + 61)).await.unwrap(), Claimed::First);
        store.release_key(&three).await.unwrap();
        assert_eq!(store.claim_key(&one, NOW.plus_secs(KEPT_SECS + 61)).await.unwrap(), Claimed::First);
    }
}
