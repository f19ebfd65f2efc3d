//! The states of the relationship between the MSP and the customer, and how it comes to each.

use std::time::SystemTime;

use procura_tests::{Answer, eventually};
use procura_token::Ts;
use serde_json::{Value, json};

use super::{
    canaries::WHY,
    world::{CUSTOMER, SCOPE, World},
};

/// The states that a relationship is tried in. `proposed`: active, and the partner asks for more; `restricted`
/// and `off`: active, with the customer's switch at that; `stopped`: suspended by the partner.
pub const STATES: &[&str] = &[
    "requested",
    "proposed",
    "scheduled",
    "active",
    "restricted",
    "off",
    "suspended",
    "stopped",
    "declined",
    "expired",
    "ended",
];
/// Those of them in which somebody can have asked to be let in.
pub const ASKED: &[&str] = &["active", "off", "suspended", "ended"];
/// Those that differ most.
pub const STORED: &[&str] = &["requested", "active", "suspended", "declined", "ended"];

const ENDS: &str = "2090-01-01T00:00:00Z";
const ENDS_LATER: &str = "2091-01-01T00:00:00Z";
const STARTS: &str = "2089-01-01T00:00:00Z";

impl World {
    /// The body of a request for a relationship.
    pub fn wish(&self) -> Value {
        json!({ "partner_code": self.code, "access_role": "msp_full", "ends_at": ENDS,
                "reason": "to help" })
    }

    fn path(&self) -> String {
        format!("/api/v1/partner/relationships/{}", self.things["relationship"])
    }

    /// Ends what there is between the MSP and the customer, and comes to this state anew.
    pub async fn arrive(&mut self, state: &str) {
        self.part().await;
        let made = self.partner.post("/api/v1/partner/relationships", &self.wish()).await;
        self.keep("relationship", made.expect(201).string("id"));
        match state {
            "requested" => {}
            "declined" => {
                self.ada.step(&format!("{}/decline", self.path())).await.expect(200);
            }
            _ => {
                self.agree(&json!({})).await;
                self.enter().await;
                self.leave_for(state).await;
            }
        }
    }

    /// Comes to an active one, where somebody waits to be let in each time.
    pub async fn be_asked(&mut self) {
        self.part().await;
        let made = self.partner.post("/api/v1/partner/relationships", &self.wish()).await;
        self.keep("relationship", made.expect(201).string("id"));
        self.agree(&json!({ "approval": "each_time" })).await;
        let reference = format!("TCK-{}", self.next());
        let why = [("purpose", "support"), ("purpose_ref", reference.as_str())];
        self.partner.exchange_with(CUSTOMER, SCOPE, &why).await.expect(400);
        let listed = self.ada.get("/api/tenants/access-requests").await.expect(200).json();
        assert_eq!(listed[0]["state"], "waiting", "{listed}");
        self.keep("request", listed[0]["id"].as_str().expect("an id").to_owned());
    }

    /// The customer says yes, and on what terms, with a reason.
    async fn agree(&self, terms: &Value) {
        let path = self.path();
        self.ada.step(&format!("{path}/approve")).await.expect(200);
        let mut change = terms.clone();
        change["conditions"] = json!({ "max_age_secs": 3000 });
        change["reason"] = WHY.into();
        self.ada.patch(&path, &change).await.expect(200);
    }

    /// From an active one to this state.
    pub async fn leave_for(&self, state: &str) {
        let path = self.path();
        let change = async |change: Value| self.ada.patch(&path, &change).await;
        let answer = match state {
            "proposed" => {
                let more = json!({ "ends_at": ENDS_LATER });
                self.partner.patch(&path, &more).await.expect(202);
                return;
            }
            "scheduled" => change(json!({ "starts_at": STARTS })).await,
            "restricted" | "off" => change(json!({ "access": state })).await,
            "suspended" => self.ada.step(&format!("{path}/suspend")).await,
            "stopped" => self.partner.step(&format!("{path}/suspend")).await,
            "ended" => self.ada.delete(&path).await,
            "expired" => self.expire(&path).await,
            _ => return,
        };
        answer.expect(200);
    }

    /// Its end is in a moment, and then it is over.
    async fn expire(&self, path: &str) -> Answer {
        let mut micros = 50_000;
        loop {
            let soon = json!({ "ends_at": after(micros).rfc3339() });
            // On a slow machine that is over before it is said.
            if self.ada.patch(path, &soon).await.status == 200 {
                break;
            }
            micros *= 2;
        }
        eventually("its end comes", async || {
            let shown = self.ada.get(path).await;
            (shown.json()["state"] == "expired").then_some(shown)
        })
        .await
    }

    /// Ends whatever lives between the MSP and the customer.
    async fn part(&self) {
        let links = self.partner.get("/api/v1/partner/customers").await.expect(200).json();
        let links = links.as_array().expect("a list").iter();
        let ours = |link: &&Value| link["kind"] == "manages" && link["slug"] == CUSTOMER;
        for link in links.filter(ours) {
            let id = link["relationship_id"].as_str().expect("an id");
            let path = format!("/api/v1/partner/relationships/{id}");
            match link["state"].as_str().expect("a state") {
                "requested" => self.ada.step(&format!("{path}/decline")).await,
                "declined" | "ended" => continue,
                _ => self.root.delete(&path).await,
            }
            .expect(200);
        }
    }

    /// Begins a delegation of the MSP's in the customer.
    pub async fn enter(&mut self) {
        let made = self.partner.exchange(CUSTOMER, SCOPE).await;
        self.keep("delegation", made.expect(200).string("delegation_id"));
    }
}

/// So long from now.
#[expect(clippy::disallowed_methods, reason = "a customer has a clock of its own")]
fn after(micros: i64) -> Ts {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    Ts(i64::try_from(since.as_micros()).expect("before the end of time") + micros)
}
