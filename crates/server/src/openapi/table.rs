//! The table of routes: each with its handler and with what is said of it.

use axum::{
    Router,
    handler::Handler,
    http::Method,
    routing::{MethodFilter, MethodRouter},
};

use super::operation::{Operation, Who};
use crate::app::App;

/// Routes with their descriptions.
pub struct Routes {
    topic: &'static str,
    router: Router<App>,
    entries: Vec<Entry>,
}

/// One method of one path.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The method.
    pub method: Method,
    /// The path, with `{names}` of its parameters.
    pub path: &'static str,
    /// What its neighbours are about.
    pub topic: &'static str,
    /// What is said of it.
    pub said: Said,
}

impl Entry {
    /// Whether the same request again, under the same key, happens once: what people change by POST.
    pub(crate) fn is_repeatable(&self, operation: &Operation) -> bool {
        self.method == Method::POST && matches!(operation.who, Who::Person | Who::PersonOrKey)
    }
}

/// What is said of a route.
#[derive(Clone, Copy, Debug)]
pub enum Said {
    /// Nothing yet. A test does not let this pass.
    Nothing,
    /// What it takes and answers.
    Described(&'static Operation),
    /// Nothing on purpose, and why.
    LeftOut(&'static str),
}

/// What one path does, by method.
pub struct Methods {
    router: MethodRouter<App>,
    said: Vec<(Method, Said)>,
}

impl Routes {
    /// None yet, about this.
    #[must_use]
    pub fn about(topic: &'static str) -> Self {
        Self { topic, router: Router::new(), entries: Vec::new() }
    }

    /// With this path.
    #[must_use]
    pub fn route(mut self, path: &'static str, methods: Methods) -> Self {
        let topic = self.topic;
        self.router = self.router.route(path, methods.router);
        let entries = methods.said.into_iter();
        self.entries.extend(entries.map(|(method, said)| Entry { method, path, topic, said }));
        self
    }

    /// With these too.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.entries.extend(other.entries);
        self
    }

    /// What these answer to a method that they do not have.
    #[must_use]
    pub fn method_not_allowed_fallback<H, T>(mut self, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.router = self.router.method_not_allowed_fallback(handler);
        self
    }

    /// The list.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What serves them.
    pub fn into_router(self) -> Router<App> {
        self.router
    }
}

impl Methods {
    fn on<H, T>(mut self, method: Method, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        // Only methods that a filter knows come here.
        if let Ok(filter) = MethodFilter::try_from(method.clone()) {
            self.router = self.router.on(filter, handler);
            self.said.push((method, Said::Nothing));
        }
        self
    }

    fn first<H, T>(method: Method, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        Self { router: MethodRouter::new(), said: Vec::new() }.on(method, handler)
    }

    /// Says of the last method what it takes and answers.
    #[must_use]
    pub fn is(mut self, operation: &'static Operation) -> Self {
        if let Some((_, said)) = self.said.last_mut() {
            *said = Said::Described(operation);
        }
        self
    }

    /// Says of all methods so far that nothing is said of them, and why.
    #[must_use]
    pub fn left_out(mut self, why: &'static str) -> Self {
        for (_, said) in &mut self.said {
            *said = Said::LeftOut(why);
        }
        self
    }
}

macro_rules! methods {
    ($($name:ident $method:ident),*) => {
        impl Methods {
            $(
                /// With this method too.
                #[must_use]
                pub fn $name<H, T>(self, handler: H) -> Self
                where
                    H: Handler<T, App>,
                    T: 'static,
                {
                    self.on(Method::$method, handler)
                }
            )*
        }
        $(
            /// A path with this method.
            pub fn $name<H, T>(handler: H) -> Methods
            where
                H: Handler<T, App>,
                T: 'static,
            {
                Methods::first(Method::$method, handler)
            }
        )*
    };
}

methods!(get GET, post POST, put PUT, patch PATCH, delete DELETE);
