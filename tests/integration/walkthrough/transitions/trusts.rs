//! The same for trusts: by the steps of all relationships, and by the routes of their own.

use procura_token::Ts;
use reqwest::Method;
use serde_json::json;

use super::{BASE, DAY, Edge, SIDES, Stage, USED, column};
use crate::walkthrough::TOM;

/// As the other table; besides, `n` there is no such thing for them (404), and `*` a new one begins.
const TABLE: &str = "
            active by-customer by-partner by-operator restricted ended
approve     wff    wff         wff        wff         wff        wff
decline     wff    wff         wff        wff         wff        wff
withdraw    fwf    fwf         fwf        fwf         fwf        fwf
suspend     +++    www         +ww        www         +++        www
resume      www    +ff         f+f        ff+         www        www
narrow      +++    +++         +++        +++         +++        www
widen       +?f    +?f         +?f        +?f         +?f        www
extend      +?f    +?f         +?f        +?f         +?f        www
on          =ff    =ff         =ff        =ff         +ff        www
restricted  +ff    +ff         +ff        +ff         =ff        www
off         +ff    +ff         +ff        +ff         +ff        www
assign      f+f    f+f         f+f        f+f         f+f        fwf
shrink      +ff    +ff         +ff        +ff         +ff        wff
end         +++    +++         +++        +++         +++        www
put         =n=    wnw         wnw        wnw         =n=        *n*
delete      +n+    +n+         +n+        +n+         +n+        =n=
";
const TRUST: &str = "/auth/admin/tenants/initech/trust-tenant/northwind";

/// The routes of trusts alone know no versions.
fn is_of_trusts(verb: &str) -> bool {
    matches!(verb, "put" | "delete")
}

impl Stage {
    /// The customer is Initech, and everybody else is nobody there.
    async fn set_with_a_trust() -> Self {
        let mut stage = Self::set().await;
        stage.sides[0] = stage.house.log_in("ivy@initech.test").await;
        stage.keeper = stage.house.log_in(TOM).await;
        stage.path = stage.house.relationship("northwind>initech");
        stage.others.retain(|(who, ..)| !matches!(*who, "support-agent" | "member"));
        stage
    }

    async fn arrive_at_a_trust(&mut self, state: &str) {
        let [ivy, pat, root] = &self.sides;
        let _ = root.delete(&self.path).await;
        // What the operator stopped, and somebody else deleted, nobody but the operator lets begin anew.
        let made = root.put_bare(TRUST).await;
        self.path = format!("/api/v1/partner/relationships/{}", made.expect(201).string("id"));
        let (path, step) = (&self.path, |step: &str| format!("{}/{step}", self.path));
        let ends_at = Ts::from_secs(procura_tests::now() + 20 * DAY).rfc3339();
        let terms = json!({ "custom_permissions": BASE, "ends_at": ends_at });
        ivy.patch(path, &terms).await.expect(200);
        self.keeper.switch("initech", USED).await;
        let answer = match state {
            "by-customer" => ivy.step(&step("suspend")).await,
            "by-partner" => pat.step(&step("suspend")).await,
            "by-operator" => root.step(&step("suspend")).await,
            "restricted" => ivy.patch(path, &json!({ "access": "restricted" })).await,
            "ended" => ivy.delete(path).await,
            _ => return,
        };
        answer.expect(200);
    }

    /// What the sides do by the routes of trusts.
    async fn put_or_delete(&self, (verb, side): (&str, usize), cell: char) {
        let (before, (head, _)) = (self.look().await, self.revoked(0).await);
        let tried = format!("{}: {verb} of {before:?}", SIDES[side]);
        let method = if verb == "put" { Method::PUT } else { Method::DELETE };
        let answer = self.house.api(&self.sides[side].home, method, TRUST, None).await;
        let status = match (verb, cell) {
            (_, 'n') => 404,
            (_, 'w') => 409,
            ("put", '=') => 200,
            ("put", _) => 201,
            _ => 204,
        };
        assert_eq!(answer.status, status, "{tried}: {}", answer.text);
        let is_ended = (verb, cell) == ("delete", '+');
        let after = if is_ended { before.after("end", "", "") } else { before.clone() };
        // Who stopped it stays known.
        let after = Edge { suspended_by: before.suspended_by.clone(), ..after };
        assert_eq!(self.look().await, after, "{tried}");
        let kills = is_ended && before.kills("end", before.state == "active");
        let revoked = if kills { vec![self.of_this()] } else { Vec::new() };
        assert_eq!(self.revoked(head).await.1, revoked, "{tried} takes from these");
        let entries = self.entries().await;
        assert_eq!(i64::try_from(entries.len()), Ok(after.version), "{tried}: {entries:?}");
        if is_ended {
            assert_eq!(entries[0], "trust.delete", "{tried}");
        }
        if cell == '*' {
            let id = answer.string("id");
            assert_ne!(id, self.id(), "{tried}: another one");
            let path = self.path.replace(self.id(), &id);
            let new = self.sides[0].get(&path).await.expect(200).json();
            assert_eq!((&new["state"], &new["version"]), (&json!("active"), &json!(1)), "{tried}");
            self.sides[side].delete(&path).await.expect(200);
        }
    }
}

#[tokio::test]
async fn every_step_of_a_trust_by_everybody_is_as_its_table_says() {
    let mut stage = Stage::set_with_a_trust().await;
    let names = TABLE.trim().lines().next().expect("a line").split_whitespace();
    let mut done = 0;
    for state in names {
        let (own, common): (Vec<_>, Vec<_>) =
            column(TABLE, state).into_iter().partition(|(verb, _)| is_of_trusts(verb));
        stage.arrive_at_a_trust(state).await;
        stage.refuse(state, &common).await;
        let mut is_fresh = true;
        for (verb, cells) in common.iter().chain(&own) {
            for (side, cell) in cells.iter().enumerate() {
                if matches!(cell, 'f') || (*cell == 'w' && !is_of_trusts(verb)) {
                    continue;
                }
                if !is_fresh {
                    stage.arrive_at_a_trust(state).await;
                }
                if is_of_trusts(verb) {
                    stage.put_or_delete((verb, side), *cell).await;
                } else {
                    stage.permit((verb, side), *cell).await;
                }
                (is_fresh, done) = (matches!(cell, '=' | 'n' | 'w'), done + 1);
            }
        }
    }
    assert_eq!(done, 121, "all of the table was tried");
}
