//! Every step in the life of a relationship, from every state, by everybody who could try: against a table that a
//! person can read. What is refused changes nothing; what is done is one version, one entry of the log, and a
//! revocation where it takes something away.

mod trusts;

use futures_util::future::join_all;
use procura_tests::{Answer, House, MovedClock, Person, Scratch, eventually};
use procura_token::{Key, RelationshipId, Ts};
use reqwest::{Method, header::IF_MATCH};
use serde_json::{Value, json};

use super::{
    ADA, PAT, ROOT,
    api_keys::{SWITCH, make, wish},
};

/// A column: a state to come from. A row: what is asked for. A cell: what the customer's tenant-admin, the
/// partner's partner-admin and the operator are answered. `+` it is done, `=` it is so already, `?` the customer
/// is asked, `f` not theirs to do (403), `w` not in this state (409).
const TABLE: &str = "
            requested active scheduled by-customer by-partner by-operator restricted asking declined expired ended unanswered
approve     +ff       wff    wff       wff         wff        wff         wff        +ff    wff      wff     wff     wff
approve-less +ff      wff    wff       wff         wff        wff         wff        +ff    wff      wff     wff     wff
decline     +ff       wff    wff       wff         wff        wff         wff        +ff    wff      wff     wff     wff
withdraw    f+f       fwf    fwf       fwf         fwf        fwf         fwf        f+f    fwf      fwf     fwf     fwf
suspend     www       +++    +++       www         +ww        www         +++        +++    www      www     www     www
resume      www       www    www       +ff         f+f        ff+         www        www    www      www     www     www
narrow      w++       +++    +++       +++         +++        +++         +++        +++    www      www     www     www
widen       wff       +?f    +?f       +?f         +?f        +?f         +?f        +?f    www      www     www     www
extend      wff       +?f    +?f       +?f         +?f        +?f         +?f        +?f    www      www     www     www
on          =ff       =ff    =ff       =ff         =ff        =ff         +ff        =ff    www      www     www     www
restricted  +ff       +ff    +ff       +ff         +ff        +ff         =ff        +ff    www      www     www     www
off         +ff       +ff    +ff       +ff         +ff        +ff         +ff        +ff    www      www     www     www
assign      f+f       f+f    f+f       f+f         f+f        f+f         f+f        f+f    fwf      fwf     fwf     fwf
shrink      wff       +ff    +ff       +ff         +ff        +ff         +ff        +ff    wff      wff     wff     wff
end         www       +++    +++       +++         +++        +++         +++        +++    www      +++     www     www
";

const BASE: &str = "partner.billing.read partner.support.tickets.list";
const LESS: &str = "partner.billing.read";
const MORE: &str = "partner.billing.read partner.reports.usage.read partner.support.tickets.list";
const USED: &str = "partner.support.tickets.list";
const DAY: i64 = 86_400;
/// What lives so long is over soon, when the clock goes on by as much.
const SOON: i64 = 40;

/// The sides, in the order of a cell.
const SIDES: [&str; 3] = ["customer", "partner", "operator"];

/// A relationship, as its customer sees it.
#[derive(Clone, Debug, PartialEq)]
struct Edge {
    state: String,
    suspended_by: Option<String>,
    access: String,
    permissions: String,
    ends_at: String,
    is_assigned: bool,
    /// What the partner asks for meanwhile.
    wish: Option<String>,
    version: i64,
}

impl Edge {
    fn of(shown: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        let wish = &shown["proposal"]["terms"];
        Self {
            state: text(&shown["state"]).expect("a state"),
            suspended_by: text(&shown["suspended_by"]),
            access: text(&shown["access"]).expect("a switch"),
            permissions: text(&shown["custom_permissions"]).expect("a set"),
            ends_at: text(&shown["ends_at"]).expect("an end"),
            is_assigned: shown["assigned_to"].is_array(),
            wish: text(&wish["custom_permissions"]),
            version: shown["version"].as_i64().expect("a version"),
        }
    }

    /// What a verb of this side makes of it, where it makes something.
    fn after(&self, verb: &str, side: &str, later: &str) -> Self {
        let mut after = Self { version: self.version + 1, ..self.clone() };
        let set = |edge: &mut Self, permissions: &str| {
            permissions.clone_into(&mut edge.permissions);
            edge.wish = None;
        };
        let is_request = self.state == "requested";
        match verb {
            "approve" | "approve-less" if is_request => "active".clone_into(&mut after.state),
            "decline" | "withdraw" if is_request => "declined".clone_into(&mut after.state),
            "decline" | "withdraw" => after.wish = None,
            "suspend" => {
                "suspended".clone_into(&mut after.state);
                after.suspended_by = Some(side.to_owned());
            }
            "resume" => {
                "active".clone_into(&mut after.state);
                after.suspended_by = None;
            }
            "widen" if side == "partner" => after.wish = Some(MORE.to_owned()),
            "extend" if side == "partner" => after.wish = Some(BASE.to_owned()),
            "approve" | "widen" => set(&mut after, MORE),
            "extend" => {
                later.clone_into(&mut after.ends_at);
                after.wish = None;
            }
            "shrink" => set(&mut after, USED),
            "assign" => after.is_assigned = true,
            "end" => {
                "ended".clone_into(&mut after.state);
                (after.suspended_by, after.wish) = (None, None);
            }
            "narrow" => set(&mut after, LESS),
            "approve-less" => {}
            access => access.clone_into(&mut after.access),
        }
        if verb == "approve-less" {
            set(&mut after, LESS);
        }
        after
    }

    /// Whether the verb takes something from somebody who may be inside.
    fn kills(&self, verb: &str, is_open: bool) -> bool {
        let takes = match verb {
            "suspend" | "end" | "narrow" | "shrink" | "assign" | "on" | "restricted" | "off" => {
                true
            }
            "approve-less" => self.wish.is_some(),
            _ => false,
        };
        takes && is_open
    }
}

/// Its name in the log.
fn action(verb: &str, cell: char) -> String {
    let name = match verb {
        _ if cell == '?' => "propose",
        "approve-less" => "approve",
        "narrow" | "widen" | "extend" => "change",
        "on" | "restricted" | "off" => "access",
        same => same,
    };
    format!("relationship.{name}")
}

struct Stage {
    house: House,
    clock: MovedClock,
    http: reqwest::Client,
    /// The customer's tenant-admin, the partner-admin and the operator.
    sides: [Person; 3],
    /// Who may do nothing of it, and what they are answered.
    others: Vec<(&'static str, String, u16, &'static str)>,
    /// A key of the partner-admin that opens whatever keys open.
    key: String,
    keeper: Person,
    /// The relationship that is tried.
    path: String,
    /// So many seconds its clock has been moved.
    ahead: i64,
    later: String,
}

impl Stage {
    async fn set() -> Self {
        let clock = MovedClock::new();
        let mut options = clock.options();
        options.environment.push(("PROCURA__RATE_LIMITS__ENABLED", "false".to_owned()));
        let house = House::on_a_file_with(options);
        Self::people(&house);
        let sides = [house.log_in(ADA).await, house.log_in(PAT).await, house.log_in(ROOT).await];
        let path = house.relationship("northwind>acme-corp");
        let key = make(&sides[1], &wish(&house, &format!("* {SWITCH} partner.tenants.list"))).await;
        let keeper = house.log_in("kim@keeper.test").await;
        sides[2].delete(&path).await.expect(200);
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let later = Ts::from_secs(procura_tests::now() + 40 * DAY).rfc3339();
        let others = Vec::new();
        let key = key.text;
        let mut stage =
            Self { house, clock, http, sides, others, key, keeper, path, ahead: 0, later };
        stage.log_in().await;
        stage
    }

    /// Who else there is.
    fn people(house: &House) {
        let user = |email: &str, tenant: &str, role: &str| {
            let password = &house.demo().password;
            json!({ "email": email, "tenant": tenant, "name": email, "roles": [role],
                    "password": password })
        };
        let more = json!({
            "tenants": [{ "slug": "keeper", "name": "The Keeper" }],
            "users": [
                user("kim@keeper.test", "keeper", "partner-admin"),
                user("sue@acme.test", "acme-corp", "support-agent"),
                user("mel@acme.test", "acme-corp", "member"),
                user("bil@northwind.test", "northwind", "partner-billing"),
            ],
            "relationships": [{ "partner": "keeper", "customer": "acme-corp", "role": "msp_full" }],
        });
        let folder = Scratch::new();
        let file = folder.path().join("more.json");
        std::fs::write(&file, more.to_string()).expect("a file");
        let done = house.command(&["import", file.to_str().expect("a plain path")]);
        assert!(done.status.success(), "{done:?}");
    }

    /// Everybody, as long as a login is good.
    async fn log_in(&mut self) {
        let house = &self.house;
        let mut others = Vec::new();
        for (who, email, status, code) in [
            ("support-agent", "sue@acme.test", 403, "forbidden"),
            ("member", "mel@acme.test", 403, "forbidden"),
            ("partner-support", "sam@northwind.test", 403, "forbidden"),
            ("partner-billing", "bil@northwind.test", 403, "forbidden"),
            ("partner-auditor", "aud@northwind.test", 403, "forbidden"),
            ("the partner's own tenant-admin", "tom@northwind.test", 403, "forbidden"),
            ("another tenant's admin", "uma@umbrella.test", 404, "not_found"),
            ("another partner's admin", "kim@keeper.test", 404, "not_found"),
        ] {
            others.push((who, house.log_in(email).await.home, status, code));
        }
        self.sides = [house.log_in(ADA).await, house.log_in(PAT).await, house.log_in(ROOT).await];
        self.keeper = house.log_in("kim@keeper.test").await;
        let delegated = self.keeper.switch("acme-corp", LESS).await;
        let program = house.token(&[("grant_type", "client_credentials")]).await;
        let program = program.expect(200).string("access_token");
        for (who, token) in [
            ("a delegated token", delegated),
            ("a program of the partner", self.key.clone()),
            ("a client", program),
        ] {
            others.push((who, token, 401, "unauthenticated"));
        }
        self.others = others;
    }

    async fn send(&self, token: &str, verb: &str, tag: &str) -> Answer {
        let custom = |set: &str| Some(json!({ "custom_permissions": set }));
        let (step, body) = match verb {
            "narrow" => ("", custom(LESS)),
            "widen" => ("", custom(MORE)),
            "on" | "restricted" | "off" => ("", Some(json!({ "access": verb }))),
            "approve-less" => ("/approve", custom(LESS)),
            "extend" => ("/extend", Some(json!({ "ends_at": self.later }))),
            "assign" => ("/assigned-people", Some(json!({ "user_ids": [self.house.user(PAT)] }))),
            "end" => ("", None),
            step => {
                return self.request(token, (Method::POST, &format!("/{step}")), None, tag).await;
            }
        };
        let method = match verb {
            "end" => Method::DELETE,
            "assign" => Method::PUT,
            "approve-less" | "extend" => Method::POST,
            _ => Method::PATCH,
        };
        self.request(token, (method, step), body, tag).await
    }

    async fn request(
        &self,
        token: &str,
        (method, step): (Method, &str),
        body: Option<Value>,
        tag: &str,
    ) -> Answer {
        let url = format!("{}{}{step}", self.house.url(), self.path);
        let request = self.http.request(method, url).bearer_auth(token).header(IF_MATCH, tag);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        Answer::of(request.send().await.expect("the server answers")).await
    }

    async fn look(&self) -> Edge {
        Edge::of(&self.sides[0].get(&self.path).await.expect(200).json())
    }

    /// How far the revocation log goes, and what was revoked after another place in it.
    async fn revoked(&self, after: i64) -> (i64, Vec<(String, String)>) {
        let isp = &self.house.demo().clients["isp"];
        let request = self.http.get(format!("{}/revocations/snapshot", self.house.url()));
        let request = request.basic_auth(&isp.client_id, isp.client_secret.as_deref());
        let answer = Answer::of(request.send().await.expect("the server answers")).await;
        let snapshot = answer.expect(200).json();
        let entries = snapshot["entries"].as_array().expect("a list").iter();
        let entries = entries.filter(|entry| entry["s"].as_i64() > Some(after));
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let entries = entries.map(|entry| (text(&entry["k"]), text(&entry["h"]))).collect();
        (snapshot["head"].as_i64().expect("a number"), entries)
    }

    /// What takes from everybody who acts under this relationship, and from nobody else.
    fn of_this(&self) -> (String, String) {
        let id: RelationshipId = self.id().parse().expect("an id");
        let key = Key::Relationship(id);
        (key.kind().to_owned(), key.hash().to_string())
    }

    fn id(&self) -> &str {
        self.path.rsplit('/').next().expect("an id")
    }

    /// What the log says was done to it, the last first.
    async fn entries(&self) -> Vec<String> {
        let log = format!("/api/audit-logs?relationshipId={}&result=ok", self.id());
        let log = self.sides[2].get(&log).await.expect(200).json();
        let actions = log.as_array().expect("a list").iter().map(|entry| entry["action"].as_str());
        let actions = actions.map(|action| action.expect("a name").to_owned());
        let is_change = |action: &String| {
            ["relationship.", "trust."].iter().any(|start| action.starts_with(start))
        };
        actions.filter(is_change).collect()
    }

    /// Comes to a state by a relationship of its own, of which something was used.
    async fn arrive(&mut self, state: &str) {
        let [ada, pat, root] = &self.sides;
        // Whatever is there gives way; what is dead already says so.
        let _ = ada.step(&format!("{}/decline", self.path)).await;
        let _ = root.delete(&self.path).await;
        let now = Ts::from_secs(procura_tests::now());
        let lives = if state == "expired" { self.ahead + SOON } else { 20 * DAY };
        let ends_at = now.plus_secs(lives).rfc3339();
        let code = &self.house.demo().partner_codes["acme-corp"];
        let wish = json!({ "partner_code": code, "custom_permissions": BASE, "ends_at": ends_at });
        let made = pat.post("/api/v1/partner/relationships", &wish).await;
        self.path = format!("/api/v1/partner/relationships/{}", made.expect(201).string("id"));
        let (path, step) = (&self.path, |step: &str| format!("{}/{step}", self.path));
        match state {
            "requested" => return,
            "unanswered" => return self.wait_for_nothing().await,
            "declined" => {
                ada.step(&step("decline")).await.expect(200);
                return;
            }
            _ => ada.step(&step("approve")).await.expect(200),
        };
        pat.switch("acme-corp", USED).await;
        let starts_at = now.plus_secs(10 * DAY).rfc3339();
        let answer = match state {
            "scheduled" => ada.patch(path, &json!({ "starts_at": starts_at })).await,
            "by-customer" => ada.step(&step("suspend")).await,
            "by-partner" => pat.step(&step("suspend")).await,
            "by-operator" => root.step(&step("suspend")).await,
            "restricted" => ada.patch(path, &json!({ "access": "restricted" })).await,
            "asking" => {
                let asked = pat.patch(path, &json!({ "custom_permissions": MORE })).await;
                asked.expect(202);
                return;
            }
            "ended" => ada.delete(path).await,
            "expired" => {
                self.clock.advance(SOON + 1);
                self.ahead += SOON + 1;
                return;
            }
            _ => return,
        };
        answer.expect(200);
    }

    /// Nobody answers for a month, and everybody logs in again.
    async fn wait_for_nothing(&mut self) {
        self.clock.stop();
        self.clock.advance(30 * DAY + 1);
        self.log_in().await;
        eventually("the request has expired", async || {
            self.clock.pass_a_minute();
            (self.look().await.state == "expired").then_some(())
        })
        .await;
    }

    /// Everybody whom it does not concern tries everything, and then whoever would be refused.
    async fn refuse(&self, state: &str, cells: &[(&str, Vec<char>)]) -> u32 {
        let (before, (head, _)) = (self.look().await, self.revoked(0).await);
        let phase = match state {
            "restricted" | "asking" => "active",
            "by-customer" | "by-partner" | "by-operator" => "suspended",
            "unanswered" => "expired",
            same => same,
        };
        assert_eq!(before.state, phase, "it has come to {state}");
        let mut refused = 0;
        for (verb, cells) in cells {
            let tried = format!("{verb} in {state}");
            let all = self.others.iter().map(|(_, token, ..)| self.send(token, verb, "*"));
            for (answer, (who, _, status, code)) in join_all(all).await.iter().zip(&self.others) {
                assert_eq!(answer.problem(*status, code), None, "{who}: {tried}");
                refused += 1;
            }
            for ((side, person), cell) in SIDES.iter().zip(&self.sides).zip(cells) {
                let tag = format!("\"{}\"", before.version);
                let answer = match cell {
                    'f' | 'w' => self.send(&person.home, verb, &tag).await,
                    // Whoever has seen another version is told so, and nothing is done.
                    _ => self.send(&person.home, verb, "\"999\"").await,
                };
                let told = (answer.status, answer.string("code"));
                let told =
                    (told.0, told.1.as_str(), answer.json()["about"].as_str().map(str::to_owned));
                let expected = match cell {
                    'f' => (403, "forbidden", None),
                    'w' => (409, "wrong_state", Some(phase.to_owned())),
                    _ => (412, "stale", None),
                };
                assert_eq!(told, expected, "{side}: {tried}");
                refused += 1;
            }
            assert_eq!(self.look().await, before, "{tried} was refused");
        }
        assert_eq!(self.revoked(head).await, (head, vec![]), "nothing was taken away in {state}");
        let entries = self.entries().await;
        assert_eq!(i64::try_from(entries.len()), Ok(before.version), "{state}: {entries:?}");
        refused
    }

    /// Somebody does what they may, to a relationship that is there for that.
    async fn permit(&self, (verb, side): (&str, usize), cell: char) {
        let (before, (head, _)) = (self.look().await, self.revoked(0).await);
        let is_open = matches!(before.state.as_str(), "active" | "scheduled" | "expired");
        let tried = format!("{}: {verb} of {before:?}", SIDES[side]);
        let tag = format!("\"{}\"", before.version);
        let answer = self.send(&self.sides[side].home, verb, &tag).await;
        let status = if cell == '?' { 202 } else { 200 };
        assert_eq!(answer.status, status, "{tried}: {}", answer.text);
        let (is_done, shown) = (cell != '=', answer.json());
        let expected = match cell {
            '=' => before.clone(),
            _ => before.after(verb, SIDES[side], &self.later),
        };
        let after = self.look().await;
        assert_eq!(after, expected, "{tried}");
        assert_eq!(answer.header("etag"), Some(format!("\"{}\"", after.version).as_str()));
        let kills = is_done && before.kills(verb, is_open);
        let (after_head, revoked) = self.revoked(head).await;
        let expected = if kills { vec![self.of_this()] } else { Vec::new() };
        assert_eq!(revoked, expected, "{tried} takes something away from these");
        assert_eq!(after_head > head, kills, "{tried}: and from nobody else");
        if let Some(revoked) = shown.get("revoked") {
            assert_eq!(!revoked.is_null(), kills, "{tried} says so: {shown}");
        }
        let entries = self.entries().await;
        assert_eq!(i64::try_from(entries.len()), Ok(after.version), "{tried}: {entries:?}");
        if is_done {
            assert_eq!(entries[0], action(verb, cell), "{tried}");
        }
    }
}

/// The rows, with the cells of one column.
fn column(table: &'static str, name: &str) -> Vec<(&'static str, Vec<char>)> {
    let mut lines = table.trim().lines();
    let place = lines.next().and_then(|names| names.split_whitespace().position(|n| n == name));
    let place = place.expect("a column");
    let cells = lines.map(|line| {
        let mut words = line.split_whitespace();
        (words.next().expect("a verb"), words.nth(place).expect("a cell").chars().collect())
    });
    cells.collect()
}

#[tokio::test]
async fn every_step_from_every_state_by_everybody_is_as_the_table_says() {
    let mut stage = Stage::set().await;
    let (mut refused, mut done) = (0, 0);
    let names = TABLE.trim().lines().next().expect("a line").split_whitespace();
    for state in names {
        let cells = column(TABLE, state);
        stage.arrive(state).await;
        refused += stage.refuse(state, &cells).await;
        let mut is_fresh = true;
        for (verb, cells) in &cells {
            for (side, cell) in cells.iter().enumerate() {
                if !matches!(cell, '+' | '=' | '?') {
                    continue;
                }
                if !is_fresh {
                    stage.arrive(state).await;
                }
                stage.permit((verb, side), *cell).await;
                (is_fresh, done) = (*cell == '=', done + 1);
            }
        }
    }
    assert_eq!((refused, done), (15 * 12 * 14, 138), "all of the table was tried");
    // Whoever stood beside was served all the time.
    stage.keeper.exchange("acme-corp", LESS).await.expect(200);
}
