//! Which figures a run is asked for: all, or those that the command line names.

use crate::Failure;

/// One group of figures that is measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Exchange ÷ floor, and the tail at half load: P1, P2, P9.
    Exchange,
    /// Postgres and Redis ÷ SQLite, and the rate of two nodes: P3.
    Postgres,
    /// A million relationships ÷ a thousand: P4.
    Growth,
    /// Beside another server's token exchange: P5.
    Peer,
    /// Switch off → refused: P6.
    Refusal,
    /// The verifier, and its memory: P7.
    Verifier,
    /// Start, memory, size of the binary: P8.
    Process,
    /// A noisy partner beside a quiet one: P11.
    Fairness,
}

/// The names on the command line. Some figures come out of one measurement.
const NAMES: &[(&str, Part)] = &[
    ("P1", Part::Exchange),
    ("P2", Part::Exchange),
    ("P3", Part::Postgres),
    ("P4", Part::Growth),
    ("P5", Part::Peer),
    ("P6", Part::Refusal),
    ("P7", Part::Verifier),
    ("P8", Part::Process),
    ("P9", Part::Exchange),
    ("P11", Part::Fairness),
];

/// What to measure.
pub struct Parts(Vec<Part>);

impl Parts {
    /// What these words ask for; without any, everything. Options of cargo's are passed over.
    pub fn chosen(words: &[String]) -> Result<Self, Failure> {
        let mut parts = Vec::new();
        for word in words.iter().filter(|word| !word.starts_with('-')) {
            let known = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
            let (_, part) = known.ok_or_else(|| {
                Failure::new(&format!("{word} is no figure; there are P1 to P9, and P11"))
            })?;
            parts.push(*part);
        }
        if parts.is_empty() {
            parts.extend(NAMES.iter().map(|(_, part)| *part));
        }
        Ok(Self(parts))
    }

    /// Whether this one is asked for.
    #[must_use]
    pub fn has(&self, part: Part) -> bool {
        self.0.contains(&part)
    }
}
