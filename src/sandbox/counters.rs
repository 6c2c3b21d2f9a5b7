//! Counters that many connections add to at once.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::faults::Fault;
use super::routes::Target;
use super::truth::{Counts, RequestCounts};

#[derive(Debug, Default)]
pub(super) struct Counters {
    uploads: AtomicU64,
    sends: AtomicU64,
    reads: AtomicU64,
    debug_tokens: AtomicU64,
    conversations: AtomicU64,
    batches: AtomicU64,
    others: AtomicU64,
    uploads_accepted: AtomicU64,
    messages_accepted: AtomicU64,
    faults_fired: AtomicU64,
    pub(super) bytes_received: AtomicU64,
    uploads_under_way: AtomicU64,
    peak_uploads: AtomicU64,
}

/// An upload under way, until it is dropped.
#[derive(Debug)]
pub(super) struct UnderWay<'a>(&'a Counters);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.uploads_under_way.fetch_sub(1, Relaxed);
    }
}

impl Counters {
    /// Counts a request; for an upload, gives a guard to hold while it lasts.
    pub(super) fn arrived(&self, target: Target) -> Option<UnderWay<'_>> {
        let counter = match target {
            Target::Upload => &self.uploads,
            Target::Send => &self.sends,
            Target::Me => &self.reads,
            Target::DebugToken => &self.debug_tokens,
            Target::Conversations => &self.conversations,
            Target::Batch => &self.batches,
            Target::Other => &self.others,
        };
        counter.fetch_add(1, Relaxed);
        (target == Target::Upload).then(|| {
            let under_way = self.uploads_under_way.fetch_add(1, Relaxed) + 1;
            self.peak_uploads.fetch_max(under_way, Relaxed);
            UnderWay(self)
        })
    }

    pub(super) fn upload_accepted(&self) {
        self.uploads_accepted.fetch_add(1, Relaxed);
    }

    pub(super) fn message_accepted(&self) {
        self.messages_accepted.fetch_add(1, Relaxed);
    }

    pub(super) fn struck(&self, fault: &Fault) {
        if !fault.pass {
            self.faults_fired.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn read(&self) -> Counts {
        Counts {
            requests: RequestCounts {
                upload: self.uploads.load(Relaxed),
                send: self.sends.load(Relaxed),
                me: self.reads.load(Relaxed),
                debug_token: self.debug_tokens.load(Relaxed),
                conversations: self.conversations.load(Relaxed),
                batch: self.batches.load(Relaxed),
                other: self.others.load(Relaxed),
            },
            uploads_accepted: self.uploads_accepted.load(Relaxed),
            messages_accepted: self.messages_accepted.load(Relaxed),
            bytes_received: self.bytes_received.load(Relaxed),
            peak_concurrent_uploads: self.peak_uploads.load(Relaxed),
            faults_fired: self.faults_fired.load(Relaxed),
        }
    }

    /// Back to zero; uploads under way go on.
    pub(super) fn clear(&self) {
        let counters = [
            &self.uploads,
            &self.sends,
            &self.reads,
            &self.debug_tokens,
            &self.conversations,
            &self.batches,
            &self.others,
            &self.uploads_accepted,
            &self.messages_accepted,
            &self.bytes_received,
            &self.faults_fired,
            &self.peak_uploads,
        ];
        for counter in counters {
            counter.store(0, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_the_most_uploads_at_once() {
        let counters = Counters::default();
        let first = counters.arrived(Target::Upload);
        drop(counters.arrived(Target::Upload));
        drop(first);
        assert!(counters.arrived(Target::Send).is_none());
        drop(counters.arrived(Target::Upload));
        let counts = counters.read();
        assert_eq!((counts.peak_concurrent_uploads, counts.requests.upload, counts.requests.send), (2, 3, 1));
    }
}
