//! The API as it describes itself: the document, whether the server keeps to it, and who gets what.

mod callers;
mod canaries;
mod document;
mod matrix;
mod others;
mod routes;
mod samples;
mod states;
mod world;
