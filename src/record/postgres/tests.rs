//! The contract on PostgreSQL, and what only a server shared by many can suffer.

#[path = "../../../tests/it/support/postgres.rs"]
mod server;
#[path = "../../../tests/it/support/proxy.rs"]
mod silence;

mod acknowledged;
mod budgets;
mod faults;
mod requests;

use std::collections::BTreeSet;
use std::sync::OnceLock;

use async_trait::async_trait;
use refinery::{Migration, Runner};
use tokio::task::spawn_blocking;

use self::server::{Pair, Server};
use super::*;
use crate::delivery::{Event, State};
use crate::record::contract::{self, NOW, key, result};
use crate::record::{Begun, Campaigns, DeliveryKey, Enlisted, Entry, Ledger, Reach, Worker, Written};

contract::suite!(if let Some(place) = place() { place } else { return });

/// A database that holds a record.
struct Place {
    server: &'static Server,
    database: String,
}

/// A record of its own, made as a copy of an empty one; `None` where there is no server.
fn place() -> Option<Place> {
    static TEMPLATE: OnceLock<String> = OnceLock::new();
    let server = Server::shared()?;
    let template = TEMPLATE.get_or_init(|| {
        let database = server.database(None);
        // Elsewhere than on the test's own threads, and gone before it is copied.
        let address: ServerAddress = server.url(&database).parse().expect("an address");
        let made = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(PostgresRecord::open(&address)).map(drop)
        });
        made.join().expect("no panic").expect("a record");
        while server.sql("postgres", &format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'"))
            != "0"
        {
            std::thread::yield_now();
        }
        database
    });
    Some(Place { server, database: server.database(Some(template)) })
}

impl Place {
    fn address_text(&self) -> String {
        self.server.url(&self.database)
    }

    fn address(&self) -> ServerAddress {
        self.address_text().parse().expect("an address")
    }

    async fn record(&self) -> PostgresRecord {
        PostgresRecord::open(&self.address()).await.expect("a record")
    }

    fn sql(&self, sql: &str) -> String {
        self.server.sql(&self.database, &format!("SET search_path = reattach; {sql}"))
    }
}

#[async_trait]
impl contract::Store for Place {
    async fn open(&self) -> Box<dyn Record> {
        Box::new(self.record().await)
    }

    /// Each piece of work asks over a socket several times.
    fn cases(&self) -> u32 {
        15
    }
}

async fn claimed(record: &PostgresRecord, number: u16) -> Claimed {
    record.claim(&key(number), NOW).await.expect("an answer")
}

#[tokio::test]
async fn many_may_open_a_new_record_at_once() {
    let Some(server) = Server::shared() else { return };
    let database = server.database(None);
    let address: ServerAddress = server.url(&database).parse().expect("an address");
    let opened = futures::future::join_all((0..8).map(|_| PostgresRecord::open(&address))).await;
    for record in opened {
        record.expect("a record").verify().await.expect("healthy");
    }
}

#[tokio::test]
async fn a_newer_record_is_refused_and_left_as_it_is() {
    let Some(place) = place() else { return };
    place.sql("INSERT INTO refinery_schema_history VALUES (99, 'later', '2030-01-01T00:00:00Z', '1')");
    let refused = PostgresRecord::open(&place.address()).await;
    assert!(matches!(refused, Err(RecordError::NewerFormat { found: 99, .. })), "{refused:?}");
}

#[tokio::test]
async fn a_migration_that_fails_changes_nothing_nor_do_those_before_it() {
    let Some(place) = place() else { return };
    contract::store(&place.record().await, &key(1), "id").await;
    let mut migrations = format::migrations().get_migrations().clone();
    migrations.push(Migration::unapplied("V98__fine", "DROP TABLE uploads").expect("a migration"));
    migrations.push(Migration::unapplied("V99__broken", "SELECT nonsense").expect("a migration"));
    assert!(PostgresRecord::open_with(&place.address(), Runner::new(&migrations)).await.is_err());
    assert!(place.record().await.find(&[key(1)]).await.expect("found")[0].is_some());
}

#[tokio::test]
async fn who_may_not_make_the_tables_keeps_nobody_else_from_making_them() {
    let Some(server) = Server::shared() else { return };
    let database = server.database(None);
    let role = format!("stranger_{database}");
    server.sql("postgres", &format!("CREATE ROLE {role} LOGIN"));
    let url = server.url(&database).replace("postgres@", &format!("{role}@"));
    let stranger = PostgresRecord::at(&url.parse().expect("an address")).expect("a record");
    let refused = stranger.aliases().await;
    assert!(matches!(refused, Err(RecordError::Unformed { found: 0, .. })), "{refused:?}");
    let address: ServerAddress = server.url(&database).parse().expect("an address");
    let opened = timeout(Duration::from_secs(30), PostgresRecord::open(&address)).await;
    opened.expect("nobody is in the way").expect("a record");
}

#[tokio::test]
async fn who_may_not_change_older_tables_is_told_their_form_and_who_has_to() {
    let Some(server) = Server::shared() else { return };
    let database = server.database(None);
    let address: ServerAddress = server.url(&database).parse().expect("an address");
    let mut older = format::migrations().get_migrations().clone();
    let newest = older.iter().map(Migration::version).max().expect("some");
    older.retain(|migration| migration.version() < newest);
    PostgresRecord::open_with(&address, Runner::new(&older)).await.expect("a record of before");
    let role = format!("worker_{database}");
    server.sql(
        &database,
        &format!(
            "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA reattach TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA reattach TO {role}"
        ),
    );
    let url = server.url(&database).replace("postgres@", &format!("{role}@"));
    let refused = PostgresRecord::open(&url.parse().expect("an address")).await.expect_err("it may not change them");
    let words = format!("have form {}, this program needs {newest}", newest - 1);
    assert!(refused.to_string().contains(&words), "{refused}");
    let hint = refused.hint().unwrap_or_default();
    assert!(hint.contains("owns") && hint.contains("doctor"), "{hint}");
}

#[tokio::test]
async fn tables_are_made_though_whoever_asked_for_them_has_given_up() {
    let Some(server) = Server::shared() else { return };
    let database = server.database(None);
    let address: ServerAddress = server.url(&database).parse().expect("an address");
    let (other, connection) = connect::connect(&address).await.expect("a connection");
    tokio::spawn(connection);
    other.execute("SELECT pg_advisory_lock($1)", &[&format::LOCK]).await.expect("locked");
    let record = PostgresRecord::at(&address).expect("a record");
    let waits =
        format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND wait_event = 'advisory'");
    let waiting = spawn_blocking(move || server.wait_until(&waits, "1"));
    tokio::select! {
        early = record.aliases() => panic!("{early:?}, although another makes them"),
        waits = waiting => waits.expect("it waits"),
    }
    drop(other);
    let made = async {
        loop {
            let database = database.clone();
            let asked = move || server.sql(&database, "SELECT to_regclass('reattach.uploads') IS NOT NULL");
            if spawn_blocking(asked).await.expect("an answer") == "t" {
                break;
            }
        }
    };
    timeout(Duration::from_secs(30), made).await.expect("they are made");
    record.verify().await.expect("healthy");
}

#[tokio::test]
async fn the_roles_of_the_page_can_do_their_work_and_no_more() {
    let Some(server) = Server::shared() else { return };
    let page = std::fs::read_to_string("docs/POSTGRES.md").expect("the page");
    let sql = page.split("```sql\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the statements");
    server.script(sql);
    let address = |role: &str| -> ServerAddress {
        server.url("reattach").replace("postgres@", &format!("{role}@")).parse().expect("an address")
    };
    let early = PostgresRecord::open(&address("reattach")).await;
    assert!(matches!(early, Err(RecordError::Unformed { found: 0, .. })), "{early:?}");
    PostgresRecord::open(&address("reattach_owner")).await.expect("a record").verify().await.expect("healthy");
    let record = PostgresRecord::open(&address("reattach")).await.expect("a record");
    contract::store(&record, &key(1), "id").await;
    contract::plan(&record, 1..=3, 1).await;
    record.verify().await.expect("healthy");
    let dropped = record.sessions.write(|tx| async move { tx.execute("DROP TABLE uploads", &[]).await }).await;
    assert!(matches!(dropped, Err(RecordError::NotLetIn { .. })), "{dropped:?}");
}

#[tokio::test]
async fn a_server_proves_who_it_is_before_it_hears_a_word() {
    let Some(place) = place() else { return };
    let certificate = place.server.certificate().expect("openssl, which PostgreSQL's package brings").display();
    let database = &place.database;
    let at = |host: &str, options: &str| -> ServerAddress {
        format!("postgres://postgres@{host}:{}/{database}?{options}", place.server.port()).parse().expect("an address")
    };
    let encrypted = async |address: ServerAddress| {
        let record = PostgresRecord::open(&address).await?;
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        record.sessions.ask(|tx| async move { Ok(tx.one(sql, &[]).await?.is_some_and(|row| row.get(0))) }).await
    };
    let verified = format!("sslmode=verify-full&sslrootcert={certificate}");
    assert!(encrypted(at("localhost", &verified)).await.expect("it is who it says"));
    assert!(encrypted(at("127.0.0.1", "sslmode=require")).await.expect("whoever it is"));
    assert!(!encrypted(at("127.0.0.1", "sslmode=disable")).await.expect("in the clear"));
    for (host, options) in [("127.0.0.1", &*verified), ("localhost", "sslmode=verify-full")] {
        let refused = encrypted(at(host, options)).await;
        assert!(matches!(refused, Err(RecordError::NotLetIn { .. })), "{host} {options}: {refused:?}");
    }
}

#[tokio::test]
async fn who_cannot_be_reached_and_who_does_not_let_us_in_have_their_own_errors() {
    let Some(place) = place() else { return };
    let nobody: ServerAddress = "postgres://u:hunter2@127.0.0.1:1/r".parse().expect("an address");
    let away = PostgresRecord::open(&nobody).await.expect_err("nobody listens");
    assert!(matches!(away, RecordError::Away { .. }), "{away:?}");
    let stranger = place.server.url("nowhere").parse().expect("an address");
    let refused = PostgresRecord::open(&stranger).await.expect_err("no such database");
    assert!(matches!(refused, RecordError::NotLetIn { .. }), "{refused:?}");
    for error in [away, refused] {
        let message = format!("{error} {error:?}");
        assert!(!message.contains("hunter2") && error.to_string().starts_with(char::is_lowercase), "{message}");
    }
}

#[tokio::test]
async fn a_claim_passes_on_when_its_lease_is_over_and_a_late_result_is_an_orphan() {
    let Some(place) = place() else { return };
    let (silent, other) = (place.record().await, place.record().await);
    let Claimed::Won(old) = claimed(&silent, 1).await else { panic!("it is free") };
    assert_eq!(claimed(&other, 1).await, Claimed::Held { since: NOW });
    place.sql("UPDATE owners SET until = clock_timestamp() - interval '1 ms'");
    // Its own lease was ended as well.
    let third = place.record().await;
    let Claimed::Won(new) = claimed(&third, 1).await else { panic!("it has passed on") };
    assert!(new.epoch > old.epoch);
    assert_eq!(silent.complete(&old, &result("late")).await.expect("an answer"), Completed::Superseded);
    assert_eq!(third.complete(&new, &result("new")).await.expect("an answer"), Completed::Stored);
    assert_eq!(third.count_orphans().await.expect("counted"), 1);
    assert_eq!(
        silent.find(&[key(1)]).await.expect("found")[0].as_ref().map(|found| found.attachment_id.as_str()),
        Some("new")
    );
}

#[tokio::test]
async fn a_result_that_comes_after_the_lease_but_before_anybody_else_is_the_id() {
    let Some(place) = place() else { return };
    let silent = place.record().await;
    let Claimed::Won(claim) = claimed(&silent, 1).await else { panic!("it is free") };
    place.sql("UPDATE owners SET until = clock_timestamp() - interval '1 ms'");
    assert_eq!(silent.complete(&claim, &result("id")).await.expect("an answer"), Completed::Stored);
    assert_eq!(silent.count_orphans().await.expect("counted"), 0);
}

#[tokio::test]
async fn who_waits_for_a_key_hears_of_its_end() {
    let Some(place) = place() else { return };
    let (uploading, waiting) = (place.record().await, place.record().await);
    let Claimed::Won(claim) = claimed(&uploading, 1).await else { panic!("it is free") };
    assert_eq!(claimed(&waiting, 1).await, Claimed::Held { since: NOW });
    let name = claims::name(&key(1));
    let heard = waiting.owners.finished(&name);
    tokio::pin!(heard);
    assert!(futures::poll!(heard.as_mut()).is_pending());
    uploading.complete(&claim, &result("id")).await.expect("completed");
    // It never comes back unless it hears.
    timeout(Duration::from_secs(30), heard).await.expect("it hears");
}

/// Returns when a session in the place waits for another's transaction.
async fn until_one_waits(place: &Place) {
    let waiting = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND wait_event = 'transactionid'",
        place.database
    );
    let server = place.server;
    spawn_blocking(move || server.wait_until(&waiting, "1")).await.expect("it waits");
}

#[tokio::test]
async fn of_two_who_bring_an_id_at_the_same_time_the_better_one_stays() {
    let Some(place) = place() else { return };
    let (one, other) = (place.record().await, place.record().await);
    // Of the same space, so that it is there.
    contract::store(&one, &key(2), "id").await;
    let young = &[contract::upload(&key(1), result("young"))];
    let before = NOW.minus(Duration::from_hours(1));
    let old = [contract::upload(&key(1), NewUpload { uploaded_at: before, ..result("old") })];
    let gate = &tokio::sync::Barrier::new(2);
    let first = one.sessions.write(|tx| async move {
        let adopted = uploads::adopt(&tx, young).await?;
        gate.wait().await;
        gate.wait().await;
        Ok(adopted)
    });
    let second = async {
        gate.wait().await;
        let and_commit = async {
            until_one_waits(&place).await;
            gate.wait().await;
        };
        tokio::join!(other.adopt(&old), and_commit).0
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.expect("adopted"), [Adopted::Stored]);
    assert_eq!(second.expect("adopted"), [Adopted::Kept]);
    assert_eq!(one.find(&[key(1)]).await.expect("found"), [Some(young[0].clone())]);
}

#[tokio::test]
async fn of_two_who_give_a_new_name_at_the_same_time_one_sees_the_others() {
    let Some(place) = place() else { return };
    let (one, other) = (place.record().await, place.record().await);
    let (before, after) = (&contract::alias("hero", key(1).asset), contract::alias("hero", key(2).asset));
    let gate = &tokio::sync::Barrier::new(2);
    let first = one.sessions.write(|tx| async move {
        let replaced = aliases::set(&tx, before).await?;
        gate.wait().await;
        gate.wait().await;
        Ok(replaced)
    });
    let second = async {
        gate.wait().await;
        let and_commit = async {
            until_one_waits(&place).await;
            gate.wait().await;
        };
        tokio::join!(other.set_alias(&after), and_commit).0
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.expect("set"), None);
    assert_eq!(second.expect("set").as_ref(), Some(before));
    assert_eq!(one.alias(&after.name).await.expect("an answer"), Some(after));
}

#[tokio::test]
async fn who_has_lost_the_lease_claims_as_another() {
    let Some(place) = place() else { return };
    let record = place.record().await;
    let before = record.own().await.expect("an owner");
    place.sql("UPDATE owners SET until = clock_timestamp() - interval '1 ms'");
    let after = timeout(Duration::from_secs(30), async {
        loop {
            match record.own().await.expect("an owner") {
                own if own != before => return own,
                _ => tokio::task::yield_now().await,
            }
        }
    });
    assert!(after.await.expect("the next beat tells") > before);
    assert!(matches!(claimed(&record, 1).await, Claimed::Won(_)));
}

#[tokio::test]
async fn any_number_send_a_campaign_and_nobody_has_the_same_as_another() {
    let Some(place) = place() else { return };
    let records = [place.record().await, place.record().await, place.record().await];
    let campaign = contract::plan(&records[0], 1..=90, 1).await;
    let mut seen = BTreeSet::new();
    for record in &records {
        let worker = contract::enlist(record, campaign).await;
        assert!(
            matches!(record.enlist(campaign, 1, NOW).await.expect("an answer"), Enlisted::Held(_)),
            "one process once"
        );
        for row in record.claim_deliveries(&worker, Reach::All, 30, NOW).await.expect("claims").rows {
            assert!(seen.insert(row.key), "{} is claimed twice", row.key);
        }
    }
    assert_eq!(seen.len(), 90);
    assert!(matches!(records[0].begin_plan(&contract::new(1), 1, NOW).await.expect("an answer"), Begun::Held(_)));
}

#[tokio::test]
async fn those_who_claim_what_came_back_at_the_same_time_share_it() {
    let Some(place) = place() else { return };
    let records = futures::future::join_all((0..4).map(|_| place.record())).await;
    let campaign = contract::plan(&records[0], 1..=400, 1).await;
    // All have a row, and are planned again.
    let first = contract::enlist(&records[0], campaign).await;
    assert_eq!(records[0].claim_deliveries(&first, Reach::All, 400, NOW).await.expect("claims").rows.len(), 400);
    records[0].retire(&first, NOW).await.expect("retired");
    let shares = futures::future::join_all(records.iter().map(|record| async move {
        let (worker, mut share) = (contract::enlist(record, campaign).await, Vec::new());
        loop {
            let rows = record.claim_deliveries(&worker, Reach::All, 10, NOW).await.expect("claims").rows;
            if rows.is_empty() {
                return share;
            }
            share.extend(rows.into_iter().map(|row| row.key));
        }
    }));
    let shares = shares.await.concat();
    assert_eq!(shares.len(), 400, "somebody was claimed twice, or by nobody");
    assert_eq!(shares.into_iter().collect::<BTreeSet<_>>().len(), 400);
}

#[tokio::test]
async fn a_silent_workers_claims_pass_on_at_once_and_its_sends_are_unknown_when_they_must_be_over() {
    let Some(place) = place() else { return };
    let (silent, other) = (place.record().await, place.record().await);
    let campaign = contract::plan(&silent, 1..=3, 1).await;
    let worker = contract::enlist(&silent, campaign).await;
    silent.claim_deliveries(&worker, Reach::All, 3, NOW).await.expect("claims");
    let intent =
        |seq| Entry { key: DeliveryKey { seq, part: 0 }, event: Event::Intend { nonce: 7, variant: None }, at: NOW };
    silent.write(&worker, &[intent(1), intent(2)]).await.expect("written");
    assert!(silent.may_begin(&worker, Duration::from_secs(130)));
    assert!(!silent.may_begin(&worker, Duration::from_secs(200)), "it would outlive the lease");
    let states = async |record: &PostgresRecord| {
        record.count(campaign, NOW).await.expect("counts");
        let listed = record.deliveries(campaign, None, None, 9).await.expect("listed");
        listed.into_iter().map(|row| row.delivery.state).collect::<Vec<_>>()
    };
    let over = |seconds| format!("UPDATE owners SET until = clock_timestamp() - interval '{seconds} s'");
    place.sql(&over(1));
    assert_eq!(states(&other).await, [State::InFlight, State::InFlight, State::Planned]);
    let late = silent.write(&worker, &[intent(3)]).await;
    assert_eq!(late.expect("an answer"), [Written::Lapsed], "nothing is begun after the lease");
    // What was begun within it may still end.
    let sent = Entry { event: Event::Sent { message_id: Some("m".to_owned()) }, ..intent(1) };
    assert_eq!(silent.write(&worker, &[sent]).await.expect("written"), [Written::Stored]);
    place.sql(&over(200));
    assert_eq!(states(&other).await, [State::Sent, State::Unknown, State::Planned]);
    assert!(matches!(silent.write(&worker, &[intent(3)]).await, Err(RecordError::Lapsed)));
}

#[tokio::test]
async fn a_worker_whose_end_could_not_be_written_down_lets_go_when_another_begins() {
    let Some(place) = place() else { return };
    let record = place.record().await;
    let campaign = contract::plan(&record, 1..=2, 1).await;
    let worker = contract::enlist(&record, campaign).await;
    let claimed = async |worker: &Worker| {
        let claims = record.claim_deliveries(worker, Reach::All, 2, NOW).await.expect("claims");
        claims.rows.len()
    };
    assert_eq!(claimed(&worker).await, 2);
    place.sql(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE disk_full USING MESSAGE = 'could not extend file'; END $$;
         CREATE TRIGGER full_disk BEFORE DELETE ON campaign_workers EXECUTE FUNCTION full_disk()",
    );
    assert!(matches!(record.retire(&worker, NOW).await, Err(RecordError::Full { .. })));
    place.sql("DROP TRIGGER full_disk ON campaign_workers");
    let next = contract::enlist(&record, campaign).await;
    assert_eq!(claimed(&next).await, 2, "nobody else can let go of it: its owner lives");
}

#[tokio::test]
async fn a_claim_a_dying_server_forgot_is_nobodys_and_what_was_sent_before_is_kept() {
    let Some(place) = place() else { return };
    let (record, other) = (place.record().await, place.record().await);
    let campaign = contract::plan(&record, 1..=4, 1).await;
    let (worker, another) = (contract::enlist(&record, campaign).await, contract::enlist(&other, campaign).await);
    let claimed = async |record: &PostgresRecord, worker, limit| {
        let claims = record.claim_deliveries(worker, Reach::All, limit, NOW).await.expect("claims");
        claims.rows.into_iter().map(|row| row.key.seq).collect::<Vec<_>>()
    };
    assert_eq!(claimed(&record, &worker, 1).await, [1]);
    let entry = |seq, event| Entry { key: DeliveryKey { seq, part: 0 }, event, at: NOW };
    let intent = |seq| entry(seq, Event::Intend { nonce: 7, variant: None });
    record.write(&worker, &[intent(1)]).await.expect("written");
    assert_eq!(claimed(&record, &worker, 2).await, [2, 3]);
    // As a transaction that was not on the disk yet.
    place.sql("BEGIN; DELETE FROM deliveries WHERE seq > 1; UPDATE campaigns SET frontier = 1; COMMIT");
    assert_eq!(claimed(&other, &another, 1).await, [2], "whoever comes next has it");
    let sent = entry(1, Event::Sent { message_id: None });
    for lost in [intent(2), intent(3), entry(3, Event::Skip { reason: "window".to_owned() })] {
        let told = record.write(&worker, &[sent.clone(), lost]).await;
        assert!(matches!(told, Err(RecordError::Lapsed)), "{told:?}");
    }
    assert_eq!(record.write(&worker, &[sent]).await.expect("written"), [Written::Stored]);
    assert_eq!(other.write(&another, &[intent(2)]).await.expect("written"), [Written::Stored]);
}

#[tokio::test]
async fn a_dead_planner_keeps_nobody_from_planning() {
    let Some(place) = place() else { return };
    let (dead, other) = (place.record().await, place.record().await);
    assert!(matches!(dead.begin_plan(&contract::new(1), 1, NOW).await.expect("begun"), Begun::Won(_)));
    assert!(matches!(other.begin_plan(&contract::new(1), 1, NOW).await.expect("begun"), Begun::Held(_)));
    place.sql("UPDATE owners SET until = clock_timestamp() - interval '1 ms'");
    let third = place.record().await;
    contract::plan(&third, 1..=3, 1).await;
}

#[tokio::test]
async fn old_receipts_go_by_and_by_and_nobody_waits_for_it() {
    let Some(place) = place() else { return };
    place.sql(
        "INSERT INTO receipts_in_order SELECT lpad(to_hex(n), 32, '0')::uuid, true, now() - interval '2 days'
             FROM generate_series(1, 12000) n",
    );
    let (client, connection) = connect::connect(&place.address()).await.expect("a connection");
    tokio::spawn(connection);
    client
        .batch_execute("BEGIN; SELECT FROM receipts_in_order WHERE ticket = lpad('7', 32, '0')::uuid FOR UPDATE")
        .await
        .expect("locked");
    let record = place.record().await;
    let claiming = tokio::time::timeout(std::time::Duration::from_secs(4), claimed(&record, 1)).await;
    assert!(matches!(claiming, Ok(Claimed::Won(_))), "who claims waits for it: {claiming:?}");
    // The one that is somebody's, and what was left by what was claimed.
    while place.sql("SELECT count(*) FROM receipts_in_order WHERE at < now() - interval '1 day'") != "1" {
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn what_the_log_may_not_name_is_in_no_error() {
    let Some(place) = place() else { return };
    let record = place.record().await;
    let Claimed::Won(claim) = claimed(&record, 1).await else { panic!("it is free") };
    let nonsense = NewUpload { expires_at: NOW, source: Some("/home/alice/secret.png".into()), ..result("id") };
    let refused = record.complete(&claim, &nonsense).await.expect_err("refused");
    let cause = std::error::Error::source(&refused).expect("a cause").to_string();
    assert!(matches!(refused, RecordError::Refused { .. }) && cause.contains("check constraint"), "{refused:?}");
    assert!(!format!("{refused:?} {cause}").contains("alice") && !cause.contains("DETAIL"), "{refused:?}");
}
