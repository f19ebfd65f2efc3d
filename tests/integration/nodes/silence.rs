//! A network that loses everything between a node and Postgres, and tells nobody.

use futures_util::future::join_all;
use procura_tests::{Alone, Cable, House, Postgres, eventually, in_time};
use serde_json::json;

use super::{ADA, PAT, READ_BILLING, on};

async fn is_ready(house: &House) -> bool {
    in_time(house.visitor().visit("/readyz")).await.status == 200
}

/// While nothing comes through, every answer is "later" and comes in time; then the node goes on by itself.
async fn survives(loses: impl Fn(&Cable), mends: impl Fn(&Cable)) {
    let _alone = Alone::on_the_machine();
    let cable = Cable::to_database(&Postgres::shared().database());
    let house = on(cable.url().to_owned());
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let before = pat.switch("acme-corp", READ_BILLING).await;
    for _ in 0..2 {
        loses(&cable);
        // Twice as many as there are connections.
        let exchange = async |_| {
            let answer = in_time(pat.exchange("acme-corp", READ_BILLING)).await;
            answer.oauth_error(503, "temporarily_unavailable");
            assert_eq!(answer.header("retry-after"), Some("1"));
        };
        let change = async {
            let off = json!({ "mode": "off" });
            let answer = in_time(ada.put("/api/tenants/partner-access", &off)).await;
            answer.problem(503, "unavailable");
        };
        let read = async {
            let answer = in_time(pat.get("/api/v1/partner/customers")).await;
            answer.problem(503, "unavailable");
        };
        tokio::join!(join_all((0..40).map(exchange)), change, read);
        let missing = eventually("it misses the database", async || {
            let answer = in_time(house.visitor().visit("/readyz")).await;
            (answer.status == 503).then(|| answer.json()["missing"].clone())
        })
        .await;
        let words = missing.as_array().expect("a list");
        let is_database = |word: &serde_json::Value| {
            word.as_str().is_some_and(|word| word.starts_with("database_"))
        };
        assert!(!words.is_empty() && words.iter().all(is_database), "{missing}");
        in_time(house.visitor().visit("/livez")).await.expect(200);

        mends(&cable);
        eventually("it is ready again", async || is_ready(&house).await.then_some(())).await;
        eventually("it issues again", async || {
            let answer = in_time(pat.exchange("acme-corp", READ_BILLING)).await;
            (answer.status == 200).then_some(())
        })
        .await;
        // The change that was told to come later may have arrived or not; whatever it is now can be
        // changed, and that counts.
        eventually("it takes changes again", async || {
            let on = json!({ "mode": "on" });
            let answer = in_time(ada.put("/api/tenants/partner-access", &on)).await;
            (answer.status == 200).then_some(())
        })
        .await;
        // All connections of all pools: none is left that hangs.
        join_all((0..40).map(async |_| {
            in_time(pat.exchange("acme-corp", READ_BILLING)).await.expect(200);
            in_time(pat.get("/api/v1/partner/customers")).await.expect(200);
        }))
        .await;
    }
    assert!(house.is_alive(&before).await, "nobody has ended it");
}

#[tokio::test]
async fn nobody_waits_for_a_database_that_has_gone_without_a_word_and_comes_back() {
    survives(Cable::lose_everything, Cable::mend).await;
}

#[tokio::test]
async fn connections_that_hang_for_ever_are_replaced() {
    survives(Cable::lose_everything, Cable::mend_for_new_connections).await;
}

#[tokio::test]
async fn connections_that_are_cut_are_replaced() {
    survives(Cable::pull_out, Cable::mend).await;
}
