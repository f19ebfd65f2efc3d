//! What one node does, the others know.

use std::collections::BTreeSet;

use procura_tests::{Isp, eventually};
use serde_json::json;

use super::{ADA, BILLING, PAT, READ_BILLING, first_node};

#[tokio::test]
async fn a_token_of_one_node_is_good_at_the_verifiers_of_another_until_either_ends_it() {
    let one = first_node();
    let two = one.another_node();
    let isp = Isp::start(&two).await;
    let (pat, ada) = (one.log_in(PAT).await, one.log_in(ADA).await);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    isp.get(&token, BILLING).await.expect(200);
    assert!(two.is_alive(&token).await, "and introspection at the other node says so");

    ada.put("/api/tenants/partner-access", &json!({ "mode": "off" })).await.expect(200);
    // Asked for the truth, the other node has it at once: it reads the head from the database.
    assert!(!two.is_alive(&token).await);
    let refused = async || (isp.get(&token, BILLING).await.status != 200).then_some(());
    eventually("the verifier of the other node refuses", refused).await;
    // And it issues nothing: the decision is made on what is stored.
    pat.at(&two).exchange("acme-corp", READ_BILLING).await.expect(400);

    ada.at(&two).put("/api/tenants/partner-access", &json!({ "mode": "on" })).await.expect(200);
    let again = pat.at(&two).switch("acme-corp", READ_BILLING).await;
    isp.get(&again, BILLING).await.expect(200);
    assert!(!one.is_alive(&token).await, "what was dead stays dead, everywhere");
}

#[tokio::test]
async fn a_login_at_one_node_is_a_login_at_all() {
    let one = first_node();
    let two = one.another_node();
    let pat = one.log_in(PAT).await;
    let at_two = pat.at(&two);
    at_two.get("/api/v1/partner/customers").await.expect(200);
    at_two.switch("acme-corp", READ_BILLING).await;
    // The same keys: each node publishes the set that the other signs with.
    let keys = async |url: &str| {
        let set: serde_json::Value =
            reqwest::get(format!("{url}/oauth2/jwks")).await.unwrap().json().await.unwrap();
        let kids = set["keys"].as_array().unwrap().iter();
        kids.map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    let same = async || (keys(one.url()).await == keys(two.url()).await).then_some(());
    eventually("a node hears of a new key within a second", same).await;
}

#[tokio::test]
async fn of_64_that_redeem_one_code_at_two_nodes_exactly_one_wins() {
    let one = first_node();
    let two = one.another_node();
    let visitor = one.visitor();
    let (code, verifier) = visitor.code(PAT, &one.demo().password).await;
    let many = (0..64).map(|n| {
        let (code, verifier) = (code.clone(), verifier.clone());
        let visitor = if n % 2 == 0 { one.visitor() } else { two.visitor() };
        tokio::spawn(async move {
            // Who stands too far behind in the line is told to come again, and does.
            loop {
                let answer = visitor.redeem(&code, &verifier).await;
                if answer.status != 503 {
                    break answer;
                }
            }
        })
    });
    let mut tokens = Vec::new();
    for one in many.collect::<Vec<_>>() {
        let answer = one.await.unwrap();
        if answer.status == 200 {
            tokens.push(answer.string("access_token"));
        } else {
            assert_eq!(answer.expect(400).json()["error"], "invalid_grant");
        }
    }
    assert_eq!(tokens.len(), 1);
    let dead = async || (!two.is_alive(&tokens[0]).await).then_some(());
    eventually("the replays took back what the code gave", dead).await;
}

#[tokio::test]
async fn two_nodes_that_suspend_and_exchange_at_once_agree_on_an_order() {
    let one = first_node();
    let two = one.another_node();
    let (pat, ada) = (one.log_in(PAT).await.at(&two), one.log_in(ADA).await);
    let path = one.relationship("northwind>acme-corp");
    for _ in 0..8 {
        let exchanges = (0..8).map(|_| {
            let pat = pat.clone();
            tokio::spawn(async move { pat.exchange("acme-corp", READ_BILLING).await })
        });
        let exchanges: Vec<_> = exchanges.collect();
        ada.step(&format!("{path}/suspend")).await.expect(200);
        for exchange in exchanges {
            let answer = exchange.await.unwrap();
            // Granted before the suspension, it is dead by it; after it, nothing is granted.
            if answer.status == 200 {
                assert!(!one.is_alive(&answer.string("access_token")).await);
            }
        }
        ada.step(&format!("{path}/resume")).await.expect(200);
    }
}
