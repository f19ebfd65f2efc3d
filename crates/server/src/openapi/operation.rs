//! What one method of one path takes and answers, as a constant beside its handler.
//!
//! ```text
//! /// Described.
//! pub const FIND: Operation = Operation::person("findThing", "One thing")
//!     .open_to("tenant-admin")
//!     .answers(&[Reply::json(200, THING).tagged()])
//!     .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND]);
//! ```

use super::shape::Shape;

/// A method of a path.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Its name, unique in the document.
    pub id: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// What else there is to know.
    pub notes: &'static str,
    /// Which of those who may come at all it is for, in words.
    pub open_to: &'static str,
    /// Who comes, and by which credential.
    pub who: Who,
    /// Parameters of the query, none of them needed.
    pub query: &'static [(&'static str, Shape)],
    /// Headers that it looks at, none of them needed.
    pub headers: &'static [(&'static str, Shape)],
    /// What it reads.
    pub body: Body,
    /// What it answers when all is well.
    pub answers: &'static [Reply],
    /// What it refuses, besides what everything of its kind does.
    pub refusals: &'static [Refusal],
    /// The same for endpoints that speak OAuth: codes by status.
    pub errors: &'static [(u16, &'static [&'static str])],
}

/// Who calls, and how that is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Anybody.
    Anybody,
    /// A person, by a home token.
    Person,
    /// A person, by a home token, or a program, by a key of a person's.
    PersonOrKey,
    /// A resource server, by its secret.
    Server,
    /// A client, at an endpoint that speaks OAuth.
    Client,
    /// Anybody, at an endpoint that speaks OAuth.
    AnyClient,
    /// A resource server that asks about a token, by its secret.
    Asking,
    /// A person, by a home token, at an endpoint that speaks OAuth.
    Subject,
    /// Software with a token for its registration.
    Registering,
    /// A browser.
    Browser,
}

/// What a body is.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// None.
    None,
    /// JSON.
    Json(Shape),
    /// JSON, or nothing at all.
    MaybeJson(Shape),
    /// A form; the names of the parameters that are always needed, and all others.
    Form(&'static [&'static str], &'static [&'static str]),
}

/// An answer when all is well.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The media type; `None`: no body.
    pub media: Option<&'static str>,
    /// The body, where it is JSON.
    pub shape: Option<Shape>,
    /// Headers of its own.
    pub headers: &'static [(&'static str, &'static str)],
}

/// A refusal of the management API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// The stable code.
    pub code: &'static str,
    /// When.
    pub when: &'static str,
}

impl Operation {
    const fn new(who: Who, id: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            summary,
            notes: "",
            open_to: "",
            who,
            query: &[],
            headers: &[],
            body: Body::None,
            answers: &[],
            refusals: &[],
            errors: &[],
        }
    }

    /// For whoever comes.
    #[must_use]
    pub const fn anybody(id: &'static str, summary: &'static str) -> Self {
        Self::new(Who::Anybody, id, summary)
    }

    /// For a person with a home token.
    #[must_use]
    pub const fn person(id: &'static str, summary: &'static str) -> Self {
        Self::new(Who::Person, id, summary)
    }

    /// For a resource server.
    #[must_use]
    pub const fn server(id: &'static str, summary: &'static str) -> Self {
        Self::new(Who::Server, id, summary)
    }

    /// An endpoint that speaks OAuth, for these.
    #[must_use]
    pub const fn oauth(who: Who, id: &'static str, summary: &'static str) -> Self {
        Self::new(who, id, summary)
    }

    /// Which of them, in words.
    #[must_use]
    pub const fn open_to(self, open_to: &'static str) -> Self {
        Self { open_to, ..self }
    }

    /// For a program with a key too.
    #[must_use]
    pub const fn or_key(self) -> Self {
        Self { who: Who::PersonOrKey, ..self }
    }

    /// What else there is to know.
    #[must_use]
    pub const fn notes(self, notes: &'static str) -> Self {
        Self { notes, ..self }
    }

    /// A list in pages.
    #[must_use]
    pub const fn paged(self) -> Self {
        Self { query: &[("limit", Shape::Within(1, 200)), ("cursor", Shape::Text)], ..self }
    }

    /// What may stand in the query.
    #[must_use]
    pub const fn query(self, query: &'static [(&'static str, Shape)]) -> Self {
        Self { query, ..self }
    }

    /// A change: `?confirm=` says for what its answer waits. Takes no `If-Match`.
    #[must_use]
    pub const fn change(self) -> Self {
        Self { query: &[CONFIRM], ..self }
    }

    /// A change of something that has versions.
    #[must_use]
    pub const fn versioned(self) -> Self {
        Self { headers: &[("If-Match", Shape::Text)], ..self.change() }
    }

    /// Headers that it looks at.
    #[must_use]
    pub const fn headers(self, headers: &'static [(&'static str, Shape)]) -> Self {
        Self { headers, ..self }
    }

    /// The body.
    #[must_use]
    pub const fn takes(self, shape: Shape) -> Self {
        Self { body: Body::Json(shape), ..self }
    }

    /// The body, which may be left out.
    #[must_use]
    pub const fn may_take(self, shape: Shape) -> Self {
        Self { body: Body::MaybeJson(shape), ..self }
    }

    /// The form: what it needs, and what it may have.
    #[must_use]
    pub const fn form(
        self,
        needed: &'static [&'static str],
        others: &'static [&'static str],
    ) -> Self {
        Self { body: Body::Form(needed, others), ..self }
    }

    /// What comes when all is well.
    #[must_use]
    pub const fn answers(self, answers: &'static [Reply]) -> Self {
        Self { answers, ..self }
    }

    /// What it refuses.
    #[must_use]
    pub const fn refuses(self, refusals: &'static [Refusal]) -> Self {
        Self { refusals, ..self }
    }

    /// Which errors of OAuth it has.
    #[must_use]
    pub const fn errors(self, errors: &'static [(u16, &'static [&'static str])]) -> Self {
        Self { errors, ..self }
    }

    /// Whether its errors have the shape of RFC 6749.
    pub(crate) const fn speaks_oauth(&self) -> bool {
        matches!(
            self.who,
            Who::Client | Who::AnyClient | Who::Asking | Who::Subject | Who::Registering
        )
    }

    /// Every error of OAuth that it has, with those of its kind.
    pub(crate) fn all_errors(&self) -> Vec<(u16, &'static [&'static str])> {
        const LARGE: (u16, &[&str]) = (413, &["invalid_request"]);
        const OURS: [(u16, &[&str]); 2] =
            [(500, &["server_error"]), (503, &["temporarily_unavailable"])];
        const MANY: (u16, &[&str]) = (429, &["temporarily_unavailable"]);
        if !self.speaks_oauth() {
            return Vec::new();
        }
        let mut all = self.errors.to_vec();
        if !matches!(self.body, Body::None) {
            all.push(LARGE);
        }
        all.push(MANY);
        all.extend(OURS);
        all
    }

    /// Every header that it looks at. What `is_repeatable` happens once under a key.
    pub(crate) fn all_headers(&self, is_repeatable: bool) -> Vec<(&'static str, Shape)> {
        let key = is_repeatable.then_some(("Idempotency-Key", Shape::TextTo(128)));
        self.headers.iter().copied().chain(key).collect()
    }

    /// Everything that it refuses, with what its kind refuses.
    pub(crate) fn all_refusals(&self, is_repeatable: bool) -> Vec<Refusal> {
        if self.speaks_oauth() || self.who == Who::Browser {
            return Vec::new();
        }
        let mut all = vec![Refusal::INVALID, Refusal::INTERNAL, Refusal::UNAVAILABLE];
        if self.who != Who::Anybody {
            all.extend([Refusal::UNAUTHENTICATED, Refusal::TOO_MANY, Refusal::LIMITED]);
        }
        if is_repeatable {
            all.extend([Refusal::STILL_RUNNING, Refusal::ANSWER_LOST, Refusal::KEY_REUSED]);
        }
        if !matches!(self.body, Body::None) {
            all.extend([Refusal::TOO_LARGE, Refusal::MEDIA_TYPE]);
        }
        if self.headers.iter().any(|(name, _)| *name == "If-Match") {
            all.push(Refusal::STALE);
        }
        all.extend(self.refusals);
        // Health says so itself where it is unwell.
        all.retain(|refusal| self.answers.iter().all(|answer| answer.status != refusal.status));
        all.sort_by_key(|refusal| (refusal.status, refusal.code));
        all
    }
}

/// For what the answer to a change waits.
const CONFIRM: (&str, Shape) = ("confirm", Shape::Word(&["committed", "applied"]));

impl Reply {
    /// JSON of this shape.
    #[must_use]
    pub const fn json(status: u16, shape: Shape) -> Self {
        Self { status, media: Some("application/json"), shape: Some(shape), headers: &[] }
    }

    /// Something else.
    #[must_use]
    pub const fn other(status: u16, media: &'static str) -> Self {
        Self { status, media: Some(media), shape: None, headers: &[] }
    }

    /// No body.
    #[must_use]
    pub const fn empty(status: u16) -> Self {
        Self { status, media: None, shape: None, headers: &[] }
    }

    /// With the version as `ETag`.
    #[must_use]
    pub const fn tagged(self) -> Self {
        Self { headers: &[("ETag", "The version, for If-Match.")], ..self }
    }

    /// A page of a list.
    #[must_use]
    pub const fn linked(self) -> Self {
        Self { headers: &[("Link", "The next page (RFC 8288), where this one is full.")], ..self }
    }

    /// With these headers and what they say.
    #[must_use]
    pub const fn with(self, headers: &'static [(&'static str, &'static str)]) -> Self {
        Self { headers, ..self }
    }
}

impl Refusal {
    const fn new(status: u16, code: &'static str, when: &'static str) -> Self {
        Self { status, code, when }
    }

    /// Something about the request is wrong.
    pub const INVALID: Self =
        Self::new(400, "invalid_request", "The request is not valid; about names the part.");
    /// No credential, or a bad one.
    pub const UNAUTHENTICATED: Self =
        Self::new(401, "unauthenticated", "There is no credential, or it is no good.");
    /// Only for who has just logged in.
    pub const STEP_UP: Self = Self::new(
        401,
        "insufficient_user_authentication",
        "The login is too old; max_age says how old it may be, in seconds (RFC 9470).",
    );
    /// Not for this caller.
    pub const FORBIDDEN: Self = Self::new(403, "forbidden", "The caller may not do this here.");
    /// Nothing there, or not for the caller to know.
    pub const NOT_FOUND: Self =
        Self::new(404, "not_found", "There is no such thing, or none that the caller may know of.");
    /// There already, or changed meanwhile.
    pub const CONFLICT: Self =
        Self::new(409, "conflict", "It exists already or was changed meanwhile.");
    /// Not possible as things are.
    pub const WRONG_STATE: Self =
        Self::new(409, "wrong_state", "Not possible in this state; about names it.");
    /// As many as the quota allows.
    pub const QUOTA_USED_UP: Self =
        Self::new(409, "quota_used_up", "As many as the quota allows; about names it.");
    /// Another version.
    pub const STALE: Self = Self::new(412, "stale", "It has another version than If-Match names.");
    /// The body is too large.
    pub const TOO_LARGE: Self = Self::new(413, "too_large", "The body is too large.");
    /// The body is of another type.
    pub const MEDIA_TYPE: Self =
        Self::new(415, "unsupported_media_type", "The body is not application/json.");
    /// A version must be named.
    pub const VERSION_MISSING: Self =
        Self::new(428, "version_missing", "If-Match must say which version the caller has seen.");
    /// Too many failures from one address.
    pub const TOO_MANY: Self = Self::new(
        429,
        "too_many_failures",
        "Instead of a refusal: too many requests from this address have proven nobody's identity.",
    );
    /// More than the caller's limit.
    pub const LIMITED: Self = Self::new(
        429,
        "too_many_requests",
        "More than the limits allow; RateLimit-Policy and RateLimit say which.",
    );
    /// The first request with this key is still under way.
    pub const STILL_RUNNING: Self = Self::new(
        409,
        "idempotency_in_progress",
        "The first request with this Idempotency-Key is still under way.",
    );
    /// Done, and its answer is gone.
    pub const ANSWER_LOST: Self = Self::new(
        409,
        "answer_lost",
        "It was done under this Idempotency-Key, and the answer is not there any more.",
    );
    /// The key belongs to another request.
    pub const KEY_REUSED: Self = Self::new(
        422,
        "idempotency_key_reused",
        "This Idempotency-Key was used for another request.",
    );
    /// A code that does not work.
    pub const CODE_REFUSED: Self =
        Self::new(403, "code_refused", "This code does not work here; nobody is told why.");
    /// A failure of ours.
    pub const INTERNAL: Self = Self::new(500, "internal_error", "Something went wrong here.");
    /// Storage is slow or full.
    pub const UNAVAILABLE: Self =
        Self::new(503, "unavailable", "Try again after Retry-After seconds.");
}
