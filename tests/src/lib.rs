//! The harness: the real processes, and people who use them over real HTTP. Nothing is imitated and
//! nothing sleeps; every wait has an event or a deadline.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "a harness that can't go on has failed"
)]

mod answer;
mod authority;
mod browser;
mod cable;
mod clock;
mod eventually;
mod house;
mod isp;
mod machine;
mod page;
mod person;
mod postgres;
mod process;
mod raw;
mod redis;
mod scratch;
mod script;
mod seeded;
mod signer;
mod software;
mod token;

pub use answer::Answer;
pub use authority::{Authority, KeyKind};
pub use browser::{Seen, browse, browse_with_scripts};
pub use cable::Cable;
pub use clock::MovedClock;
pub use eventually::{eventually, in_time};
pub use house::{
    Demo, DemoClient, House, HouseOptions, lasting_port, procura, procura_as, procura_in,
};
pub use isp::Isp;
pub use machine::Alone;
pub use page::{Form, form};
pub use person::{EXCHANGE, HOME_SCOPE, Person, Visitor, exchange_form};
pub use postgres::Postgres;
pub use process::{Ended, Process};
pub use raw::RawAnswer;
pub use redis::Redis;
pub use scratch::Scratch;
pub use script::{Done, Script};
pub use signer::{Signer, merged, now, proof_claims, token_hash, unique};
pub use software::{ASSERTION, CALLBACK, Software};
pub use token::{claims, header};
