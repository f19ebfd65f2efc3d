//! A relationship as the rules have it, in small: what each call makes of it, and what is then given.

use procura_token::Ts;

use super::calls::{Call, Part, Step, Tag, Word};

/// What may be handed over; a set of them is a number. The first three only read. Of what roles hand over
/// beside it each stretch that is only ever in a role as a whole is one more bit.
pub const PERMISSIONS: [&str; 4] = [
    "partner.billing.read",
    "partner.billing.invoices.read",
    "partner.support.tickets.list",
    "partner.support.tickets.create",
];
pub const ALL: u32 = 0b1111;
pub const READING: u32 = 0b0111;
/// The last two hand over the same.
pub const ROLES: [(&str, u32); 5] = [
    ("msp_full", 0b111_1111_1111),
    ("msp_billing", 0b000_0101_0011),
    ("msp_support", 0b001_1010_1100),
    ("auditor", 0b011_1100_0111),
    ("enterprise_hq", 0b011_1100_0111),
];
/// Ends, in days from the beginning.
pub const DAYS: [i64; 3] = [10, 20, 30];
pub const DAY_SECS: i64 = 86_400;
/// So often a person may ask to be let in.
const MAX_ASKED: usize = 10;

pub fn day(start: i64, days: i64) -> String {
    Ts::from_secs(start + days * DAY_SECS).rfc3339()
}

pub fn names(set: u32) -> String {
    let held = (0..).zip(PERMISSIONS).filter(|(n, _)| set >> n & 1 == 1);
    held.map(|(_, name)| name).collect::<Vec<_>>().join(" ")
}

pub fn set(names: &str) -> u32 {
    let bit = |name| PERMISSIONS.iter().position(|known| *known == name).expect("one of them");
    names.split_whitespace().map(|name| 1 << bit(name)).sum()
}

pub const fn is_part(of: u32, part: u32) -> bool {
    part & !of == 0
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Partner,
    Customer,
    Operator,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub enum Access {
    Off,
    Restricted,
    On,
}

impl Access {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Restricted => "restricted",
            Self::On => "on",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Requested,
    Active,
    Suspended(Side),
    Declined,
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub role: usize,
    pub custom: Option<u32>,
    pub starts: Option<i64>,
    pub ends: Option<i64>,
    pub renews: Option<u32>,
    pub is_each_time: bool,
    pub networks: u8,
    pub hours: u8,
    pub allows_automation: bool,
}

impl Terms {
    /// Of a request that says nothing.
    const LEAST: Self = Self {
        role: 2,
        custom: None,
        starts: None,
        ends: None,
        renews: None,
        is_each_time: false,
        networks: 2,
        hours: 2,
        allows_automation: false,
    };

    pub fn permissions(&self) -> u32 {
        self.custom.unwrap_or(ROLES[self.role].1)
    }

    fn patched(mut self, parts: &[Part]) -> Self {
        for part in parts {
            match *part {
                Part::Role(role) => self.role = role,
                Part::Custom(set) => self.custom = set,
                Part::Starts(days) => self.starts = days,
                Part::Ends(days) => self.ends = days,
                Part::Renews(days) => self.renews = days,
                Part::EachTime(is) => self.is_each_time = is,
                Part::Networks(openness) => self.networks = openness,
                Part::Hours(openness) => self.hours = openness,
                Part::Automation(is) => self.allows_automation = is,
            }
        }
        // A role takes the place of custom permissions that nobody names beside it.
        let named = |is: fn(&Part) -> bool| parts.iter().any(is);
        if named(|p| matches!(p, Part::Role(_))) && !named(|p| matches!(p, Part::Custom(_))) {
            self.custom = None;
        }
        self
    }

    fn is_sound(&self) -> bool {
        self.renews.is_none() || self.ends.is_some()
    }

    pub fn are_within(&self, others: &Self) -> bool {
        is_part(others.permissions(), self.permissions())
            && self.starts >= others.starts
            && self.ends.unwrap_or(i64::MAX) <= others.ends.unwrap_or(i64::MAX)
            && self.renews <= others.renews
            && self.is_each_time >= others.is_each_time
            && (others.networks == 2 || self.networks == others.networks)
            && self.hours <= others.hours
            && self.allows_automation <= others.allows_automation
    }
}

/// What the API shows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    pub state: State,
    pub access: Access,
    pub terms: Terms,
    pub wish: Option<Terms>,
    /// Whether Pat is among those whom the partner named, where it named anybody.
    pub assigned: Option<bool>,
    pub version: i64,
}

impl Edge {
    pub fn requested(parts: &[Part]) -> Self {
        let terms = Terms::LEAST.patched(parts);
        let (state, access) = (State::Requested, Access::On);
        Self { state, access, terms, wish: None, assigned: None, version: 1 }
    }

    const fn is_live(&self) -> bool {
        matches!(self.state, State::Requested | State::Active | State::Suspended(_))
    }

    /// In force now.
    pub fn is_active(&self) -> bool {
        self.state == State::Active && self.terms.starts.is_none()
    }

    /// Whether some of whoever is inside may not go on under the other one.
    fn takes_away(&self, after: &Self) -> bool {
        let (were, are) = (self.assigned, after.assigned);
        let is_somebody_left_out = are.is_some() && were != are && were != Some(false);
        self.state == State::Active
            && self.access != Access::Off
            && (after.state != State::Active
                || after.access != self.access
                || !self.terms.are_within(&after.terms)
                || is_somebody_left_out)
    }
}

/// Somebody's wish to be let in, where the customer is asked each time.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    by_key: bool,
    wanted: u32,
    answer: Option<Word>,
}

impl Asked {
    fn given(self) -> u32 {
        match self.answer {
            Some(Word::Yes) => self.wanted,
            Some(Word::ReadOnly) => self.wanted & READING,
            _ => 0,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Model {
    pub edge: Edge,
    /// The customer's switch for all its partners.
    pub switch: Access,
    pub asked: Vec<Asked>,
    /// What the review before a cut says is enough: `Err` where nobody was there, `None` where all was used.
    pub suggested: Result<Option<u32>, ()>,
    /// Entries of the log that are no version.
    pub noted: i64,
    /// Whether what Pat holds is still good.
    pub is_inside: bool,
}

impl Model {
    pub fn of(edge: Edge) -> Self {
        let asked = Vec::new();
        Self { edge, switch: Access::On, asked, suggested: Err(()), noted: 0, is_inside: false }
    }

    /// The status that is answered; with it everything that changes.
    pub fn take(&mut self, step: &Step) -> u16 {
        let Step { side, tag, call } = step;
        let is_customers = *side == Side::Customer;
        let is_stale = *tag == Tag::Older;
        match call {
            // What is not about a version of this relationship.
            Call::Request(parts) => self.request(*side, parts),
            Call::Switch(_) | Call::Answer(..) | Call::Shrink if !is_customers => 403,
            Call::Switch(access) => {
                self.is_inside &= self.switch == *access;
                self.switch = *access;
                200
            }
            Call::Answer(place, word) => self.answer(*place, *word),
            // What some sides can never do, whatever they have seen.
            Call::Assign(_) if *side != Side::Partner => 403,
            Call::Shrink if *tag == Tag::None => 428,
            _ if is_stale => 412,
            Call::Change(parts) => self.change(*side, parts),
            Call::Extend(days) => self.change(*side, &[Part::Ends(Some(*days))]),
            Call::Access(_) | Call::Assign(_) if !self.edge.is_live() => 409,
            Call::Access(_) if !is_customers => 403,
            Call::Access(access) => self.turn_into(Edge { access: *access, ..self.edge }),
            Call::Assign(assigned) => self.turn_into(Edge { assigned: *assigned, ..self.edge }),
            Call::Shrink => self.shrink(),
            Call::Approve(less) => self.approve((*side, *tag), less),
            Call::Decline | Call::Withdraw => self.say_no(*side, matches!(call, Call::Decline)),
            Call::Suspend => match (self.edge.state, side) {
                (State::Active, _) | (State::Suspended(Side::Partner), Side::Customer) => {
                    self.turn_into(Edge { state: State::Suspended(*side), ..self.edge })
                }
                _ => 409,
            },
            Call::Resume => match self.edge.state {
                State::Suspended(by) if by == *side => {
                    self.turn_into(Edge { state: State::Active, ..self.edge })
                }
                State::Suspended(_) => 403,
                _ => 409,
            },
            Call::End => match self.edge.state {
                State::Active | State::Suspended(_) => {
                    self.turn_into(Edge { state: State::Ended, ..self.edge })
                }
                _ => 409,
            },
        }
    }

    /// A change that is done: a version, unless it is so already.
    fn turn_into(&mut self, mut after: Edge) -> u16 {
        if after == self.edge {
            return 200;
        }
        // What was asked for was asked under other terms.
        after.wish = after.wish.filter(|_| after.terms == self.edge.terms && after.is_live());
        after.version += 1;
        self.is_inside &= !self.edge.takes_away(&after);
        self.edge = after;
        200
    }

    fn change(&mut self, side: Side, parts: &[Part]) -> u16 {
        let (edge, old) = (self.edge, self.edge.terms);
        if !edge.is_live() {
            return 409;
        }
        let terms = old.patched(parts);
        if terms != old && !terms.is_sound() {
            return 400;
        }
        let is_renamed = side == Side::Partner && terms.role != old.role;
        let is_wider = !terms.are_within(&old) || (is_renamed && old.are_within(&terms));
        let is_other = is_wider || !old.are_within(&terms);
        match (side, edge.state) {
            (Side::Customer, State::Requested) if is_other => 409,
            (Side::Partner, State::Requested) | (Side::Operator, _) if is_wider => 403,
            (Side::Partner, _) if is_wider => {
                self.edge.wish = Some(terms);
                self.edge.version += 1;
                202
            }
            _ => self.turn_into(Edge { terms, ..edge }),
        }
    }

    fn approve(&mut self, (side, tag): (Side, Tag), less: &[Part]) -> u16 {
        let edge = self.edge;
        let is_request = edge.state == State::Requested;
        let wish = if is_request { Some(edge.terms) } else { edge.wish };
        let Some(wish) = wish.filter(|_| side == Side::Customer) else {
            return if side == Side::Customer { 409 } else { 403 };
        };
        if !is_request && tag == Tag::None {
            return 428;
        }
        let terms = wish.patched(less);
        if !terms.is_sound() || !terms.are_within(&wish) {
            return 400;
        }
        let state = if is_request { State::Active } else { edge.state };
        // Also where it has come to what was agreed on before: it was answered.
        self.edge.wish = None;
        self.turn_into(Edge { terms, state, wish: None, version: edge.version, ..edge });
        self.edge.version = edge.version + 1;
        200
    }

    fn say_no(&mut self, side: Side, is_decline: bool) -> u16 {
        if side != (if is_decline { Side::Customer } else { Side::Partner }) {
            return 403;
        }
        match self.edge.state {
            State::Requested => self.turn_into(Edge { state: State::Declined, ..self.edge }),
            _ if self.edge.wish.is_some() => {
                self.edge.wish = None;
                self.edge.version += 1;
                200
            }
            _ => 409,
        }
    }

    fn shrink(&mut self) -> u16 {
        match (self.edge.state, self.suggested) {
            (State::Active | State::Suspended(_), Ok(Some(less))) => {
                let terms = Terms { custom: Some(less), ..self.edge.terms };
                self.turn_into(Edge { terms, ..self.edge })
            }
            (State::Active | State::Suspended(_), Ok(None)) => {
                self.noted += 1;
                200
            }
            _ => 409,
        }
    }

    fn request(&mut self, side: Side, parts: &[Part]) -> u16 {
        let edge = Edge::requested(parts);
        match side {
            Side::Customer | Side::Operator => 403,
            Side::Partner if !edge.terms.is_sound() => 400,
            Side::Partner if self.edge.is_live() => 409,
            Side::Partner => {
                *self = Self { switch: self.switch, ..Self::of(edge) };
                201
            }
        }
    }

    fn answer(&mut self, place: usize, word: Word) -> u16 {
        let is_asking = self.edge.is_active() && self.edge.terms.is_each_time;
        let count = self.asked.len();
        let Some(asked) = self.asked.get_mut(place.checked_rem(count).unwrap_or_default()) else {
            return 404;
        };
        match (word, asked.answer) {
            (Word::End, Some(Word::Yes | Word::ReadOnly)) => self.is_inside = false,
            (Word::Yes | Word::ReadOnly, None) if !is_asking => return 409,
            (Word::ReadOnly, None) if asked.wanted & READING == 0 => return 400,
            (Word::Yes | Word::ReadOnly | Word::No, None) => {}
            _ => return 409,
        }
        asked.answer = Some(word);
        200
    }

    /// What Pat gets who asks for everything, logged in or by a key; who is asked for it first.
    pub fn give(&mut self, by_key: bool) -> Result<u32, &'static str> {
        let Edge { access, terms, assigned, .. } = self.edge;
        let is_off = access == Access::Off || self.switch == Access::Off;
        if !self.edge.is_active() || is_off || assigned == Some(false) {
            return Err("invalid_target");
        }
        if by_key && !terms.allows_automation {
            return Err("insufficient_user_authentication");
        }
        if terms.networks == 0 || terms.hours == 0 {
            return Err("invalid_target");
        }
        let is_restricted = access == Access::Restricted || self.switch == Access::Restricted;
        let wanted = terms.permissions() & if is_restricted { READING } else { ALL };
        if wanted == 0 {
            return Err("invalid_scope");
        }
        let given = if terms.is_each_time { self.ask(by_key, wanted)? } else { wanted };
        self.is_inside |= !by_key;
        Ok(given)
    }

    fn ask(&mut self, by_key: bool, wanted: u32) -> Result<u32, &'static str> {
        let own = || self.asked.iter().filter(|asked| asked.by_key == by_key);
        let given = own().fold(0, |given, asked| given | asked.given()) & wanted;
        if given != 0 {
            return Ok(given);
        }
        let covering: Vec<_> = own().filter(|asked| is_part(asked.wanted, wanted)).collect();
        if covering.iter().any(|asked| asked.answer.is_none()) {
            return Err("authorization_pending");
        }
        if covering.iter().any(|asked| matches!(asked.answer, Some(Word::No | Word::End))) {
            return Err("access_denied");
        }
        if self.asked.len() < MAX_ASKED {
            self.asked.push(Asked { by_key, wanted, answer: None });
        }
        Err("authorization_pending")
    }
}
