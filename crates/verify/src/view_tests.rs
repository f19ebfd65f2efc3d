//! The laws of the view: monotone whatever arrives, blind without a lease, no lease from before.

use std::time::Duration;

use procura_token::{KeyHash, Seq};
use proptest::prelude::*;

use super::*;

const LEASE: Duration = Duration::from_secs(2);

fn entry(key: u8, seq: i64) -> Entry {
    Entry { key: KeyHash([key; 16]), seq: Seq(seq), forget_at: i64::MAX, is_absolute: false }
}

/// A view in step at `head`, with a lease asked for at `now`.
fn view_in_step(head: i64, now: Moment) -> View {
    let mut view = View::new("first".into());
    view.snapshot(Seq(head), []);
    if let Some(asked) = view.ask(now) {
        view.grant(&asked, Seq(head), LEASE);
    }
    view
}

fn judge(view: &View, rvs: i64, key: u8, now: Moment) -> Verdict {
    view.judge(Seq(rvs), &[KeyHash([key; 16])], now)
}

#[test]
fn a_new_view_is_blind_and_asks_for_no_lease() {
    let now = Moment::now();
    let view = View::new("first".into());
    assert_eq!(judge(&view, 0, 1, now), Verdict::Blind);
    assert_eq!(view.ask(now), None);
}

#[test]
fn an_entry_kills_older_tokens_and_no_newer_ones() {
    let now = Moment::now();
    let mut view = view_in_step(10, now);
    assert_eq!(view.apply(entry(1, 12), Seq(10)), Applied::InOrder);
    assert_eq!(judge(&view, 11, 1, now), Verdict::Revoked);
    assert_eq!(judge(&view, 12, 1, now), Verdict::Live);
    assert_eq!(judge(&view, 11, 2, now), Verdict::Live);
}

#[test]
fn a_stolen_key_kills_whatever_its_tokens_claim() {
    let now = Moment::now();
    let mut view = view_in_step(10, now);
    view.apply(Entry { is_absolute: true, ..entry(1, 12) }, Seq(10));
    for rvs in [0, 11, 12, 13, i64::MAX] {
        assert_eq!(judge(&view, rvs, 1, now), Verdict::Revoked);
    }
    assert_eq!(judge(&view, 12, 2, now), Verdict::Live);
    assert_eq!(view.dead_keys(), [KeyHash([1; 16])]);
    // Not even a later entry of the same key that says less takes it back.
    view.apply(entry(1, 13), Seq(12));
    assert_eq!(judge(&view, i64::MAX, 1, now), Verdict::Revoked);
    // It came with a snapshot as well.
    let mut other = View::new("other".into());
    other.snapshot(Seq(12), [Entry { is_absolute: true, ..entry(1, 12) }]);
    assert!(other.is_revoked(Seq(i64::MAX), &[KeyHash([1; 16])]));
}

#[test]
fn a_lease_runs_from_the_request_and_ends_on_either_clock() {
    let sent = Moment::now();
    let view = view_in_step(10, sent);
    let (before, after) = (sent.plus(Duration::from_micros(1_999_999)), sent.plus(LEASE));
    assert_eq!(judge(&view, 1, 1, before), Verdict::Live);
    assert_eq!(judge(&view, 1, 1, after), Verdict::Blind);
    let asleep = Moment { mono: sent.mono, wall: after.wall };
    assert_eq!(judge(&view, 1, 1, asleep), Verdict::Blind);
    let set_back = Moment { mono: after.mono, wall: sent.wall };
    assert_eq!(judge(&view, 1, 1, set_back), Verdict::Blind);
}

#[test]
fn a_lease_waits_for_the_head_that_it_depends_on() {
    let now = Moment::now();
    let mut view = View::new("first".into());
    view.snapshot(Seq(10), []);
    let asked = view.ask(now).expect("in step");
    view.grant(&asked, Seq(12), LEASE);
    assert_eq!(judge(&view, 1, 1, now), Verdict::Blind);
    assert_eq!(view.apply(entry(1, 11), Seq(10)), Applied::InOrder);
    assert_eq!(judge(&view, 1, 2, now), Verdict::Blind);
    assert_eq!(view.apply(entry(2, 12), Seq(11)), Applied::InOrder);
    assert_eq!(judge(&view, 1, 3, now), Verdict::Live);
}

#[test]
fn a_lease_asked_for_before_a_restart_is_worth_nothing() {
    let now = Moment::now();
    let asked = view_in_step(10, now).ask(now).expect("in step");
    let mut restarted = View::new("second".into());
    restarted.snapshot(Seq(10), []);
    restarted.grant(&asked, Seq(10), LEASE);
    assert_eq!(judge(&restarted, 1, 1, now), Verdict::Blind);
}

#[test]
fn a_late_answer_does_not_shorten_the_lease() {
    let now = Moment::now();
    let mut view = view_in_step(10, now);
    let early = view.ask(now).expect("in step");
    let late = view.ask(now.plus(LEASE / 2)).expect("in step");
    view.grant(&late, Seq(10), LEASE);
    view.grant(&early, Seq(10), LEASE);
    assert_eq!(judge(&view, 1, 1, now.plus(LEASE)), Verdict::Live);
}

#[test]
fn a_gap_is_seen_counts_its_entry_and_needs_the_snapshot() {
    let now = Moment::now();
    let mut view = view_in_step(10, now);
    assert_eq!(view.apply(entry(1, 15), Seq(13)), Applied::Gap);
    assert!(view.needs_snapshot());
    assert_eq!(view.applied(), Some(Seq(10)));
    assert_eq!(judge(&view, 1, 1, now), Verdict::Revoked);
    assert_eq!(judge(&view, 1, 2, now), Verdict::Behind);
    view.snapshot(Seq(14), []);
    assert!(view.needs_snapshot(), "the snapshot is older than the entry that was seen");
    view.snapshot(Seq(15), [entry(2, 13)]);
    assert_eq!(judge(&view, 1, 2, now), Verdict::Revoked);
    assert_eq!(judge(&view, 1, 3, now), Verdict::Live);
}

#[test]
fn a_heartbeat_ahead_means_that_something_is_missing() {
    let now = Moment::now();
    let mut view = view_in_step(10, now);
    assert!(!view.heartbeat(Seq(10)));
    assert!(!view.heartbeat(Seq(9)));
    assert!(view.heartbeat(Seq(11)));
    assert_eq!(judge(&view, 1, 1, now), Verdict::Behind);
}

#[test]
fn a_token_from_the_future_shows_that_we_are_behind() {
    let now = Moment::now();
    assert_eq!(judge(&view_in_step(10, now), 11, 1, now), Verdict::Behind);
}

#[test]
fn entries_are_forgotten_only_long_after_their_end() {
    let now = Moment::now();
    let mut view = view_in_step(10, now);
    let ends = now.wall.secs();
    view.apply(Entry { forget_at: ends, ..entry(1, 11) }, Seq(10));
    view.forget(now.wall.plus_secs(FORGET_MARGIN_SECS - 1));
    assert_eq!(view.len(), 1);
    view.forget(now.wall.plus_secs(FORGET_MARGIN_SECS));
    assert!(view.is_empty());
}

/// Anything that can arrive, in any order.
#[derive(Clone, Debug)]
enum Input {
    Entry(u8, i64, i64),
    Heartbeat(i64),
    Reset,
    Snapshot(i64, Vec<(u8, i64)>),
    Ask,
    Grant(usize, i64),
    Pass(u64),
}

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let seq = || 0..30_i64;
    let input = prop_oneof![
        4 => (0..4_u8, seq(), seq()).prop_map(|(key, seq, prev)| Input::Entry(key, seq, prev)),
        1 => seq().prop_map(Input::Heartbeat),
        1 => Just(Input::Reset),
        1 => (seq(), prop::collection::vec((0..4_u8, seq()), 0..4))
            .prop_map(|(head, entries)| Input::Snapshot(head, entries)),
        2 => Just(Input::Ask),
        2 => (0..4_usize, seq()).prop_map(|(which, head)| Input::Grant(which, head)),
        1 => (0..3_000_u64).prop_map(Input::Pass),
    ];
    prop::collection::vec(input, 0..60)
}

/// Gives the input to the view; remembers what was asked for.
fn feed(view: &mut View, input: &Input, now: &mut Moment, asked: &mut Vec<Asked>) {
    match input {
        Input::Entry(key, seq, prev) => {
            view.apply(entry(*key, *seq), Seq(*prev));
        }
        Input::Heartbeat(head) => {
            view.heartbeat(Seq(*head));
        }
        Input::Reset => view.reset(),
        Input::Snapshot(head, entries) => {
            view.snapshot(Seq(*head), entries.iter().map(|(key, seq)| entry(*key, *seq)));
        }
        Input::Ask => asked.extend(view.ask(*now)),
        Input::Grant(which, head) => {
            if let Some(asked) = asked.iter().rev().nth(*which) {
                view.grant(asked, Seq(*head), LEASE);
            }
        }
        Input::Pass(millis) => *now = now.plus(Duration::from_millis(*millis)),
    }
}

proptest! {
    #[test]
    fn nothing_that_arrives_brings_a_dead_token_back(inputs in inputs()) {
        let (mut now, mut asked) = (Moment::now(), Vec::new());
        let mut view = View::new("first".into());
        let mut dead = Vec::new();
        let mut applied = None;
        for input in &inputs {
            feed(&mut view, input, &mut now, &mut asked);
            prop_assert!(view.applied() >= applied, "applied went down");
            applied = view.applied();
            for (rvs, key) in &dead {
                prop_assert_eq!(judge(&view, *rvs, *key, now), Verdict::Revoked);
            }
            for (rvs, key) in (0..30).flat_map(|rvs| (0..4).map(move |key| (rvs, key))) {
                if judge(&view, rvs, key, now) == Verdict::Revoked {
                    dead.push((rvs, key));
                }
            }
        }
    }

    #[test]
    fn a_token_is_live_only_under_a_lease_asked_for_within_its_length(inputs in inputs()) {
        let (mut now, mut asked) = (Moment::now(), Vec::new());
        let mut view = View::new("first".into());
        for input in &inputs {
            feed(&mut view, input, &mut now, &mut asked);
            if judge(&view, 0, 9, now) == Verdict::Live {
                prop_assert!(view.is_synced());
                prop_assert!(asked.iter().any(|asked| now.is_before(asked.at.plus(LEASE))));
            }
        }
    }

    #[test]
    fn requests_from_before_a_restart_grant_nothing_after_it(inputs in inputs()) {
        let (mut now, mut before) = (Moment::now(), Vec::new());
        let mut first = View::new("first".into());
        for input in &inputs {
            feed(&mut first, input, &mut now, &mut before);
        }
        let mut second = View::new("second".into());
        for input in &inputs {
            if !matches!(input, Input::Ask) {
                feed(&mut second, input, &mut now, &mut before);
            }
            prop_assert_ne!(judge(&second, 0, 9, now), Verdict::Live);
        }
    }

    #[test]
    fn a_log_in_order_leaves_the_view_in_step_and_exact(
        log in prop::collection::vec((0..4_u8, 1..5_i64), 1..30),
        replayed in 0..30_usize,
    ) {
        let now = Moment::now();
        let mut view = view_in_step(0, now);
        let mut head = 0;
        let mut frames = Vec::new();
        for (key, step) in log {
            frames.push((entry(key, head + step), Seq(head)));
            head += step;
        }
        for (frame, previous) in &frames {
            prop_assert_eq!(view.apply(*frame, *previous), Applied::InOrder);
        }
        for (frame, previous) in frames.iter().take(replayed) {
            prop_assert_eq!(view.apply(*frame, *previous), Applied::Known);
        }
        prop_assert_eq!(view.applied(), Some(Seq(head)));
        for (rvs, key) in (0..head).flat_map(|rvs| (0..4).map(move |key| (rvs, key))) {
            let is_dead = frames.iter().any(|(f, _)| f.key == KeyHash([key; 16]) && f.seq.0 > rvs);
            let verdict = judge(&view, rvs, key, now);
            prop_assert_eq!(verdict == Verdict::Revoked, is_dead);
        }
    }
}
