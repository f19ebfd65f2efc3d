//! The parameter `prompt` (OpenID Connect Core §3.1.2.1): what the person must be asked again.

/// The values that we know.
pub const VALUES: [&str; 4] = ["none", "login", "consent", "select_account"];

/// What a request wants to be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prompt {
    /// Nobody is to be asked anything.
    pub is_silent: bool,
    /// An existing login is not enough. Where somebody is to choose an account, the login page is the
    /// choice.
    pub must_log_in: bool,
    /// A remembered consent is not enough.
    pub must_consent: bool,
}

impl Prompt {
    /// Reads it. `None` where a value is unknown, and where `none` has company.
    pub(crate) fn parse(text: Option<&str>) -> Option<Self> {
        let values: Vec<_> =
            text.unwrap_or_default().split(' ').filter(|v| !v.is_empty()).collect();
        if values.iter().any(|value| !VALUES.contains(value)) {
            return None;
        }
        if values.contains(&"none") && values.len() > 1 {
            return None;
        }
        Some(Self {
            is_silent: values.contains(&"none"),
            must_log_in: values.contains(&"login") || values.contains(&"select_account"),
            must_consent: values.contains(&"consent"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_say_what_to_ask_and_unknown_ones_are_refused() {
        let asks = |must_log_in, must_consent| {
            Some(Prompt { is_silent: false, must_log_in, must_consent })
        };
        assert_eq!(Prompt::parse(None), asks(false, false));
        let silent = Prompt { is_silent: true, ..Prompt::default() };
        assert_eq!(Prompt::parse(Some("none")), Some(silent));
        assert_eq!(Prompt::parse(Some("login consent")), asks(true, true));
        assert_eq!(Prompt::parse(Some("select_account")), asks(true, false));
        for bad in ["create", "none login", "consent none", "LOGIN", "login,consent"] {
            assert_eq!(Prompt::parse(Some(bad)), None, "{bad}");
        }
    }
}
