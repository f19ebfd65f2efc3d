//! Hours of the week in which people may enter.

use std::{fmt, str::FromStr};

use procura_token::Ts;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::words::{UnknownWord, words};

const MINUTES_OF_DAY: i64 = 24 * 60;
const MINUTES_OF_WEEK: i64 = 7 * MINUTES_OF_DAY;
/// 1970-01-01 was a Thursday: the fourth day of its week.
const EPOCH_DAY: i64 = 3;
/// No place on Earth is further from UTC.
const MOST_OFFSET_MINUTES: u32 = 14 * 60;
/// More windows than this nobody needs in a week.
const MOST_WINDOWS: usize = 50;

words! {
    /// A day of the week (ISO 8601: Monday comes first).
    pub enum Day {
        /// Monday.
        Monday = "mon",
        /// Tuesday.
        Tuesday = "tue",
        /// Wednesday.
        Wednesday = "wed",
        /// Thursday.
        Thursday = "thu",
        /// Friday.
        Friday = "fri",
        /// Saturday.
        Saturday = "sat",
        /// Sunday.
        Sunday = "sun",
    }
}

/// A time of day in minutes, `00:00` to `24:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClockTime(i64);

impl FromStr for ClockTime {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let (hour, minute) = text.split_once(':').ok_or(UnknownWord)?;
        let number = |part: &str| {
            let is_plain = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
            part.parse::<i64>().ok().filter(|_| is_plain).ok_or(UnknownWord)
        };
        let (hour, minute) = (number(hour)?, number(minute)?);
        let minutes = hour * 60 + minute;
        let is_good = minute < 60 && minutes <= MINUTES_OF_DAY;
        is_good.then_some(Self(minutes)).ok_or(UnknownWord)
    }
}

impl fmt::Display for ClockTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Serialize for ClockTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ClockTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// Some hours of some days: from the first minute on, up to and without the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// On these days.
    pub days: Vec<Day>,
    /// From this time on.
    pub from: ClockTime,
    /// Until this time; a night that passes midnight is two windows.
    pub to: ClockTime,
}

/// Windows of a week at a fixed distance from UTC: summer time is for the customer to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// Minutes east of UTC.
    pub utc_offset_minutes: i32,
    /// Open in any of these.
    pub windows: Vec<Window>,
}

impl Hours {
    /// Whether every window is one, there are not too many, and the distance exists on Earth.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let is_sound = |window: &Window| {
            window.from < window.to && (1..=Day::ALL.len()).contains(&window.days.len())
        };
        self.utc_offset_minutes.unsigned_abs() <= MOST_OFFSET_MINUTES
            && self.windows.len() <= MOST_WINDOWS
            && self.windows.iter().all(is_sound)
    }

    /// Whether they are open at this instant.
    #[must_use]
    pub fn are_open(&self, now: Ts) -> bool {
        self.holds(minute_of_week(now))
    }

    /// The first instant after `now` at which they are closed, if that is before `limit`.
    #[must_use]
    pub fn close_before(&self, now: Ts, limit: Ts) -> Option<Ts> {
        let first = now.secs().div_euclid(60);
        let last = limit.secs().div_euclid(60).min(first.saturating_add(MINUTES_OF_WEEK));
        let closed = (first..=last)
            .find(|minute| !self.are_open(Ts::from_secs(minute.saturating_mul(60))))?;
        Some(Ts::from_secs(closed.saturating_mul(60)).max(now)).filter(|at| *at < limit)
    }

    /// Whether these are open only when the others are too.
    #[must_use]
    pub fn are_within(&self, others: &Self) -> bool {
        (0..MINUTES_OF_WEEK).all(|minute| !self.holds(minute) || others.holds(minute))
    }

    /// `minute` is one of the week in UTC.
    fn holds(&self, minute: i64) -> bool {
        let local = (minute + i64::from(self.utc_offset_minutes)).rem_euclid(MINUTES_OF_WEEK);
        let day = usize::try_from(local / MINUTES_OF_DAY).ok().and_then(|day| Day::ALL.get(day));
        let time = ClockTime(local % MINUTES_OF_DAY);
        self.windows.iter().any(|window| {
            day.is_some_and(|day| window.days.contains(day))
                && window.from <= time
                && time < window.to
        })
    }
}

fn minute_of_week(at: Ts) -> i64 {
    (at.secs().div_euclid(60) + EPOCH_DAY * MINUTES_OF_DAY).rem_euclid(MINUTES_OF_WEEK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(offset: i32, days: &[Day], from: &str, to: &str) -> Hours {
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        Hours {
            utc_offset_minutes: offset,
            windows: vec![Window { days: days.to_vec(), from, to }],
        }
    }

    fn at(text: &str) -> Ts {
        Ts::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn a_window_is_open_from_its_first_minute_and_closed_from_its_last() {
        // 2025-11-21 was a Friday.
        let office = hours(60, &[Day::Friday], "08:00", "18:00");
        assert!(!office.are_open(at("2025-11-21T06:59:59Z")));
        assert!(office.are_open(at("2025-11-21T07:00:00Z")));
        assert!(office.are_open(at("2025-11-21T16:59:59Z")));
        assert!(!office.are_open(at("2025-11-21T17:00:00Z")));
        assert!(!office.are_open(at("2025-11-22T10:00:00Z")));
        let night = hours(-720, &[Day::Friday], "00:00", "24:00");
        assert!(
            night.are_open(at("2025-11-22T11:59:59Z"))
                && !night.are_open(at("2025-11-22T12:00:00Z"))
        );
    }

    #[test]
    fn the_end_of_a_window_is_found_and_nothing_beyond_the_limit() {
        let office = hours(0, &[Day::Friday], "08:00", "18:00");
        let (now, end) = (at("2025-11-21T17:58:30Z"), at("2025-11-21T18:00:00Z"));
        assert_eq!(office.close_before(now, now.plus_secs(300)), Some(end));
        assert_eq!(office.close_before(now, end), None);
        assert_eq!(office.close_before(now, now.plus_secs(60)), None);
        let always = hours(0, Day::ALL, "00:00", "24:00");
        assert_eq!(always.close_before(now, Ts::NEVER), None);
    }

    #[test]
    fn fewer_hours_are_within_more_also_across_the_week_and_offsets() {
        let week = hours(0, &[Day::Monday, Day::Sunday], "00:00", "24:00");
        assert!(hours(0, &[Day::Monday], "08:00", "09:00").are_within(&week));
        assert!(!week.are_within(&hours(0, &[Day::Monday], "08:00", "09:00")));
        // Monday 00:30 an hour east of UTC is Sunday 23:30 in UTC.
        assert!(hours(60, &[Day::Monday], "00:00", "01:00").are_within(&week));
        assert!(!hours(60, &[Day::Tuesday], "00:00", "02:00").are_within(&week));
    }

    #[test]
    fn a_clock_time_has_one_spelling() {
        for bad in ["8:00", "08:60", "24:01", "+8:00", "0800", "08:00:00", "", "-1:00"] {
            assert!(bad.parse::<ClockTime>().is_err(), "{bad}");
        }
        for good in ["00:00", "08:05", "24:00"] {
            assert_eq!(good.parse::<ClockTime>().unwrap().to_string(), good);
        }
    }
}
