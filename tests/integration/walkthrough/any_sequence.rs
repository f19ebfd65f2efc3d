//! Whatever the two sides call, in whatever order: nobody holds more than the customer agreed to.
//!
//! A small model of one relationship is moved along with the server by the same random calls. After
//! each, what the partner's person is granted is exactly what the model says.

use procura_tests::{House, Person};
use serde_json::{Value, json};

use super::{ADA, PAT};

/// What may be handed over; a set of them is a number. The first three only read.
const PERMISSIONS: [&str; 4] = [
    "partner.billing.read",
    "partner.billing.invoices.read",
    "partner.support.tickets.list",
    "partner.support.tickets.create",
];
const ALL: u32 = 0b1111;
const READING: u32 = 0b0111;
const STEPS: usize = 120;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Partner,
    Customer,
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Change(Side, u32),
    Approve(Side, Option<u32>),
    Decline(Side),
    Withdraw(Side),
    Suspend(Side),
    Resume(Side),
    Access(Side, &'static str),
}

/// The relationship as the rules have it.
#[derive(Clone, Copy, Debug)]
struct Model {
    held: u32,
    wish: Option<u32>,
    suspended_by: Option<Side>,
    access: &'static str,
}

const fn is_part(of: u32, part: u32) -> bool {
    part & !of == 0
}

impl Model {
    /// The status that is answered; with it everything that changes.
    fn take(&mut self, call: Call) -> u16 {
        use Side::{Customer, Partner};
        match call {
            Call::Change(Partner, set) if !is_part(self.held, set) => {
                self.wish = Some(set);
                202
            }
            Call::Change(_, set) => {
                // What was asked for was asked under other terms.
                self.wish = self.wish.filter(|_| self.held == set);
                self.held = set;
                200
            }
            Call::Approve(Partner, _)
            | Call::Decline(Partner)
            | Call::Withdraw(Customer)
            | Call::Access(Partner, _) => 403,
            Call::Approve(Customer, less) => match self.wish {
                None => 409,
                Some(wish) if !is_part(wish, less.unwrap_or(wish)) => 400,
                Some(wish) => {
                    self.held = less.unwrap_or(wish);
                    self.wish = None;
                    200
                }
            },
            Call::Decline(_) | Call::Withdraw(_) => match self.wish.take() {
                None => 409,
                Some(_) => 200,
            },
            Call::Suspend(side) => match (self.suspended_by, side) {
                (None, _) | (Some(Partner), Customer) => {
                    self.suspended_by = Some(side);
                    200
                }
                _ => 409,
            },
            Call::Resume(side) => match self.suspended_by {
                None => 409,
                Some(by) if by != side => 403,
                Some(_) => {
                    self.suspended_by = None;
                    200
                }
            },
            Call::Access(Customer, access) => {
                self.access = access;
                200
            }
        }
    }

    /// What the partner's person gets who asks for everything.
    fn granted(&self) -> Result<u32, &'static str> {
        if self.suspended_by.is_some() || self.access == "off" {
            return Err("invalid_target");
        }
        let ceiling = if self.access == "restricted" { READING } else { ALL };
        match self.held & ceiling {
            0 => Err("invalid_scope"),
            granted => Ok(granted),
        }
    }
}

/// The same numbers for the same seed (Marsaglia's xorshift).
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn set(&mut self) -> u32 {
        u32::try_from(self.below(16)).unwrap()
    }

    fn call(&mut self) -> Call {
        let side = if self.below(2) == 0 { Side::Partner } else { Side::Customer };
        match self.below(10) {
            0..=2 => Call::Change(side, self.set()),
            3 | 4 => Call::Approve(side, (self.below(2) == 0).then(|| self.set())),
            5 => Call::Decline(side),
            6 => Call::Withdraw(side),
            7 => Call::Suspend(side),
            8 => Call::Resume(side),
            _ => Call::Access(side, ["on", "on", "restricted", "off"][self.set() as usize % 4]),
        }
    }
}

fn names(set: u32) -> String {
    let held = (0..).zip(PERMISSIONS).filter(|(n, _)| set >> n & 1 == 1);
    held.map(|(_, name)| name).collect::<Vec<_>>().join(" ")
}

async fn send(edge: &str, (pat, ada): (&Person, &Person), call: Call) -> u16 {
    let who = |side| if side == Side::Partner { pat } else { ada };
    let custom = |set| json!({ "custom_permissions": names(set) });
    let answer = match call {
        Call::Change(side, set) => who(side).patch(edge, &custom(set)).await,
        Call::Approve(side, less) => {
            let body = less.map_or_else(|| json!({}), custom);
            who(side).post_seen(edge, "approve", &body).await
        }
        Call::Decline(side) => who(side).step(&format!("{edge}/decline")).await,
        Call::Withdraw(side) => who(side).step(&format!("{edge}/withdraw")).await,
        Call::Suspend(side) => who(side).step(&format!("{edge}/suspend")).await,
        Call::Resume(side) => who(side).step(&format!("{edge}/resume")).await,
        Call::Access(side, access) => who(side).patch(edge, &json!({ "access": access })).await,
    };
    answer.status
}

async fn granted(pat: &Person) -> Result<u32, String> {
    let answer = pat.exchange("acme-corp", &names(ALL)).await;
    match answer.status {
        200 => {
            let scope = answer.string("scope");
            let held = |name: &&str| scope.split(' ').any(|granted| granted == *name);
            Ok((0..).zip(PERMISSIONS).filter(|(_, n)| held(n)).map(|(n, _)| 1 << n).sum())
        }
        400 => Err(answer.json()["error"].as_str().unwrap_or_default().to_owned()),
        _ => panic!("{}", answer.text),
    }
}

async fn walk(seed: u64) {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let edge = house.relationship("northwind>acme-corp");
    let mut model = Model { held: ALL, wish: None, suspended_by: None, access: "on" };
    let mut draw = Draw(seed);
    let mut calls = Vec::new();
    for _ in 0..STEPS {
        let call = draw.call();
        calls.push(call);
        let status = send(&edge, (&pat, &ada), call).await;
        assert_eq!(status, model.take(call), "{call:?} after {calls:?}");
        let expected = model.granted().map_err(ToOwned::to_owned);
        assert_eq!(granted(&pat).await, expected, "{model:?} after {calls:?}");
    }
    // And all of it can be read: as many versions as changes that changed something.
    let history = ada.get(&format!("{edge}/history")).await.expect(200).json();
    let versions: Vec<_> =
        history.as_array().unwrap().iter().map(|v| v["version"].clone()).collect();
    let expected: Vec<_> = (1..=versions.len()).map(Value::from).collect();
    assert_eq!(versions, expected, "none is missing");
}

#[tokio::test]
async fn no_sequence_of_calls_widens_without_the_customers_yes() {
    tokio::join!(walk(0x9e37_79b9_7f4a_7c15), walk(0x0123_4567_89ab_cdef), walk(42));
}
