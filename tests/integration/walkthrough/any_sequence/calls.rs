//! What the three sides may call, at random: who, in which version, and what.

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Map, Value, json};

use super::model::{Access, DAYS, ROLES, Side, day, names};

/// One member of the terms, by its new value.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    Role(usize),
    Custom(Option<u32>),
    /// A number of days from the beginning.
    Starts(Option<i64>),
    Ends(Option<i64>),
    Renews(Option<u32>),
    EachTime(bool),
    /// 2 any, 1 the one that is asked from, 0 another.
    Networks(u8),
    /// 2 any, 1 all of the week, 0 none.
    Hours(u8),
    Automation(bool),
}

/// What the customer says to a person of the partner who waits.
#[derive(Clone, Copy, Debug)]
pub enum Word {
    Yes,
    ReadOnly,
    No,
    End,
}

/// Which version somebody says to have seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    None,
    Seen,
    Older,
}

#[derive(Clone, Debug)]
pub enum Call {
    /// Terms, by a patch.
    Change(Vec<Part>),
    Extend(i64),
    Access(Access),
    Approve(Vec<Part>),
    Decline,
    Withdraw,
    Suspend,
    Resume,
    End,
    /// Only those of the partner: Pat, or nobody.
    Assign(Option<bool>),
    Shrink,
    /// The partner asks for a relationship.
    Request(Vec<Part>),
    /// The customer's switch for all its partners.
    Switch(Access),
    /// About the one who waits in this place, counted around.
    Answer(usize, Word),
}

impl Call {
    /// Its name alone.
    pub fn kind(&self) -> String {
        let all = format!("{self:?}");
        all.split('(').next().unwrap_or_default().to_owned()
    }
}

#[derive(Clone, Debug)]
pub struct Step {
    pub side: Side,
    pub tag: Tag,
    pub call: Call,
}

/// A patch as the API takes it.
pub fn patch(parts: &[Part], start: i64) -> Value {
    let mut patch = Map::new();
    for part in parts {
        let (name, value) = match *part {
            Part::Role(role) => ("access_role", json!(ROLES[role].0)),
            Part::Custom(set) => ("custom_permissions", json!(set.map(names))),
            Part::Starts(days) => ("starts_at", json!(days.map(|days| day(start, days)))),
            Part::Ends(days) => ("ends_at", json!(days.map(|days| day(start, days)))),
            Part::Renews(days) => ("renews_for_days", json!(days)),
            Part::EachTime(is) => ("approval", json!(if is { "each_time" } else { "standing" })),
            Part::Networks(_) | Part::Hours(_) | Part::Automation(_) => {
                let (name, value) = condition(*part);
                let conditions = patch.entry("conditions").or_insert_with(|| json!({}));
                conditions[name] = value;
                continue;
            }
        };
        patch.insert(name.to_owned(), value);
    }
    Value::Object(patch)
}

fn condition(part: Part) -> (&'static str, Value) {
    let hours = |windows: Value| json!({ "utc_offset_minutes": 0, "windows": windows });
    match part {
        Part::Networks(0) => ("networks", json!(["192.0.2.0/24"])),
        Part::Networks(1) => ("networks", json!(["127.0.0.0/8"])),
        Part::Hours(0) => ("hours", hours(json!([]))),
        Part::Hours(1) => {
            let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
            ("hours", hours(json!([{ "days": days, "from": "00:00", "to": "24:00" }])))
        }
        Part::Networks(_) => ("networks", Value::Null),
        Part::Hours(_) => ("hours", Value::Null),
        Part::Automation(is) => ("allow_automation", json!(is)),
        _ => unreachable!("no condition"),
    }
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        3 => (0..ROLES.len()).prop_map(Part::Role),
        6 => (0..16_u32).prop_map(|set| Part::Custom(Some(set))),
        1 => Just(Part::Custom(None)),
        // What shuts everything is rare: behind it nothing can be seen.
        1 => select(vec![None, None, Some(5)]).prop_map(Part::Starts),
        3 => option::of(select(&DAYS[..])).prop_map(Part::Ends),
        2 => option::of(select(vec![10, 20])).prop_map(Part::Renews),
        3 => any::<bool>().prop_map(Part::EachTime),
        1 => select(vec![2, 2, 1, 1, 0]).prop_map(Part::Networks),
        1 => select(vec![2, 2, 1, 1, 0]).prop_map(Part::Hours),
        2 => any::<bool>().prop_map(Part::Automation),
    ]
}

fn parts(from: usize) -> impl Strategy<Value = Vec<Part>> {
    vec(part(), from..3)
}

/// What a relationship begins with: something, so that there is more to ask for.
pub fn beginning() -> impl Strategy<Value = Vec<Part>> {
    let permissions = prop_oneof![
        (0..ROLES.len()).prop_map(Part::Role),
        (1..16_u32).prop_map(|set| Part::Custom(Some(set))),
    ];
    let both = (any::<bool>().prop_map(Part::EachTime), any::<bool>().prop_map(Part::Automation));
    (permissions, both).prop_map(|(permissions, (asks, keys))| vec![permissions, asks, keys])
}

fn access() -> impl Strategy<Value = Access> {
    select(vec![Access::On, Access::On, Access::On, Access::On, Access::Restricted, Access::Off])
}

/// Mostly this side, else anybody.
fn by(side: Side) -> impl Strategy<Value = Side> {
    prop_oneof![6 => Just(side), 1 => anybody()]
}

fn anybody() -> impl Strategy<Value = Side> {
    select(vec![Side::Partner, Side::Partner, Side::Customer, Side::Customer, Side::Operator])
}

fn word() -> impl Strategy<Value = Word> {
    select(vec![Word::Yes, Word::Yes, Word::ReadOnly, Word::No, Word::End])
}

/// A step of whatever comes to somebody's mind.
pub fn step() -> impl Strategy<Value = Step> {
    use Side::{Customer, Partner};
    let call = prop_oneof![
        8 => (anybody(), parts(1).prop_map(Call::Change)),
        4 => (by(Partner), parts(1).prop_map(Call::Change)),
        2 => (anybody(), select(&DAYS[..]).prop_map(Call::Extend)),
        3 => (by(Customer), access().prop_map(Call::Access)),
        5 => (by(Customer), Just(Call::Approve(Vec::new()))),
        2 => (by(Customer), parts(1).prop_map(Call::Approve)),
        2 => (by(Customer), Just(Call::Decline)),
        2 => (by(Partner), Just(Call::Withdraw)),
        2 => (anybody(), Just(Call::Suspend)),
        4 => (anybody(), Just(Call::Resume)),
        2 => (anybody(), Just(Call::End)),
        2 => (by(Partner), select(vec![None, Some(true), Some(false)]).prop_map(Call::Assign)),
        2 => (by(Customer), Just(Call::Shrink)),
        2 => (by(Partner), parts(0).prop_map(Call::Request)),
        1 => (by(Customer), access().prop_map(Call::Switch)),
        6 => (by(Customer), (0..4_usize, word()).prop_map(|(n, word)| Call::Answer(n, word))),
    ];
    let tag = select(vec![Tag::Seen, Tag::Seen, Tag::Seen, Tag::Seen, Tag::None, Tag::Older]);
    (call, tag).prop_map(|((side, call), tag)| Step { side, tag, call })
}
