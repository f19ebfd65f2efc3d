//! Many at once: who asks a lot waits or is sent away, and nobody else notices.

use futures_util::future::{join, join_all};
use procura_tests::{Alone, Answer, House, HouseOptions};
use serde_json::json;

use super::{ADA, PAT, READ_BILLING, ROOT, SAM};

/// A house that sends nobody away for asking often.
fn patient() -> House {
    let environment = [
        ("PROCURA__RATE_LIMITS__ENABLED", "false"),
        ("PROCURA__LIMITS__UNAUTHENTICATED_FAILURES_PER_MINUTE", "100000"),
    ];
    let environment = environment.map(|(name, value)| (name, value.to_owned())).to_vec();
    House::start_with(HouseOptions { environment, ..HouseOptions::default() })
}

#[tokio::test]
async fn questions_wait_for_each_other_and_whoever_waits_too_long_is_told_so_while_exchanges_go_on()
{
    let _alone = Alone::on_the_machine();
    let house = patient();
    let (pat, sam) = (house.log_in(PAT).await, house.log_in(SAM).await);
    let question = json!({
        "user_id": house.user(PAT),
        "tenant": "acme-corp",
        "client_id": house.demo().clients["portal"].client_id,
        "scope": READ_BILLING,
    });
    let ask = || pat.post("/api/explain", &question);
    let enter = || sam.exchange("acme-corp", "partner.support.tickets.list");
    // As many as this machine does not answer within a second.
    for many in [250, 500, 1000] {
        let (answers, entered) =
            join(join_all((0..many).map(|_| ask())), join_all((0..20).map(|_| enter()))).await;
        for answer in entered {
            answer.expect(200);
        }
        let (answered, sent_away): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|answer: &Answer| answer.status == 200);
        assert!(!answered.is_empty());
        for answer in &sent_away {
            answer.problem(503, "unavailable");
            assert!(answer.header("retry-after").is_some());
        }
        if !sent_away.is_empty() {
            ask().await.expect(200);
            return;
        }
    }
    // On a machine that answers all of them within a second nobody is to be sent away.
}

#[tokio::test]
async fn a_flood_of_wrong_codes_takes_no_place_where_passwords_and_good_codes_wait() {
    let _alone = Alone::on_the_machine();
    let house = patient();
    let ada = house.log_in(ADA).await;
    let codes = ada.step("/api/tenants/break-glass-codes").await.expect(201).json();
    let good = codes["codes"][0].as_str().expect("a code").to_owned();
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let blow = async |code: &str| {
        let said = json!({ "tenant": "acme-corp", "code": code });
        let request = http.post(format!("{}/break-glass", house.url())).json(&said);
        Answer::of(request.send().await.expect("the server answers")).await
    };
    // Far more than could wait for a hash: each of them would be told that there is no place.
    let flood = join_all((0..200).map(|n| {
        let code = format!("1-{n:05}-22222-33333-44444");
        let blow = &blow;
        async move { blow(&code).await }
    }));
    let (refused, people) =
        join(flood, join_all([PAT, SAM, ADA].map(|name| house.log_in(name)))).await;
    for answer in &refused {
        answer.problem(403, "code_refused");
    }
    for person in people {
        person.get("/api/me/consents").await.expect(200);
    }
    blow(&good).await.expect(200);
    blow(&good).await.problem(403, "code_refused");
}

#[tokio::test]
async fn a_code_works_where_nobody_can_log_in_because_the_provider_is_down() {
    let house = patient();
    let (ada, root, pat) =
        (house.log_in(ADA).await, house.log_in(ROOT).await, house.log_in(PAT).await);
    let codes = ada.step("/api/tenants/break-glass-codes").await.expect(201).json();
    // Nobody answers there, and no password of the tenant counts.
    let provider = json!({
        "tenant_id": "acme-corp", "name": "own", "title": "Acme", "issuer": "https://login.example",
        "client_id": "procura", "client_secret": "a secret of theirs",
        "domains": ["acme.test"], "links_by_email": true, "replaces_passwords": true,
    });
    root.post("/api/identity-providers", &provider).await.expect(201);
    ada.get("/api/me/consents").await.problem(401, "unauthenticated");
    house.visitor().try_log_in(ADA, &house.demo().password).await.0.expect(401);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let said = json!({ "tenant": "acme-corp", "code": codes["codes"][7] });
    let request = http.post(format!("{}/break-glass", house.url())).json(&said);
    Answer::of(request.send().await.expect("the server answers")).await.expect(200);
    assert!(!house.is_alive(&token).await);
    super::not_available(&pat.exchange("acme-corp", READ_BILLING).await);
}
