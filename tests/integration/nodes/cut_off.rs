//! A verifier that is cut off from its node while the others go on.

use procura_tests::{Cable, Isp, eventually};
use serde_json::json;

use super::{ADA, BILLING, PAT, READ_BILLING, first_node};

/// Closed before the answer to a revocation comes; open again with nothing from before.
async fn closes_and_comes_back(cuts: impl Fn(&Cable), mends: impl Fn(&Cable)) {
    let one = first_node();
    let two = one.another_node();
    let cable = Cable::to_url(two.url());
    let far = Isp::start_with(&one, &["--issuer-address", cable.url(), "--name", "far"]).await;
    let near = Isp::start_with(&one, &["--name", "near"]).await;
    let (pat, ada) = (one.log_in(PAT).await, one.log_in(ADA).await);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let kept = pat.switch("fabrikam", READ_BILLING).await;
    for isp in [&near, &far] {
        isp.get(&token, BILLING).await.expect(200);
        isp.get(&kept, BILLING).await.expect(200);
    }

    cuts(&cable);
    let off = json!({ "mode": "off" });
    let answer = ada.put("/api/tenants/partner-access?confirm=applied", &off).await;
    // The answer has waited for its last lease: it says that one verifier is closed, not that it heard.
    let verifiers = answer.expect(200).json()["revoked"]["verifiers"].clone();
    assert_eq!(verifiers["confirmed"], verifiers["live"], "{verifiers}");
    near.get(&token, BILLING).await.expect(401);
    far.get_once(&token, BILLING).await.expect(503);
    // Nobody has revoked this one; but cut off as it is, who knows?
    far.get_once(&kept, BILLING).await.expect(503);
    assert!(!far.is_ready().await);
    near.get(&kept, BILLING).await.expect(200);
    // The others go on.
    ada.put("/api/tenants/partner-access", &json!({ "mode": "on" })).await.expect(200);
    let fresh = pat.switch("acme-corp", READ_BILLING).await;
    near.get(&fresh, BILLING).await.expect(200);

    mends(&cable);
    eventually("it hears what it missed", async || {
        let answer = far.get_once(&token, BILLING).await;
        assert_ne!(answer.status, 200, "accepted by a lease from before");
        (answer.status == 401).then_some(())
    })
    .await;
    eventually("it holds a lease of its own", async || far.is_ready().await.then_some(())).await;
    far.get(&token, BILLING).await.expect(401);
    far.get(&kept, BILLING).await.expect(200);
    far.get(&fresh, BILLING).await.expect(200);
}

#[tokio::test]
async fn a_verifier_that_hears_nothing_closes_and_comes_back_without_its_old_lease() {
    closes_and_comes_back(Cable::lose_everything, Cable::mend).await;
}

#[tokio::test]
async fn a_verifier_whose_connections_hang_for_ever_opens_new_ones() {
    closes_and_comes_back(Cable::lose_everything, Cable::mend_for_new_connections).await;
}

#[tokio::test]
async fn a_verifier_that_is_disconnected_closes_and_comes_back_without_its_old_lease() {
    closes_and_comes_back(Cable::pull_out, Cable::mend).await;
}
