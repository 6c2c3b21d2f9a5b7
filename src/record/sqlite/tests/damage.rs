//! Disks that forget: a flipped bit or a cut anywhere in the record's files is noticed, or has cost nothing.

use std::fs;

use fastrand::Rng;

use super::*;
use crate::delivery::{Delivery, State};
use crate::ids::Recipient;
use crate::record::{Campaign, Campaigns, DeliveryKey, Enlisted, Ledger, ListedDelivery, Reach};

/// Uploads of the record that is damaged.
const STORED: u16 = 50;
/// The people of its campaign.
const PEOPLE: u64 = 40;

/// The files of a record; the write-ahead log is part of them where the last to use the record was killed.
struct Pristine {
    files: Vec<(PathBuf, Vec<u8>)>,
    stored: Content,
}

/// What a record says, as far as damage to it would hurt.
#[derive(Debug, PartialEq)]
struct Content {
    uploads: Vec<Upload>,
    aliases: Vec<Alias>,
    campaign: Option<Campaign>,
    deliveries: Vec<ListedDelivery>,
}

impl Content {
    async fn of(record: &SqliteRecord) -> Result<Self, RecordError> {
        let uploads = record.list(&UploadFilter::default(), None, usize::MAX).await?;
        let campaign = record.campaigns(contract::NOW).await?.pop();
        let mut deliveries = match &campaign {
            Some(campaign) => record.deliveries(campaign.id, None, None, usize::MAX).await?,
            None => Vec::new(),
        };
        for listed in &mut deliveries {
            if listed.delivery.state == State::Planned {
                // One that was given back says no more than one without a row.
                listed.delivery = Delivery::planned(contract::NOW);
            }
        }
        Ok(Self { uploads, aliases: record.aliases().await?, campaign, deliveries })
    }

    /// What is said here and not by the other, but for rows of deliveries that are not found: a page that leads to them may
    /// be what was damaged.
    fn beyond(&self, other: &Self) -> Vec<String> {
        fn beyond<T: PartialEq + std::fmt::Debug>(these: &[T], others: &[T]) -> Vec<String> {
            these.iter().filter(|this| !others.contains(this)).map(|this| format!("{this:?}")).collect()
        }
        let found: Vec<_> =
            self.deliveries.iter().filter(|listed| listed.delivery.state != State::Planned).cloned().collect();
        [
            beyond(&self.uploads, &other.uploads),
            beyond(&self.aliases, &other.aliases),
            beyond(&found, &other.deliveries),
        ]
        .concat()
    }

    /// What may still be sent; the claims of whoever is gone are given back.
    fn is_open(&self, key: DeliveryKey) -> bool {
        let states = [State::Planned, State::Claimed];
        self.deliveries.iter().any(|listed| listed.key == key && states.contains(&listed.delivery.state))
    }
}

impl Pristine {
    async fn closed(place: &Place) -> Self {
        fill(&place.record().await).await;
        Self::with(files(place)).await
    }

    async fn killed(place: &Place) -> Self {
        let record = place.record().await;
        fill(&record).await;
        let files = files(place);
        assert!(files.iter().any(|(path, bytes)| path.ends_with("record.db-wal") && !bytes.is_empty()));
        Self::with(files).await
    }

    /// What these files say is what whoever opens them unharmed is told.
    async fn with(files: Vec<(PathBuf, Vec<u8>)>) -> Self {
        let place = laid_out(&files);
        let stored = Content::of(&place.record().await).await.expect("unharmed");
        assert_eq!(
            (stored.uploads.len(), stored.deliveries.len()),
            (usize::from(STORED), 2 * usize::try_from(PEOPLE).expect("few"))
        );
        Self { files, stored }
    }

    /// A place with these files, one of them damaged.
    fn damaged(&self, rng: &mut Rng) -> (Place, String) {
        let place = laid_out(&self.files);
        // The mark holds nothing that could be lost.
        let spared = rng.u8(..10) > 0;
        let worn: Vec<usize> =
            (0..self.files.len()).filter(|file| !(spared && self.files[*file].0.ends_with("record.db.mark"))).collect();
        let name = &self.files[worn[rng.usize(..worn.len())]].0;
        let path = place.path().with_file_name(name);
        let mut bytes = fs::read(&path).expect("a file");
        if bytes.is_empty() {
            return (place, String::new());
        }
        let what = format!("{} {}", name.display(), damage(&mut bytes, rng));
        fs::write(path, bytes).expect("written");
        (place, what)
    }
}

/// Flips a bit in three of four cases, and cuts the end off in the others.
fn damage(bytes: &mut Vec<u8>, rng: &mut Rng) -> String {
    let at = rng.usize(..bytes.len());
    if rng.u8(..4) == 0 {
        bytes.truncate(at);
        return format!("cut at {at}");
    }
    bytes[at] ^= 1 << rng.u8(..8);
    format!("flipped at {at}")
}

/// A place for a record in memory, where there is such a thing: thousands of them, each of which SQLite syncs.
fn in_memory() -> Place {
    let place = Place(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder"));
    fs::create_dir_all(place.path().parent().expect("a folder")).expect("created");
    place
}

/// A place with these files, as if they had been written there: else the mark would be one that was copied.
fn laid_out(files: &[(PathBuf, Vec<u8>)]) -> Place {
    let place = in_memory();
    for (name, bytes) in files {
        fs::write(place.path().with_file_name(name), bytes).expect("written");
    }
    let mut mark = Mark::beside(&place.path());
    let head = mark.read().expect("a mark");
    mark.look_at_record().expect("a record");
    mark.keep(head).expect("it is there");
    place
}

/// Uploads, some with names, and a campaign that was cut off: some have it, some were refused, some may have it.
async fn fill(record: &SqliteRecord) {
    for number in 0..STORED {
        let key = key(number);
        store(record, &key, &format!("id-{number}")).await;
        if number % 5 == 0 {
            record.set_alias(&contract::alias(&format!("name-{number}"), key.asset)).await.expect("set");
        }
    }
    let campaign = contract::plan(record, 1..=PEOPLE, 2).await;
    let worker = contract::enlist(record, campaign).await;
    contract::claim(record, &worker, usize::try_from(PEOPLE).expect("few") - 10).await;
    for seq in 1..=PEOPLE - 20 {
        contract::write(record, &worker, &[contract::intent(seq, 0)]).await;
        let result = match seq % 5 {
            0 => contract::refused(seq, 0),
            1 => contract::doubt(seq, 0),
            _ => contract::sent(seq, 0),
        };
        contract::write(record, &worker, &[result]).await;
    }
}

fn files(place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(place.path().parent().expect("a folder")).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.is_file() && !path.ends_with("record.db-shm")).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.file_name().expect("a name").into(), fs::read(&path).expect("a file"))).collect()
}

/// Whether the damage was noticed.
///
/// # Panics
/// Where it was not, and an upload is missing or another than it was. Where it was, and something is said that was not so
/// before. Either way, where somebody would be sent again what they may have.
async fn is_noticed(place: &Place, stored: &Content, what: &str) -> bool {
    let Ok(record) = SqliteRecord::open(&place.path()).await else { return true };
    let found = Content::of(&record).await;
    let noticed = found.is_err() || record.verify().await.is_err();
    match found {
        Ok(found) if noticed => assert_eq!(found.beyond(stored), [""; 0], "{what}"),
        Ok(found) => assert!(found == *stored, "{what}: another record than it was: {found:?}"),
        Err(_) => {}
    }
    for key in all_claims(&record).await {
        assert!(stored.is_open(key), "{what}: {key} would be sent again");
    }
    noticed
}

/// All that whoever goes on with the campaign would send, until the damage is met.
async fn all_claims(record: &SqliteRecord) -> Vec<DeliveryKey> {
    let people: Vec<Recipient> = (1..=PEOPLE).map(|seq| contract::somebody(seq).recipient).collect();
    let Ok(Some(campaign)) = record.campaigns(contract::NOW).await.map(|mut all| all.pop()) else { return Vec::new() };
    let Ok(Enlisted::Won(worker)) = record.enlist(campaign.id, 1, contract::NOW).await else { return Vec::new() };
    let mut keys = Vec::new();
    for reach in [Reach::These(&people), Reach::All] {
        if let Ok(claims) = record.claim_deliveries(&worker, reach, people.len(), contract::NOW).await {
            keys.extend(claims.rows.into_iter().map(|row| row.key));
        }
    }
    keys
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "what a long run came to")]
async fn no_damage_is_a_silent_loss() {
    let number = |name, usual| std::env::var(name).map_or(usual, |text| text.parse().expect("a number"));
    let (trials, first_seed): (u64, u64) = (number("DAMAGE_TRIALS", 500), number("DAMAGE_SEED", 0));
    let began = std::time::Instant::now();
    let (closed, killed) = (place(), place());
    let (closed, killed) = (Pristine::closed(&closed).await, Pristine::killed(&killed).await);
    let mut noticed = 0;
    for seed in first_seed..first_seed + trials {
        let mut rng = Rng::with_seed(seed);
        let pristine = if rng.bool() { &closed } else { &killed };
        let (place, what) = pristine.damaged(&mut rng);
        noticed += u64::from(is_noticed(&place, &pristine.stored, &format!("seed {seed}: {what}")).await);
    }
    println!("torture: damaged records|{trials}, {noticed} noticed|{first_seed}|{}|0", began.elapsed().as_secs());
    assert!(noticed > trials / 10, "{noticed} of {trials} damages were noticed");
}

fn head(place: &Place) -> (Vec<u8>, i64) {
    let query = "SELECT record, changes FROM head";
    place.shell().query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("a head")
}

fn mark_of(place: &Place) -> PathBuf {
    place.path().with_extension("db.mark")
}

#[tokio::test]
async fn an_older_copy_is_refused_as_long_as_there_is_a_mark() {
    let place = place();
    store(&place.record().await, &key(1), "id").await;
    let copy = fs::read(place.path()).expect("a file");
    store(&place.record().await, &key(2), "id").await;
    fs::write(place.path(), &copy).expect("put back");
    let refused = SqliteRecord::open(&place.path()).await;
    assert!(matches!(refused, Err(RecordError::Behind { lost: 2, .. })), "{refused:?}");
    assert_eq!(fs::read(place.path()).expect("a file"), copy);
    fs::remove_file(mark_of(&place)).expect("gone");
    let record = place.record().await;
    record.verify().await.expect("healthy");
    assert!(record.find(&[key(1)]).await.expect("found")[0].is_some());
}

#[tokio::test]
async fn verifying_an_open_record_notices_what_went_missing_since() {
    let place = place();
    let record = place.record().await;
    store(&record, &key(1), "id").await;
    place.tamper("UPDATE head SET changes = changes - 1");
    let verified = record.verify().await;
    assert!(matches!(verified, Err(RecordError::Behind { lost: 1, .. })), "{verified:?}");
    place.tamper("DELETE FROM head");
    let verified = record.verify().await;
    assert!(matches!(verified, Err(RecordError::Damaged { table: "head", .. })), "{verified:?}");
}

#[tokio::test]
async fn an_emptied_record_is_refused_and_left_as_it_is() {
    let place = place();
    let record = place.record().await;
    store(&record, &key(1), "id").await;
    let log = fs::read(place.path().with_extension("db-wal")).expect("a log");
    drop(record);
    fs::write(place.path(), b"").expect("emptied");
    fs::write(place.path().with_extension("db-wal"), &log).expect("written");
    let refused = SqliteRecord::open(&place.path()).await;
    assert!(matches!(refused, Err(RecordError::Behind { .. })), "{refused:?}");
    assert_eq!(fs::read(place.path()).expect("a file"), b"");
    assert_eq!(fs::read(place.path().with_extension("db-wal")).expect("a log"), log);
}

#[tokio::test]
async fn a_record_begun_anew_owes_nothing_to_the_one_that_was_moved_away() {
    let place = place();
    store(&place.record().await, &key(1), "id").await;
    let (old, _) = head(&place);
    fs::remove_file(place.path()).expect("moved away");
    let refused = SqliteRecord::open(&place.path()).await;
    assert!(matches!(refused, Err(RecordError::Behind { lost: 2, .. })) && !place.path().exists(), "{refused:?}");
    fs::remove_file(mark_of(&place)).expect("moved away");
    let record = place.record().await;
    record.verify().await.expect("healthy");
    store(&record, &key(1), "id").await;
    assert_ne!(head(&place).0, old);
}

#[tokio::test]
async fn another_records_mark_is_no_mark() {
    let (place, other) = (place(), place());
    store(&place.record().await, &key(1), "id").await;
    for number in 0..3 {
        store(&other.record().await, &key(number), "id").await;
    }
    fs::copy(mark_of(&other), mark_of(&place)).expect("a copy");
    place.record().await.verify().await.expect("healthy");
}

#[tokio::test]
async fn whoever_changes_nothing_is_no_change() {
    let place = place();
    let record = place.record().await;
    let claim = win(&record, &key(1)).await;
    let before = head(&place);
    let held = record.claim(&key(1), Timestamp::from_unix_millis(0)).await.expect("an answer");
    assert!(matches!(held, Claimed::Held { .. }));
    record.forget(&key(1)).await.expect("forgotten");
    assert_eq!(head(&place), before);
    record.release(&claim).await.expect("released");
    assert_eq!(head(&place).1, before.1 + 1);
}
