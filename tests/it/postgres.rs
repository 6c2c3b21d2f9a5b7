//! A store that many share: the binary on a PostgreSQL server, alone and with others.

mod budget;
mod failover;
mod full;
mod known;
mod workers;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::support::pictures::png;
use crate::support::postgres::Server;
use crate::support::{Ran, World, wait_until};

/// The server, for one test at a time: some of them kill it. `None` where there is none.
fn server() -> Option<(&'static Server, MutexGuard<'static, ()>)> {
    static TURN: Mutex<()> = Mutex::new(());
    let server = Server::shared()?;
    Some((server, TURN.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// A world whose ids are kept in a database of its own.
fn world(server: &Server) -> World {
    World::new().sharing(server.url(&server.database(None)))
}

#[test]
fn a_shared_store_does_what_a_store_of_ones_own_does() {
    let Some((server, _turn)) = server() else { return };
    let world = world(server);
    for number in 0..3 {
        world.put(format!("{number}.png"), png(number));
    }
    assert_eq!(world.json(["sync", "library"]).ended_with(0).summary()["uploaded"], 3);
    assert_eq!(world.json(["sync", "library"]).ended_with(0).summary()["reused"], 3);
    world.run(["alias", "hero", "library/0.png"]).ended_with(0);
    let resolved = world.json(["resolve", "@hero"]).ended_with(0);
    assert_eq!(resolved.events_of("asset")[0]["outcome"], "reused");
    world.run(["send", "--to", "1", "--file", "library/1.png"]).ended_with(0);
    world.run(["forget", "library/2.png"]).ended_with(0);
    assert_eq!(world.json(["ls"]).ended_with(0).events_of("asset").len(), 2);
    assert_eq!(world.uploads(), 3);
    let doctor = world.json(["doctor"]).ended_with(0);
    let record = doctor.events_of("doctor").into_iter().find(|event| event["check"] == "record").expect("a finding");
    let message = record["message"].as_str().expect("words");
    assert!(message.starts_with("sound, 2 ids in postgres://postgres@127.0.0.1"), "{message}");
    assert!(world.store_of_its_own().join("cache").exists() && !world.store_of_its_own().join("record.db").exists());
}

#[test]
fn another_machines_places_stay_on_record_and_the_librarys_own_files_are_followed() {
    let Some((server, _guard)) = server() else { return };
    let world = world(server);
    world.put("a.png", png(1));
    let elsewhere = world.put("elsewhere/a.png", png(1));
    let place = |world: &World| {
        let listed = world.json(["ls"]).ended_with(0).events_of("asset");
        listed[0]["path"].as_str().expect("a path").to_owned()
    };
    world.run(["sync", "library/a.png"]).ended_with(0);
    let first = place(&world);
    // As another machine sees it, on which the library lies elsewhere.
    std::fs::rename(world.library().join("a.png"), world.library().join("b.png")).expect("renamed");
    world.run(["sync", "library/elsewhere"]).ended_with(0);
    assert_eq!(place(&world), first);
    std::fs::remove_file(elsewhere).expect("removed");
    world.run(["sync", "library"]).ended_with(0);
    assert_eq!(place(&world), first.replace("a.png", "b.png"));
    assert_eq!(world.counts().uploads_accepted, 1);
}

#[test]
fn nothing_is_struck_off_because_another_machine_has_its_file() {
    let Some((server, _guard)) = server() else { return };
    let world = world(server);
    world.put("ours/a.png", png(1));
    world.put("theirs/b.png", png(2));
    world.run(["sync", "library"]).ended_with(0);
    for folder in ["ours", "theirs"] {
        std::fs::remove_dir_all(world.library().join(folder)).expect("removed");
    }
    std::fs::create_dir(world.library().join("ours")).expect("a folder");
    let left = || world.json(["ls"]).ended_with(0).events_of("asset").len();
    let refused = world.run(["prune", "--unreferenced", "--yes"]).ended_with(2);
    assert!(refused.stderr.contains("on another") && refused.stderr.contains("--keep PATH"), "{}", refused.stderr);
    assert_eq!(left(), 2);
    world.run(["prune", "--unreferenced", "--keep", "library/ours", "--yes"]).ended_with(0);
    let listed = world.json(["ls"]).ended_with(0).events_of("asset");
    assert!(
        listed.len() == 1 && listed[0]["path"].as_str().is_some_and(|path| path.ends_with("theirs/b.png")),
        "{listed:?}"
    );
}

#[test]
fn a_demo_leaves_the_record_alone() {
    let Some((server, _guard)) = server() else { return };
    let world = world(server);
    world.put("a.png", png(1));
    world.run(["demo", "library"]).ended_with(0);
    assert_eq!(server.sql(world.database(), "SELECT count(*) FROM pg_tables WHERE schemaname = 'reattach'"), "0");
}

#[test]
fn no_password_is_ever_said_and_what_cannot_be_meant_is_a_mistake_of_the_caller() {
    let world = World::new();
    let told = |url: &str, passfile: &str| {
        let mut command = world.command(["-vvv", "ls"]);
        command.env("REATTACH_STORE", url).env("PGPASSWORD", "hunter2-variable").env("PGPASSFILE", passfile);
        let ran = Ran::new(command.output().expect("runs"));
        assert!(!ran.stderr.contains("hunter2") && !ran.stdout.contains("hunter2"), "{}", ran.stderr);
        ran
    };
    let away = told("postgres://u:hunter2@127.0.0.1:1/r?connect_timeout=1", "").ended_with(6);
    assert!(away.stderr.contains("reach the record postgres://u@127.0.0.1:1/r"), "{}", away.stderr);
    for url in [
        "postgres://u:hunter2@db.example/r?sslmode=prefer",
        "postgres://u:hunter2@db.example/r?password=hunter2&nonsense=1",
        "postgres://u:hunter2@db.example:port/r",
        "mysql://u:hunter2@db.example/r",
        "postgres://u:1?hunter2@db.example/r",
        "postgres://u:1@hunter2@127.0.0.1:1/r",
        "postgres:u:hunter2@db.example/r",
        "host=db.example user=u password=hunter2",
    ] {
        let refused = told(url, "").ended_with(2);
        assert!(refused.stderr.contains("open the store") && refused.stderr.contains("hint:"), "{}", refused.stderr);
    }
}

#[test]
fn on_a_server_that_takes_no_writes_a_send_ends_with_that_and_not_with_a_limit() {
    let Some((server, _turn)) = server() else { return };
    let world = world(server);
    let send = ["send", "--to", "1", "--text", "hi", "--max-wait", "5s"];
    world.run(send).ended_with(0);
    server.sql("postgres", &format!("ALTER DATABASE {} SET default_transaction_read_only = on", world.database()));
    let refused = world.run(send).ended_with(6).stderr;
    for words in ["no share of the Page's budget", "write to the record postgres://", "(25006)", "name the primary"] {
        assert!(refused.contains(words), "{words}: {refused}");
    }
    assert!(!refused.contains("limit"), "{refused}");
    let log = std::fs::read_to_string(world.log()).expect("a log");
    assert_eq!(log.matches("budget is to be had").count(), 1, "it is said once");
    assert_eq!(world.counts().messages_accepted, 1);
    let doctor = world.run(["doctor"]).ended_with(6).stdout;
    assert!(doctor.contains("write to the record") && doctor.contains("name the primary"), "{doctor}");
}

#[test]
fn doctor_says_which_table_a_role_may_not_change() {
    let Some((server, _turn)) = server() else { return };
    let world = world(server);
    world.run(["ls"]).ended_with(0);
    let database = world.database();
    let role = format!("reader_{database}");
    let grants = format!(
        "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA reattach TO {role};
         GRANT SELECT ON ALL TABLES IN SCHEMA reattach TO {role};
         GRANT INSERT, UPDATE, DELETE ON reattach.aliases TO {role}"
    );
    server.sql(database, &grants);
    let store = server.url(database).replace("postgres@", &format!("{role}@"));
    let doctor = || Ran::new(world.command(["doctor"]).env("REATTACH_STORE", &store).output().expect("runs"));
    let refused = doctor().ended_with(6).stdout;
    assert!(refused.contains(&format!("the role {role} may not change the table budget_minutes")), "{refused}");
    let grant = format!("GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA reattach TO {role}");
    server.sql(database, &grant);
    doctor().ended_with(0);
}

#[test]
fn a_password_is_taken_from_where_postgresql_looks_for_it_if_nobody_else_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some((server, _turn)) = server() else { return };
    let world = world(server);
    let passfile = world.put("passfile", "*:*:*:postgres:hunter2\n");
    let ls = |mode| {
        std::fs::set_permissions(&passfile, std::fs::Permissions::from_mode(mode)).expect("a mode");
        Ran::new(world.command(["ls"]).env("PGPASSFILE", &passfile).output().expect("runs"))
    };
    ls(0o600).ended_with(0);
    let refused = ls(0o644).ended_with(2);
    assert!(refused.stderr.contains("others may read it") && !refused.stderr.contains("hunter2"), "{}", refused.stderr);
    // It is nobody's media, though it lies in the library.
    std::fs::set_permissions(&passfile, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let check =
        Ran::new(world.command(["check", "library/passfile"]).env("PGPASSFILE", &passfile).output().expect("runs"));
    assert!(check.ended_with(3).stdout.contains("private"));
}

#[test]
fn eight_processes_that_resolve_the_same_new_files_at_once_upload_each_once() {
    const FILES: u32 = 200;
    let Some((server, _turn)) = server() else { return };
    let world = world(server);
    world.run(["ls"]).ended_with(0);
    let mut arguments = vec!["resolve".to_owned(), "--json".to_owned()];
    for number in 0..FILES {
        arguments.push(world.put(format!("{number}.png"), png(number)).display().to_string());
    }
    let processes: Vec<_> = (0..8).map(|_| world.start(&arguments)).collect();
    let ran = processes.into_iter().map(|process| Ran::new(process.wait_with_output().expect("ends")).ended_with(0));
    let (mut ids, mut uploaded, mut resolved) = (HashMap::new(), 0, 0);
    for ran in ran {
        for asset in ran.events_of("asset") {
            resolved += 1;
            uploaded += u32::from(asset["outcome"] == "uploaded");
            let (path, id) = (asset["path"].to_string(), asset["attachment_id"].to_string());
            let first = ids.entry(path).or_insert_with(|| id.clone());
            assert_eq!(*first, id, "two ids for one file");
        }
    }
    assert_eq!((resolved, uploaded, world.uploads()), (8 * FILES, FILES, u64::from(FILES)));
    let orphans = server.sql(world.database(), "SELECT count(*) FROM reattach.orphans");
    assert_eq!(orphans, "0");
}

#[test]
fn an_upload_whose_process_is_killed_passes_on_when_its_lease_is_over() {
    let Some((server, _turn)) = server() else { return };
    let url = format!("{}?reattach_lease=1", server.url(&server.database(None)));
    let world = World::new().sharing(url);
    world.put("a.png", png(1));
    world.run(["ls"]).ended_with(0);
    world.sandbox().set_faults(serde_json::json!({"on": "upload", "fault": {"stall": true}})).expect("a fault");
    let mut killed = world.start(["sync", "library"]);
    wait_until("it uploads", || {
        assert!(killed.try_wait().expect("runs").is_none(), "it ended by itself");
        world.counts().requests.upload > 0
    });
    killed.kill().expect("killed");
    killed.wait().expect("ended");
    world.sandbox().clear_faults();
    assert_eq!(world.json(["sync", "library"]).ended_with(0).summary()["uploaded"], 1);
    assert_eq!(server.sql(world.database(), "SELECT count(*) FROM reattach.orphans"), "1");
}

/// A record with something of everything, in the world's own store.
fn lived_in(world: &World) {
    world.configure(crate::campaign::FAST);
    for number in 0..5 {
        world.put(format!("{number}.png"), png(number));
    }
    world.put("hero.png", png(9));
    crate::campaign::campaign(world, 40, crate::campaign::TEXT_AND_PICTURE);
    let lost = serde_json::json!({"on": "send", "when": "after", "fault": {"reset": true}, "times": 3});
    world.sandbox().set_faults(lost).expect("a fault");
    world.json(["campaign", "run", "library/spring.toml", "--yes"]).ended_with(7);
    world.run(["sync", "library"]).ended_with(0);
    world.run(["alias", "hero", "library/0.png"]).ended_with(0);
}

/// All that can be asked of a store.
fn told(world: &World, store: &str) -> Vec<String> {
    let questions: [&[&str]; 4] =
        [&["ls"], &["alias", "--list"], &["campaign", "status", "spring"], &["campaign", "export", "spring"]];
    let asked = questions.iter().map(|question| {
        let ran = Ran::new(world.command(*question).arg("--json").env("REATTACH_STORE", store).output().expect("runs"));
        assert!(matches!(ran.code, Some(0 | 7)), "{ran:?}");
        ran.stdout
    });
    asked.collect()
}

#[test]
fn a_record_is_carried_to_the_server_and_back_and_goes_on_as_it_was() {
    let Some((server, _turn)) = server() else { return };
    let world = World::new();
    lived_in(&world);
    let own = format!("sled:{}", world.store().display());
    let before = told(&world, &own);
    let database = server.database(None);
    let shared = server.url(&database);
    let there = world.json(["migrate", "--from", &own, "--to", &shared]).ended_with(0);
    assert_eq!(told(&world, &shared), before);
    let summary = there.events_of("migrate_summary").remove(0);
    assert!(summary["rows"].as_u64() > Some(130) && summary["rows"] == summary["carried"], "{summary}");

    // Cut off, and begun again.
    server.sql(&database, "DELETE FROM reattach.deliveries WHERE seq > 10");
    let again = world.json(["migrate", "--from", &own, "--to", &shared]).ended_with(0);
    let carried = |table: &str| {
        let events = again.events_of("migrated");
        events.iter().find(|event| event["table"] == table).expect("a table")["carried"].as_u64().expect("a count")
    };
    assert!(carried("deliveries") > 0 && carried("uploads") == 0, "{again:?}");
    assert_eq!(told(&world, &shared), before);

    let back = world.store().with_file_name("back");
    let file = format!("sqlite:{}", back.join("record.db").display());
    world.run(["migrate", "--from", &shared, "--to", &file]).ended_with(0);
    let back = format!("sled:{}", back.display());
    assert_eq!(told(&world, &back), before);
    // Both go on: ids are known, what is unknown can be settled, and new epochs are greater than all there were.
    let highest = "SELECT max(epoch) FROM uploads";
    let lowest = "SELECT min(epoch) FROM uploads";
    let ask = |folder: &std::path::Path, sql: &str| -> i64 {
        let record = rusqlite::Connection::open(folder.join("record.db")).expect("a record");
        record.query_row(sql, [], |row| row.get(0)).expect("a number")
    };
    let before = ask(&world.store(), highest);
    for store in [&shared, &back] {
        let run = |arguments: &[&str]| {
            Ran::new(world.command(arguments).arg("--json").env("REATTACH_STORE", store).output().expect("runs"))
        };
        assert_eq!(run(&["sync", "library"]).ended_with(0).summary()["uploaded"], 0);
        run(&["doctor"]).ended_with(0);
        run(&["campaign", "settle", "spring", "--assume", "sent", "--yes"]).ended_with(0);
        run(&["sync", "library", "--force"]).ended_with(0);
    }
    let there: i64 = server.sql(&database, &format!("SET search_path = reattach; {lowest}")).parse().expect("a number");
    let here = ask(&world.store().with_file_name("back"), lowest);
    assert!(there > before && here > before, "{before}, then {there} there and {here} here");
}

#[test]
fn what_holds_something_else_or_is_being_worked_with_is_not_carried_into_or_out_of() {
    let Some((server, _turn)) = server() else { return };
    let world = World::new();
    lived_in(&world);
    let own = format!("sled:{}", world.store().display());
    let shared = server.url(&server.database(None));
    world.put("other.png", png(77));
    let sync = ["sync", "library/other.png"];
    Ran::new(world.command(sync).env("REATTACH_STORE", &shared).output().expect("runs")).ended_with(0);
    let refused = world.run(["migrate", "--from", &own, "--to", &shared]).ended_with(6);
    assert!(refused.stderr.contains("they differ") && refused.stderr.contains("hint:"), "{}", refused.stderr);
    let empty = server.url(&server.database(None));
    world.sandbox().set_faults(serde_json::json!({"on": "upload", "fault": {"stall": true}})).expect("a fault");
    let before = world.counts().requests.upload;
    let mut working = world.start(["sync", "library", "--force"]);
    wait_until("it uploads", || {
        assert!(working.try_wait().expect("runs").is_none(), "it ended by itself");
        world.counts().requests.upload > before
    });
    let refused = world.run(["migrate", "--from", &own, "--to", &empty]).ended_with(6);
    assert!(refused.stderr.contains("at work") && refused.stderr.contains("half a minute"), "{}", refused.stderr);
    let nowhere = world.store().with_file_name("nowhere");
    let file = format!("sqlite:{}", nowhere.join("record.db").display());
    world.run(["migrate", "--from", &own, "--to", &file]).ended_with(6);
    assert!(!nowhere.exists(), "nothing is made for what is not carried");
    working.kill().expect("killed");
    working.wait().expect("ended");
}
