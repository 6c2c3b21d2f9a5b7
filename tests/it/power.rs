//! The power fails: what was printed is on the disk all the same, and so is what was sent.
//!
//! A program runs once while `record_writes.c` writes down all it does to its files ([`shim`], [`log`]). Of any moment
//! in that log the disk can be made as it may look when the power comes back ([`disk`]), and whatever had been promised
//! by then is looked for on it ([`cuts`]). `POWER_IMAGES` says how many images each main test makes (otherwise 500 in
//! all), `POWER_SEED` from which seed on (0). When the program runs again it does not write in the same order, so a seed alone brings no image back:
//! those with something wrong are kept, and their places printed.

mod campaigning;
mod checking;
mod cuts;
mod disk;
mod log;
mod shim;
mod syncing;

use std::time::Instant;

use campaigning::Campaigning;
use checking::Checking;
use cuts::{Cuts, cut, fewer_images, images};
use shim::{Shim, Syncs};
use syncing::Syncing;

#[test]
fn what_a_sync_printed_outlives_the_power() {
    let Some(shim) = Shim::build() else { return };
    let began = Instant::now();
    let outcome = cut(&shim, &Syncing::of(300), &Cuts { images: images(200), syncs: Syncs::Done });
    outcome.account("power cuts of a sync", began);
    outcome.is_flawless();
    assert!(outcome.twice >= outcome.images / 11);
}

#[test]
fn without_syncs_what_was_printed_is_lost_or_these_tests_would_show_nothing() {
    let Some(shim) = Shim::build() else { return };
    let cuts = Cuts { images: fewer_images(), syncs: Syncs::Ignored };
    let outcome = cut(&shim, &Syncing::of(60), &cuts);
    let lost = outcome.objections.len() as u64;
    assert!(lost >= outcome.images / 2, "only {lost} of {} images show it", outcome.images);
}

#[test]
fn whatever_the_power_leaves_of_the_cache_heals() {
    let Some(shim) = Shim::build() else { return };
    let cuts = Cuts { images: fewer_images(), syncs: Syncs::Done };
    let (checking, began) = (Checking::of(2_500), Instant::now());
    let outcome = cut(&shim, &checking, &cuts);
    outcome.account("power cuts of a cache", began);
    outcome.is_flawless();
    let damaged = checking.damaged.into_inner();
    assert!(damaged > 0, "none of {} caches were damaged: there was nothing to heal", cuts.images);
}

#[test]
#[expect(clippy::print_stdout, reason = "what a long run came to")]
fn what_a_campaign_sent_outlives_the_power_and_nobody_gets_it_twice() {
    let Some(shim) = Shim::build() else { return };
    let (campaigning, began) = (Campaigning::of(200, &shim), Instant::now());
    let outcome = cut(&shim, &campaigning, &Cuts { images: images(300), syncs: Syncs::Done });
    outcome.account("power cuts of a campaign", began);
    outcome.is_flawless();
    let (images, twice) = (outcome.images, outcome.twice);
    let (most_left, ended) = (campaigning.most_left.into_inner(), campaigning.ended.into_inner());
    println!("{images} images: {twice} cut twice, {ended} sent to their end, at most {most_left} messages had left");
    assert!(twice >= images / 11);
    assert!(most_left > 200, "at most {most_left} messages had left: there was little to lose");
    assert!(ended >= images / 200, "only {ended} of {images} images were sent to their end");
}

#[test]
fn without_syncs_a_campaign_forgets_whom_it_sent_to() {
    let Some(shim) = Shim::build() else { return };
    let cuts = Cuts { images: fewer_images(), syncs: Syncs::Ignored };
    let outcome = cut(&shim, &Campaigning::of(60, &shim), &cuts);
    let lost = outcome.objections.len() as u64;
    assert!(lost >= outcome.images / 2, "only {lost} of {} images show it", outcome.images);
}
