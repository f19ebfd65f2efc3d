//! Whose things are whose: what marks them, and which caller may be shown them. Whatever a column is not said
//! to be shown here is a secret to it, in every answer.

use std::{collections::BTreeMap, fmt::Write};

use procura_tests::Answer;

/// Whose something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// The customer's, for its partners too: its name.
    Customer,
    /// The customer's and nobody else's: reasons, people, its partner code, its other partners.
    Inside,
    /// The MSP's: its name, its relationship with the customer.
    Msp,
    /// Those of the customer's other partners.
    Keeper,
    Asker,
    /// Another customer's of the MSP's.
    Neighbour,
    /// A partner's that has nothing to do with any of them.
    Elsewhere,
}

/// In every name and address of theirs.
pub const MARKS: &[(Whose, &str)] = &[
    (Whose::Customer, CANARY),
    (Whose::Inside, WHY),
    (Whose::Msp, MSP),
    (Whose::Keeper, KEEPER),
    (Whose::Asker, ASKER),
    (Whose::Neighbour, NEIGHBOUR),
    (Whose::Elsewhere, ELSEWHERE),
];
pub const CANARY: &str = "canary-9f";
/// In every reason that the customer's people give.
pub const WHY: &str = "why-canary-7c";
/// Slugs, and parts of names and addresses.
pub const MSP: &str = "msp-1a";
pub const KEEPER: &str = "keeper-2b";
pub const ASKER: &str = "asker-3c";
pub const NEIGHBOUR: &str = "neighbour-4d";
pub const ELSEWHERE: &str = "elsewhere-5e";

/// What a column may be shown.
fn may_see(column: &str) -> &'static [Whose] {
    use Whose::{Asker, Customer, Elsewhere, Inside, Keeper, Msp, Neighbour};
    match column {
        "oper" => &[Customer, Inside, Msp, Keeper, Asker, Neighbour, Elsewhere],
        "admn" => &[Customer, Inside, Msp, Keeper, Asker],
        "memb" | "supp" => &[Customer],
        "pbil" | "paud" | "psup" | "padm" | "akey" => &[Customer, Msp, Neighbour],
        "othc" => &[Msp, Neighbour],
        "strp" => &[Elsewhere],
        _ => &[],
    }
}

/// Who is shown what, at the least.
const SHOWN: &[(&str, Whose)] = &[
    ("strp", Whose::Elsewhere),
    ("othc", Whose::Msp),
    ("othc", Whose::Neighbour),
    ("memb", Whose::Customer),
    ("padm", Whose::Customer),
    ("padm", Whose::Msp),
    ("padm", Whose::Neighbour),
    ("admn", Whose::Customer),
    ("admn", Whose::Inside),
    ("admn", Whose::Msp),
    ("admn", Whose::Keeper),
    ("admn", Whose::Asker),
];

/// What was said to whom.
#[derive(Debug, Default)]
pub struct Seen(BTreeMap<(&'static str, Whose), u32>);

impl Seen {
    /// Looks at an answer: what it says that the column must not be told.
    pub fn look(
        &mut self,
        column: &'static str,
        answer: &Answer,
        secrets: &[(Whose, String)],
    ) -> Option<String> {
        let text = text(answer);
        for (whose, _) in MARKS.iter().filter(|(_, mark)| text.contains(mark)) {
            *self.0.entry((column, *whose)).or_default() += 1;
        }
        let allowed = may_see(column);
        let mut secrets = secrets.iter().filter(|(whose, _)| !allowed.contains(whose));
        let (_, secret) = secrets.find(|(_, secret)| text.contains(secret.as_str()))?;
        Some(format!("{column} is told {secret}: {text}"))
    }

    /// Whoever is shown something on purpose, and never was: then a silence towards others proves nothing.
    pub fn never(&self) -> Vec<(&'static str, Whose)> {
        SHOWN.iter().copied().filter(|told| !self.0.contains_key(told)).collect()
    }
}

/// All of an answer, in small letters.
fn text(answer: &Answer) -> String {
    let mut all = answer.text.to_lowercase();
    for (name, value) in &answer.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).to_lowercase();
        let _ = write!(all, "\n{name}: {value}");
    }
    all
}
