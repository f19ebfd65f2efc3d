//! Whatever the three sides call, in whatever order: nobody holds more than the customer agreed to.
//!
//! A small model of a relationship is moved along with the server by the same random calls. After each, what the API
//! shows and what the partner's person is given, logged in or by a key, is exactly what the model says; and what
//! is shown obeys a law that knows nothing of the model: more comes of the customer's word alone.
//!
//! Each run is the same. Whoever wants to look longer says `PROPTEST_CASES` and, for other calls,
//! `PROPTEST_RNG_SEED`; what fails is cut down to the fewest steps that fail.

mod calls;
mod model;
mod shown;

use std::{cell::RefCell, collections::BTreeMap, time::Instant};

use procura_tests::{Answer, House, HouseOptions, Person};
use proptest::{
    collection::vec,
    test_runner::{Config, RngSeed, TestCaseError, TestCaseResult, TestRunner},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    ADA, PAT, ROOT,
    api_keys::{self, SWITCH},
};
use calls::{Call, Part, Step, Tag, Word, patch, step};
use model::{ALL, Edge, Model, Side, State, day, is_part, names, set};
use shown::{is_lawful, most, seen};

const CASES: u32 = 30;
const SEED: u64 = 5;
const STEPS: usize = 32;
const RELATIONSHIPS: &str = "/api/v1/partner/relationships";
const REQUESTS: &str = "/api/tenants/access-requests";
/// Logins are good for ten minutes.
const LOGIN_SECS: u64 = 300;

struct Stage {
    house: House,
    /// The partner-admin, the customer's tenant-admin and the operator.
    sides: [Person; 3],
    key: String,
    logged_in: Instant,
    start: i64,
    /// The relationship that is tried.
    path: String,
    /// What was called, and what it was answered.
    met: BTreeMap<(String, u16), u32>,
}

async fn log_in(house: &House) -> [Person; 3] {
    [house.log_in(PAT).await, house.log_in(ADA).await, house.log_in(ROOT).await]
}

impl Stage {
    async fn set() -> Self {
        let environment = vec![("PROCURA__RATE_LIMITS__ENABLED", "false".to_owned())];
        let house = House::start_with(HouseOptions { environment, ..HouseOptions::default() });
        let sides = log_in(&house).await;
        let wish = api_keys::wish(&house, &format!("{SWITCH} {}", names(ALL)));
        let key = api_keys::make(&sides[0], &wish).await.text;
        let path = house.relationship("northwind>acme-corp");
        let (logged_in, start) = (Instant::now(), procura_tests::now());
        Self { house, sides, key, logged_in, start, path, met: BTreeMap::new() }
    }

    fn who(&self, side: Side) -> &Person {
        match side {
            Side::Partner => &self.sides[0],
            Side::Customer => &self.sides[1],
            Side::Operator => &self.sides[2],
        }
    }

    /// A relationship that nobody has touched, asked for and approved.
    async fn begin(&mut self, parts: &[Part]) -> Model {
        if self.logged_in.elapsed().as_secs() > LOGIN_SECS {
            (self.sides, self.logged_in) = (log_in(&self.house).await, Instant::now());
        }
        let ada = self.who(Side::Customer);
        // Whatever is there gives way; what is dead already says so.
        let _ = ada.step(&format!("{}/decline", self.path)).await;
        let _ = ada.delete(&self.path).await;
        ada.put("/api/tenants/partner-access", &json!({ "mode": "on" })).await.expect(200);
        // Whatever it is, it ends; something to renew has to.
        let terms = [&[Part::Ends(Some(20))], parts].concat();
        let asked = Step { side: Side::Partner, tag: Tag::None, call: Call::Request(terms) };
        let yes = Step { side: Side::Customer, tag: Tag::None, call: Call::Approve(Vec::new()) };
        let mut model = Model::of(Edge { state: State::Ended, ..Edge::requested(&[]) });
        for (step, status) in [(asked, 201), (yes, 200)] {
            let done = self.call(&step, &model).await;
            assert_eq!((done.status, model.take(&step)), (status, status), "{}", done.text);
        }
        model
    }

    async fn call(&mut self, step: &Step, model: &Model) -> Answer {
        let who = self.who(step.side);
        let (path, start) = (self.path.clone(), self.start);
        let send = async |method: Method, step_of: &str, body: Option<Value>| {
            let path = format!("{path}{step_of}");
            let tag = match step.tag {
                Tag::None => None,
                Tag::Seen => Some(model.edge.version),
                Tag::Older => Some(model.edge.version - 1),
            };
            let tag = tag.map(|version| format!("\"{version}\""));
            who.send(method, &path, (body.as_ref(), tag.as_deref())).await
        };
        match &step.call {
            Call::Change(parts) => send(Method::PATCH, "", Some(patch(parts, start))).await,
            Call::Extend(days) => {
                send(Method::POST, "/extend", Some(json!({ "ends_at": day(start, *days) }))).await
            }
            Call::Access(access) => {
                send(Method::PATCH, "", Some(json!({ "access": access.name() }))).await
            }
            Call::Approve(less) => send(Method::POST, "/approve", Some(patch(less, start))).await,
            Call::Decline => send(Method::POST, "/decline", None).await,
            Call::Withdraw => send(Method::POST, "/withdraw", None).await,
            Call::Suspend => send(Method::POST, "/suspend", None).await,
            Call::Resume => send(Method::POST, "/resume", None).await,
            Call::End => send(Method::DELETE, "", None).await,
            Call::Shrink => send(Method::POST, "/shrink", None).await,
            Call::Assign(assigned) => {
                let pat = self.house.user(PAT);
                let people = assigned.map(|is_pat| if is_pat { vec![pat] } else { Vec::new() });
                let people = json!({ "user_ids": people });
                send(Method::PUT, "/assigned-people", Some(people)).await
            }
            Call::Switch(access) => {
                who.put("/api/tenants/partner-access", &json!({ "mode": access.name() })).await
            }
            Call::Answer(place, word) => {
                let all = self.asked().await;
                let id = all.get(place.checked_rem(all.len()).unwrap_or_default());
                let id = id.map_or("req_0123456789abcdef0123456789abcdef", String::as_str);
                let (step, body) = match word {
                    Word::Yes => ("approve", json!({})),
                    Word::ReadOnly => ("approve", json!({ "read_only": true })),
                    Word::No => ("decline", json!({})),
                    Word::End => ("end", json!({})),
                };
                who.post(&format!("{REQUESTS}/{id}/{step}"), &body).await
            }
            Call::Request(parts) => {
                let mut wish = patch(parts, start);
                wish["partner_code"] = json!(self.house.demo().partner_codes["acme-corp"]);
                let made = who.post(RELATIONSHIPS, &wish).await;
                if made.status == 201 {
                    self.path = format!("{RELATIONSHIPS}/{}", made.string("id"));
                }
                made
            }
        }
    }

    fn id(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    async fn look(&self) -> Edge {
        let shown = self.who(Side::Customer).get(&self.path).await.expect(200).json();
        seen(&shown, (self.start, self.house.user(PAT)))
    }

    /// Who has asked the customer to be let in under this relationship, the first first.
    async fn asked(&self) -> Vec<String> {
        let listed = self.who(Side::Customer).get(REQUESTS).await.expect(200).json();
        let listed = listed.as_array().expect("a list").iter().rev();
        let of_this = listed.filter(|asked| asked["relationship_id"] == self.id());
        of_this.map(|asked| asked["id"].as_str().expect("an id").to_owned()).collect()
    }

    /// What the customer is told is enough of what it gave.
    async fn suggested(&self) -> Result<Option<u32>, ()> {
        let ada = self.who(Side::Customer);
        let listed = ada.get("/api/tenants/relationship-review").await.expect(200).json();
        let mut listed = listed.as_array().expect("a list").iter();
        let of_this = listed.find(|review| review["relationship_id"] == self.id());
        let review = of_this.filter(|review| review["is_idle"] == false).ok_or(())?;
        Ok(review["suggested_permissions"].as_str().map(set))
    }

    /// What Pat is given who asks for everything, and her token.
    async fn enter(&self, is_by_key: bool) -> Result<(u32, String), String> {
        let answer = if is_by_key {
            self.house.token(&api_keys::form(&self.key, "acme-corp", &names(ALL))).await
        } else {
            self.who(Side::Partner).exchange("acme-corp", &names(ALL)).await
        };
        match answer.status {
            200 => Ok((set(&answer.string("scope")), answer.string("access_token"))),
            _ => Err(answer.expect(400).string("error")),
        }
    }

    fn note(&mut self, step: &Step, status: u16) {
        *self.met.entry((step.call.kind(), status)).or_default() += 1;
    }

    /// All of it can be read: as many versions as changes, and an entry of the log for each.
    async fn close(&self, model: &Model) -> TestCaseResult {
        let ada = self.who(Side::Customer);
        let history = ada.get(&format!("{}/history", self.path)).await.expect(200).json();
        let versions: Vec<_> =
            history.as_array().expect("versions").iter().map(|v| v["version"].as_i64()).collect();
        let expected: Vec<_> = (1..=model.edge.version).map(Some).collect();
        same("the versions", &versions, &expected)?;
        let log = format!("/api/audit-logs?relationshipId={}&result=ok", self.id());
        let log = self.who(Side::Operator).get(&log).await.expect(200).json();
        let is_change = |entry: &&Value| {
            entry["action"].as_str().is_some_and(|action| action.starts_with("relationship."))
        };
        let entries = log.as_array().expect("a list").iter().filter(is_change).count();
        same("the entries", &i64::try_from(entries), &Ok(model.edge.version + model.noted))
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: &T, expected: &T) -> TestCaseResult {
    let told = || TestCaseError::fail(format!("{what}: {is:?}, and not {expected:?}"));
    if is == expected { Ok(()) } else { Err(told()) }
}

fn holds(what: &str, is_so: bool) -> TestCaseResult {
    if is_so { Ok(()) } else { Err(TestCaseError::fail(what.to_owned())) }
}

/// One call, and all that can be seen of it.
async fn go(
    stage: &mut Stage,
    model: &mut Model,
    token: &mut String,
    step: &Step,
) -> TestCaseResult {
    if matches!(step.call, Call::Shrink) {
        model.suggested = stage.suggested().await;
        let cut = model.suggested.ok().flatten().unwrap_or_default();
        holds("a cut gives nothing", is_part(model.edge.terms.permissions(), cut))?;
    }
    let before = model.edge;
    let answer = stage.call(step, model).await;
    let status = model.take(step);
    same(&format!("the status of {}", answer.text), &answer.status, &status)?;
    stage.note(step, status);
    let after = stage.look().await;
    same("what is shown", &after, &model.edge)?;
    holds("the law", is_lawful(step, &before, &after))?;
    if !token.is_empty() {
        same(
            "whether what Pat holds is good",
            &stage.house.is_alive(token).await,
            &model.is_inside,
        )?;
    }
    for is_by_key in [false, true] {
        let entered = stage.enter(is_by_key).await;
        let given = entered.as_ref().map_or(0, |(given, _)| *given);
        holds("no more than is shown", is_part(most(&after, model.switch, is_by_key), given))?;
        let expected = model.give(is_by_key).map_err(ToOwned::to_owned);
        same(
            "what is given",
            &entered.as_ref().map(|(given, _)| *given).map_err(Clone::clone),
            &expected,
        )?;
        if let (Ok((_, fresh)), false) = (entered, is_by_key) {
            *token = fresh;
        }
    }
    Ok(())
}

async fn walk(stage: &mut Stage, (parts, steps): &(Vec<Part>, Vec<Step>)) -> TestCaseResult {
    let mut model = stage.begin(parts).await;
    let mut token = String::new();
    for (n, step) in steps.iter().enumerate() {
        let before = model.clone();
        let told = |error: TestCaseError| {
            TestCaseError::fail(format!("at the {n}th, {step:?} of {before:?}: {error}"))
        };
        go(stage, &mut model, &mut token, step).await.map_err(told)?;
    }
    if model.edge.terms.is_each_time {
        same("who has asked", &stage.asked().await.len(), &model.asked.len())?;
    }
    stage.close(&model).await
}

#[test]
fn no_sequence_of_calls_widens_without_the_customers_yes() {
    let says = |name: &str| std::env::var_os(name).is_some();
    let mut config =
        Config { failure_persistence: None, max_shrink_iters: 300, ..Config::default() };
    let is_usual = !says("PROPTEST_CASES") && !says("PROPTEST_RNG_SEED");
    if !says("PROPTEST_CASES") {
        config.cases = CASES;
    }
    if !says("PROPTEST_RNG_SEED") {
        config.rng_seed = RngSeed::Fixed(SEED);
    }
    let (cases, seed) = (config.cases, config.rng_seed);
    println!("{cases} cases, PROPTEST_RNG_SEED={seed}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let stage = RefCell::new(runtime.block_on(Stage::set()));
    let walks = (calls::beginning(), vec(step(), 1..STEPS));
    let done = TestRunner::new(config)
        .run(&walks, |steps| runtime.block_on(walk(&mut stage.borrow_mut(), &steps)));
    if let Err(error) = done {
        panic!("of {cases} cases, PROPTEST_RNG_SEED={seed}: {error}");
    }
    let met = stage.into_inner().met;
    println!("{met:?}");
    if is_usual {
        is_telling(&met);
    }
}

/// The walks of every day come through everything: what all do, and what all are refused.
fn is_telling(met: &BTreeMap<(String, u16), u32>) {
    let is_met = |kind: &str, is_done: bool| {
        met.keys().any(|(known, status)| known == kind && (*status < 300) == is_done)
    };
    for kind in [
        "Change", "Extend", "Access", "Approve", "Decline", "Withdraw", "Suspend", "Resume", "End",
        "Assign", "Shrink", "Request", "Switch", "Answer",
    ] {
        assert!(is_met(kind, true) && is_met(kind, false), "{kind} is told by nothing: {met:?}");
    }
    for (kind, status) in [("Change", 202), ("Change", 412), ("Approve", 400), ("Approve", 412)] {
        assert!(met.contains_key(&(kind.to_owned(), status)), "no {kind} is answered {status}");
    }
}
