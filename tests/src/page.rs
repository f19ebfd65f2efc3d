//! A page with a form, read as a browser without scripts reads it.

/// A form of a page.
#[derive(Clone, Debug)]
pub struct Form {
    /// Where it goes, as the page says.
    pub action: String,
    /// What it sends, in the order of the page.
    pub fields: Vec<(String, String)>,
}

impl Form {
    /// Fills in a field that the page has.
    #[must_use]
    #[track_caller]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        let field = self.fields.iter_mut().find(|(known, _)| known == name);
        let field = field.unwrap_or_else(|| panic!("the form has no field {name}"));
        value.clone_into(&mut field.1);
        self
    }

    /// Presses a button that has a name and a value, or makes a choice.
    #[must_use]
    pub fn press(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The form with this id: where it goes, and what its inputs hold.
#[track_caller]
pub fn form(html: &str, id: &str) -> Form {
    let start = html.find(&format!("<form id=\"{id}\""));
    let start = start.unwrap_or_else(|| panic!("no form {id} on this page: {html}"));
    let end = html[start..].find("</form>").expect("a form ends") + start;
    let mut tags = html[start..end].split('<').map(|tag| tag.split('>').next().unwrap_or(""));
    let action = tags.find_map(|tag| attribute(tag, "action")).expect("a form goes somewhere");
    // Of the choices only the one that was made is sent.
    let is_sent = |tag: &&str| !tag.contains(" type=\"radio\"") || tag.contains(" checked");
    let inputs = tags.filter(|tag| tag.starts_with("input ")).filter(is_sent);
    let fields = inputs.filter_map(|tag| {
        Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default()))
    });
    Form { action, fields: fields.collect() }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    Some(unescape(value))
}

fn unescape(text: &str) -> String {
    [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ]
    .into_iter()
    .fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_with_its_hidden_fields() {
        let found = form(
            "<form id=\"a\" method=\"post\" action=\"/x\"></form>\
             <form id=\"b\" method=\"post\" action=\"/y?a&amp;b\">\
             <input type=\"hidden\" name=\"t\" value=\"&quot;1&#39;\"><input name=\"e\">\
             <input type=\"radio\" name=\"r\" value=\"1\">\
             <input type=\"radio\" name=\"r\" value=\"2\" checked></form>",
            "b",
        );
        assert_eq!(found.action, "/y?a&b");
        let pairs =
            [("t", "\"1'"), ("e", ""), ("r", "2")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(found.fields, pairs);
    }
}
