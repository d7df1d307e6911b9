//! Resolving the host of a tenant's URL: only addresses that may be called come out, and the connection goes to those.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use docket_domain::webhook::refusal;
use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Looks a name up.
pub type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> + Send + Sync>;

/// Says whether an address is allowed by configuration although it is not of the public internet.
pub type Allowed = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// A name must not be called.
#[derive(Debug, thiserror::Error)]
pub enum Forbidden {
    /// It leads where nothing may be called.
    #[error("{host} leads to {address}, which is refused: {reason}")]
    Address {
        /// The name or address in the URL.
        host: String,
        /// Where it leads.
        address: IpAddr,
        /// Why that is refused.
        reason: &'static str,
    },
    /// It leads nowhere.
    #[error("{0} has no address")]
    Nowhere(String),
    /// It could not be looked up.
    #[error("{host} cannot be resolved: {cause}")]
    Unresolved {
        /// The name.
        host: String,
        /// Why.
        cause: std::io::Error,
    },
}

/// Resolves names and judges the answers. reqwest connects to what it returns and to nothing else, so a name that changes
/// between two lookups gains nothing.
#[derive(Clone)]
pub struct GuardedResolver {
    lookup: Lookup,
    allowed: Allowed,
}

impl GuardedResolver {
    /// A resolver that asks `lookup` and lets `allowed` addresses through.
    pub fn new(lookup: Lookup, allowed: Allowed) -> Self {
        Self { lookup, allowed }
    }

    /// Looks names up as the operating system does.
    pub fn system_lookup() -> Lookup {
        Arc::new(|host| {
            Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|found| found.ip()).collect()) })
        })
    }

    /// Judges one address.
    pub fn judge(&self, host: &str, address: IpAddr) -> Result<(), Forbidden> {
        match refusal(address).filter(|_| !(self.allowed)(address)) {
            Some(reason) => Err(Forbidden::Address { host: host.to_owned(), address, reason }),
            None => Ok(()),
        }
    }

    /// The addresses of a name. One that is refused refuses the name: an honest name has no such address.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Forbidden> {
        let looked_up = (self.lookup)(host.to_owned()).await;
        let found = looked_up.map_err(|cause| Forbidden::Unresolved { host: host.to_owned(), cause })?;
        if found.is_empty() {
            return Err(Forbidden::Nowhere(host.to_owned()));
        }
        for address in &found {
            self.judge(host, *address)?;
        }
        Ok(found)
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let found = resolver.addresses(name.as_str()).await?;
            let addresses: Addrs = Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}
