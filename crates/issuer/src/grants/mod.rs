//! oxide-auth's sans-I/O machines, each behind one function of ours. No type of theirs leaves this
//! folder. They fix the order of checks (nothing is redirected before client and redirect URI are
//! bound; the code is recovered before client, redirect URI and PKCE are compared); what they leave
//! open is said beside each function.

pub(crate) mod authorization;
pub(crate) mod code;
