//! The copy of the revocation list in Redis: fast while it is there, and never a promise that hangs
//! on it.

mod faults;
mod kinds;
mod others;
mod start;

use procura_tests::{Answer, House, HouseOptions, Isp, Person, Redis};
use serde_json::json;

const PAT: &str = "pat@northwind.test";
const ADA: &str = "ada@acme.test";
const BILLING: &str = "/api/v1/partner/billing/summary";
const READ_BILLING: &str = "partner.billing.read";
const STREAM: &str = "procura:revocations";

/// A Redis, a server that copies to it, a resource server that reads from it, and two people.
struct Stage {
    redis: Redis,
    house: House,
    isp: Isp,
    pat: Person,
    ada: Person,
}

impl Stage {
    async fn set() -> Self {
        let redis = Redis::start();
        let url = redis.url();
        Self::on(redis, &url, None).await
    }

    /// With a Redis that is reached in another way.
    async fn on(redis: Redis, url: &str, ca_file: Option<&str>) -> Self {
        let mut environment = vec![("PROCURA__REDIS__URL", url.to_owned())];
        let mut arguments = vec!["--revocations", "redis", "--redis-url", url];
        if let Some(file) = ca_file {
            environment.push(("PROCURA__REDIS__CA_FILE", file.to_owned()));
            arguments.extend(["--redis-ca-file", file]);
        }
        let house = House::start_with(HouseOptions { environment, ..HouseOptions::default() });
        let isp = Isp::start_with(&house, &arguments).await;
        isp.follows_copy(true).await;
        let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
        Self { redis, house, isp, pat, ada }
    }

    /// Pat's token in Ada's tenant, which works.
    async fn token(&self) -> String {
        let token = self.pat.switch("acme-corp", READ_BILLING).await;
        self.isp.get(&token, BILLING).await.expect(200);
        token
    }

    async fn switch(&self, mode: &str, confirm: &str) -> Answer {
        let path = format!("/api/tenants/partner-access{confirm}");
        let answer = self.ada.put(&path, &json!({ "mode": mode })).await;
        answer.expect(200);
        answer
    }

    /// Switches off; after the answer nobody accepts the token any more, at once and for ever.
    async fn off_means_off(&self, token: &str) {
        let off = self.switch("off", "?confirm=applied").await;
        let verifiers = &off.json()["revoked"]["verifiers"];
        assert_eq!(verifiers["confirmed"], verifiers["live"], "{}", off.text);
        self.is_dead(token).await;
        self.switch("on", "").await;
        self.is_dead(token).await;
    }

    async fn is_dead(&self, token: &str) {
        self.isp.get(token, BILLING).await.expect(401);
    }

    /// How many entries the stream in Redis has.
    fn entries(&self) -> usize {
        self.redis.ask(&["XLEN", STREAM]).trim().parse().unwrap_or_default()
    }
}
