//! The API as it describes itself: the document, whether the server keeps to it, and who gets what.

mod document;
mod matrix;
mod others;
mod samples;
mod world;
