//! What the server says of its own routes: `OpenAPI` 3.1, as a document and as a page. The table of routes
//! and the descriptions are one list, so neither can be without the other.

mod document;
pub mod operation;
mod page;
mod serve;
pub mod shape;
pub mod table;

pub use operation::{Operation, Refusal, Reply, Who};
pub use serve::with_itself;
pub use shape::{Component, Shape};
pub use table::{Routes, delete, get, patch, post, put};
