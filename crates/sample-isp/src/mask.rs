//! Personal data for those who may not see them: enough to recognise, too little to use.

/// What stands for everything that is not shown.
const HIDDEN: &str = "•••";

/// `Jane Miller` → `J•••`.
pub fn name(name: &str) -> String {
    first_letter(name).map_or(HIDDEN.to_owned(), |first| format!("{first}{HIDDEN}"))
}

/// `jane@acme.test` → `j•••@•••`. The domain is hidden too: it can name a person or an employer.
pub fn email(email: &str) -> String {
    match email.split_once('@').and_then(|(local, _)| first_letter(local)) {
        Some(first) => format!("{first}{HIDDEN}@{HIDDEN}"),
        None => HIDDEN.to_owned(),
    }
}

/// `+15550100142` → `+•••42`.
pub fn phone(phone: &str) -> String {
    let digits: Vec<char> = phone.chars().filter(char::is_ascii_digit).collect();
    match digits.as_slice() {
        // Two digits of a short number would be most of it.
        [.., a, b] if digits.len() > 6 => format!("+{HIDDEN}{a}{b}"),
        _ => HIDDEN.to_owned(),
    }
}

fn first_letter(text: &str) -> Option<char> {
    // A single letter would be shown whole.
    let mut letters = text.chars();
    let first = letters.next().filter(|first| first.is_alphanumeric())?;
    letters.next().map(|_| first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_shows_one_letter_and_two_digits() {
        assert_eq!(name("Jane Miller"), "J•••");
        assert_eq!(email("jane@acme.test"), "j•••@•••");
        assert_eq!(phone("+15550100142"), "+•••42");
        assert_eq!(phone("+1 (555) 010-0142"), "+•••42");
    }

    #[test]
    fn a_mask_never_shows_all_of_a_short_value() {
        for text in ["", "J", "@", "@acme.test", "j@acme.test", "Zoë", "12", "112", "110110"] {
            for masked in [name(text), email(text), phone(text)] {
                assert!(masked.contains(HIDDEN) && masked.chars().count() <= 8, "{text}");
            }
        }
        assert_eq!(email("not an address"), HIDDEN);
        assert_eq!(phone("110110"), HIDDEN);
    }
}
