//! A Postgres that answers, but slowly: each statement comes in time, and many of them would not.

use std::time::Duration;

use procura_tests::{Alone, Cable, Postgres, eventually, in_time};
use serde_json::json;

use super::{ADA, PAT, READ_BILLING, on};

/// A round trip takes twice as long.
const DELAY: Duration = Duration::from_millis(300);
const ACCESS: &str = "/api/tenants/partner-access";

#[tokio::test]
async fn a_request_of_many_statements_waits_no_longer_than_one_of_few() {
    let _alone = Alone::on_the_machine();
    let cable = Cable::to_database(&Postgres::shared().database());
    let house = on(cable.url().to_owned());
    let (pat, ada, visitor) = (house.log_in(PAT).await, house.log_in(ADA).await, house.visitor());
    let (code, verifier) = visitor.code(PAT, &house.demo().password).await;
    let (login, _) = visitor.start();
    cable.slow_down(DELAY);

    let (off, on) = (json!({ "mode": "off" }), json!({ "mode": "on" }));
    let customer = json!({ "name": "Slow", "admin_email": "slow@slow.test" });
    let read = in_time(pat.get("/api/v1/partner/customers")).await;
    let (change, provision, exchange, redeem, page) = tokio::join!(
        in_time(ada.put(ACCESS, &off)),
        in_time(pat.post("/api/partners/tenants", &customer)),
        in_time(pat.exchange("acme-corp", READ_BILLING)),
        in_time(visitor.redeem(&code, &verifier)),
        in_time(visitor.visit(login.as_str())),
    );
    // These need more statements than there is time for.
    for answer in [&change, &provision] {
        answer.problem(503, "unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    redeem.oauth_error(503, "temporarily_unavailable");
    // These may make it or not, and say which.
    for (answer, good) in [(&read, 200), (&exchange, 200), (&page, 303)] {
        assert!([good, 503].contains(&answer.status), "{answer:?}");
    }

    cable.mend();
    eventually("it takes changes again", async || {
        let answer = in_time(ada.put(ACCESS, &on)).await;
        (answer.status == 200).then_some(())
    })
    .await;
    pat.switch("acme-corp", READ_BILLING).await;
    assert_eq!(ada.get(ACCESS).await.expect(200).json()["mode"], "on");
}
