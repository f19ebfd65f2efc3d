//! From a name to addresses that may be called. What this answers is what is connected to: nobody looks
//! the name up a second time, so a name that changes its mind gains nothing.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::{Error, addresses::Addresses};

/// The system's resolver blocks a thread, for longer than anybody here waits. So few at once.
const MAX_LOOKUPS: usize = 16;

/// Looks names up.
pub(crate) struct Names {
    addresses: Addresses,
    lookups: Arc<Semaphore>,
}

impl Names {
    pub fn new(addresses: Addresses) -> Self {
        Self { addresses, lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)) }
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let (addresses, lookups) = (self.addresses.clone(), Arc::clone(&self.lookups));
        Box::pin(async move {
            let place = lookups.acquire_owned().await.map_err(|_| Error::NameUnknown)?;
            let found = spawn_blocking(move || {
                // Given back when the look-up ends, not when the caller stops waiting for it.
                let _place = place;
                (name.as_str(), 0).to_socket_addrs().map(Iterator::collect::<Vec<_>>)
            });
            let found = found.await.map_err(|_| Error::NameUnknown)?;
            let admitted = admitted(&addresses, found.map_err(|_| Error::NameUnknown)?)?;
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

/// Those that may be called. A name can have a private address beside its public one.
fn admitted(addresses: &Addresses, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Error> {
    if found.is_empty() {
        return Err(Error::NameUnknown);
    }
    let admitted: Vec<_> = found.into_iter().filter(|at| addresses.admit(at.ip())).collect();
    if admitted.is_empty() { Err(Error::AddressRefused) } else { Ok(admitted) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_a_name_leads_to_only_that_is_left_which_may_be_called() {
        let at = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 0);
        let none = Addresses::default();
        let mixed = vec![at("127.0.0.1"), at("1.1.1.1"), at("::ffff:10.0.0.1"), at("fe80::1")];
        assert_eq!(admitted(&none, mixed), Ok(vec![at("1.1.1.1")]));
        let inside = vec![at("127.0.0.1"), at("::1")];
        assert_eq!(admitted(&none, inside), Err(Error::AddressRefused));
        assert_eq!(admitted(&none, Vec::new()), Err(Error::NameUnknown));
    }
}
