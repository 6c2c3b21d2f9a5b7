//! The state file, and starting.

use std::path::PathBuf;
use std::time::Duration;

use super::super::SandboxError;
use super::*;

fn options(path: &std::path::Path) -> SandboxOptions {
    SandboxOptions { state_file: Some(path.to_owned()), ..SandboxOptions::default() }
}

struct Place {
    _folder: tempfile::TempDir,
    file: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sandbox.jsonl");
    Place { _folder: folder, file }
}

#[tokio::test]
async fn a_restart_remembers_attachments_messages_and_time() {
    let place = place();
    let lab = lab_with(options(&place.file)).await;
    let id = lab.saved().await;
    let form = Form::new()
        .text("recipient", r#"{"id":"7"}"#)
        .text("message", reusable("image").to_string())
        .part("filedata", png(b"sent"));
    answer(lab.post("/me/messages").bearer_auth(BAKERY).multipart(form)).await;
    lab.send(&json!({ "recipient": { "user_ref": "a" }, "sender_action": "mark_seen" })).await;
    lab.advance_clock(Duration::from_hours(24 * 89));
    let before = lab.truth();
    lab.sandbox.shutdown().await.expect("saved");

    let again = lab_with(options(&place.file)).await;
    let after = again.truth();
    assert_eq!((after.attachments, after.messages), (before.attachments, before.messages));
    assert!(after.now.since(before.now) < Duration::from_mins(1));
    assert!(after.now >= before.now);
    let by_id = json!({ "recipient": { "id": "7" }, "message": { "attachment": { "type": "image", "payload": { "attachment_id": id } } } });
    assert_eq!(again.send(&by_id).await.0, 200);
    assert_eq!(again.truth().messages[2].sequence, 3);
    again.advance_clock(Duration::from_hours(24));
    assert_eq!(again.send(&by_id).await.1["error"]["error_subcode"], 2_018_074);
}

#[tokio::test]
async fn a_change_is_written_without_a_shutdown() {
    let place = place();
    let lab = lab_with(options(&place.file)).await;
    lab.send(&hello("4711")).await;
    let written = async {
        while !std::fs::read_to_string(&place.file).expect("the file").contains("4711") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), written).await.expect("the message is in the file");
    assert!(!place.file.with_extension("jsonl.tmp").exists());
}

#[tokio::test]
async fn nobody_else_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;

    let place = place();
    let leftover = place.file.with_extension("jsonl.tmp");
    std::fs::write(&leftover, "half a line").expect("a leftover");
    std::fs::set_permissions(&leftover, std::fs::Permissions::from_mode(0o644)).expect("permissions");
    start(options(&place.file)).await.expect("a sandbox").shutdown().await.expect("saved");
    let mode = std::fs::metadata(&place.file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_alone() {
    let header = r#"{"format":"reattach-sandbox","version":1,"clock_offset_ms":0,"message_salt":1}"#;
    let stranger = r#"{"message":{"sequence":1,"at":"2026-01-01T00:00:00Z","page_id":"5","chunked":false}}"#;
    for (text, line) in [
        (String::new(), 1),
        ("{}".to_owned(), 1),
        (header.replace("\"version\":1", "\"version\":2"), 1),
        ("a shopping list".to_owned(), 1),
        (header[..40].to_owned(), 1),
        (format!("{header}\n{{\"attachment\":\n"), 2),
        (format!("{header}\n{stranger}"), 2),
        (format!("{header}\n{{\"picture\":{{}}}}\n"), 2),
    ] {
        let place = place();
        std::fs::write(&place.file, &text).expect("a file");
        let error = start(options(&place.file)).await.expect_err("damaged");
        assert!(matches!(error, SandboxError::DamagedState { line: at, .. } if at == line), "{text}: {error}");
        assert_eq!(std::fs::read_to_string(&place.file).expect("the file"), text);
    }
}

/// The state file of a sandbox that accepted two messages, and its place.
async fn two_messages() -> (Place, String) {
    let place = place();
    let lab = lab_with(options(&place.file)).await;
    lab.send(&hello("7")).await;
    lab.send(&json!({ "recipient": { "id": "8" }, "message": { "text": "ça va?" } })).await;
    lab.sandbox.shutdown().await.expect("saved");
    let text = std::fs::read_to_string(&place.file).expect("the file");
    (place, text)
}

#[tokio::test]
async fn a_file_that_was_cut_off_is_read_as_far_as_it_goes_and_kept() {
    let (place, whole) = two_messages().await;
    let first_ends = whole.match_indices('\n').nth(1).expect("two lines").0 + 1;
    let inside_a_letter = whole.find('ç').expect("the letter") + 1;
    for length in [first_ends, first_ends + 1, inside_a_letter, whole.len() - 2] {
        std::fs::write(&place.file, &whole.as_bytes()[..length]).expect("a file");
        let again = lab_with(options(&place.file)).await;
        let people: Vec<_> = again.truth().messages.iter().filter_map(TruthMessage::recipient).collect();
        assert_eq!(people, ["7"], "cut off at {length}");
        again.sandbox.shutdown().await.expect("saved");
        let kept = std::fs::read(place.file.with_extension("jsonl.torn")).expect("the file as it was");
        assert_eq!(kept, &whole.as_bytes()[..length]);
        std::fs::remove_file(place.file.with_extension("jsonl.torn")).expect("it was there");
    }
    std::fs::write(&place.file, whole.trim_end()).expect("a file");
    assert_eq!(lab_with(options(&place.file)).await.truth().message_count, 2);
    assert!(!place.file.with_extension("jsonl.torn").exists());
}

#[tokio::test]
async fn a_sandbox_killed_while_it_writes_leaves_a_whole_file() {
    let (place, whole) = two_messages().await;
    let half_written = place.file.with_extension("jsonl.tmp");
    std::fs::write(&half_written, &whole.as_bytes()[..whole.len() / 2]).expect("a leftover");
    let again = lab_with(options(&place.file)).await;
    assert_eq!(again.truth().message_count, 2);
    assert!(!half_written.exists());
}

#[tokio::test]
async fn two_sandboxes_do_not_share_a_file() {
    let place = place();
    let first = lab_with(options(&place.file)).await;
    first.send(&hello("7")).await;
    let error = start(options(&place.file)).await.expect_err("in use");
    assert!(matches!(&error, SandboxError::StateInUse { path } if *path == place.file), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("--state")));
    first.sandbox.shutdown().await.expect("saved");
    assert_eq!(lab_with(options(&place.file)).await.truth().message_count, 1);
}

#[tokio::test]
async fn a_restart_remembers_what_was_replied_to() {
    let place = place();
    let reply = json!({ "recipient": { "comment_id": "1_2" }, "message": { "text": "a" } });
    let lab = lab_with(options(&place.file)).await;
    assert_eq!(lab.send(&reply).await.0, 200);
    lab.sandbox.shutdown().await.expect("saved");
    let again = lab_with(options(&place.file)).await;
    assert_eq!(again.send(&reply).await.1["error"]["code"], 10_900);
    again.reset();
    assert_eq!(again.send(&reply).await.0, 200);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_known_at_the_start() {
    let place = place();
    let nowhere = place.file.join("not-a-folder");
    std::fs::write(&place.file, "").expect("a file");
    let error = start(options(&nowhere)).await.expect_err("no such folder");
    assert!(matches!(error, SandboxError::ReadState { .. } | SandboxError::WriteState { .. }), "{error}");
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let first = lab().await;
    let port: u16 = first.url().rsplit(':').next().expect("a port").parse().expect("a number");
    let error = start(SandboxOptions { port, ..SandboxOptions::default() }).await.expect_err("taken");
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}

#[tokio::test]
async fn a_seed_makes_ids_repeatable() {
    let mut ids = Vec::new();
    for _ in 0..2 {
        let lab = lab_with(SandboxOptions { seed: Some(3), ..SandboxOptions::default() }).await;
        ids.push((lab.saved().await, lab.send(&hello("7")).await));
    }
    assert_eq!(ids[0], ids[1]);
}
