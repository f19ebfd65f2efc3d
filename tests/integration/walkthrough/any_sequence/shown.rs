//! What the API shows of a relationship, read back; and the one law about it, which knows no rule but this: more
//! comes of the customer's word alone.

use procura_token::Ts;
use serde_json::Value;

use super::{
    calls::{Call, Step},
    model::{ALL, Access, DAY_SECS, Edge, READING, ROLES, Side, State, Terms, set},
};

/// A relationship out of what the API shows of it to its customer.
pub fn seen(shown: &Value, (start, pat): (i64, &str)) -> Edge {
    let side = |text: &str| match text {
        "partner" => Side::Partner,
        "customer" => Side::Customer,
        _ => Side::Operator,
    };
    let by = shown["suspended_by"].as_str().map(side);
    let assigned = shown["assigned_to"].as_array();
    Edge {
        state: match shown["state"].as_str().expect("a state") {
            "requested" => State::Requested,
            "active" | "scheduled" => State::Active,
            "suspended" => State::Suspended(by.expect("a side")),
            "declined" => State::Declined,
            "ended" => State::Ended,
            other => panic!("{other}"),
        },
        access: access(&shown["access"]),
        terms: terms(shown, start),
        wish: shown["proposal"].get("terms").map(|wish| terms(wish, start)),
        assigned: assigned.map(|people| people.iter().any(|user| user == pat)),
        version: shown["version"].as_i64().expect("a number"),
    }
}

fn access(shown: &Value) -> Access {
    match shown.as_str() {
        Some("on") => Access::On,
        Some("restricted") => Access::Restricted,
        _ => Access::Off,
    }
}

fn terms(shown: &Value, start: i64) -> Terms {
    let days = |time: &Value| {
        let at = time.as_str().map(|text| Ts::parse_rfc3339(text).expect("a time"));
        at.map(|at| (at.secs() - start) / DAY_SECS)
    };
    let conditions = &shown["conditions"];
    let (networks, hours) = (&conditions["networks"], &conditions["hours"]);
    let role = shown["access_role"].as_str();
    Terms {
        role: ROLES.iter().position(|(name, _)| Some(*name) == role).expect("a role"),
        custom: shown["custom_permissions"].as_str().map(set),
        starts: days(&shown["starts_at"]),
        ends: days(&shown["ends_at"]),
        renews: shown["renews_for_days"].as_u64().map(|days| days.try_into().expect("few")),
        is_each_time: shown["approval"] == "each_time",
        networks: if networks.is_null() { 2 } else { u8::from(networks[0] == "127.0.0.0/8") },
        hours: match hours["windows"].as_array().map(Vec::len) {
            None => 2,
            Some(windows) => windows.try_into().expect("none or one"),
        },
        allows_automation: conditions["allow_automation"] == true,
    }
}

/// What nobody but the customer can have done, where somebody else has called.
pub fn is_lawful(step: &Step, before: &Edge, after: &Edge) -> bool {
    let is_customers = step.side == Side::Customer;
    if matches!(step.call, Call::Request(_)) && after.version == 1 {
        return after.state == State::Requested && after.wish.is_none();
    }
    let is_answer = matches!(step.call, Call::Approve(_));
    // Not even the customer approves more than it has read.
    let read = if before.state == State::Requested { Some(before.terms) } else { before.wish };
    let is_agreed = match read {
        Some(read) if is_answer => is_customers && after.terms.are_within(&read),
        _ => is_customers,
    };
    let is_opened = after.state == State::Active && before.state != State::Active;
    let may_open = match before.state {
        State::Requested => is_agreed && is_answer,
        State::Suspended(by) => by == step.side,
        _ => false,
    };
    (after.terms.are_within(&before.terms) || is_agreed)
        && (after.access <= before.access || is_customers)
        && (after.assigned == before.assigned || step.side == Side::Partner)
        && (!is_opened || may_open)
}

/// The most that anybody can hold under it, by what is shown.
pub fn most(edge: &Edge, switch: Access, by_key: bool) -> u32 {
    if !edge.is_active() || (by_key && !edge.terms.allows_automation) {
        return 0;
    }
    let ceiling = match (edge.access, switch) {
        (Access::Off, _) | (_, Access::Off) => 0,
        (Access::On, Access::On) => ALL,
        _ => READING,
    };
    edge.terms.permissions() & ceiling
}

#[test]
fn the_law_tells_whose_word_it_was() {
    use super::{calls::Tag, model::names};
    let asked = Edge::requested(&[]);
    let before = Edge { state: State::Active, ..asked };
    let wider = Terms { allows_automation: true, ..before.terms };
    let after = Edge { terms: wider, version: 2, ..before };
    let is_lawful = |side, call, before: &Edge, after: &Edge| {
        super::is_lawful(&Step { side, tag: Tag::Seen, call }, before, after)
    };
    for (side, is_so) in [(Side::Partner, false), (Side::Operator, false), (Side::Customer, true)] {
        let change = || Call::Change(Vec::new());
        assert_eq!(is_lawful(side, change(), &before, &after), is_so, "{side:?}: terms");
        let on = Edge { access: Access::On, ..after };
        let off = Edge { access: Access::Off, ..after };
        assert_eq!(is_lawful(side, change(), &off, &on), is_so, "{side:?}: the switch");
        let stopped = Edge { state: State::Suspended(Side::Customer), ..before };
        assert_eq!(is_lawful(side, Call::Resume, &stopped, &before), is_so, "{side:?}: resumes");
        let yes = || Call::Approve(Vec::new());
        assert_eq!(is_lawful(side, yes(), &asked, &before), is_so, "{side:?}: approves");
        assert!(!is_lawful(side, yes(), &asked, &after), "{side:?}: more than was asked for");
        assert!(!is_lawful(side, change(), &asked, &before), "{side:?}: nobody was asked");
        assert!(is_lawful(side, change(), &after, &before), "{side:?}: less");
    }
    let restricted = Edge { access: Access::Restricted, ..after };
    assert_eq!(names(most(&restricted, Access::On, true)), "partner.support.tickets.list");
    assert_eq!(most(&before, Access::On, true), 0, "no key");
    assert_eq!(most(&after, Access::Off, false), 0);
}
