//! What works once works once at all nodes, also after one of them has started again.

use procura_domain::Profile;
use procura_tests::{ASSERTION, Answer, House, HouseOptions, Postgres, Software};
use reqwest::Method;
use serde_json::{Value, json};

use super::{PAT, first_node};

const TOKEN: &str = "/oauth2/token";
const GRANT: (&str, &str) = ("grant_type", "client_credentials");

/// The same request to both nodes, many times and all at once: how many were taken.
async fn taken(at: [&Software; 2], form: &[(&str, &str)], proofs: &[&str]) -> usize {
    let attempts = (0..16).map(|n| at[n % 2].post_bare(TOKEN, form, proofs));
    let answers = futures_util::future::join_all(attempts).await;
    answers.iter().filter(|answer| answer.status == 200).count()
}

#[tokio::test]
async fn an_assertion_and_a_proof_work_at_one_of_two_nodes_and_once() {
    let one = first_node();
    let two = one.another_node();
    let here = one.software(Profile::Fapi2, |_| {}).await;
    let there = here.at(&two);
    for _ in 0..4 {
        let assertion = here.assertion();
        let form = [GRANT, ("client_assertion_type", ASSERTION), ("client_assertion", &assertion)];
        let proof = here.proof(TOKEN);
        assert_eq!(taken([&here, &there], &form, &[&proof]).await, 1);
        // With new assertions the proof is still a used one, and the other way round.
        for software in [&here, &there] {
            let answer = software.post(TOKEN, &[GRANT], &[&proof]).await;
            answer.oauth_error(400, "invalid_dpop_proof");
            let answer = software.post_bare(TOKEN, &form, &[&software.proof(TOKEN)]).await;
            answer.oauth_error(401, "invalid_client");
        }
    }
}

#[tokio::test]
async fn of_64_that_send_one_assertion_to_two_nodes_exactly_one_wins() {
    let one = first_node();
    let two = one.another_node();
    let here = one.software(Profile::Fapi2, |_| {}).await;
    let there = here.at(&two);
    let assertion = here.assertion();
    let form = [GRANT, ("client_assertion_type", ASSERTION), ("client_assertion", &assertion)];
    let ask = async |n: usize| {
        let at = [&here, &there][n % 2];
        at.post_bare(TOKEN, &form, &[&at.proof(TOKEN)]).await
    };
    let answers = futures_util::future::join_all((0..64).map(ask)).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        // Beyond what is recorded of one address in a minute it is only told to wait.
        match answer.status {
            401 => answer.oauth_error(401, "invalid_client"),
            _ => answer.oauth_error(429, "temporarily_unavailable"),
        };
    }
    // Whoever is honest goes on, at both.
    for software in [&here, &there] {
        software.token(&[GRANT]).await.expect(200);
    }
}

#[tokio::test]
async fn a_request_pushed_at_one_node_is_opened_at_another_and_answered_once() {
    let one = first_node();
    let two = one.another_node();
    let here = one.software(Profile::Fapi2, |_| {}).await;
    let there = here.at(&two);
    // People come by the issuer's name, which is the first node's.
    let (start, verifier) = there.pushed(&json!({})).await;
    let code = one.visitor().code_by(&start, PAT).await;
    there.redeem(&code, &verifier).await.expect(200);
    for node in [&one, &two] {
        let page = node.visitor().visit(&start).await;
        assert!(page.expect(400).text.contains("invalid_request_uri"));
    }
}

#[tokio::test]
async fn a_nonce_of_one_node_is_one_of_all() {
    let environment = vec![("PROCURA__TOKENS__IS_DPOP_NONCE_REQUIRED", "true".to_owned())];
    let database = Some(Postgres::shared().database());
    let one = House::start_with(HouseOptions { environment, database, ..HouseOptions::default() });
    let two = one.another_node();
    let here = one.software(Profile::Fapi2, |_| {}).await;
    let there = here.at(&two);
    let first = here.token(&[GRANT]).await;
    first.oauth_error(400, "use_dpop_nonce");
    let nonce = first.header("dpop-nonce").unwrap();
    let proof = here.holder.proof("POST", &here.uri(TOKEN), &json!({ "nonce": nonce }));
    there.post(TOKEN, &[GRANT], &[&proof]).await.expect(200);
    here.post(TOKEN, &[GRANT], &[&proof]).await.oauth_error(400, "invalid_dpop_proof");
}

#[tokio::test]
async fn what_was_used_is_used_after_a_restart() {
    let mut house =
        House::start_with(HouseOptions { is_restarted: true, ..HouseOptions::default() });
    let software = house.software(Profile::Fapi2, |_| {}).await;
    let (assertion, proof) = (software.assertion(), software.proof(TOKEN));
    let form = [GRANT, ("client_assertion_type", ASSERTION), ("client_assertion", &assertion)];
    software.post_bare(TOKEN, &form, &[&proof]).await.expect(200);
    let (start, _) = software.pushed(&json!({})).await;
    house.kill();
    house.start_again();
    let answer = software.post_bare(TOKEN, &form, &[&software.proof(TOKEN)]).await;
    answer.oauth_error(401, "invalid_client");
    software.post(TOKEN, &[GRANT], &[&proof]).await.oauth_error(400, "invalid_dpop_proof");
    // And what was not used is still good.
    house.visitor().code_by(&start, PAT).await;
}

#[tokio::test]
async fn software_registers_as_often_as_its_token_says_at_two_nodes_together() {
    let one = House::start_with(HouseOptions {
        database: Some(Postgres::shared().database()),
        environment: vec![("PROCURA__REGISTRATION__ENABLED", "true".to_owned())],
        ..HouseOptions::default()
    });
    let two = one.another_node();
    let tom = one.log_in("tom@northwind.test").await;
    let offer = json!({ "name": "For a test", "uses": 3 });
    let made = tom.post("/api/initial-access-tokens", &offer).await;
    let token = made.expect(201).string("token");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let send = async |method: Method, at: String, token: &str, body: &Value| {
        let request = http.request(method, at).bearer_auth(token).json(body);
        Answer::of(request.send().await.unwrap()).await
    };
    let metadata = json!({ "redirect_uris": ["https://app.example/cb"] });
    let urls = [one.url(), two.url()];
    let attempts = (0..16)
        .map(|n| send(Method::POST, format!("{}/oauth2/register", urls[n % 2]), &token, &metadata));
    let answers = futures_util::future::join_all(attempts).await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(made.len(), 3);
    // Of two changes with one registration token one is made.
    let (id, own) = (made[0].string("client_id"), made[0].string("registration_access_token"));
    let body = json!({ "client_id": id, "redirect_uris": ["https://app.example/cb"] });
    let changes =
        urls.map(|url| send(Method::PUT, format!("{url}/oauth2/register/{id}"), &own, &body));
    let mut statuses: Vec<_> = futures_util::future::join_all(changes).await;
    statuses.sort_by_key(|answer| answer.status);
    assert_eq!((statuses[0].status, statuses[1].status), (200, 401));
}
