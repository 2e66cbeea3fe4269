//! Quotes, cached. The cache has a capacity and forgets with time, and requests for the same quote share one call.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use crate::Result;
use crate::deadline::Call;
use crate::upstream::Upstream;

/// Quotes kept at most.
const CAPACITY: u64 = 1_000;

pub(crate) struct Quotes {
    upstream: Upstream,
    cache: Cache<String, Arc<str>>,
}

impl Quotes {
    pub(crate) fn new(upstream: Upstream, fresh_for: Duration) -> Quotes {
        let cache = Cache::builder()
            .max_capacity(CAPACITY)
            .time_to_live(fresh_for)
            .build();
        Quotes { upstream, cache }
    }

    /// The quote of a symbol, from the cache if it is fresh.
    pub(crate) async fn get(&self, call: &Call, symbol: &str) -> Result<Arc<str>> {
        let fetch =
            async { Result::<Arc<str>>::Ok(self.upstream.quote(call, symbol).await?.into()) };
        let quote = self.cache.try_get_with_by_ref(symbol, fetch).await;
        quote.map_err(|error| error.to_string().into())
    }

    /// Drops what is out of date now, and not at some later access.
    pub(crate) async fn forget_the_old(&self) {
        self.cache.run_pending_tasks().await;
    }
}
