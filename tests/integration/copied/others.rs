//! Others who can write to Redis: they can neither revoke nor un-revoke, and what they did is mended.

use std::collections::BTreeSet;

use procura_tests::{claims, eventually, header, procura};
use procura_token::{Algorithm, Key, KeyId, signing::SigningKey, statement::STATEMENT_TYPE};
use serde_json::{Value, json};

use super::{ADA, BILLING, PAT, STREAM, Stage};

/// A position beyond all that will be.
const HUGE: &str = "9007199254740991-0";

/// What somebody would have to write to kill a token: its own keys, at a position after its `rvs`.
fn invented(stage: &Stage, token: &str, seq: i64) -> Value {
    let pair = Key::Pair(
        stage.house.tenant("northwind").parse().unwrap(),
        stage.house.tenant("acme-corp").parse().unwrap(),
    );
    assert_eq!(claims(token)["tenant"], stage.house.tenant("acme-corp"));
    json!({
        "iss": stage.house.issuer(), "k": "pair", "h": pair.hash(), "s": seq, "p": last(stage),
        "x": 4_000_000_000_i64,
    })
}

fn last(stage: &Stage) -> i64 {
    let found = stage.redis.ask(&["XREVRANGE", STREAM, "+", "-", "COUNT", "1"]);
    let id = found.lines().next().unwrap_or_default();
    id.split_once('-').and_then(|(seq, _)| seq.parse().ok()).unwrap_or_default()
}

/// Writes an entry, and waits until the resource server has read it and said what it thinks of it.
async fn write(stage: &Stage, id: &str, signed: &str) {
    stage.redis.ask(&["XADD", STREAM, id, "j", signed]);
    let is_seen = async || stage.isp.stderr().contains("redis_entry_not_genuine").then_some(());
    eventually("the entry was read, and not believed", is_seen).await;
}

fn signed(claims: &Value) -> String {
    let pkcs8 = SigningKey::generate(Algorithm::Es256).unwrap();
    let key = SigningKey::load(KeyId::from_bits(1), Algorithm::Es256, &pkcs8).unwrap();
    key.sign(STATEMENT_TYPE, claims).unwrap()
}

/// What stands in the field `j` of the last entry.
fn last_signed(stage: &Stage) -> String {
    let found = stage.redis.ask(&["XREVRANGE", STREAM, "+", "-", "COUNT", "1"]);
    found.lines().last().unwrap().to_owned()
}

/// Nothing that was done to the stream changed anything: a token that lives goes on, the dead one
/// stays dead, a revocation works; and in the end the stream is whole.
async fn changes_nothing(stage: &Stage, alive: &str, dead: &str) {
    stage.isp.get(alive, BILLING).await.expect(200);
    stage.is_dead(dead).await;
    let before = stage.entries();
    stage.off_means_off(alive).await;
    eventually("the stream is whole again", async || {
        let whole = stage.redis.ask(&["XRANGE", STREAM, "-", "+"]);
        let is_ours = !whole.contains(HUGE.split_once('-').unwrap().0);
        (stage.entries() >= 4 && is_ours).then_some(())
    })
    .await;
    stage.isp.follows_copy(true).await;
    assert!(stage.entries() >= before.min(4));
    let fresh = stage.token().await;
    stage.is_dead(dead).await;
    stage.is_dead(alive).await;
    stage.isp.get(&fresh, BILLING).await.expect(200);
}

/// A stage with a dead token, a live one, and two entries in the stream.
async fn set() -> (Stage, String, String) {
    let stage = Stage::set().await;
    let dead = stage.token().await;
    stage.off_means_off(&dead).await;
    let alive = stage.token().await;
    eventually("both entries are there", async || (stage.entries() == 2).then_some(())).await;
    (stage, alive, dead)
}

#[tokio::test]
async fn an_invented_entry_revokes_nothing() {
    let (stage, alive, dead) = set().await;
    let next = last(&stage) + 1;
    let entry = invented(&stage, &alive, next);
    write(&stage, &format!("{next}-0"), &signed(&entry)).await;
    changes_nothing(&stage, &alive, &dead).await;
}

#[tokio::test]
async fn an_entry_without_a_signature_revokes_nothing() {
    let (stage, alive, dead) = set().await;
    let next = last(&stage) + 1;
    let entry = invented(&stage, &alive, next);
    write(&stage, &format!("{next}-0"), &entry.to_string()).await;
    changes_nothing(&stage, &alive, &dead).await;
}

#[tokio::test]
async fn an_entry_beyond_everything_holds_nothing_up() {
    let (stage, alive, dead) = set().await;
    write(&stage, HUGE, "x").await;
    changes_nothing(&stage, &alive, &dead).await;
}

#[tokio::test]
async fn a_genuine_entry_in_another_place_holds_nothing_up() {
    let (stage, alive, dead) = set().await;
    let genuine = last_signed(&stage);
    write(&stage, HUGE, &genuine).await;
    changes_nothing(&stage, &alive, &dead).await;
}

#[tokio::test]
async fn a_changed_signature_is_none() {
    let (stage, alive, dead) = set().await;
    let genuine = last_signed(&stage);
    let (head, signature) = genuine.rsplit_once('.').unwrap();
    let (header, _) = head.split_once('.').unwrap();
    write(&stage, &format!("{}-0", last(&stage) + 1), &format!("{header}.e30.{signature}")).await;
    changes_nothing(&stage, &alive, &dead).await;
}

#[tokio::test]
async fn an_entry_taken_away_is_missed() {
    let (stage, alive, dead) = set().await;
    let id = format!("{}-0", last(&stage));
    assert_eq!(stage.redis.ask(&["XDEL", STREAM, &id]), "1\n");
    changes_nothing(&stage, &alive, &dead).await;
}

#[tokio::test]
async fn a_stream_from_before_brings_no_dead_token_back() {
    let stage = Stage::set().await;
    let first = stage.token().await;
    stage.off_means_off(&first).await;
    stage.redis.ask(&["COPY", STREAM, "kept"]);
    let second = stage.token().await;
    stage.off_means_off(&second).await;
    stage.redis.ask(&["COPY", "kept", STREAM, "REPLACE"]);
    let alive = stage.token().await;
    changes_nothing(&stage, &alive, &first).await;
    stage.is_dead(&second).await;
}

#[tokio::test]
async fn another_thing_under_the_key_is_put_away() {
    let (stage, alive, dead) = set().await;
    assert_eq!(stage.redis.ask(&["SET", STREAM, "mine"]), "OK\n");
    changes_nothing(&stage, &alive, &dead).await;
}

/// The key ids of all entries of the stream.
fn signers(stage: &Stage) -> BTreeSet<String> {
    let whole = stage.redis.ask(&["XRANGE", STREAM, "-", "+"]);
    let signed = whole.lines().filter(|line| line.matches('.').count() == 2);
    signed.map(|signed| header(signed)["kid"].as_str().expect("a kid").to_owned()).collect()
}

#[tokio::test]
async fn entries_of_a_key_that_has_gone_are_signed_anew_without_an_alarm() {
    let (mut stage, alive, dead) = set().await;
    let old = signers(&stage);
    assert_eq!(old.len(), 1);
    let kid = old.first().expect("one").clone();
    let ended =
        procura(&["keys", "retire", "--emergency", &kid, "--data", &stage.house.data_text()]);
    assert!(ended.status.success(), "{ended:?}");
    // Its revocation is written by the next key; what stood there before it is still of the old one.
    let has_both = async || (signers(&stage).len() == 2).then_some(());
    eventually("the revocation of the key is copied", has_both).await;
    // All connections end, and whoever comes back reads the whole stream.
    stage.redis.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    eventually("all is signed by the new key", async || {
        let now = signers(&stage);
        (now.len() == 1 && now != old).then_some(())
    })
    .await;
    assert!(!stage.house.stderr().contains("is not what was written"), "a false alarm");
    stage.is_dead(&dead).await;
    stage.is_dead(&alive).await;
    stage.isp.follows_copy(true).await;
    // Their home tokens have died with the key.
    (stage.pat, stage.ada) = (stage.house.log_in(PAT).await, stage.house.log_in(ADA).await);
    let fresh = stage.token().await;
    stage.off_means_off(&fresh).await;
    // The twin: what somebody else writes is still an alarm.
    write(&stage, HUGE, "x").await;
    eventually("the alarm", async || {
        stage.house.stderr().contains("is not what was written").then_some(())
    })
    .await;
}
