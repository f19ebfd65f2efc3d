//! What the relay makes of a stream that it finds.

use procura_redis::{Held, Id};
use procura_token::{Key, Seq, Ts};

use super::{Step, plan};
use crate::revocations::{Entry, RevocationLog};

const NOW: Ts = Ts(1_000_000_000);

fn entry(seq: i64, prev: i64, expires_at: Ts) -> Entry {
    Entry {
        seq: Seq(seq),
        prev: Seq(prev),
        kind: "all".to_owned(),
        key: Key::All.hash(),
        cause: "test".to_owned(),
        expires_at,
    }
}

/// Entries at 10, 20 and 30, the first of which may be missing already.
fn log() -> RevocationLog {
    let log = RevocationLog::empty();
    let later = NOW.plus_secs(600);
    log.publish(vec![entry(10, 0, NOW), entry(20, 10, later), entry(30, 20, later)]);
    log
}

fn planned(last: Option<(u64, u64)>, entries: u64) -> Step {
    let last = last.map(|(seq, sub)| Id { seq, sub });
    plan(Held { last, entries }, &log(), NOW)
}

#[test]
fn a_stream_that_ends_earlier_gets_what_is_missing() {
    let Step::Append(all) = planned(Some((0, 0)), 0) else { panic!("not appended") };
    assert_eq!(all.iter().map(|e| e.seq.0).collect::<Vec<_>>(), [10, 20, 30]);
    let Step::Append(rest) = planned(Some((20, 0)), 2) else { panic!("not appended") };
    assert_eq!(rest.iter().map(|e| e.seq.0).collect::<Vec<_>>(), [30]);
}

#[test]
fn a_stream_that_has_everything_is_left_alone() {
    assert_eq!(planned(Some((30, 0)), 3), Step::Nothing);
    assert_eq!(planned(Some((30, 0)), 2), Step::Nothing, "the first may have been put away");
    let empty = RevocationLog::empty();
    let absent = Held { last: Some(Id::default()), entries: 0 };
    assert_eq!(plan(absent, &empty, NOW), Step::Nothing);
}

#[test]
fn a_stream_that_somebody_else_wrote_to_is_written_anew() {
    let cases = [
        (None, 0, "another type"),
        (Some((31, 0)), 4, "beyond the head"),
        (Some((u64::MAX, 0)), 4, "beyond everything"),
        (Some((30, 1)), 4, "an id that is not ours"),
        (Some((25, 0)), 3, "a position that never was"),
        (Some((30, 0)), 1, "an entry was deleted"),
        (Some((30, 0)), 4, "an entry was added"),
    ];
    for (last, entries, why) in cases {
        assert_eq!(planned(last, entries), Step::Rewrite, "{why}");
    }
}
